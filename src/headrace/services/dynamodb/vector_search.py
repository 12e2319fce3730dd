"""Searching a vector index: every entry of the partition is looked at, so what is found is exact."""

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import mul
from typing import NamedTuple, cast

from headrace.kit.errors import ValidationException
from headrace.operation import Longer, on_event_loop
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import keys, syntax
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.keys import Key
from headrace.services.dynamodb.engine.values import Value
from headrace.services.dynamodb.vectors import COSINE, EUCLIDEAN, VectorIndex, element_of, length_of, rounded
from headrace.store.api import ReadTransaction
from headrace.store.tuples import after_prefix

_FLOAT_MAX = 3.4028234663852886e38
# In C where the interpreter has it (3.12).
_sumprod = cast("Callable[[Sequence[float], Sequence[float]], float] | None", getattr(math, "sumprod", None))


class Match(NamedTuple):
    """An item that was found: its place in the table, its score, and its vector."""

    place: bytes
    score: float
    vector: Sequence[float]


class Found(NamedTuple):
    """The nearest first, and how many bytes of vectors were looked at."""

    matches: list[Match]
    size_bytes: int


def vector_of(given: Sequence[Value], dimensions: int) -> list[float]:
    """The vector that is searched for; ValidationException when it is none of the index's."""
    found = [element_of(one) for one in given]
    if any(one is None for one in found):
        raise ValidationException(
            "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point number "
            "attribute"
        )
    if len(found) != dimensions:
        raise ValidationException(
            f"Input search vector dimension {len(found)} does not match vector index dimension {dimensions}"
        )
    return [one for one in found if one is not None]


def wanted_of(index: VectorIndex, binding: Binding, text: str | None) -> dict[str, bytes]:
    """The attributes that must be equal, as the index has them, by their names."""
    terms: dict[str, Value] = {}
    if text is not None:
        _collect(binding.condition("SearchConditionExpression", text), binding, terms)
    known = {key.name: key for key in (*index.filters, *([index.partition] if index.partition else []))}
    for name in terms:
        if name not in known:
            raise ValidationException(
                "SearchConditionExpression must not contain any attributes that is not in SearchSchema. "
                f"Invalid attribute: {name}"
            )
    if index.partition is not None and index.partition.name not in terms:
        raise ValidationException("SearchConditionExpression must be provided when SearchSchema has a HASH key")
    return {name: _content(known[name], value) for name, value in terms.items()}


def _collect(node: syntax.Condition, binding: Binding, found: dict[str, Value]) -> None:
    if isinstance(node, syntax.Both) and node.operator == "AND":
        for term in node.terms:
            _collect(term, binding, found)
        return
    if not isinstance(node, syntax.Compare) or node.operator != "=":
        raise _wrong("Invalid comparator used in SearchConditionExpression")
    path, value = (node.left, node.right) if isinstance(node.left, syntax.Path) else (node.right, node.left)
    if not isinstance(path, syntax.Path) or not isinstance(value, syntax.Placeholder):
        raise _wrong("An attribute must be compared with a value")
    parts = binding.parts(path)
    if len(parts) > 1:
        raise _wrong("SearchConditionExpression cannot have conditions on nested attributes")
    if str(parts[0]) in found:
        raise _wrong("SearchConditionExpression must only contain one condition per attribute")
    found[str(parts[0])] = binding.values[value.name]


def _wrong(sentence: str) -> ValidationException:
    return ValidationException(f"Invalid SearchConditionExpression: {sentence}")


def _content(key: Key, value: Value) -> bytes:
    content = value.get(key.kind)
    if not content:
        raise ValidationException(
            "One or more parameter values were invalid: Condition parameter type does not match schema type"
            if content is None
            else f"One or more parameter values were invalid: the value of {key.name} is empty"
        )
    return keys.scalar(key.kind, content)


def search(tx: ReadTransaction, index: VectorIndex, query: Sequence[float], wanted: Mapping[str, bytes], count: int) -> Found:
    """The entries that are nearest to a vector among those whose attributes are as wanted. Longer, as reads of pages."""
    looked = [0]
    candidates = _scored(tx, index, query, wanted, looked)
    nearest = heapq.nsmallest(count, candidates, key=lambda one: one[0])
    vector_bytes = 4 * index.row.dimensions
    matches = []
    for rank, place, value in nearest:
        score = rank if index.row.distance in (COSINE, EUCLIDEAN) else -rank
        vector = index.vector_of(value)
        matches.append(Match(place, rounded(max(-_FLOAT_MAX, min(score, _FLOAT_MAX))), vector))
    return Found(matches, looked[0] * vector_bytes)


def _scored(
    tx: ReadTransaction, index: VectorIndex, query: Sequence[float], wanted: Mapping[str, bytes], looked: list[int]
) -> Iterator[tuple[float, bytes, bytes]]:
    """(rank, place, value) of each entry: what ranks lower is nearer. `looked` counts them."""
    hurried = on_event_loop()
    prefix = index.prefix
    if index.partition is not None:
        prefix += keys.partition_hash(wanted[index.partition.name])
    filters = [(number, wanted[key.name]) for number, key in enumerate(index.filters) if key.name in wanted]
    rank = _ranking(index.row.distance, query)
    vector_of, skip = index.vector_of, len(prefix)
    most = max(1, limits.QUICK_SIZE_MAX_BYTES // (4 * index.row.dimensions))
    for key, value in tx.range(prefix, after_prefix(prefix)):
        looked[0] += 1
        if hurried and looked[0] > most:
            raise Longer
        if filters:
            own = index.filters_of(value)
            if any(own[number] != content for number, content in filters):
                continue
        yield rank(vector_of(value), value), key[skip:], value


def _ranking(distance: str, query: Sequence[float]) -> Callable[[Sequence[float], bytes], float]:
    """How near a vector, of an entry, is to the one that is searched for: the less the nearer."""
    if distance == EUCLIDEAN:
        return lambda vector, _: math.dist(query, vector)

    def dot(vector: Sequence[float]) -> float:
        return sum(map(mul, query, vector)) if _sumprod is None else _sumprod(query, vector)

    if distance != COSINE:
        return lambda vector, _: -dot(vector)
    own = math.sqrt(sum(one * one for one in query))

    def cosine(vector: Sequence[float], value: bytes) -> float:
        length = length_of(value)
        # What has no direction is as far from all as what stands at a right angle.
        return 1.0 - max(-1.0, min(1.0, dot(vector) / (own * length))) if own and length else 1.0

    return cosine


def refuse_unprojected(index: VectorIndex, names: Sequence[str]) -> None:
    """ValidationException when an attribute is asked for that the index does not show."""
    lacking = [name for name in names if index.projected is not None and name not in (*index.projected, index.row.attribute)]
    if lacking:
        raise ValidationException(
            f"One or more parameter values were invalid: Vector index {index.row.name} does not project [{', '.join(lacking)}]"
        )
