"""`headrace invoke`: run a function."""

import argparse
import base64
import json
import sys
from pathlib import Path

from headrace.cli.clients import client
from headrace.cli.telling import told
from headrace.kit.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The function, and its event."""
    parser.add_argument("function", help="its name or ARN; a version or an alias may follow after a colon")
    parser.add_argument("event", nargs="?", default="{}", help="the event: JSON, @FILE, or - for the standard input")
    parser.add_argument("--event", dest="asynchronous", action="store_true", help="queue the event, and wait for no answer")
    parser.add_argument("--account", help="the 12 digits of another account than the server's own")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the answer, and the log on the standard error; 1 when the function failed."""
    return told(lambda: _invoke(arguments, settings))


def _invoke(arguments: argparse.Namespace, settings: Settings) -> int:
    payload = _event(arguments.event)
    functions = client(settings, "lambda", arguments.account)
    if arguments.asynchronous:
        functions.invoke(FunctionName=arguments.function, Payload=payload, InvocationType="Event")
        return 0
    # A durable execution goes over many invocations, so there is no one log to show the end of.
    durable = "DurableConfig" in functions.get_function_configuration(FunctionName=arguments.function)
    answer = functions.invoke(FunctionName=arguments.function, Payload=payload, LogType="None" if durable else "Tail")
    text = answer["Payload"].read().decode("utf-8", "replace")
    log = base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace")
    failed = answer.get("FunctionError")
    if arguments.json:
        shown = {"payload": text, "error": failed, "version": answer["ExecutedVersion"], "log": log}
        print(json.dumps(shown | ({"execution": answer["DurableExecutionArn"]} if durable else {})))
    else:
        told = f"{answer['DurableExecutionArn']}\n" if durable else log.replace("\r", "\n")
        print(told, file=sys.stderr, end="")
        print(text)
    return 1 if failed else 0


def _event(given: str) -> bytes:
    if given == "-":
        return sys.stdin.buffer.read()
    return Path(given[1:]).read_bytes() if given.startswith("@") else given.encode()
