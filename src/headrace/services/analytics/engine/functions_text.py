"""Functions of texts and numbers, and of JSON in texts."""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from headrace.services.analytics.engine.arithmetic import like_pattern
from headrace.services.analytics.engine.casting import cast
from headrace.services.analytics.engine.evaluate import Builder, Compiled, Invocation, Rows, Run, TypeProblem, each, strict
from headrace.services.analytics.engine.jsonpath import find, steps
from headrace.services.analytics.engine.sqltypes import DOUBLE, INTEGER, VARCHAR, Array, SqlType, Vector, from_objects, objects


def _texts(invocation: Invocation, count: int) -> list[Compiled]:
    """The first arguments as texts."""
    return [one if one.type.is_text else cast(one, VARCHAR) for one in invocation.arguments[:count]]


def concatenation(invocation: Invocation) -> Compiled:
    """||."""
    invocation.need(2)
    return strict(lambda rows, a, b: a + b, _texts(invocation, 2), VARCHAR)


def simple(function: Callable[[str], Any], kind: SqlType) -> Builder:
    """A function of one text."""

    def build(invocation: Invocation) -> Compiled:
        invocation.need(1)
        if not invocation.arguments[0].type.is_text:
            raise invocation.refuse()
        return strict(each(function, kind), invocation.arguments, kind)

    return build


def initcap(text: str) -> str:
    """Each word with a capital, the rest small."""
    return re.sub(r"[^\W_]+", lambda found: found.group().capitalize(), text)


def cut(text: str, start: int, length: int | None = None) -> str:
    """SUBSTRING: places from 1; what lies before the text counts in the length."""
    begin = start - 1
    end = len(text) if length is None else begin + max(length, 0)
    return text[max(begin, 0) : max(end, 0)]


def substring(invocation: Invocation) -> Compiled:
    """SUBSTRING(x FROM a FOR b); with a pattern, what it finds."""
    invocation.need(2, 3)
    operand, start, *rest = invocation.arguments
    if invocation.words == ("SIMILAR",):
        return _similar(invocation)
    if start.type.is_text and not rest:
        return Compiled(VARCHAR, _noticing_nulls(strict(each(_found, VARCHAR), (operand, start), VARCHAR)))
    numbers = [cast(one, INTEGER) for one in (start, *rest)]
    return strict(each(cut, VARCHAR), [*_texts(invocation, 1), *numbers], VARCHAR)


def _similar(invocation: Invocation) -> Compiled:
    """SUBSTRING(x SIMILAR 'before#"wanted#"behind' ESCAPE '#')."""
    pattern, escape = invocation.text(1), invocation.text(2)
    parts = pattern.split(f'{escape}"') if len(escape) == 1 else []
    if len(parts) != 3:
        raise TypeProblem(f"Invalid pattern '{pattern}': it has three parts, with {escape}\" between them")
    try:
        before, wanted, behind = (like_pattern(part, escape, similar=True).pattern for part in parts)
        search = re.compile(f"(?:{before})({wanted})(?:{behind})", re.DOTALL).search
    except re.error as error:
        raise TypeProblem(f"Invalid pattern '{pattern}': {error}") from error

    def find_part(text: str) -> str | None:
        found = search(text)
        return found[1] if found else None

    return Compiled(VARCHAR, _noticing_nulls(strict(each(find_part, VARCHAR), _texts(invocation, 1), VARCHAR)))


def _found(text: str, pattern: str) -> str | None:
    found = _compiled(pattern).search(text)
    return found.group() if found else None


@lru_cache(1000)
def _compiled(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern)


def trim(invocation: Invocation) -> Compiled:
    """TRIM(BOTH, LEADING or TRAILING letters FROM x)."""
    method = {"BOTH": str.strip, "LEADING": str.lstrip, "TRAILING": str.rstrip}[
        invocation.words[0] if invocation.words else "BOTH"
    ]
    return strict(each(method, VARCHAR), _texts(invocation, 2), VARCHAR)


def position(invocation: Invocation) -> Compiled:
    """POSITION(a IN b): from 1; 0 when it is not there."""
    invocation.need(2)
    return strict(each(lambda part, text: text.find(part) + 1, INTEGER), _texts(invocation, 2), INTEGER)


def overlay(invocation: Invocation) -> Compiled:
    """OVERLAY(x PLACING y FROM a FOR b)."""
    invocation.need(3, 4)

    def put(text: str, new: str, start: int, length: int | None = None) -> str:
        size = len(new) if length is None else length
        return text[: max(start - 1, 0)] + new + text[max(start - 1 + size, 0) :]

    numbers = [cast(one, INTEGER) for one in invocation.arguments[2:]]
    return strict(each(put, VARCHAR), [*_texts(invocation, 2), *numbers], VARCHAR)


def regex_replace(invocation: Invocation) -> Compiled:
    """REGEX_REPLACE(text, pattern, replacement, start, occurrence): from a place on, the n-th (0: each) that is found."""
    invocation.need(3, 5)
    numbers = [cast(one, INTEGER) for one in invocation.arguments[3:]]

    def put(text: str, pattern: str, new: str, start: int = 1, occurrence: int = 0) -> str:
        head, tail = text[: start - 1], text[start - 1 :]
        if occurrence == 0:
            return head + _compiled(pattern).sub(lambda _: new, tail)
        for number, found in enumerate(_compiled(pattern).finditer(tail), 1):
            if number == occurrence:
                return head + tail[: found.start()] + new + tail[found.end() :]
        return text

    return strict(each(put, VARCHAR), [*_texts(invocation, 3), *numbers], VARCHAR)


def side(left: bool) -> Builder:
    """LEFT and RIGHT: so many letters of a text."""

    def build(invocation: Invocation) -> Compiled:
        invocation.need(2)
        numbers = [cast(one, INTEGER) for one in invocation.arguments[1:]]
        function = each(lambda text, size: text[: max(size, 0)] if left else text[max(len(text) - max(size, 0), 0) :], VARCHAR)
        return strict(function, [*_texts(invocation, 1), *numbers], VARCHAR)

    return build


def char_code(invocation: Invocation) -> Compiled:
    """CHAR: the letter of a code."""
    invocation.need(1)
    return strict(each(chr, VARCHAR), [cast(invocation.arguments[0], INTEGER)], VARCHAR)


def json_value(invocation: Invocation) -> Compiled:
    """JSON_VALUE(text, '$.path'): a scalar as text; NULL when it is not there, is none, or the text is no JSON."""
    invocation.need(2)
    path = steps(invocation.text(1))

    def value(text: str) -> str | None:
        found = _at(text, path)
        if found is None or isinstance(found, dict | list):
            return None
        return found if isinstance(found, str) else msgspec.json.encode(found).decode()

    return Compiled(VARCHAR, _noticing_nulls(strict(each(value, VARCHAR), invocation.arguments[:1], VARCHAR)))


def json_query(invocation: Invocation) -> Compiled:
    """JSON_QUERY(text, '$.path'): an object or array as JSON text; NULL when it is not there."""
    invocation.need(2)
    path = steps(invocation.text(1))

    def value(text: str) -> str | None:
        found = _at(text, path)
        return msgspec.json.encode(found).decode() if isinstance(found, dict | list) else None

    return Compiled(VARCHAR, _noticing_nulls(strict(each(value, VARCHAR), invocation.arguments[:1], VARCHAR)))


def _noticing_nulls(compiled: Compiled) -> Callable[[Rows], Any]:
    return lambda rows: from_objects(compiled.run(rows).values)


def _at(text: str, path: Any) -> Any:
    try:
        return find(msgspec.json.decode(text), path)
    except msgspec.DecodeError:
        return None


def _domain(function: Any, allowed: Callable[[Array], Any], reason: str) -> Builder:
    def build(invocation: Invocation) -> Compiled:
        invocation.need(1)
        if not invocation.arguments[0].type.is_number:
            raise invocation.refuse()

        def kernel(rows: Rows, values: Array) -> Array:
            bad = ~allowed(values)
            rows.fail(bad, reason)
            return np.asarray(function(np.where(bad, 1.0, values)))

        return strict(kernel, [cast(invocation.arguments[0], DOUBLE)], DOUBLE)

    return build


def absolute(invocation: Invocation) -> Compiled:
    """ABS."""
    invocation.need(1)
    (operand,) = invocation.arguments
    if not (operand.type.is_number or operand.type.is_interval):
        raise invocation.refuse()
    return strict(lambda rows, a: np.abs(a), (operand,), operand.type)


def power(invocation: Invocation) -> Compiled:
    """POWER, as DOUBLE."""
    invocation.need(2)

    operands = [cast(one, DOUBLE) for one in invocation.arguments]
    return strict(each(math.pow, DOUBLE), operands, DOUBLE)


def rounded(invocation: Invocation) -> Compiled:
    """ROUND(x, digits): half away from zero."""
    invocation.need(1, 2)
    digits = invocation.whole(1) if len(invocation.arguments) > 1 else 0
    operand = invocation.arguments[0]
    if not operand.type.is_number:
        raise invocation.refuse()
    if operand.type.is_whole and digits >= 0:
        return operand
    scale = 10.0**digits
    values = cast(operand, DOUBLE)
    made = strict(lambda rows, a: np.sign(a) * np.floor(np.abs(a) * scale + 0.5) / scale, (values,), DOUBLE)
    return cast(made, operand.type)


def row_constructor(invocation: Invocation) -> Compiled:
    """ROW(…): several values as one."""
    fields = tuple((f"EXPR${place}", one.type) for place, one in enumerate(invocation.arguments))
    kind = SqlType("ROW", fields=fields)
    return strict(
        lambda rows, *columns: objects(list(zip(*(one.tolist() for one in columns), strict=True))), invocation.arguments, kind
    )


def field_of(operand: Compiled, name: str) -> Compiled:
    """A field of a ROW."""
    for place, (field, kind) in enumerate(operand.type.fields):
        if field == name:
            run = operand.run

            def take(rows: Rows, place: int = place, run: Run = run) -> Vector:
                values = [None if row is None else row[place] for row in run(rows).values.tolist()]
                return from_objects(objects(values))

            return Compiled(kind, take)
    raise TypeProblem(f"Column '{name}' not found in the row")


TEXT_FUNCTIONS: dict[str, Builder] = {
    "||": concatenation, "UPPER": simple(str.upper, VARCHAR), "LOWER": simple(str.lower, VARCHAR),
    "INITCAP": simple(initcap, VARCHAR),
    "CHAR_LENGTH": simple(len, INTEGER), "CHARACTER_LENGTH": simple(len, INTEGER), "LENGTH": simple(len, INTEGER),
    "SUBSTRING": substring, "TRIM": trim, "POSITION": position, "OVERLAY": overlay, "REGEX_REPLACE": regex_replace,
    "LEFT": side(True), "RIGHT": side(False), "CHR": char_code, "JSON_VALUE": json_value, "JSON_QUERY": json_query,
    "LTRIM": simple(str.lstrip, VARCHAR), "RTRIM": simple(str.rstrip, VARCHAR),
    "REVERSE": simple(lambda text: text[::-1], VARCHAR),
    "ABS": absolute, "POWER": power, "ROUND": rounded, "ROW": row_constructor,
    "EXP": _domain(np.exp, lambda a: a < 709.0, "EXP: the result is out of range"),
    "LN": _domain(np.log, lambda a: a > 0, "LN of a number that is not above zero"),
    "LOG10": _domain(np.log10, lambda a: a > 0, "LOG10 of a number that is not above zero"),
    "SQRT": _domain(np.sqrt, lambda a: a >= 0, "SQRT of a number below zero"),
    **{name: _domain(getattr(np, function), lambda a: np.abs(a) >= 0, "not a number") for name, function in
       (("SIN", "sin"), ("COS", "cos"), ("TAN", "tan"), ("ATAN", "arctan"), ("DEGREES", "degrees"), ("RADIANS", "radians"),
        ("SIGN", "sign"))},
}  # fmt: skip
