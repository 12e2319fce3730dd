"""Memory limits by control groups (version 1 or 2), where the host lets us make one below our own."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_VERSION_1 = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Group:
    """One control group: what runs in it shares one memory limit."""

    path: Path
    version: int

    @property
    def procs(self) -> str:
        """The file to which a process writes 0 to join."""
        return str(self.path / "cgroup.procs")

    def limit(self, size_bytes: int) -> None:
        """Set the limit; swapping does not get around it."""
        limit, swap = ("memory.max", "memory.swap.max") if self.version == 2 else _VERSION_1
        (self.path / limit).write_text(str(size_bytes))
        with contextlib.suppress(OSError):
            (self.path / swap).write_text("0" if self.version == 2 else str(size_bytes))

    def open_peak(self) -> int:
        """The file that says the most memory that was used at one time; -1 when the kernel does not say."""
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        try:
            return os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return -1

    def kills(self) -> int:
        """How many processes the kernel killed here because memory ran out."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        try:
            lines = (self.path / name).read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def freeze(self, frozen: bool) -> bool:
        """Stop or continue all that is in it at once; False where this is not a property of such groups (version 1)."""
        if self.version != 2:
            return False
        try:
            (self.path / "cgroup.freeze").write_text("1" if frozen else "0")
        except OSError:
            return False
        return True

    def join(self, pid: int) -> None:
        """Put a process into it."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def remove(self) -> bool:
        """Remove the group; False while a process that was killed is not quite gone."""
        try:
            self.path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def peak_bytes(opened: int) -> int:
    """What an open peak file says now. Opening it for each invocation costs several times what reading it does."""
    try:
        return int(os.pread(opened, 32, 0)) if opened >= 0 else 0
    except (OSError, ValueError):
        return 0


def parent() -> tuple[Path, int] | None:
    """Where groups can be made, and the version; None when the host does not let us. Found out by doing it."""
    for path, version in _candidates():
        group = Group(path / f"headrace-{os.getpid()}-probe", version)
        try:
            group.path.mkdir()
            group.limit(256 * 1024 * 1024)
            return path, version
        except OSError:
            continue
        finally:
            group.remove()
    return None


def sweep(path: Path) -> None:
    """Remove what servers that were killed left behind."""
    for left in path.glob("headrace-*"):
        owner = left.name.split("-")[1]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError):
                left.rmdir()


def _candidates() -> list[tuple[Path, int]]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            found.append((_MOUNT / "memory" / own.lstrip("/"), 1))
        elif not controllers and (_MOUNT / "cgroup.controllers").exists():
            # With version 2 a group that holds processes can't limit its children: the one above may.
            own_path = _MOUNT / own.lstrip("/")
            found += [(own_path, 2), (own_path.parent, 2)]
    return [(path, version) for path, version in found if path.is_dir()]


def resident_peak_bytes(pid: int) -> int:
    """The most memory that a single process had at one time, as its status says; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
