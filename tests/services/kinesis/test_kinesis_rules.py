"""The pure decisions of Kinesis Data Streams."""

import itertools

from headrace.services.kinesis import rules


def test_even_ranges__cover_the_whole_space_without_gaps() -> None:
    for count in (1, 2, 3, 7, 1000):
        ranges = rules.even_ranges(count)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == 2**128 - 1
        assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(ranges))


def test_hash_key__is_the_md5_of_the_partition_key() -> None:
    assert rules.hash_key("a") == 0x0CC175B9C0F1B6A831C399E269772661


def test_route__finds_the_range_of_a_key() -> None:
    starts = [start for start, _ in rules.even_ranges(4)]
    assert [rules.route(starts, key) for key in (0, starts[1] - 1, starts[1], 2**128 - 1)] == [0, 0, 1, 3]


def test_sequence_number__has_56_digits_and_grows_with_the_place() -> None:
    base = rules.sequence_base(1_700_000_000, 3)
    numbers = [rules.sequence_number(base, place, 1_700_000_000_123) for place in (0, 1, 2, 2**40)]
    assert all(len(number) == 56 and number.startswith("49") for number in numbers)
    assert numbers == sorted(numbers, key=int)


def test_sequence_number__grows_although_the_clock_goes_back() -> None:
    base = rules.sequence_base(1_700_000_000, 0)
    early, late = rules.sequence_number(base, 7, 1_700_000_900_000), rules.sequence_number(base, 8, 1_700_000_000_000)
    assert int(early) < int(late)


def test_sequence_number__of_a_child_is_larger_than_any_of_its_parent() -> None:
    parent, child = rules.sequence_base(1_700_000_000, 15), rules.sequence_base(1_700_000_001, 16)
    assert int(rules.sequence_number(parent, 2**63, 1_800_000_000_000)) < int(rules.sequence_number(child, 0, 0))


def test_place_of__is_the_inverse_of_sequence_number() -> None:
    base = rules.sequence_base(1_700_000_000, 300)
    for place in (0, 1, 12345, 2**50):
        assert rules.place_of(base, rules.sequence_number(base, place, 1_700_000_555_000)) == place


def test_place_of__refuses_numbers_of_other_shards() -> None:
    mine, other = rules.sequence_base(1_700_000_000, 1), rules.sequence_base(1_700_000_000, 2)
    assert rules.place_of(mine, rules.sequence_number(other, 5, 0)) is None
    assert rules.place_of(mine, "12345") is None


def test_entry__comes_back_as_it_went() -> None:
    raw = rules.encode_entry(1_700_000_000_123, "schlüssel", b"\x00daten")
    assert rules.decode_entry(raw) == (1_700_000_000_123, "schlüssel", b"\x00daten")


def test_can_split__leaves_more_than_one_key_on_both_sides() -> None:
    assert not rules.can_split(0, 10, 1)
    assert rules.can_split(0, 10, 2)
    assert rules.can_split(0, 10, 9)
    assert not rules.can_split(0, 10, 10)


def test_adjacent__in_either_order() -> None:
    assert rules.adjacent((0, 4), (5, 9))
    assert rules.adjacent((5, 9), (0, 4))
    assert not rules.adjacent((0, 4), (6, 9))


def test_shard_number__reads_what_shard_id_writes() -> None:
    assert rules.shard_id(12) == "shardId-000000000012"
    assert rules.shard_number("shardId-000000000012") == 12
    assert rules.shard_number("shard-12") is None
