"""Keys as bytes: their order, and the ranges that key conditions mean."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb.engine import keys, ranges
from headrace.services.dynamodb.engine.keys import Key, Schema
from headrace.services.dynamodb.engine.ranges import Term

SCHEMA = Schema(Key("p", "S"), Key("s", "S"))
# Zero bytes and ones are what escaping is about.
RAW = st.text(alphabet="\x00\x01\x02aé", max_size=5)
PLACES = st.binary(min_size=16, max_size=24)


@given(RAW, RAW, PLACES, PLACES)
def test_ended__keeps_the_order_whatever_follows(one: str, two: str, after_one: bytes, after_two: bytes) -> None:
    first, second = one.encode(), two.encode()
    if first == second:
        assert keys.ended(first) == keys.ended(second)
    else:
        assert (keys.ended(first) + after_one < keys.ended(second) + after_two) == (first < second)


@given(RAW, RAW, RAW, st.sampled_from(["=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"]), st.booleans(), PLACES)
def test_range_of__holds_what_the_condition_means(
    sort: str, low: str, high: str, operator: str, in_index: bool, place: bytes
) -> None:
    low, high = sorted((low or "a", high or "a"), key=str.encode)
    operands: tuple[Any, ...] = ({"S": low}, {"S": high}) if operator == "BETWEEN" else ({"S": low},)
    terms = {"p": Term("=", ({"S": "x"},)), "s": Term(operator, operands)}
    begin, end = ranges.range_of(SCHEMA, terms, in_index=in_index)
    partition = keys.partition_hash(b"x")
    whole = partition + (keys.ended(sort.encode()) + place if in_index else sort.encode())
    value, first, last = sort.encode(), low.encode(), high.encode()
    expected = {
        "=": value == first,
        "<": value < first,
        "<=": value <= first,
        ">": value > first,
        ">=": value >= first,
        "BETWEEN": first <= value <= last,
        "begins_with": value.startswith(first),
    }[operator]
    assert (begin <= whole < end) == expected


def test_of_item__places() -> None:
    item = {"p": {"S": "x"}, "s": {"S": "sort"}}
    assert keys.of_item(SCHEMA, item) == keys.partition_hash(b"x") + b"sort"
    assert keys.of_item(Schema(Key("p", "S"), None), item) == keys.partition_hash(b"x")


@pytest.mark.parametrize(
    ("kind", "content", "size", "fits"),
    [("S", "x", 1024, True), ("S", "x", 1025, False), ("S", "é", 512, True), ("S", "é", 513, False)],
)
def test_of_item__bounds_sort_keys(kind: str, content: str, size: int, fits: bool) -> None:
    item = {"p": {"S": "x"}, "s": {kind: content * size}}
    if fits:
        assert keys.of_item(SCHEMA, item)
    else:
        with pytest.raises(ValidationException, match="Aggregated size of all range keys has exceeded the size limit of 1024"):
            keys.of_item(SCHEMA, item)


def test_range_of__numbers_have_no_beginning() -> None:
    schema = Schema(Key("p", "S"), Key("s", "N"))
    terms = {"p": Term("=", ({"S": "x"},)), "s": Term("begins_with", ({"N": "1"},))}
    with pytest.raises(ValidationException, match="begins_with, operand type: N"):
        ranges.range_of(schema, terms, in_index=False)
