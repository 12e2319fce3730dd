"""Leases: who does a piece of background work, when several processes could.

A lease has an owner, an end and a token that grows with each change of owner. Work that was done under a lease is committed
together with `check`: an owner that lost it in the meantime can't write any more. An owner named by `owner_here` whose process
has ended on this machine gives way at once: after a crash nobody waits for its leases to run out.
"""

import functools
import os
from pathlib import Path

import msgspec

from headrace.layers.records import Records
from headrace.store.api import ReadTransaction, Transaction


class Lease(msgspec.Struct, frozen=True):
    """Who holds it, until when (seconds since 1970), and the token that fences off earlier owners."""

    owner: str
    until: float
    token: int


class LeaseLost(Exception):
    """Somebody else holds the lease now: what was done under it must not be committed."""


_LEASES = Records(("lease",), Lease)


def owner_here(unique: str) -> str:
    """A name for an owner in this process, by which others on this machine can tell whether the process still runs."""
    here = _machine()
    return f"{here}/{os.getpid()}/{_started(os.getpid())}/{unique}" if here else unique


def _has_ended(owner: str) -> bool:
    here, *process = owner.rsplit("/", 3)
    if len(process) != 3 or not here or here != _machine() or not process[0].isdigit():
        return False
    return _started(int(process[0])) != process[1]


@functools.cache
def _machine() -> str:
    """This boot of this machine, and the namespace in which process ids mean something; empty where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process was started, in ticks since boot: so that a process id that was given again is not taken for the first."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def take(tx: Transaction, name: str, owner: str, now: float, duration_seconds: float) -> Lease | None:
    """Take or renew a lease; None while somebody else holds it."""
    held = _LEASES.get(tx, name)
    if held is not None and held.owner != owner and held.until > now and not _has_ended(held.owner):
        return None
    token = held.token + (held.owner != owner) if held is not None else 1
    lease = Lease(owner, now + duration_seconds, token)
    _LEASES.put(tx, lease, name)
    return lease


def check(tx: ReadTransaction, name: str, lease: Lease) -> None:
    """LeaseLost unless the lease is still held under the same token."""
    held = _LEASES.get(tx, name)
    if held is None or held.token != lease.token or held.owner != lease.owner:
        raise LeaseLost(name)


def release(tx: Transaction, name: str, owner: str) -> None:
    """Give a lease back, if it is held by the owner."""
    held = _LEASES.get(tx, name)
    if held is not None and held.owner == owner:
        # The row stays, so that the token goes on growing.
        _LEASES.put(tx, Lease(owner, 0.0, held.token), name)
