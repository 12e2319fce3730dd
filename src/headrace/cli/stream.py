"""`headrace stream`: look into a Kinesis stream, and put lines into one."""

import argparse
import json
import sys

from headrace.cli import stream_put, stream_tail
from headrace.cli.clients import client
from headrace.cli.main import add_settings
from headrace.cli.telling import told
from headrace.kit.settings import Settings


def _add_list(parser: argparse.ArgumentParser) -> None:
    """It takes no more than every action."""


def _list(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the streams, with their shards and settings."""
    kinesis = client(settings, "kinesis", arguments.account)
    names = [name for page in kinesis.get_paginator("list_streams").paginate() for name in page["StreamNames"]]
    for name in names:
        found = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        shown = {
            "name": name,
            "shards": found["OpenShardCount"],
            "mode": found["StreamModeDetails"]["StreamMode"],
            "retention_hours": found["RetentionPeriodHours"],
            "consumers": found["ConsumerCount"],
        }
        if arguments.json:
            print(json.dumps(shown))
        else:
            print(
                f"{name}  {shown['shards']} shards, {shown['mode'].lower().replace('_', ' ')}, "
                f"kept {shown['retention_hours']} hours, {shown['consumers']} consumers"
            )
    if not names and not arguments.json:
        print("There are no streams.", file=sys.stderr)
    return 0


ACTIONS = {
    "list": ("show the streams", _add_list, _list),
    "tail": ("follow a stream's records", stream_tail.add_arguments, stream_tail.run),
    "put": ("put each line of the input as a record", stream_put.add_arguments, stream_put.run),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One action, with what it takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (meaning, add, _) in ACTIONS.items():
        action = actions.add_parser(name, help=meaning, description=meaning[0].upper() + meaning[1:] + ".")
        add(action)
        action.add_argument("--account", help="the 12 digits of another account than the server's own")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programs")
        add_settings(action, argparse.SUPPRESS)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the action; its exit status, 1 when the server refuses or does not answer."""
    return told(lambda: ACTIONS[arguments.action][2](arguments, settings))
