"""Tuple keys keep order and come back as they were."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.store import tuples

RANK = {type(None): 0, bytes: 1, str: 2, tuple: 3, int: 4, float: 5, bool: 6}

items = st.recursive(
    st.one_of(
        st.none(),
        st.binary(max_size=6),
        st.text(max_size=6),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False),
        st.booleans(),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)
rows = st.lists(items, max_size=4).map(tuple)


def sort_key(item):  # type: ignore[no-untyped-def]
    rank = RANK[type(item)]
    if isinstance(item, tuple):
        return (rank, [sort_key(inner) for inner in item])
    if isinstance(item, str):
        return (rank, item.encode("utf-8", "surrogatepass"))
    if isinstance(item, float):
        return (rank, item, math.copysign(1, item))
    return (rank, 0 if item is None else item)


@given(rows)
def test_unpack__gives_back_what_was_packed(row):  # type: ignore[no-untyped-def]
    assert tuples.unpack(tuples.pack(row)) == row


@given(rows, rows)
def test_pack__keeps_order(left, right):  # type: ignore[no-untyped-def]
    by_value = [sort_key(item) for item in left] < [sort_key(item) for item in right]
    assert (tuples.pack(left) < tuples.pack(right)) == by_value


@given(rows, rows)
def test_range_of__holds_longer_tuples_and_no_others(prefix, row):  # type: ignore[no-untyped-def]
    begin, end = tuples.range_of(prefix)
    inside = begin <= tuples.pack(row) < end
    same = len(row) > len(prefix) and tuples.pack(row[: len(prefix)]) == tuples.pack(prefix)
    assert inside == same


@given(st.binary(max_size=12))
def test_unpack__refuses_other_bytes(raw):  # type: ignore[no-untyped-def]
    try:
        row = tuples.unpack(raw)
    except ValueError:
        return
    assert repr(tuples.unpack(tuples.pack(row))) == repr(row)


def test_pack__refuses_integers_over_eight_bytes() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        tuples.pack((2**64,))
