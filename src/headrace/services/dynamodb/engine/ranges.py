"""What a key condition means: a partition, and a range of sort keys in it."""

from typing import NamedTuple, NoReturn

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import keys, syntax
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.keys import IndexSchema, Key, Schema
from headrace.services.dynamodb.engine.values import Value
from headrace.store.tuples import after_prefix

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NOT_SUPPORTED = "Query key condition not supported"


class Term(NamedTuple):
    """What is asked of one key attribute: =, <, <=, >, >=, BETWEEN or begins_with, with one or two values."""

    operator: str
    operands: tuple[Value, ...]


class Range(NamedTuple):
    """The places begin <= place < end, all in one partition."""

    begin: bytes
    end: bytes


def terms_of(binding: Binding, text: str) -> dict[str, Term]:
    """The terms of a KeyConditionExpression by the names of their attributes."""
    tree = binding.condition("KeyConditionExpression", text)
    found: dict[str, Term] = {}
    _collect(tree, binding, found)
    return found


def _collect(node: syntax.Condition, binding: Binding, found: dict[str, Term]) -> None:
    if isinstance(node, syntax.Both):
        if node.operator == "OR":
            _refuse("Invalid operator used in KeyConditionExpression: OR")
        for term in node.terms:
            _collect(term, binding, found)
    elif isinstance(node, syntax.Not | syntax.In):
        _refuse(f"Invalid operator used in KeyConditionExpression: {'NOT' if isinstance(node, syntax.Not) else 'IN'}")
    elif isinstance(node, syntax.Between):
        if not isinstance(node.operand, syntax.Path):
            _no_first_operand("BETWEEN")
        _add(node.operand, "BETWEEN", (node.low, node.high), binding, found)
    elif isinstance(node, syntax.Function):
        if node.name != "begins_with":
            _refuse(f"Invalid operator used in KeyConditionExpression: {node.name}")
        if not isinstance(node.operands[0], syntax.Path):
            _no_first_operand("begins_with")
        _add(node.operands[0], "begins_with", node.operands[1:], binding, found)
    elif node.operator == "<>":
        _refuse("Invalid operator used in KeyConditionExpression: <>")
    elif isinstance(node.left, syntax.Path):
        _add(node.left, node.operator, (node.right,), binding, found)
    else:
        _add(node.right, _MIRRORED[node.operator], (node.left,), binding, found)


def _add(
    operand: syntax.Operand, operator: str, given: tuple[syntax.Operand, ...], binding: Binding, found: dict[str, Term]
) -> None:
    if any(isinstance(one, syntax.Function) for one in (operand, *given)):
        _refuse("KeyConditionExpressions cannot contain nested operations")
    if not isinstance(operand, syntax.Path):
        _refuse("Invalid condition in KeyConditionExpression: No key attribute specified")
    if any(isinstance(one, syntax.Path) for one in given):
        _refuse("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
    parts = binding.parts(operand)
    if len(parts) > 1:
        _refuse("KeyConditionExpressions cannot have conditions on nested attributes")
    name = str(parts[0])
    if name in found:
        _refuse("KeyConditionExpressions must only contain one condition per key")
    found[name] = Term(operator, tuple(binding.values[one.name] for one in given if isinstance(one, syntax.Placeholder)))


def _refuse(sentence: str) -> NoReturn:
    raise ValidationException(f"Invalid KeyConditionExpression: {sentence}")


def _no_first_operand(name: str) -> NoReturn:
    _refuse(f"Invalid condition in KeyConditionExpression: {name} operator must have the key attribute as its first operand")


def range_of(schema: Schema | IndexSchema, terms: dict[str, Term], *, in_index: bool) -> Range:
    """The places that the terms mean, in a table or in an index of this schema."""
    partitions, sorts = schema.partitions, schema.sorts
    asked = _asked(partitions, sorts, terms)
    raws = [_content(key, terms[key.name].operands[0], limits.PARTITION_KEY_SIZE_MAX_BYTES) for key in partitions]
    place = keys.partitions_hash(raws)
    if not asked:
        return Range(place, after_prefix(place))
    for key in asked[:-1]:
        place += keys.ended(_content(key, terms[key.name].operands[0], limits.SORT_KEY_SIZE_MAX_BYTES))
    last = asked[-1]
    term = terms[last.name]
    if term.operator == "begins_with" and last.kind == "N":
        raise ValidationException(
            "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
            "operator or function: begins_with, operand type: N"
        )
    raws = [_content(last, operand, limits.SORT_KEY_SIZE_MAX_BYTES) for operand in term.operands]
    return _sort_range(place, term.operator, raws, in_index=in_index)


def _asked(partitions: tuple[Key, ...], sorts: tuple[Key, ...], terms: dict[str, Term]) -> tuple[Key, ...]:
    """The sort attributes that terms are about, first to last; ValidationException when the terms are none for such a key."""
    several = len(partitions) > 1 or len(sorts) > 1
    if len(terms) > 2 and not several:
        raise ValidationException("Conditions can be of length 1 or 2 only")
    for key in partitions:
        if key.name not in terms:
            raise ValidationException(f"Query condition missed key schema element: {key.name}")
    asked = tuple(key for key in sorts if key.name in terms)
    if len(terms) > len(partitions) + len(asked):
        if several or not sorts:
            raise ValidationException(_NOT_SUPPORTED)
        raise ValidationException(f"Query condition missed key schema element: {sorts[0].name}")
    if any(terms[key.name].operator != "=" for key in partitions):
        raise ValidationException(_NOT_SUPPORTED)
    if asked:
        before = sorts[: sorts.index(asked[-1])]
        loose = [key.name for key in before if key.name not in terms or terms[key.name].operator != "="]
        if loose:
            raise ValidationException(
                f"RANGE key attributes {', '.join(loose)} must have equality conditions specified in the query because a "
                f"condition is present on key attribute {asked[-1].name}"
            )
    return asked


def _sort_range(place: bytes, operator: str, raws: list[bytes], *, in_index: bool) -> Range:
    last = after_prefix(place)
    if operator == "begins_with":
        start = place + (keys.escaped(raws[0]) if in_index else raws[0])
        return Range(start, after_prefix(start))
    # An index entry goes on behind the end of its sort key, an item's key does not.
    if in_index:
        low, high = place + keys.escaped(raws[0]) + b"\x00\x00", place + keys.escaped(raws[-1]) + b"\x00\x01"
    else:
        low, high = place + raws[0], place + raws[-1] + b"\x00"
    begins = {"=": low, "BETWEEN": low, ">=": low, ">": high}
    ends = {"=": high, "BETWEEN": high, "<=": high, "<": low}
    return Range(begins.get(operator, place), ends.get(operator, last))


def _content(key: Key, value: Value, size_max_bytes: int) -> bytes:
    content = value.get(key.kind)
    if content is None:
        raise ValidationException(
            "One or more parameter values were invalid: Condition parameter type does not match schema type"
        )
    if not content:
        raise ValidationException(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
            f"{'string' if key.kind == 'S' else 'binary'} value. Key: {key.name}"
        )
    raw = keys.scalar(key.kind, content)
    if len(raw) > size_max_bytes:
        raise ValidationException(
            f"One or more parameter values were invalid: Size of a key value has exceeded the limit of {size_max_bytes} bytes"
        )
    return raw
