"""Operators: arithmetic, comparison, logic with three values, CASE, IN and LIKE."""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

import numpy as np

from headrace.services.analytics.engine import instants
from headrace.services.analytics.engine.casting import cast, convert, in_calendar
from headrace.services.analytics.engine.evaluate import Builder, Compiled, Invocation, Rows, TypeProblem, each, strict
from headrace.services.analytics.engine.sqltypes import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    INTERVAL,
    MONTHS,
    VARCHAR,
    Array,
    Mask,
    SqlType,
    Vector,
    all_null,
    common_type,
    constant,
    either,
)

_OVERFLOW = 9.2e18


def _whole_kernel(name: str) -> Callable[[Rows, Array, Array], Array]:
    operation = {"+": np.add, "-": np.subtract, "*": np.multiply}[name]

    def kernel(rows: Rows, left: Array, right: Array) -> Array:
        made: Array = operation(left, right)
        if len(made) and max(abs(float(left.max())), abs(float(left.min()))) > 2**30:
            near = np.abs(operation(left.astype(np.float64), right.astype(np.float64)))
            rows.fail(near > _OVERFLOW, "Arithmetic overflow")
        return made

    return kernel


def _divide(rows: Rows, left: Array, right: Array, kind: SqlType) -> Array:
    zero = right == 0
    if zero.any():
        rows.fail(zero.astype(np.bool_), "Division by zero")
        right = np.where(zero, 1, right) if kind.dtype != object else _objects_where(zero, right)
    if kind.is_whole:
        whole = np.abs(left) // np.abs(right)  # SQL cuts towards zero
        return np.where((left < 0) != (right < 0), -whole, whole)
    made: Array = left / right
    return made


def _objects_where(zero: Mask, right: Array) -> Array:
    changed = right.copy()
    changed[zero] = Decimal(1)
    return changed


def _modulo(rows: Rows, left: Array, right: Array) -> Array:
    zero = (right == 0).astype(np.bool_)
    rows.fail(zero, "Division by zero")
    safe = _objects_where(zero, right) if right.dtype == object else np.where(zero, 1, right)
    if right.dtype == object:
        return np.array([a % b for a, b in zip(left.tolist(), safe.tolist(), strict=True)], object)
    return np.fmod(left, safe)


def _number(name: str, left: Compiled, right: Compiled) -> Compiled:
    kind = common_type(left.type, right.type)
    assert kind is not None
    scaled = kind
    if kind.kind == "DECIMAL":
        scale = left.type.scale + right.type.scale if name == "*" else max(left.type.scale, right.type.scale)
        scaled = SqlType("DECIMAL", 38, 9 if name == "/" else scale)
    elif kind.is_whole:
        # What does not fit is noticed where it is put: sums of small numbers do not overflow on the way.
        scaled = kind if name in ("/", "MOD") else BIGINT
    elif kind.is_approximate:
        kind = scaled = DOUBLE
    operands = [cast(one, kind) for one in (left, right)]
    if name == "/":
        return strict(lambda rows, a, b: _divide(rows, a, b, kind), operands, scaled)
    if name == "MOD":
        return strict(_modulo, operands, kind)
    if kind.is_whole:
        return strict(_whole_kernel(name), operands, scaled)
    operation = {"+": np.add, "-": np.subtract, "*": np.multiply}[name]
    return strict(lambda rows, a, b: operation(a, b), operands, scaled)


def _shift(name: str, left: Compiled, right: Compiled) -> Compiled | None:
    """Arithmetic with moments and spans, or None when there is no such operation."""
    sign = -1 if name == "-" else 1
    one, two = left.type, right.type
    if name == "+" and one.is_interval and (two.is_instant or two.kind == "TIME"):
        return _shift(name, right, left)
    if one.is_instant and two.is_instant and name == "-":
        return strict(lambda rows, a, b: a - b, (left, right), INTERVAL)
    if (one.is_instant or one.kind == "TIME") and two.kind == "INTERVAL" and name in "+-":
        if one.kind == "TIME":
            return strict(lambda rows, a, b: (a + sign * b) % instants.DAY_MS, (left, right), one)
        return strict(lambda rows, a, b: in_calendar(rows, a + sign * b), (left, right), one)
    if one.is_instant and two == MONTHS and name in "+-":
        function = each(lambda ms, months: instants.add_months(ms, sign * months), one)
        return strict(function, (left, right), one)
    if one.is_interval and two.kind == one.kind and name in "+-":
        return strict(lambda rows, a, b: a + sign * b, (left, right), one)
    if one.is_interval and two.is_number and name in "*/":
        factor = cast(right, DOUBLE if not two.is_whole else BIGINT)
        if name == "*":
            return strict(lambda rows, a, b: (a * b).astype(np.int64), (left, factor), one)
        return strict(lambda rows, a, b: np.trunc(_divide(rows, a * 1.0, b, DOUBLE)).astype(np.int64), (left, factor), one)
    if two.is_interval and one.is_number and name == "*":
        return _shift(name, right, left)
    return None


def binary(invocation: Invocation) -> Compiled:
    """+ - * / and MOD."""
    invocation.need(2)
    left, right = invocation.arguments
    if left.type.kind == "NULL" or right.type.kind == "NULL":
        kind = left.type if right.type.kind == "NULL" else right.type
        return Compiled(kind, lambda rows: all_null(len(rows), kind))
    if left.type.is_number and right.type.is_number:
        return _number(invocation.name, left, right)
    made = _shift(invocation.name, left, right) if invocation.name != "MOD" else None
    if made is None:
        raise invocation.refuse()
    return made


def negate(invocation: Invocation) -> Compiled:
    """- before a value."""
    (operand,) = invocation.arguments
    if not (operand.type.is_number or operand.type.is_interval):
        raise invocation.refuse()
    if operand.is_constant and operand.constant is not None:
        value = -operand.constant
        return Compiled(operand.type, lambda rows: constant(value, len(rows), operand.type), value, True)
    return strict(lambda rows, a: -a, (operand,), operand.type)


_COMPARE = {"=": np.equal, "<>": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def aligned(invocation: Invocation, operands: tuple[Compiled, ...]) -> tuple[SqlType, list[Compiled]]:
    """Operands as one type that holds all of them."""
    kind = operands[0].type
    for operand in operands[1:]:
        found = common_type(kind, operand.type)
        if found is None and kind.is_text and (operand.type.is_instant or operand.type.kind in ("TIME", "BOOLEAN")):
            found = operand.type  # a literal that is compared with a moment
        elif found is None and operand.type.is_text and (kind.is_instant or kind.kind in ("TIME", "BOOLEAN")):
            found = kind
        if found is None:
            raise invocation.refuse()
        kind = found
    if kind.is_text:
        kind = VARCHAR
    return kind, [operand if operand.type.is_text and kind.is_text else cast(operand, kind) for operand in operands]


def compare(invocation: Invocation) -> Compiled:
    """= <> < <= > >=."""
    invocation.need(2)
    _, operands = aligned(invocation, invocation.arguments)
    operation = _COMPARE[invocation.name]
    return strict(lambda rows, a, b: operation(a, b).astype(np.bool_, copy=False), operands, BOOLEAN)


def distinct(invocation: Invocation) -> Compiled:
    """IS DISTINCT FROM: never NULL."""
    _, (left, right) = aligned(invocation, invocation.arguments)

    def run(rows: Rows) -> Vector:
        one, two = left.run(rows), right.run(rows)
        a, b = one.null_mask(), two.null_mask()
        return Vector((a != b) | (~a & ~b & (one.values != two.values).astype(np.bool_)))

    return Compiled(BOOLEAN, run)


def truth(column: Vector) -> Mask:
    """Where a condition is true: neither false nor NULL."""
    return column.values if column.nulls is None else column.values & ~column.nulls


def _boolean(invocation: Invocation) -> tuple[Compiled, ...]:
    if any(argument.type.kind not in ("BOOLEAN", "NULL") for argument in invocation.arguments):
        raise invocation.refuse()
    return tuple(cast(argument, BOOLEAN) for argument in invocation.arguments)


def both(invocation: Invocation) -> Compiled:
    """AND and OR: what the left side decides, a failure on the right side does not change."""
    left, right = _boolean(invocation)
    decided_by = invocation.name == "OR"

    def run(rows: Rows) -> Vector:
        one = left.run(rows)
        decided = (one.values == decided_by) & ~one.null_mask()
        shadow = rows.shadow()
        two = right.run(shadow)
        if shadow.failed is not None:
            rows.adopt_shadow(shadow, ~decided)
        nulls = either(one.nulls, two.nulls)
        values = one.values | two.values if decided_by else one.values & two.values
        if nulls is None:
            return Vector(values)
        also = (two.values == decided_by) & ~two.null_mask()
        settled = decided | also
        return Vector(np.where(settled, decided_by, values), nulls & ~settled)

    return Compiled(BOOLEAN, run)


def negation(invocation: Invocation) -> Compiled:
    """NOT."""
    (operand,) = _boolean(invocation)
    return strict(lambda rows, a: ~a, (operand,), BOOLEAN)


def is_null(invocation: Invocation) -> Compiled:
    """IS NULL."""
    (operand,) = invocation.arguments
    return Compiled(BOOLEAN, lambda rows: Vector(operand.run(rows).null_mask().copy()))


def is_truth(wanted: bool) -> Builder:
    """IS TRUE and IS FALSE."""

    def build(invocation: Invocation) -> Compiled:
        (operand,) = _boolean(invocation)

        def run(rows: Rows) -> Vector:
            column = operand.run(rows)
            return Vector((column.values == wanted) & ~column.null_mask())

        return Compiled(BOOLEAN, run)

    return build


def membership(invocation: Invocation) -> Compiled:
    """IN: true for an equal one; NULL when there is none but a NULL among them."""
    _, operands = aligned(invocation, invocation.arguments)
    needle, *options = operands
    if all(option.is_constant and option.constant is not None for option in options):
        wanted = {option.constant for option in options}
        return strict(each(wanted.__contains__, BOOLEAN), (needle,), BOOLEAN)

    def run(rows: Rows) -> Vector:
        one = needle.run(rows)
        found = np.zeros(len(rows), np.bool_)
        unknown = one.null_mask().copy()
        for option in options:
            two = option.run(rows)
            known = ~two.null_mask()
            found |= known & ~one.null_mask() & (one.values == two.values).astype(np.bool_)
            unknown |= ~known
        return Vector(found, unknown & ~found)

    return Compiled(BOOLEAN, run)


@lru_cache(1000)
def like_pattern(pattern: str, escape: str | None, similar: bool) -> "re.Pattern[str]":
    """The regular expression of a LIKE or SIMILAR TO pattern."""
    made: list[str] = []
    letters = iter(pattern)
    for letter in letters:
        if escape and letter == escape:
            made.append(re.escape(next(letters, "")))
        elif letter in "%_":
            made.append(".*" if letter == "%" else ".")
        elif similar and letter in "|*+?(){}[]^-":
            made.append(letter)
        else:
            made.append(re.escape(letter))
    return re.compile("".join(made), re.DOTALL)


def like(invocation: Invocation) -> Compiled:
    """LIKE and SIMILAR TO."""
    invocation.need(2, 3)
    if not all(argument.type.is_text for argument in invocation.arguments):
        raise invocation.refuse()
    operand, pattern, *rest = invocation.arguments
    escape = invocation.text(2) if rest else None
    similar = invocation.name == "SIMILAR"
    if isinstance(pattern.constant, str):
        inner = pattern.constant[1:-1]
        if pattern.constant[:1] == pattern.constant[-1:] == "%" and len(pattern.constant) > 1 and not re.search(r"\W|_", inner):
            return strict(each(lambda text: inner in text, BOOLEAN), (operand,), BOOLEAN)
        try:
            matches = like_pattern(pattern.constant, escape, similar).fullmatch
        except re.error as error:
            raise TypeProblem(f"Invalid pattern '{pattern.constant}': {error}") from error
        return strict(each(lambda text: matches(text) is not None, BOOLEAN), (operand,), BOOLEAN)

    def match(text: str, wanted: str) -> bool:
        return like_pattern(wanted, escape, similar).fullmatch(text) is not None

    return strict(each(match, BOOLEAN), (operand, pattern), BOOLEAN)


def choose(invocation: Invocation, whens: list[tuple[Compiled, Compiled]], default: Compiled) -> Compiled:
    """CASE: each value is computed only for the rows that take it."""
    kind, values = aligned(invocation, (*(value for _, value in whens), default))
    conditions = [cast(condition, BOOLEAN) for condition, _ in whens]

    def run(rows: Rows) -> Vector:
        made = all_null(len(rows), kind)
        nulls = made.null_mask()
        left = np.arange(len(rows))
        for condition, value in zip([*conditions, None], values, strict=True):
            below = rows.narrowed(left)
            holds = np.ones(len(left), np.bool_) if condition is None else truth(condition.run(below))
            rows.adopt(below, left)
            taken = left[holds]
            if len(taken):
                inner = rows.narrowed(taken)
                column = value.run(inner)
                if value.type != kind and not (value.type.is_text and kind.is_text):
                    column = convert(inner, column, value.type, kind)
                rows.adopt(inner, taken)
                made.values[taken] = column.values
                nulls[taken] = column.null_mask()
            left = left[~holds]
        return Vector(made.values, nulls if nulls.any() else None)

    return Compiled(kind, run)


def coalesce(invocation: Invocation) -> Compiled:
    """COALESCE: the first that is not NULL."""
    missing: list[tuple[Compiled, Compiled]] = []
    for argument in invocation.arguments[:-1]:
        missing.append((_present(argument), argument))
    return choose(invocation, missing, invocation.arguments[-1]) if missing else invocation.arguments[0]


def _present(operand: Compiled) -> Compiled:
    return Compiled(BOOLEAN, lambda rows: Vector(~operand.run(rows).null_mask()))


def nullif(invocation: Invocation) -> Compiled:
    """NULLIF: NULL where both are equal."""
    invocation.need(2)
    _, (left, right) = aligned(invocation, invocation.arguments)
    kept = invocation.arguments[0]

    def run(rows: Rows) -> Vector:
        column, one, two = kept.run(rows), left.run(rows), right.run(rows)
        same = (one.values == two.values).astype(np.bool_) & ~one.null_mask() & ~two.null_mask()
        values = column.values
        if values.dtype == object:
            values = values.copy()
            values[same] = None
        return Vector(values, column.null_mask() | same)

    return Compiled(kept.type, run)


OPERATORS: dict[str, Builder] = {
    **dict.fromkeys(("+", "-", "*", "/", "MOD"), binary),
    **dict.fromkeys(_COMPARE, compare),
    "AND": both, "OR": both, "NOT": negation, "NEGATE": negate, "IS NULL": is_null, "IS TRUE": is_truth(True),
    "IS FALSE": is_truth(False), "IS DISTINCT": distinct, "IN": membership, "LIKE": like, "SIMILAR": like,
    "COALESCE": coalesce, "NULLIF": nullif,
}  # fmt: skip
