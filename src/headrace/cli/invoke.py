"""`headrace invoke`: run a function."""

import argparse
import base64
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from headrace.cli.clients import client
from headrace.cli.telling import told
from headrace.kit.settings import Settings

# A function may run for 15 minutes, and is not to be run twice because nobody waited.
WAIT_SECONDS = 1000.0


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
        # Deploying needs much that invoking does not.
        status: int = importlib.import_module("headrace.cli.invoke_template").run(arguments, settings, payload)
        return status
    if arguments.parameter:
        print("headrace: --parameter is the template's: it goes with --template only.", file=sys.stderr)
        return 2
    functions = functions_of(settings, arguments.account)
    if arguments.asynchronous:
        functions.invoke(FunctionName=arguments.function, Payload=payload, InvocationType="Event")
        return 0
    return invoke(functions, arguments.function, payload, as_json=arguments.json)


def functions_of(settings: Settings, account: str | None = None) -> Any:
    """A client that waits for as long as a function may run."""
    return client(settings, "lambda", account, wait_seconds=WAIT_SECONDS, attempts=1)


def invoke(functions: Any, name: str, payload: bytes, *, as_json: bool) -> int:
    """Invoke and print; 1 when the function failed."""
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
