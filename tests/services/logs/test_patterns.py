"""Filter patterns, by tables and by chance."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.services.logs.engine.patterns import BadPattern, compile_pattern

JSON = '{"level": "error", "code": 503, "user": null, "ok": true, "list": [{"a": 1}], "deep": {"a-b": "x"}, "t": "a*b"}'


def fits(pattern, message):
    test = compile_pattern(pattern)
    return test is None or test(message)


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR happened", True),
        ("ERROR", "an error happened", False),
        ("ERROR memory", "memory ERROR", True),
        ("ERROR memory", "ERROR", False),
        ('"out of memory"', "it is out of memory now", True),
        ('"out of memory"', "out  of memory", False),
        (r'"say \"hi\""', 'say "hi"', True),
        ("ERROR -retry", "ERROR", True),
        ("ERROR -retry", "ERROR retry", False),
        ('-"not me"', "not me", False),
        ("?WARN ?ERROR", "WARN", True),
        ("?WARN ?ERROR", "INFO", False),
        ("INFO ?WARN", "INFO", True),
        ('{ $.level = "error" }', JSON, True),
        ("{ $.level = error }", JSON, True),
        ('{ $.level != "error" }', JSON, False),
        ('{ $.missing != "error" }', JSON, False),
        ('{ $.level = "err*" }', JSON, True),
        ('{ $.level = "*r*r" }', JSON, True),
        ('{ $.level = "e*x" }', JSON, False),
        ("{ $.code = 503 }", JSON, True),
        ("{ $.code >= 500 && $.code < 600 }", JSON, True),
        ("{ $.code > 503 || $.code < 503 }", JSON, False),
        ("{ ($.code = 1 || $.code = 503) && $.ok IS TRUE }", JSON, True),
        ("{ $.user IS NULL }", JSON, True),
        ("{ $.ok IS FALSE }", JSON, False),
        ("{ $.nothing NOT EXISTS }", JSON, True),
        ("{ $.user NOT EXISTS }", JSON, False),
        ("{ $.list[0].a = 1 }", JSON, True),
        ("{ $.list[1].a = 1 }", JSON, False),
        ('{ $.deep["a-b"] = "x" }', JSON, True),
        ("{ $.code = 503 }", "no json", False),
        ("{ $.a = 1 }", 'prefix {"a": 1}', True),
    ],
)
def test_pattern__table(pattern, message, expected):
    assert fits(pattern, message) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "[a, b]",
        "%regex%",
        '"open',
        "{ $.a = 1",
        "{ a = 1 }",
        "{ $.a }",
        "{ $.a = }",
        "{ ($.a = 1 }",
        "{ $.a IS MAYBE }",
        '{ $.a < "x" }',
        "{ $.*.a = 1 }",
        "{ " + "(" * 30 + "$.a = 1" + ")" * 30 + " }",
    ],
)
def test_pattern__refuses(pattern):
    with pytest.raises(BadPattern):
        compile_pattern(pattern)


@given(st.text('{}[]()$.=<>!&|?-%" ab1*', max_size=40), st.text(max_size=20))
def test_pattern__answers_or_refuses(pattern, message):
    with contextlib.suppress(BadPattern):
        fits(pattern, message)
