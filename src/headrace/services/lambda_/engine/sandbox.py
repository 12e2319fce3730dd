"""Where a function's process lives: what it sees of the host, and what holds it there.

What the host permits is found out once, by trying, and `Sandbox.isolation` says it in one line. The strongest is bubblewrap:
own mount, pid, ipc and network namespaces over a read-only root that holds Python, the system's libraries, AWS's SDK and the
function's code. As root every environment also has a user id of its own; otherwise a user namespace.
"""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.services.lambda_.engine import debugging, runtimes
from headrace.services.lambda_.engine.function import Function

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
NODE_RUNTIME = Path(__file__).with_name("node_runtime.mjs")
SCRIPTS = tuple(Path(__file__).with_name(name) for name in ("attendant.py", "bootstrap.py", "confine.py", "zygote.py"))
HOSTS = Path(__file__).with_name("hosts")
HOST = "/.host"
RUNTIME_PACKAGES = (
    "awslambdaric", "runtime_client", "snapshot_restore_py", "simplejson", "boto3", "botocore", "s3transfer", "jmespath",
    "dateutil", "urllib3", "six", "certifi",
)  # fmt: skip
USER_ID_FIRST = 61_184
"""systemd's range for services without a user of their own: nobody else owns files with these."""
SHELL = "/bin/sh"
_JOIN = 'for group do shift; [ "$group" = -- ] && break; echo 0 >"$group" || exit 70; done; exec "$@"'
_SHARED_BYTES = str(64 * 1024 * 1024)
_LIBRARIES = "/var/task:/var/task/lib:/opt/lib"


@dataclass(frozen=True)
class Place:
    """The paths of one environment as its process sees them, and the command that starts it."""

    command: list[str]
    task: str
    path: list[str]
    user_id: int
    environment: dict[str, str]
    confine: dict[str, Any] = field(default_factory=dict)


class Sandbox:
    """Builds the commands of execution environments."""

    def __init__(
        self, *, network: str = "server", bubblewrap: str | None = None, hosts: Path = HOSTS, more: tuple[str, ...] = ()
    ) -> None:
        self.python = os.path.realpath(sys.executable)
        self.network = network
        self._hosts = hosts
        self._packages = [path for name in (*RUNTIME_PACKAGES, *more) if (path := _find(name)) is not None]
        self.root = os.geteuid() == 0
        found = shutil.which("bwrap") if bubblewrap is None else bubblewrap
        self._bubblewrap, self._why_not = _try(found, self.python, self.root) if found else ("", "it is not installed")
        self._own_ids = self.root and _may_change_user(python_needed=not self._bubblewrap)
        self.node = runtimes.find_node()
        self.java = runtimes.find_java()
        self._fixed = self._root_filesystem() if self._bubblewrap else []

    @property
    def private_network(self) -> bool:
        """Whether a function reaches nothing but the Runtime API and the server's port."""
        return bool(self._bubblewrap) and self.network == "server"

    def isolation(self) -> str:
        """What holds functions, in one line for people."""
        reach = "reach Headrace alone" if self.private_network else "reach whatever the host reaches"
        if self._bubblewrap:
            who = "a user id each" if self._own_ids else "a user namespace each"
            return f"bubblewrap: read-only root, own processes, {who}; functions {reach}"
        weaker = "a user id each, resource limits" if self._own_ids else "resource limits only, NOT CONFINED"
        return f"{weaker}; functions {reach}; no bubblewrap, since {self._why_not}"

    def place(self, slot: int, code: Path, layers: Path | None, temporary: Path, temporary_mib: int, fd: int) -> Place:
        """How an environment starts: `slot` tells it from those that run beside it, `fd` is its control socket."""
        user_id = USER_ID_FIRST + slot if self._own_ids else 0
        if not self._bubblewrap:
            return self._bare(user_id, code, layers, temporary, fd)
        command = [*self._fixed, "--ro-bind", str(code), "/var/task"]
        if layers is not None:
            command += ["--ro-bind", str(layers), "/opt"]
        size_bytes = str(temporary_mib * 1024 * 1024)
        command += ["--perms", "1777", "--size", size_bytes, "--tmpfs", "/tmp", *self._late_binds()]
        # The root that bubblewrap builds is writable until here: without this a function could fill it.
        command += ["--remount-ro", "/", "--chdir", "/var/task"]
        command += [self.python, "-s", "-B", "/var/runtime/bootstrap.py", str(fd)]
        return Place(command, "/var/task", ["/var/task", *_layer_paths("/opt"), "/var/runtime"], user_id, {})

    @property
    def may_fork(self) -> bool:
        """Whether environments can be forked by a zygote: as root, inside bubblewrap's root filesystem."""
        return bool(self._bubblewrap) and self._own_ids and not Path(sys.base_prefix).resolve().is_relative_to("/tmp")

    def zygote(self, host: Path, fd: int) -> list[str]:
        """The command of the zygote, which sees the folder `host` with all functions' code, and makes sandboxes itself."""
        command = [self._bubblewrap, "--die-with-parent", "--new-session", "--unshare-ipc", "--unshare-uts"]
        command += ["--unshare-cgroup-try", "--hostname", "headrace", *self._files()]
        for folder in ("/var/task", "/opt", "/tmp"):
            command += ["--perms", "0755", "--dir", folder]
        command += [*self._late_binds(), "--ro-bind", str(host), HOST, "--remount-ro", "/", "--chdir", "/"]
        return [*command, self.python, "-s", "-B", "/var/runtime/zygote.py", str(fd)]

    def place_forked(self, slot: int, code: Path, layers: Path | None, temporary_mib: int, host: Path) -> Place | None:
        """How the zygote's child is confined; None when its code lies elsewhere."""
        if not code.is_relative_to(host) or (layers is not None and not layers.is_relative_to(host)):
            return None
        confine = {
            "task": f"{HOST}/{code.relative_to(host)}",
            "layers": f"{HOST}/{layers.relative_to(host)}" if layers is not None else "",
            "temporary_bytes": temporary_mib * 1024 * 1024,
            "network": self.private_network,
        }
        path = ["/var/task", *_layer_paths("/opt"), "/var/runtime"]
        return Place([], "/var/task", path, USER_ID_FIRST + slot, {}, confine)

    def command(self, function: Function, place: Place) -> list[str]:
        """The program that is the function's runtime; none for Python, which the first process becomes itself."""
        language = runtimes.language(function.runtime)
        top = "/opt" if self._bubblewrap else str(function.layers or "/opt")
        if language == "node":
            script = "/var/runtime/node_runtime.mjs" if self._bubblewrap else str(NODE_RUNTIME)
            command = runtimes.node_command(self.node, script, function.memory_mib, function.handler)
            return debugging.node_command(command, function.debug_port) if function.debug_port else command
        if language == "java":
            return runtimes.java_command(self.java, place.task, top, function.memory_mib, function.handler)
        if language == "provided":
            own = f"{place.task}/bootstrap"
            return [own if (function.code / "bootstrap").exists() else f"{top}/bootstrap"]
        if function.debug_port:
            return debugging.python_command(self.python, place.path, function.debug_port, function.handler)
        return []

    def extensions(self, function: Function) -> list[str]:
        """The external extensions in a function's layers, by the paths at which its environment sees them."""
        if not has_extensions(function):
            return []
        assert function.layers is not None
        folder = function.layers / "extensions"
        top = "/opt/extensions" if self._bubblewrap else str(folder)
        return sorted(f"{top}/{entry.name}" for entry in folder.iterdir() if entry.is_file())

    def version(self, runtime: str) -> str:
        """What a runtime runs on, as AWS writes it: python:3.11; nothing for those that bring their own."""
        return runtimes.running(runtime, self.node, self.java)

    def note(self, runtime: str) -> str:
        """What to say of a runtime that runs on another version than its name says; else nothing."""
        return runtimes.note(runtime, self.node, self.java)

    def _bare(self, user_id: int, code: Path, layers: Path | None, temporary: Path, fd: int) -> Place:
        packages = sorted({str(path.parent) for path in self._packages})
        command = [self.python, "-s", "-B", str(BOOTSTRAP), str(fd)]
        path = [str(code), *(_layer_paths(str(layers)) if layers else []), *packages]
        if user_id:
            os.chown(temporary, user_id, user_id)
        return Place(command, str(code), path, user_id, {"TMPDIR": str(temporary)})

    def _root_filesystem(self) -> list[str]:
        return [self._bubblewrap, *_namespaces(self._bubblewrap, self.root, self.private_network), *self._files()]

    def _files(self) -> list[str]:
        command: list[str] = []
        for folder in ("/etc", "/var", "/var/runtime"):
            command += ["--perms", "0755", "--dir", folder]
        command += ["--ro-bind", "/usr", "/usr"]
        for name in ("bin", "lib", "lib32", "lib64", "sbin"):
            path = Path("/", name)
            if path.is_symlink():
                command += ["--symlink", os.readlink(path), str(path)]
            elif path.is_dir():
                command += ["--ro-bind", str(path), str(path)]
        visible = ["/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl", "/etc/pki", "/etc/mime.types", "/etc/localtime"]
        if not self.private_network:
            visible += ["/etc/resolv.conf", "/etc/nsswitch.conf"]
        command += ["--ro-bind", str(self._hosts), "/etc/hosts"]
        if self.java:
            # Distributions keep a JVM's settings here, and it does not start without them.
            visible += sorted(str(path) for path in Path("/etc").glob("java-*"))
        for name in visible:
            command += ["--ro-bind-try", name, name]
        command += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", _SHARED_BYTES, "--tmpfs", "/dev/shm"]
        for script in SCRIPTS:
            command += ["--ro-bind", str(script), f"/var/runtime/{script.name}"]
        command += ["--ro-bind", str(NODE_RUNTIME), "/var/runtime/node_runtime.mjs"]
        if runtimes.java_client().is_dir():
            command += ["--ro-bind", str(runtimes.java_client()), runtimes.JAVA_CLIENT]
        for package in self._packages:
            command += ["--ro-bind", str(package), f"/var/runtime/{package.name}"]
        return [*command, "--setenv", "LD_LIBRARY_PATH", _LIBRARIES]

    def _late_binds(self) -> list[str]:
        """The interpreter, which may lie anywhere: bound after /tmp so that it is seen even there."""
        command = []
        found = [Path(sys.base_prefix)] + [Path(program).parent.parent for program in (self.node, self.java) if program]
        prefixes = {path.resolve() for path in found}
        for prefix in sorted(path for path in prefixes if not path.is_relative_to("/usr")):
            for above in reversed(prefix.parents[:-1]):
                if str(above) != "/tmp":
                    command += ["--perms", "0755", "--dir", str(above)]
            command += ["--ro-bind", str(prefix), str(prefix)]
        return command


def has_extensions(function: Function) -> bool:
    """Whether a function's layers may bring external extensions."""
    return function.layers is not None and (function.layers / "extensions").is_dir()


def joining(command: list[str], groups: list[str]) -> list[str]:
    """The command, started in control groups: it joins before it exists, so that nothing it starts can stay outside."""
    return [SHELL, "-c", _JOIN, "headrace-function", *groups, "--", *command] if groups else command


def _namespaces(bubblewrap: str, root: bool, private_network: bool) -> list[str]:
    command = ["--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--hostname", "headrace"]
    if private_network:
        command.append("--unshare-net")
    if root:
        # The start script becomes a user without any right; until then it needs these two.
        return [*command, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    # A namespace of users inside this one would give a function every right over the kernel's rarer parts.
    return [*command, "--unshare-user", *(["--disable-userns"] if _knows(bubblewrap, "--disable-userns") else [])]


@functools.cache
def _knows(bubblewrap: str, option: str) -> bool:
    """Whether this bubblewrap has an option: older ones lack some."""
    try:
        return option in subprocess.run([bubblewrap, "--help"], capture_output=True, timeout=20, check=False, text=True).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False


def _try(bubblewrap: str, python: str, root: bool) -> tuple[str, str]:
    command = [bubblewrap, *_namespaces(bubblewrap, root, True), "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    command += ["--size", "4096", "--tmpfs", "/dev/shm", python, "-S", "-c", ""]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"it does not run here ({error})"
    if ran.returncode:
        return "", f"it is not permitted here ({ran.stderr.decode(errors='replace').strip()[:200]})"
    return bubblewrap, ""


def isolation(network: str = "server") -> str:
    """What would hold functions on this host, in one line for people. Tries it out, which takes some 50 ms."""
    return Sandbox(network=network).isolation()


def _may_change_user(python_needed: bool) -> bool:
    """Whether the ids of `USER_ID_FIRST` exist here (a container may map fewer), and may read Python where it is needed."""
    script = f"import os; os.setgroups([]); os.setresgid(*[{USER_ID_FIRST}]*3); os.setresuid(*[{USER_ID_FIRST}]*3)"
    if python_needed:
        script += f"; import mailbox; open({str(BOOTSTRAP)!r})"
    try:
        return subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _find(name: str) -> Path | None:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin)
    return path.parent if path.name == "__init__.py" else path


def _layer_paths(top: str) -> list[str]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return [f"{top}/python/lib/{version}/site-packages", f"{top}/python"]
