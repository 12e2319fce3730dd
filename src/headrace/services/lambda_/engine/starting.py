"""How the process of an execution environment begins, and the orders that it gets with its beginning."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from headrace.services.lambda_ import limits
from headrace.services.lambda_.engine.function import Function
from headrace.services.lambda_.engine.memory import Group
from headrace.services.lambda_.engine.processes import Nursery, Process, Spawned
from headrace.services.lambda_.engine.sandbox import Place, Sandbox, joining

RUNTIME_PORT = 9001


def begin(
    sandbox: Sandbox, nursery: Nursery | None, function: Function, slot: int, group: Group | None, folder: Path, control: int,
    output: int,
) -> tuple[Process, Place]:  # fmt: skip
    """Start the process in its sandbox: forked where there is a nursery and the sandbox can, new otherwise."""
    if nursery is not None:
        found = sandbox.place_forked(slot, function.code, function.layers, function.temporary_mib, folder.parent.parent)
        if found is not None:
            os.fchown(output, found.user_id, found.user_id)
            forked = nursery.fork(control, output)
            if group is not None:
                # Before it gets its orders: nothing that it starts can stay outside.
                group.join(forked.pid)
            return forked, found
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # without bubblewrap it is the function's /tmp
    place = sandbox.place(slot, function.code, function.layers, folder, function.temporary_mib, control)
    if place.user_id:
        os.fchown(output, place.user_id, place.user_id)  # so that a function can open /dev/stdout
    started = subprocess.Popen(
        joining(place.command, [group.procs] if group is not None else []), stdin=subprocess.DEVNULL, stdout=output,
        stderr=output, pass_fds=(control,), env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "en_US.UTF-8"}, cwd="/",
    )  # fmt: skip
    return Spawned(started), place


def endpoint_port(sandbox: Sandbox, environment: Mapping[str, str]) -> int:
    """The port on which the sandbox listens for what the function says to this server; 0 where it needs no socket of its own."""
    port = environment.get("AWS_ENDPOINT_URL", "").rpartition(":")[2].rstrip("/")
    return int(port) if sandbox.private_network and port.isdigit() else 0


def orders(
    sandbox: Sandbox, function: Function, place: Place, group: Group | None, environment: Mapping[str, str],
    extensions: list[str], endpoint_port: int,
) -> bytes:  # fmt: skip
    """What the process is to become, and within which bounds: a line of JSON."""
    bounds = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": limits.OPEN_FILES_MAX}
    if place.user_id or not sandbox.root:
        bounds["RLIMIT_NPROC"] = limits.PROCESSES_MAX
    if group is None:
        bounds["RLIMIT_DATA"] = function.memory_mib * 1024 * 1024 + limits.ADDRESS_SPACE_EXTRA_BYTES
    said: dict[str, Any] = {
        "handler": function.handler,
        "environment": environment,
        "path": place.path,
        "user_id": place.user_id,
        "confine": place.confine,
        "command": sandbox.command(function, place),
        "limits": bounds,
        "extensions": extensions,
        "runtime_port": RUNTIME_PORT if sandbox.private_network else 0,
        "endpoint_port": endpoint_port,
    }
    return msgspec.json.encode(said) + b"\n"
