"""Searching vector indexes."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import capacity, items, limits, state, vector_search
from headrace.services.dynamodb.engine import projections, values
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.syntax import Part
from headrace.services.dynamodb.engine.values import Item, Value
from headrace.services.dynamodb.state import Table
from headrace.services.dynamodb.vector_search import Match
from headrace.services.dynamodb.vectors import VectorIndex, elements


@operation(read_only=True)
def search_vectors(
    ctx: Context,
    *,
    table_name: str,
    index_name: str,
    search_vector: list[Value],
    top_k: int,
    search_condition_expression: str | None = None,
    projection_expression: str | None = None,
    expression_attribute_names: dict[str, str] | None = None,
    expression_attribute_values: Item | None = None,
    return_consumed_capacity: str | None = None,
) -> dict[str, Any]:
    """The items whose vectors are nearest to one, the nearest first.

    Differs from AWS: what is found is exact, and sees every write before it.
    """
    binding = Binding(expression_attribute_names, expression_attribute_values)
    table = state.table_of(ctx, table_name)
    index = _index(table, index_name)
    if top_k > limits.VECTOR_RESULTS_MAX:
        raise ValidationException(
            f"Provided TopK value '{top_k}' is out of valid range. "
            f"The value must be between 1 and {limits.VECTOR_RESULTS_MAX} inclusive"
        )
    query = vector_search.vector_of([_taken(one) for one in search_vector], index.row.dimensions)
    wanted = vector_search.wanted_of(index, binding, search_condition_expression)
    paths = None if projection_expression is None else binding.projection(projection_expression)
    binding.finish()
    vector_search.refuse_unprojected(index, [str(path[0]) for path in paths or ()])
    found = vector_search.search(ctx.tx, index, query, wanted, top_k)
    results = [{"Item": _shown(ctx, table, index, match, paths), "Score": match.score} for match in found.matches]
    answer: dict[str, Any] = {"SearchResults": results}
    if return_consumed_capacity in ("TOTAL", "INDEXES"):
        used = max(limits.VECTOR_UNIT_BYTES, found.size_bytes)
        answer["ConsumedCapacity"] = {"VectorSearchRequestBytes": capacity.vector_bytes(used)}
    return answer


def _taken(value: Value) -> Value:
    """An element in its form; ValidationException of AWS's when it is none of an attribute's."""
    values.take(value)
    return value


def _index(table: Table, name: str) -> VectorIndex:
    index = table.vector(name)
    if index is None:
        raise ValidationException(f"The table does not have the specified index: {name}")
    if index.row.filling:
        raise ValidationException(f"Cannot search backfilling vector index: {name}")
    return index


def _shown(ctx: Context, table: Table, index: VectorIndex, match: Match, paths: tuple[tuple[Part, ...], ...] | None) -> Item:
    stored = ctx.tx.get(table.prefix + match.place)
    # Entry and item are written and removed together.
    assert stored is not None
    item = index.shown(items.decode(stored))
    if paths is None:
        return item
    return projections.project(paths, {**item, index.row.attribute: elements(match.vector)})
