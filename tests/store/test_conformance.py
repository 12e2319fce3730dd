"""One suite for every store: random operations against a plain dict, isolation, failing bodies, crashes."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.store.api import Store, StoreUnavailable, Transaction
from headrace.store.lmdb import LmdbStore
from headrace.store.memory import Crash, Faults, MemoryStore

BEGIN, END = b"\x00", b"\xff" * 5000
# Few letters and some very long common beginnings, so that keys collide, nest and cross LMDB's 511 bytes.
keys = st.builds(
    lambda head, tail: head + tail,
    st.sampled_from([b"", b"k" * 479, b"k" * 480, b"k" * 481, b"k" * 480 + b"\x00", b"k" * 960, b"k" * 1500, b"kk\xff"]),
    st.binary(min_size=1, max_size=3),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), keys, st.binary(max_size=8)),
        st.tuples(st.just("clear"), keys, st.just(b"")),
        st.tuples(st.just("clear_range"), keys, keys),
        st.tuples(st.just("range"), keys, keys),
        st.tuples(st.just("fail"), keys, st.binary(max_size=8)),
    ),
    max_size=30,
)


@pytest.fixture(params=["lmdb", "memory"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def make() -> Store:
        store: Store = MemoryStore() if request.param == "memory" else LmdbStore(tmp_path / str(len(opened)), size_max_gib=1)
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


class Planned(Exception):
    pass


def everything(store: Store) -> dict[bytes, bytes]:
    return store.snapshot(lambda tx: dict(tx.range(BEGIN, END)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(transactions=st.lists(steps, max_size=4))
def test_store__does_what_a_dict_does(
    make_store: Callable[[], Store], transactions: list[list[tuple[str, bytes, bytes]]]
) -> None:
    store = make_store()
    model: dict[bytes, bytes] = {}
    for transaction in transactions:
        after = dict(model)

        def body(tx: Transaction, transaction=transaction, after=after, model=model) -> None:  # type: ignore[no-untyped-def]
            after.clear()
            after.update(model)
            for name, key, other in transaction:
                if name == "set":
                    tx.set(key, other)
                    after[key] = other
                elif name == "clear":
                    tx.clear(key)
                    after.pop(key, None)
                elif name == "fail":
                    tx.set(key, other)
                    raise Planned
                else:
                    inside = sorted(one for one in after if key <= one < other)
                    if name == "range":
                        pairs = [(one, after[one]) for one in inside]
                        assert list(tx.range(key, other)) == pairs
                        assert list(tx.range(key, other, reverse=True)) == pairs[::-1]
                        assert list(tx.range(key, other, limit=2)) == pairs[:2]
                    else:
                        assert tx.clear_range(key, other) == len(inside)
                        for one in inside:
                            del after[one]
                assert tx.get(key) == after.get(key)

        try:
            store.transact(body)
            model = after
        except Planned:
            pass
        assert everything(store) == model
        assert list(store.snapshot(lambda tx: list(tx.range(BEGIN, END, reverse=True)))) == sorted(model.items())[::-1]
        assert store.snapshot(lambda tx: list(tx.range(BEGIN, END, limit=3))) == sorted(model.items())[:3]


def test_transact__is_serializable_under_threads(make_store: Callable[[], Store]) -> None:
    store = make_store()

    def add(tx: Transaction) -> None:
        tx.set(b"n", str(int(tx.get(b"n") or b"0") + 1).encode())

    def run() -> None:
        for _ in range(50):
            store.transact(add)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert everything(store) == {b"n": b"400"}


def test_transact__body_that_raises_fails_alone(make_store: Callable[[], Store]) -> None:
    store = make_store()
    outcomes: list[tuple[object, object]] = []
    finished = threading.Event()

    def good(tx: Transaction) -> str:
        tx.set(b"good", b"1")
        return "kept"

    def bad(tx: Transaction) -> None:
        tx.set(b"bad", b"1")
        tx.announce(b"topic")
        raise Planned

    def done(result: object, error: object) -> None:
        outcomes.append((result, type(error)))
        if len(outcomes) == 3:
            finished.set()

    announced = threading.Event()
    store.signals.listen(b"topic", announced.set)
    for body in (good, bad, good):
        store.submit(body, done)
    assert finished.wait(10)
    assert outcomes == [("kept", type(None)), (None, Planned), ("kept", type(None))]
    assert everything(store) == {b"good": b"1"}
    assert not announced.is_set()


def test_transact__announces_after_commit(make_store: Callable[[], Store]) -> None:
    store = make_store()
    seen: list[bytes | None] = []
    announced = threading.Event()

    def listener() -> None:
        seen.append(store.snapshot(lambda tx: tx.get(b"k")))
        announced.set()

    store.signals.listen(b"topic", listener)

    def body(tx: Transaction) -> None:
        tx.set(b"k", b"v")
        tx.announce(b"topic")

    store.transact(body)
    assert announced.wait(5)
    assert seen == [b"v"]


def test_transact__refuses_to_nest(make_store: Callable[[], Store]) -> None:
    store = make_store()
    with pytest.raises(RuntimeError, match="inside another"):
        store.transact(lambda tx: store.transact(lambda inner: None))
    store.transact(lambda tx: tx.set(b"k", b"v"))
    assert everything(store) == {b"k": b"v"}


def test_snapshot__does_not_see_later_commits(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, size_max_gib=1)
    store.transact(lambda tx: tx.set(b"k", b"old"))

    def body(tx):  # type: ignore[no-untyped-def]
        writer = threading.Thread(target=lambda: store.transact(lambda inner: inner.set(b"k", b"new")))
        writer.start()
        writer.join()
        return tx.get(b"k")

    assert store.snapshot(body) == b"old"
    assert everything(store) == {b"k": b"new"}
    store.close()


def test_set__refuses_keys_that_are_too_long(make_store: Callable[[], Store]) -> None:
    with pytest.raises(ValueError, match="4096"):
        make_store().transact(lambda tx: tx.set(b"k" * 4097, b""))


def test_lmdb__full_disk_fails_the_large_body_and_keeps_serving(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, size_max_bytes=4 << 20)
    store.transact(lambda tx: tx.set(b"small", b"1"))

    def large(tx: Transaction) -> None:
        for number in range(1000):
            tx.set(b"large%d" % number, b"x" * 10_000)

    with pytest.raises(StoreUnavailable):
        store.transact(large)
    store.transact(lambda tx: tx.set(b"small", b"2"))
    assert everything(store) == {b"small": b"2"}
    store.close()


def test_lmdb__two_stores_on_one_folder_see_each_other(tmp_path: Path) -> None:
    first = LmdbStore(tmp_path, size_max_gib=1)
    first.transact(lambda tx: tx.set(b"a", b"1"))
    first.close()
    second = LmdbStore(tmp_path, size_max_gib=1)
    assert everything(second) == {b"a": b"1"}
    second.close()


@pytest.mark.parametrize("seed", range(20))
def test_memory__crash_at_any_commit_keeps_all_or_nothing(seed: int) -> None:
    store = MemoryStore(Faults(seed, crash=0.2, fail=0.2))
    acknowledged = begun = 0
    while begun < 60:
        begun += 1

        def body(tx: Transaction, number: int = begun) -> None:
            tx.set(b"a%d" % number, b"")
            tx.set(b"b%d" % number, b"")

        try:
            store.transact(body)
            acknowledged += 1
            kept = everything(store)
            assert b"a%d" % begun in kept
        except StoreUnavailable:
            assert b"a%d" % begun not in everything(store)
        except Crash:
            with pytest.raises(StoreUnavailable):
                everything(store)
            store = store.reopen()
            kept = everything(store)
            assert (b"a%d" % begun in kept) == (b"b%d" % begun in kept)
    assert 0 < acknowledged < begun
