"""`headrace logs`: what a function said."""

import argparse
import contextlib
import json
import time
from typing import Any

from headrace.cli.clients import client
from headrace.cli.telling import told
from headrace.kit.settings import Settings

LOOK_SECONDS = 0.5
SEEN_MAX = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The function, and how much of its log."""
    parser.add_argument("function", help="its name")
    parser.add_argument("--follow", "-f", action="store_true", help="go on with what is said from now on")
    parser.add_argument(
        "--since", type=float, default=10.0, metavar="MINUTES", help="how far to look back (default: %(default)s)"
    )
    parser.add_argument("--account", help="the 12 digits of another account than the server's own")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print lines as they were written; 1 when there is no such log."""
    return told(lambda: _run(arguments, settings))


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    logs = client(settings, "logs", arguments.account)
    start_ms = int((time.time() - arguments.since * 60) * 1000)
    seen: dict[str, None] = {}
    group = _group(client(settings, "lambda", arguments.account), arguments.function)
    while True:
        # Without a log, it has said nothing yet.
        with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
            start_ms = _show(logs, group, start_ms, seen, as_json=arguments.json)
        if not arguments.follow:
            return 0
        time.sleep(LOOK_SECONDS)


def _group(functions: Any, name: str) -> str:
    found = functions.get_function_configuration(FunctionName=name)
    group: str = found["LoggingConfig"]["LogGroup"]
    return group


def _show(logs: Any, group: str, start_ms: int, seen: dict[str, None], *, as_json: bool) -> int:
    """Print what was not seen yet; where to look from the next time. Lines may arrive late, so it looks back a little."""
    last_ms = start_ms
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start_ms):
        for event in page["events"]:
            if event["eventId"] in seen:
                continue
            seen[event["eventId"]] = None
            last_ms = max(last_ms, event["timestamp"] - 10_000)
            if as_json:
                line = {"timestamp": event["timestamp"], "stream": event["logStreamName"], "message": event["message"]}
                print(json.dumps(line), flush=True)
            else:
                stamp = time.strftime("%H:%M:%S", time.localtime(event["timestamp"] / 1000))
                text = event["message"].rstrip().replace("\r", "\n")
                print(f"{stamp}.{event['timestamp'] % 1000:03d}  {text}", flush=True)
    for event_id in list(seen)[: max(0, len(seen) - SEEN_MAX)]:
        del seen[event_id]
    return last_ms
