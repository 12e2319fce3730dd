"""Filter patterns: which log events are wanted.

Three kinds: nothing (everything fits); terms (``ERROR``, ``"out of memory"``, ``-debug``, ``?WARN ?ERROR``); and JSON conditions
(``{ ($.level = "error" && $.code >= 500) || $.user IS NULL }``). Space-delimited ``[a, b]`` and regular expressions are refused.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from headrace.services.logs import limits

Test: TypeAlias = Callable[[str], bool]
_Condition: TypeAlias = Callable[[Any], bool]

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))')
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<path>\$(?:\.[\w@$-]+|\.\*|\[\d+\]|\["[^"]*"\]|\['[^']*'\]|\.\["[^"]*"\])*)
      | (?P<text>"(?:[^"\\]|\\.)*")
      | (?P<sign>&&|\|\||!=|<=|>=|=|<|>|\(|\))
      | (?P<word>[^\s()&|=<>!"]+)
    )""",
    re.VERBOSE,
)
_STEP = re.compile(r"""\.([\w@$-]+)|\.?\["([^"]*)"\]|\['([^']*)'\]|\[(\d+)\]""")
_ABSENT: Any = object()


class BadPattern(ValueError):
    """The pattern cannot be used; the text says why."""


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Test | None:
    """The test of a pattern, or None when everything fits."""
    bare = text.strip()
    if not bare:
        return None
    if bare.startswith("{"):
        if not bare.endswith("}"):
            raise BadPattern("Invalid filter pattern: a { is not closed")
        return _json_test(_Parser(bare[1:-1]).whole())
    if bare.startswith("["):
        raise BadPattern("Invalid filter pattern: space-delimited patterns are not supported here")
    return _terms(bare)


def _terms(text: str) -> Test:
    wanted: list[str] = []
    unwanted: list[str] = []
    either: list[str] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise BadPattern("Invalid filter pattern: a quote is not closed")
        at = found.end()
        quoted, plain = found[2], found[3]
        term = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        if quoted is None and term.startswith("%"):
            raise BadPattern("Invalid filter pattern: regular expressions are not supported here")
        (either if found[1] == "?" else unwanted if found[1] == "-" else wanted).append(term)
        while at < len(text) and text[at].isspace():
            at += 1
    # As on AWS, terms with a question mark count only where there are no others.
    options = either if not wanted and not unwanted else []
    return lambda message: (
        all(term in message for term in wanted)
        and not any(term in message for term in unwanted)
        and (not options or any(term in message for term in options))
    )


def _json_test(condition: _Condition) -> Test:
    def test(message: str) -> bool:
        start = message.find("{")
        if start < 0:
            return False
        try:
            value = json.loads(message[start:])
        except (ValueError, RecursionError):
            return False
        return condition(value)

    return test


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.at = self.depth = 0
        place = 0
        text = text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None or found.lastgroup is None:
                raise BadPattern(f"Invalid filter pattern near {text[place : place + 20]!r}")
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            place = found.end()

    def whole(self) -> _Condition:
        condition = self.either()
        if self.at != len(self.tokens):
            raise BadPattern(f"Invalid filter pattern near {self.tokens[self.at][1]!r}")
        return condition

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def either(self) -> _Condition:
        parts = [self.both()]
        while self.peek() == ("sign", "||"):
            self.at += 1
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else lambda value: any(part(value) for part in parts)

    def both(self) -> _Condition:
        parts = [self.one()]
        while self.peek() == ("sign", "&&"):
            self.at += 1
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else lambda value: all(part(value) for part in parts)

    def one(self) -> _Condition:
        if self.peek() == ("sign", "("):
            self.at += 1
            self.depth += 1
            if self.depth > limits.PATTERN_DEPTH_MAX:
                raise BadPattern("Invalid filter pattern: too deeply nested")
            inner = self.either()
            if self.take() != ("sign", ")"):
                raise BadPattern("Invalid filter pattern: a ( is not closed")
            self.depth -= 1
            return inner
        kind, path = self.take()
        if kind != "path":
            raise BadPattern(f"Invalid filter pattern: a selector like $.name was expected, not {path!r}")
        steps = _steps(path)
        kind, sign = self.take()
        if kind == "word":
            return self.being(steps, sign.upper())
        if kind != "sign" or sign in ("&&", "||", "(", ")"):
            raise BadPattern(f"Invalid filter pattern: a comparison was expected after {path}")
        kind, wanted = self.take()
        if kind not in ("text", "word"):
            raise BadPattern(f"Invalid filter pattern: a value was expected after {sign}")
        return _comparison(steps, sign, wanted, quoted=kind == "text")

    def being(self, steps: tuple[str | int, ...], word: str) -> _Condition:
        second = self.take()[1].upper()
        if (word, second) == ("NOT", "EXISTS"):
            return lambda value: _look(value, steps) is _ABSENT
        if word == "IS" and second in ("NULL", "TRUE", "FALSE"):
            wanted = {"NULL": None, "TRUE": True, "FALSE": False}[second]
            return lambda value: _look(value, steps) is wanted
        raise BadPattern(f"Invalid filter pattern near {word} {second}")


def _steps(path: str) -> tuple[str | int, ...]:
    if ".*" in path:
        raise BadPattern("Invalid filter pattern: wildcards in selectors are not supported here")
    found = _STEP.finditer(path[1:])
    return tuple(int(one[4]) if one[4] is not None else next(text for text in one.groups() if text is not None) for one in found)


def _look(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else _ABSENT
        else:
            value = value.get(step, _ABSENT) if isinstance(value, dict) else _ABSENT
    return value


def _comparison(steps: tuple[str | int, ...], sign: str, wanted: str, *, quoted: bool) -> _Condition:
    number = None if quoted else _number(wanted)
    if sign in ("<", ">", "<=", ">="):
        if number is None:
            raise BadPattern(f"Invalid filter pattern: {sign} needs a number")
        return lambda value: _ordered(_look(value, steps), sign, number)
    text = re.sub(r"\\(.)", r"\1", wanted[1:-1]) if quoted else wanted

    def equal(found: Any) -> bool:
        if number is not None and isinstance(found, int | float) and not isinstance(found, bool):
            return float(found) == number
        return isinstance(found, str) and _fits(text, found)

    if sign == "=":
        return lambda value: equal(_look(value, steps))
    return lambda value: (found := _look(value, steps)) is not _ABSENT and not equal(found)


def _ordered(found: Any, sign: str, number: float) -> bool:
    if not isinstance(found, int | float) or isinstance(found, bool):
        return False
    return {"<": found < number, ">": found > number, "<=": found <= number, ">=": found >= number}[sign]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _fits(pattern: str, text: str) -> bool:
    """Equality where ``*`` stands for any run of characters: pieces are looked for from left to right."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    if not text.startswith(first):
        return False
    at = len(first)
    for piece in rest[:-1]:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - at >= len(rest[-1]) and text.endswith(rest[-1])
