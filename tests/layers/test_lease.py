"""Leases: one owner at a time, fenced by tokens; owners whose process has ended give way."""

import subprocess
import sys

import pytest

from headrace.layers import lease
from headrace.store.memory import MemoryStore


def test_take__one_owner_until_the_end() -> None:
    store = MemoryStore()
    first = store.transact(lambda tx: lease.take(tx, "work", "a", 100.0, 30.0))
    assert first is not None
    assert store.transact(lambda tx: lease.take(tx, "work", "b", 129.0, 30.0)) is None
    assert store.transact(lambda tx: lease.take(tx, "work", "a", 129.0, 30.0)) == lease.Lease("a", 159.0, first.token)
    second = store.transact(lambda tx: lease.take(tx, "work", "b", 160.0, 30.0))
    assert second is not None
    assert second.token == first.token + 1
    with pytest.raises(lease.LeaseLost):
        store.transact(lambda tx: lease.check(tx, "work", first))
    store.transact(lambda tx: lease.release(tx, "work", "b"))
    assert store.transact(lambda tx: lease.take(tx, "work", "a", 161.0, 30.0)) is not None


def test_owner_here__gives_way_when_its_process_has_ended() -> None:
    store = MemoryStore()
    script = "import sys; from headrace.layers import lease; print(lease.owner_here('x'), flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        other = process.stdout.readline().strip()
        assert store.transact(lambda tx: lease.take(tx, "work", other, 100.0, 30.0)) is not None
        mine = lease.owner_here("x")
        assert mine != other
        assert store.transact(lambda tx: lease.take(tx, "work", mine, 101.0, 30.0)) is None
        process.stdin.close()
        process.wait()
    assert store.transact(lambda tx: lease.take(tx, "work", mine, 102.0, 30.0)) is not None


def test_owner_elsewhere__is_waited_for() -> None:
    store = MemoryStore()
    for owner in ("plain", "boot/pid:[1]/99999999/1/x", "a/b/c/d"):
        assert store.transact(lambda tx, owner=owner: lease.take(tx, owner, owner, 100.0, 30.0)) is not None
        assert store.transact(lambda tx, owner=owner: lease.take(tx, owner, lease.owner_here("y"), 101.0, 30.0)) is None
