"""Prefix expressions as AWS documents them."""

from datetime import datetime

import pytest

from headrace.services.firehose.engine import expressions

AT = datetime(2018, 8, 27, 10, 30, 5, 123456)


def _random() -> str:
    return "5abf82daaa5"


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", "2018/08/27/10/"),
        ("logs/", "logs/2018/08/27/10/"),
        ("logs", "logs2018/08/27/10/"),
        (
            "myFirehose/DeliveredYear=!{timestamp:yyyy}/anyMonth/rand=!{firehose:random-string}",
            "myFirehose/DeliveredYear=2018/anyMonth/rand=5abf82daaa5",
        ),
        ("rand=!{firehose:random-string}/", "rand=5abf82daaa5/2018/08/27/10/"),
        ("year=!{timestamp:yyyy}/month=!{timestamp:MM}/", "year=2018/month=08/"),
    ],
)
def test_success_prefix(prefix: str, expected: str) -> None:
    assert expressions.success_prefix(prefix, AT, _random) == expected


@pytest.mark.parametrize(
    ("prefix", "error_prefix", "expected"),
    [
        ("", "", "processing-failed/2018/08/27/10/"),
        ("logs/", "", "logs/processing-failed/2018/08/27/10/"),
        ("logs/", "errors/", "errors/processing-failed/2018/08/27/10/"),
        (
            "",
            "failed/!{firehose:error-output-type}/!{timestamp:yyyy}/anyMonth/!{timestamp:dd}",
            "failed/processing-failed/2018/anyMonth/27",
        ),
    ],
)
def test_error_prefix(prefix: str, error_prefix: str, expected: str) -> None:
    assert expressions.error_prefix(prefix, error_prefix, "processing-failed", AT, _random) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yy-M-d", "18-8-27"),
        ("HH:mm:ss.SSS", "10:30:05.123"),
        ("hh a", "10 AM"),
        ("DDD", "239"),
        ("EEE, EEEE MMM MMMM", "Mon, Monday Aug August"),
        ("yyyy'T'HH", "2018T10"),
        ("h 'o''clock'", "10 o'clock"),
        ("''yy''", "'18'"),
        ("YYYY", "2018"),
    ],
)
def test_format_time__follows_java_patterns(pattern: str, expected: str) -> None:
    assert expressions.format_time(pattern, AT) == expected


def test_format_time__week_year_is_that_of_the_week() -> None:
    assert expressions.format_time("YYYY", datetime(2018, 12, 31)) == "2019"
    assert expressions.format_time("yyyy", datetime(2018, 12, 31)) == "2018"


@pytest.mark.parametrize("pattern", ["Q", "yyyy'", "w"])
def test_format_time__refuses_what_it_does_not_know(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"not supported|not closed"):
        expressions.format_time(pattern, AT)


@pytest.mark.parametrize(
    ("prefix", "error_prefix", "complaint"),
    [
        ("!{timestamp:yyyy}/", "", "ErrorOutputPrefix cannot be null"),
        ("!{firehose:error-output-type}/", "x", "Prefix cannot contain"),
        ("a/", "!{timestamp:yyyy}/", "must contain !{firehose:error-output-type}"),
        ("!{partitionKeyFromQuery:id}/", "!{firehose:error-output-type}/", "not supported"),
        ("a!{timestamp", "!{firehose:error-output-type}/", "may only begin an expression"),
    ],
)
def test_check__complains(prefix: str, error_prefix: str, complaint: str) -> None:
    assert complaint in (expressions.check(prefix, error_prefix) or "")


def test_check__accepts_what_aws_accepts() -> None:
    assert expressions.check("", "") is None
    assert expressions.check("a/!{timestamp:yyyy/MM}/", "e/!{firehose:error-output-type}/") is None


def test_check__redshift_takes_no_expressions() -> None:
    assert expressions.check("a/", "", expressions_allowed=False) is None
    assert expressions.check("!{timestamp:yyyy}/", "", expressions_allowed=False)
    assert expressions.check("a/", "errors/", expressions_allowed=False)
