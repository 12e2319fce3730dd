"""`headrace invoke`: run a function, on a server that runs or on one of the command's own."""

import argparse
import base64
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from headrace.cli.clients import client
from headrace.cli.server_process import ServerProcess
from headrace.cli.telling import told
from headrace.cli.watch import Failed, Watcher
from headrace.kit.errors import AwsError
from headrace.kit.settings import Settings

# A function may run for 15 minutes, and is not to be run twice because nobody waited.
WAIT_SECONDS = 1000.0
STACK = "local"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The function, and its event."""
    parser.add_argument("function", help="its name or ARN; a version or an alias may follow after a colon")
    parser.add_argument("event", nargs="?", default="{}", help="the event: JSON, @FILE, or - for the standard input")
    parser.add_argument("--event", dest="asynchronous", action="store_true", help="queue the event, and wait for no answer")
    parser.add_argument("--account", help="the 12 digits of another account than the server's own")
    parser.add_argument(
        "--template", type=Path, metavar="FOLDER",
        help="deploy the folder's template to a server that ends with this command; the function may be named by its logical id",
    )  # fmt: skip
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="with --template: a parameter of the template"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the answer, and the log on the standard error; 1 when the function failed."""
    return told(lambda: _run(arguments, settings))


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    payload = _event(arguments.event)
    if arguments.template is not None:
        return _alone(arguments, settings, payload)
    if arguments.parameter:
        print("headrace: --parameter is the template's: it goes with --template only.", file=sys.stderr)
        return 2
    functions = _functions(settings, arguments.account)
    if arguments.asynchronous:
        functions.invoke(FunctionName=arguments.function, Payload=payload, InvocationType="Event")
        return 0
    return _invoke(functions, arguments.function, payload, as_json=arguments.json)


def _functions(settings: Settings, account: str | None = None) -> Any:
    return client(settings, "lambda", account, wait_seconds=WAIT_SECONDS, attempts=1)


def _alone(arguments: argparse.Namespace, settings: Settings, payload: bytes) -> int:
    """Start a server that keeps nothing, deploy, invoke, and stop it."""
    if arguments.asynchronous or arguments.account:
        print("headrace: --template goes with neither --event nor --account: its server ends with the answer.", file=sys.stderr)
        return 2
    kept_nowhere = dataclasses.replace(settings, store="memory", blobs_url="", smtp_relay="")
    with tempfile.TemporaryDirectory(prefix="headrace-invoke-") as folder:
        server = ServerProcess(kept_nowhere, Path(folder))
        try:
            server.start()
            watcher = Watcher(server.settings, arguments.template, STACK, arguments.parameter, tell=_progress)
            watcher.deploy_once()
            name = watcher.functions.get(arguments.function, arguments.function)
            if name not in watcher.functions.values():
                raise Failed(f"the template has no function {name}; it has {', '.join(sorted(watcher.functions)) or 'none'}")
            return _invoke(_functions(server.settings), name, payload, as_json=arguments.json)
        except (Failed, AwsError, ValueError) as error:
            print(f"headrace: {error}", file=sys.stderr)
            return 1
        finally:
            server.stop()


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(text.replace("watch:", "headrace:", 1), file=sys.stderr, flush=True)


def _invoke(functions: Any, name: str, payload: bytes, *, as_json: bool) -> int:
    # A durable execution goes over many invocations, so there is no one log to show the end of.
    durable = "DurableConfig" in functions.get_function_configuration(FunctionName=name)
    answer = functions.invoke(FunctionName=name, Payload=payload, LogType="None" if durable else "Tail")
    text = answer["Payload"].read().decode("utf-8", "replace")
    log = base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace")
    failed = answer.get("FunctionError")
    if as_json:
        shown = {"payload": text, "error": failed, "version": answer["ExecutedVersion"], "log": log}
        print(json.dumps(shown | ({"execution": answer["DurableExecutionArn"]} if durable else {})))
    else:
        said = f"{answer['DurableExecutionArn']}\n" if durable else log.replace("\r", "\n")
        print(said, file=sys.stderr, end="")
        print(text)
    return 1 if failed else 0


def _event(given: str) -> bytes:
    if given == "-":
        return sys.stdin.buffer.read()
    return Path(given[1:]).read_bytes() if given.startswith("@") else given.encode()
