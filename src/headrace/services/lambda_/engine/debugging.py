"""Functions under a debugger: each waits at its start until one is there, and then has all the time it wants.

Debuggers come from the host, so such an environment shares its network; everything else holds it as it holds others. There is one
environment of a function at a time, since there is one port.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import replace

from headrace.services.lambda_.engine import runtimes
from headrace.services.lambda_.engine.function import Function

PORTS = {"python": 5678, "node": 9229}
PACKAGES = ("debugpy",)
TIMEOUT_SECONDS = 24 * 3600.0
MEMORY_EXTRA_MIB = 512
_ADDRESS = "127.0.0.1"
_ENVIRONMENT = "/usr/bin/env"


def port_of(wanted: str, name: str, runtime: str) -> int:
    """The port on which a function waits, by the setting; 0 when it does not.

    A function is named as it is called, or by its logical id in a template: generated names are STACK-ID-SUFFIX.
    """
    for one in filter(None, (part.strip() for part in wanted.split(","))):
        function, _, port = one.partition(":")
        if function == name or f"-{function}-" in name:
            return int(port) if port.isdigit() else PORTS.get(runtimes.language(runtime), 0)
    return 0


def missing(runtime: str) -> str:
    """Why a function can't be debugged; "" when it can."""
    language = runtimes.language(runtime)
    if language not in PORTS:
        return f"Functions of {runtime} can't be debugged: python3.x and nodejs can."
    if language == "python" and importlib.util.find_spec("debugpy") is None:
        return "Python functions are debugged with debugpy, which is not installed: pip install debugpy"
    return ""


def prepared(function: Function) -> Function:
    """The function with room for the debugger, and no time at which it must be done."""
    return replace(function, timeout_seconds=TIMEOUT_SECONDS, memory_mib=function.memory_mib + MEMORY_EXTRA_MIB)


def python_command(python: str, path: Sequence[str], port: int, handler: str) -> list[str]:
    """AWS's Python client under debugpy."""
    listen = ["-m", "debugpy", "--listen", f"{_ADDRESS}:{port}", "--wait-for-client", "--configure-subProcess", "False"]
    # Frozen modules are what debugpy warns of; the variables reach nothing but this one program.
    variables = [f"PYTHONPATH={':'.join(path)}", "PYDEVD_DISABLE_FILE_VALIDATION=1"]
    return [_ENVIRONMENT, *variables, python, "-s", "-B", *listen, "-m", "awslambdaric", handler]


def node_command(command: list[str], port: int) -> list[str]:
    """Node's command with its inspector, which waits before the first line."""
    return [command[0], f"--inspect-brk={_ADDRESS}:{port}", *command[1:]]
