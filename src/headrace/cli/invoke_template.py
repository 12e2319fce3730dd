"""`headrace invoke --template`: run a function of a template on a server of the command's own."""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

from headrace.cli.invoke import functions_of, invoke
from headrace.cli.server_process import ServerProcess
from headrace.cli.watch import Failed, Watcher
from headrace.kit.errors import AwsError
from headrace.kit.settings import Settings

STACK = "local"


def run(arguments: argparse.Namespace, settings: Settings, payload: bytes) -> int:
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
            return invoke(functions_of(server.settings), name, payload, as_json=arguments.json)
        except (Failed, AwsError, ValueError) as error:
            print(f"headrace: {error}", file=sys.stderr)
            return 1
        finally:
            server.stop()


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(text.replace("watch:", "headrace:", 1), file=sys.stderr, flush=True)
