"""`headrace up`: start the server, and serve until it is told to stop."""

import argparse
import gc
import json
import logging
import os
import resource
import socket
import subprocess
import sys
import time

import uvloop

from headrace.app import App
from headrace.kit.settings import Settings

FILES_WANTED = 16_384
# The interpreter's default of 5 ms lets one busy thread hold up the event loop and the committing thread for too long.
SWITCH_INTERVAL_SECONDS = 0.001
# Requests in flight hold thousands of objects: the interpreter's default looks at them all every few requests, for nothing.
COLLECT_AFTER = (10_000, 20, 20)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings, and what is watched while the server runs."""
    parser.add_argument("--watch", metavar="FOLDER", help="deploy the folder's template, and take over what changes in it")
    parser.add_argument(
        "--debug", dest="lambda_debug", metavar="FUNCTION[:PORT]", help="let a function wait for a debugger when it starts"
    )
    parser.add_argument("--stack", help="with --watch: the stack's name (default: the folder's)")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="with --watch: a parameter of the template"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    began_at = time.perf_counter()
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr
    )
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    _allow_files()
    if problem := _taken(settings):
        print(f"headrace: can't listen on {settings.host}:{settings.port}: {problem}. Choose another --port.", file=sys.stderr)
        return 1
    try:
        app = App(settings)
    except (ValueError, OSError) as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 2
    gc.set_threshold(*COLLECT_AFTER)

    watching: list[subprocess.Popen[bytes]] = []

    def ready() -> None:
        _print_ready(app.settings, arguments.json, time.perf_counter() - began_at)
        if arguments.watch:
            watching.append(_watch(app.settings, arguments))

    uvloop.run(app.serve(ready, _keep_for_good))
    for process in watching:
        process.terminate()
        process.wait()
    return 0


def _watch(settings: Settings, arguments: argparse.Namespace) -> subprocess.Popen[bytes]:
    """The watcher, in a process of its own: it needs what the server is to be free of. It ends with the server."""
    command = [sys.executable, "-m", "headrace.cli.main", "watch", arguments.watch]
    command += ["--stack", arguments.stack] if arguments.stack else []
    command += ["--json"] if arguments.json else []
    for one in arguments.parameter:
        command += ["--parameter", one]
    return subprocess.Popen(command, env={**os.environ, **settings.variables()}, stdin=subprocess.DEVNULL)


def _keep_for_good() -> None:
    """What start-up made stays: the collector need not look at it again."""
    gc.collect()
    gc.freeze()


def _allow_files() -> None:
    """Each connection is an open file, and many systems allow 1,024 of them until somebody asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _taken(settings: Settings) -> str:
    """Why the address can't be listened on. Asked first: the HTTP server would share the port with whoever has it."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _print_ready(settings: Settings, as_json: bool, seconds: float) -> None:
    url = f"{'https' if settings.tls_certificate else 'http'}://{settings.host}:{settings.port}"
    if as_json:
        print(json.dumps({"event": "ready", "endpoint": url, "data": str(settings.data.absolute())}), flush=True)
        return
    print(
        f"Headrace is up at {url} ({seconds * 1000:.0f} ms), keeping its data in {settings.data.absolute()}\n"
        f'  point the AWS tools here:  eval "$(headrace env --data {settings.data})"\n'
        f"  see what flows:            {url}/_headrace/pipeline\n"
        f"  read the mail:             {url}/_headrace/mailbox\n"
        "  stop:                      Ctrl-C",
        flush=True,
    )
