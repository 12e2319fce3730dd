"""Numbers: normal form, range, order of their bytes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb.engine import numbers


@st.composite
def number_texts(draw: st.DrawFn) -> str:
    digits = str(draw(st.integers(0, 10**38 - 1)))
    exponent = draw(st.integers(-130, 125)) - (len(digits) - 1)
    sign = draw(st.sampled_from(["", "-", "+"]))
    form = draw(st.sampled_from(["e", "E", "E+"])) if exponent >= 0 else "e"
    return f"{sign}{digits}{form}{exponent}"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("0", "0"), ("-0", "0"), ("0.000", "0"), ("0e5", "0"), ("007", "7"), ("+7", "7"), ("1.50", "1.5"), (".5", "0.5"),
        ("5.", "5"), ("-0.0010", "-0.001"), ("1e3", "1000"), ("1.25E-3", "0.00125"), ("100", "100"),
        ("1E125", "1" + "0" * 125), ("1E-130", "0." + "0" * 129 + "1"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("123456789012345678901234567890123456780", "123456789012345678901234567890123456780"),
    ],
)  # fmt: skip
def test_normal__one_form(text: str, normal: str) -> None:
    assert numbers.normal(text) == normal


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The parameter cannot be converted to a numeric value"),
        ("abc", "The parameter cannot be converted to a numeric value: abc"),
        ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
        ("1_0", "The parameter cannot be converted to a numeric value: 1_0"),
        (" 1", "The parameter cannot be converted to a numeric value:  1"),
        ("٣", "The parameter cannot be converted to a numeric value: ٣"),
        (".", "The parameter cannot be converted to a numeric value: ."),
        ("1e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ("-1e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ("1e-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
    ],
)
def test_normal__refuses(text: str, sentence: str) -> None:
    with pytest.raises(ValidationException) as caught:
        numbers.normal(text)
    assert caught.value.message == sentence


@given(number_texts())
def test_normal__keeps_the_value_and_is_stable(text: str) -> None:
    normal = numbers.normal(text)
    assert Decimal(normal) == Decimal(text)
    assert numbers.normal(normal) == normal
    assert numbers.size_bytes(normal) <= 21


@given(st.lists(number_texts(), min_size=2, max_size=6))
def test_encode__bytes_are_ordered_as_numbers(texts: list[str]) -> None:
    normal = [numbers.normal(text) for text in texts]
    assert sorted(normal, key=numbers.encode) == sorted(normal, key=Decimal)
    for text in normal:
        assert len(numbers.encode(text)) <= 22


@given(number_texts(), number_texts())
def test_encode__equal_only_for_equal_numbers(one: str, two: str) -> None:
    assert (numbers.encode(numbers.normal(one)) == numbers.encode(numbers.normal(two))) == (Decimal(one) == Decimal(two))


@pytest.mark.parametrize(
    ("left", "right", "minus", "result"),
    [
        ("1", "2", False, "3"), ("1", "2", True, "-1"), ("0.1", "0.2", False, "0.3"), ("1", "1", True, "0"),
        ("1" + "0" * 30, "1", False, "1" + "0" * 29 + "1"), ("1.5", "-1.5", False, "0"),
    ],
)  # fmt: skip
def test_total__is_exact(left: str, right: str, minus: bool, result: str) -> None:
    assert numbers.total(left, right, minus=minus) == result


def test_total__refuses_what_needs_more_digits() -> None:
    with pytest.raises(ValidationException, match="more than 38 significant digits"):
        numbers.total("1" + "0" * 40, "1")
