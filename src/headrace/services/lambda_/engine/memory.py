"""Memory limits by control groups (version 1 or 2), where the host lets us make one below our own."""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_REMOVE_TRIES = 50
_REMOVE_PAUSE_SECONDS = 0.01


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
        """Set the limit, and begin to measure anew."""
        if self.version == 2:
            (self.path / "memory.max").write_text(str(size_bytes))
            with contextlib.suppress(OSError):
                (self.path / "memory.swap.max").write_text("0")
            return
        with contextlib.suppress(OSError):  # a group used before: its limit for memory and swap can't be below that of memory
            (self.path / "memory.memsw.limit_in_bytes").write_text("-1")
        (self.path / "memory.limit_in_bytes").write_text(str(size_bytes))
        with contextlib.suppress(OSError):
            (self.path / "memory.memsw.limit_in_bytes").write_text(str(size_bytes))
        with contextlib.suppress(OSError):
            (self.path / "memory.max_usage_in_bytes").write_text("0")

    def peak_bytes(self) -> int:
        """The most memory that was used at one time; 0 when the kernel does not say."""
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        try:
            return int((self.path / name).read_bytes())
        except (OSError, ValueError):
            return 0

    def kills(self) -> int:
        """How many processes the kernel killed here because memory ran out."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        try:
            lines = (self.path / name).read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def remove(self) -> None:
        """Remove the group; its processes must have been killed, and get a moment to be gone."""
        for _ in range(_REMOVE_TRIES):
            try:
                self.path.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(_REMOVE_PAUSE_SECONDS)


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
