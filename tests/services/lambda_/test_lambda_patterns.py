"""Filter patterns, against EventBridge's documented rules."""

import json
from typing import Any

import pytest

from headrace.services.lambda_.engine.patterns import InvalidPattern, compile_pattern

EVENT = {
    "name": "Alice",
    "city": "",
    "nothing": None,
    "age": 42,
    "tags": ["red", "blue"],
    "flag": True,
    "ip": "10.0.0.7",
    "deep": {"amount": {"N": "-12.5"}, "list": [{"k": 1}, {"k": 2}]},
}


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ({"name": ["Alice"]}, True),
        ({"name": ["alice"]}, False),
        ({"name": ["Bob", "Alice"]}, True),
        ({"name": ["Alice"], "age": [41]}, False),
        ({"age": [42]}, True),
        ({"age": [42.0]}, True),
        ({"age": ["42"]}, False),
        ({"flag": [True]}, True),
        ({"flag": [1]}, False),
        ({"nothing": [None]}, True),
        ({"city": [""]}, True),
        ({"city": [None]}, False),
        ({"absent": [None]}, False),
        ({"tags": ["blue"]}, True),
        ({"tags": ["green"]}, False),
        ({"name": [{"prefix": "Al"}]}, True),
        ({"name": [{"prefix": {"equals-ignore-case": "aL"}}]}, True),
        ({"name": [{"suffix": "ce"}]}, True),
        ({"name": [{"suffix": "Al"}]}, False),
        ({"name": [{"equals-ignore-case": "ALICE"}]}, True),
        ({"name": [{"wildcard": "A*e"}]}, True),
        ({"name": [{"wildcard": "A?ice"}]}, False),
        ({"name": [{"anything-but": "Bob"}]}, True),
        ({"name": [{"anything-but": ["Bob", "Alice"]}]}, False),
        ({"name": [{"anything-but": {"prefix": "Al"}}]}, False),
        ({"name": [{"anything-but": {"suffix": "xx"}}]}, True),
        ({"age": [{"anything-but": [1, 2]}]}, True),
        ({"absent": [{"anything-but": "x"}]}, False),
        ({"age": [{"numeric": ["=", 42]}]}, True),
        ({"age": [{"numeric": [">", 0, "<=", 42]}]}, True),
        ({"age": [{"numeric": [">", 0, "<", 42]}]}, False),
        ({"deep": {"amount": {"N": [{"numeric": ["<", 0]}]}}}, True),
        ({"deep": {"amount": {"N": [{"numeric": [">", 0]}]}}}, False),
        ({"deep": {"list": {"k": [2]}}}, True),
        ({"deep": {"list": {"k": [3]}}}, False),
        ({"name": [{"exists": True}]}, True),
        ({"name": [{"exists": False}]}, False),
        ({"absent": [{"exists": False}]}, True),
        ({"absent": {"inner": [{"exists": False}]}}, True),
        ({"absent": {"inner": [{"exists": True}]}}, False),
        ({"nothing": [{"exists": True}]}, True),
        ({"ip": [{"cidr": "10.0.0.0/24"}]}, True),
        ({"ip": [{"cidr": "10.0.1.0/24"}]}, False),
        ({"$or": [{"name": ["Bob"]}, {"age": [{"numeric": [">", 40]}]}]}, True),
        ({"$or": [{"name": ["Bob"]}, {"age": [1]}]}, False),
        ({"name": ["Alice"], "$or": [{"age": [1]}, {"flag": [True]}]}, True),
    ],
)
def test_pattern(pattern: dict[str, Any], fits: bool) -> None:
    assert compile_pattern(json.dumps(pattern))(EVENT) is fits


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "no json", '{"a": 1}', '{"a": []}', '{"a": "text"}', '{"a": [{"no-such": 1}]}', '{"a": [{"prefix": 1}]}',
        '{"a": [{"numeric": [">"]}]}', '{"a": [{"numeric": ["~", 1]}]}', '{"a": [{"exists": "yes"}]}', '{"$or": {}}',
        '{"a": [["nested"]]}', '{"a": [{"prefix": "a", "suffix": "b"}]}', '{"a": [{"anything-but": {"numeric": [1]}}]}',
    ],
)  # fmt: skip
def test_pattern__refused(text: str) -> None:
    with pytest.raises(InvalidPattern):
        compile_pattern(text)


def test_pattern__what_is_no_object_fits_nothing() -> None:
    test = compile_pattern('{"a": [1]}')
    assert [test(value) for value in (None, "a", 1, [], [{"a": 1}])] == [False] * 5
    assert compile_pattern('{"a": {"b": [1]}}')({"a": "text"}) is False
