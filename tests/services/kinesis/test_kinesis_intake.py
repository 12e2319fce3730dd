"""Records on a shard's log: blocks of small ones and pieces of large ones, read from any place with any limit."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.layers import log
from headrace.services.kinesis import errors, intake, pages, rules, state
from headrace.services.kinesis.sealing import SEALS
from headrace.store.memory import MemoryStore

SIZES = st.sampled_from([0, 1, 100, 5_000, 30_000, 59_000, 60_001, 130_000])


@pytest.fixture(scope="module", autouse=True)
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    SEALS.keep_in(folder)
    SEALS.prepare()
    return folder


def route(data_key: str = "") -> state.Route:
    stream = state.Stream("s", "id", "PROVISIONED", 0.0, 1, key_id=data_key and "alias/aws/kinesis", data_keys=[data_key])
    shard = state.OpenShard("shardId-000000000000", state.log_of(stream, 0), rules.sequence_base(1, 0))
    return state.Route(b"", b"", stream, [0], [shard])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(SIZES, min_size=1, max_size=30), min_size=1, max_size=5),
    st.integers(1, 40),
    st.sampled_from([1, 70_000, 1 << 20]),
    st.booleans(),
)
def test_read__gives_every_record_once_and_in_order(
    batches: list[list[int]], limit: int, size_max_bytes: int, sealed: bool
) -> None:
    store = MemoryStore()
    place = route(store.transact(SEALS.make) if sealed else "")
    expected: list[tuple[str, bytes, int]] = []
    for number, sizes in enumerate(batches):
        records = [(bytes([n % 251]) * size, f"{number}-{n}", 0, size + 4) for n, size in enumerate(sizes)]
        put = store.transact(lambda tx, r=records, n=number: intake.put(tx, "a", "r", place, r, (n + 1) * 1000, limited=False))
        for record, (_, sequence) in zip(records, put, strict=True):
            assert sequence is not None
            expected.append((record[1], record[0], rules.place_of(place.shards[0].base, sequence) or 0))
    shard = (place.shards[0].log, place.shards[0].base)
    after, seen = 0, []
    while True:
        found = store.snapshot(lambda tx, a=after: state.read(tx, place.shards[0].log, a, limit, size_max_bytes))
        if not found:
            break
        assert len(found) <= limit
        assert len(found) == 1 or sum(len(one.entry.data) for one in found) <= size_max_bytes
        seen += [(one.entry.partition_key, one.entry.data, one.place) for one in found]
        after = found[-1].last_place
    assert seen == expected
    after, shown = 0, []
    while (page := store.snapshot(lambda tx, a=after: pages.read(tx, *shard, a, limit, size_max_bytes))).records:
        assert page.size_bytes == sum(len(one.Data) + len(one.PartitionKey) for one in page.records)
        shown += [(one.PartitionKey, one.Data, rules.place_of(shard[1], one.SequenceNumber)) for one in page.records]
        after = page.last_place
    assert shown == expected
    columns = store.snapshot(lambda tx: state.read_columns(tx, shard[0], 0, 10_000, 1 << 30))
    assert list(zip(columns.partition_keys, columns.data, columns.places, strict=True)) == expected
    for _, data, where in expected:
        (one,) = store.snapshot(lambda tx, w=where: state.read(tx, place.shards[0].log, w - 1, 1, 1))
        assert one.entry.data == data
    for number in range(len(batches)):
        at = store.snapshot(lambda tx, n=number: state.place_at(tx, place.shards[0].log, (n + 1) * 1000))
        (one,) = store.snapshot(lambda tx, a=at: state.read(tx, place.shards[0].log, a, 1, 1))
        assert one.entry.partition_key == f"{number}-0"


def test_trim__takes_whole_batches_and_shifts_nobody() -> None:
    store, place = MemoryStore(), route()
    shard = place.shards[0]
    for number in range(3):
        records = [(b"x", f"{number}-{n}", 0, 4) for n in range(10)]
        store.transact(lambda tx, r=records, n=number: intake.put(tx, "a", "r", place, r, (n + 1) * 1000, limited=False))
    through = store.snapshot(lambda tx: state.place_at(tx, shard.log, 2000))
    assert store.transact(lambda tx: log.trim(tx, shard.log, through)) == 1
    assert store.snapshot(lambda tx: state.read(tx, shard.log, 0, 1, 1))[0].entry.partition_key == "1-0"
    assert store.snapshot(lambda tx: state.read(tx, shard.log, 14, 1, 1))[0].entry.partition_key == "1-4"
    assert store.snapshot(lambda tx: state.behind_ms(tx, shard.log, 3, 5000)) == 3000
    page = store.snapshot(lambda tx: pages.read(tx, shard.log, shard.base, 0, 100, 1 << 20))
    assert [rules.place_of(shard.base, one.SequenceNumber) for one in page.records] == list(range(11, 31))
    assert page.last_place == 30
    assert page.records[0].PartitionKey == "1-0"


def test_sealed_values__open_only_where_they_were_put() -> None:
    store = MemoryStore()
    place = route(store.transact(SEALS.make))
    shard = place.shards[0]
    for data in (b"small", b"large" * 20_000):
        store.transact(lambda tx, d=data: intake.put(tx, "a", "r", place, [(d, "k", 0, len(d) + 1)], 1000, limited=False))
    (first, small), *_ = store.snapshot(lambda tx: log.read(tx, shard.log, 0, 10))
    assert first == 1
    assert b"small" not in small
    moved = state.log_of(place.stream, 1)
    store.transact(lambda tx: log.append(tx, moved, [small]))
    with pytest.raises(errors.KMSAccessDeniedException):
        store.snapshot(lambda tx: state.read(tx, moved, 0, 1, 1))
    for changed in range(9, len(small), 7):
        forged = small[:changed] + bytes([small[changed] ^ 1]) + small[changed + 1 :]
        with pytest.raises((errors.KMSAccessDeniedException, errors.KMSNotFoundException)):
            store.snapshot(lambda tx, f=forged: state.block(tx, shard.log, f))


def test_seal__never_gives_the_same_bytes_twice() -> None:
    store = MemoryStore()
    key = store.transact(SEALS.make)
    sealed = {store.snapshot(lambda tx: SEALS.seal(tx, key, b"log", b"head", b"secret")) for _ in range(100)}
    assert len({value[4:36] for value in sealed}) == 100
