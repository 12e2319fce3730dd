"""Records on a shard's log: blocks of small ones and pieces of large ones, read from any place with any limit."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.layers import log
from headrace.services.kinesis import intake, pages, rules, state
from headrace.store.memory import MemoryStore

SIZES = st.sampled_from([0, 1, 100, 5_000, 30_000, 59_000, 60_001, 130_000])


def route() -> state.Route:
    stream = state.Stream("s", "id", "PROVISIONED", 0.0, 1)
    shard = state.OpenShard("shardId-000000000000", state.log_of(stream, 0), rules.sequence_base(1, 0))
    return state.Route(b"", b"", stream, [0], [shard])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(SIZES, min_size=1, max_size=30), min_size=1, max_size=5),
    st.integers(1, 40),
    st.sampled_from([1, 70_000, 1 << 20]),
)
def test_read__gives_every_record_once_and_in_order(batches: list[list[int]], limit: int, size_max_bytes: int) -> None:
    store, place = MemoryStore(), route()
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
        assert page.size_bytes == sum(len(one["Data"]) + len(one["PartitionKey"]) for one in page.records)
        shown += [(one["PartitionKey"], one["Data"], rules.place_of(shard[1], one["SequenceNumber"])) for one in page.records]
        after = page.last_place
    assert shown == expected
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
