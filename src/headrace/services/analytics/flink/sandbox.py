"""What holds a local cluster's processes, in which strangers' code runs. The standard library alone.

With bubblewrap they see their own folder, Flink, Java and little else of the machine, all but the folder read-only; they have no
rights over the kernel, and processes of their own. They reach the network: applications speak with whatever they are written for.
"""

import os
import shutil
import subprocess
from pathlib import Path

PROPERTIES = "/etc/flink/application_properties.json"
_VISIBLE = (
    "/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/localtime",
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
)  # fmt: skip


def find() -> str:
    """The path of bubblewrap, if it is here and may be used; else nothing."""
    program = shutil.which("bwrap")
    if program is None:
        return ""
    command = [program, *_namespaces(), "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    try:
        return program if subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0 else ""
    except (OSError, subprocess.TimeoutExpired):
        return ""


def command(program: str, folder: Path, properties: Path, readable: list[Path]) -> list[str]:
    """What stands before a command that is to run so. `properties` is seen where AWS has it; `readable` are folders."""
    found = [program, *_namespaces()]
    for name in ("/etc", "/etc/flink", "/var"):
        found += ["--perms", "0755", "--dir", name]
    found += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "lib", "lib32", "lib64", "sbin"):
        path = Path("/", name)
        if path.is_symlink():
            found += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            found += ["--ro-bind", str(path), str(path)]
    for name in (*_VISIBLE, *(str(path) for path in Path("/etc").glob("java*"))):
        found += ["--ro-bind-try", name, name]
    found += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
    for path in readable:
        if not path.is_relative_to("/usr") and not path.is_relative_to(folder):
            found += ["--ro-bind", str(path), str(path)]
    found += ["--bind", str(folder), str(folder), "--ro-bind", str(properties), PROPERTIES, "--remount-ro", "/"]
    return [*found, "--chdir", str(folder)]


def _namespaces() -> list[str]:
    shared = ["--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc", "--unshare-cgroup-try"]
    return [*shared, "--cap-drop", "ALL"] if os.geteuid() == 0 else [*shared, "--unshare-user"]
