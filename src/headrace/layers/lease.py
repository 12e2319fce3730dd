"""Leases: who does a piece of background work, when several processes could.

A lease has an owner, an end and a token that grows with each change of owner. Work that was done under a lease is committed
together with `check`: an owner that lost it in the meantime can't write any more.
"""

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


def take(tx: Transaction, name: str, owner: str, now: float, duration_seconds: float) -> Lease | None:
    """Take or renew a lease; None while somebody else holds it."""
    held = _LEASES.get(tx, name)
    if held is not None and held.owner != owner and held.until > now:
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
