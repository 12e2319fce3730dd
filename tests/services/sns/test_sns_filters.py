"""Filter policies: which messages fit, and which policies are none."""

import json
from typing import Any

import pytest

from headrace.services.sns import errors, filters


def attributes(**values: Any) -> dict[str, dict[str, Any]]:
    return {
        name: {"DataType": "Number" if isinstance(value, int) else "String.Array" if isinstance(value, list) else "String",
               "StringValue": json.dumps(value) if isinstance(value, int | list) else value}
        for name, value in values.items()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "value", "fits"),
    [
        (["a", "b"], "b", True),
        (["a"], "A", False),
        ([5], 5, True),
        (["5"], 5, False),
        ([{"prefix": "ab"}], "abc", True),
        ([{"suffix": "bc"}], "abc", True),
        ([{"equals-ignore-case": "ABC"}], "abc", True),
        ([{"anything-but": ["a", "b"]}], "c", True),
        ([{"anything-but": ["a", "b"]}], "a", False),
        ([{"anything-but": {"prefix": "a"}}], "abc", False),
        ([{"numeric": [">", 0, "<=", 10]}], 10, True),
        ([{"numeric": [">", 0, "<=", 10]}], 11, False),
        ([{"numeric": ["=", 1]}], "1", False),
        ([{"exists": True}], "x", True),
        ([{"exists": False}], "x", False),
        (["x"], ["y", "x"], True),
        ([{"prefix": "a"}, 7], 7, True),
    ],
)
def test_fits_attributes(conditions: list[Any], value: Any, fits: bool) -> None:
    assert filters.fits_attributes({"k": conditions}, attributes(k=value)) == fits


def test_fits_attributes__absent_keys() -> None:
    assert not filters.fits_attributes({"k": ["x"]}, {})
    assert not filters.fits_attributes({"k": [{"anything-but": "x"}]}, {})
    assert filters.fits_attributes({"k": [{"exists": False}]}, {})
    assert not filters.fits_attributes({"k": ["x"], "l": ["y"]}, attributes(k="x", l="z"))


def test_fits_body() -> None:
    policy = {"detail": {"state": ["open"], "n": [{"numeric": [">=", 2]}]}, "flag": [True, None]}
    assert filters.fits_body(policy, '{"detail": {"state": "open", "n": 2}, "flag": null}')
    assert filters.fits_body(policy, '{"detail": [{"state": "shut", "n": 9}, {"state": "open", "n": 3}], "flag": true}')
    assert not filters.fits_body(policy, '{"detail": {"state": "open", "n": 1}, "flag": true}')
    assert not filters.fits_body(policy, '{"detail": {"state": "open", "n": 2}, "flag": 1}')
    assert not filters.fits_body(policy, "no json")


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"k": "x"}', '{"k": []}', '{"k": {"l": ["x"]}}', '{"k": [{"like": "x"}]}', '{"k": [{"numeric": [">", "1"]}]}',
     '{"k": [["x"]]}', '{"$or": [{}]}', json.dumps({f"k{n}": ["x"] for n in range(6)}), '{"k": [{"prefix": 1}]}'],
)  # fmt: skip
def test_check__refuses(text: str) -> None:
    with pytest.raises(errors.InvalidParameterException):
        filters.check(text, nested=False)


def test_check__nested_on_bodies() -> None:
    filters.check('{"k": {"l": ["x"]}}', nested=True)
