"""Many items: query and scan."""

from collections.abc import Callable
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import capacity, guards, reading, state, throttling
from headrace.services.dynamodb.engine import conditions, legacy, ranges, syntax
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.ranges import Term
from headrace.services.dynamodb.engine.syntax import Part
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.reading import Look
from headrace.services.dynamodb.state import Index, Table

_SELECTS = ("ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT", "SPECIFIC_ATTRIBUTES")


@operation(read_only=True)
def query(
    ctx: Context,
    *,
    table_name: str,
    index_name: str | None = None,
    key_condition_expression: str | None = None,
    filter_expression: str | None = None,
    projection_expression: str | None = None,
    expression_attribute_names: dict[str, str] | None = None,
    expression_attribute_values: Item | None = None,
    select: str | None = None,
    limit: int | None = None,
    consistent_read: bool | None = None,
    scan_index_forward: bool | None = None,
    exclusive_start_key: Item | None = None,
    return_consumed_capacity: str | None = None,
    key_conditions: dict[str, Any] | None = None,
    query_filter: dict[str, Any] | None = None,
    conditional_operator: str | None = None,
    attributes_to_get: list[str] | None = None,
) -> dict[str, Any]:
    """Read the items of one partition in order of their sort keys, a page at a time."""
    binding = Binding(expression_attribute_names, expression_attribute_values)
    terms = _key_terms(binding, key_condition_expression, key_conditions)
    if query_filter is not None and (key_condition_expression or filter_expression or projection_expression):
        guards.refuse_mixture(("QueryFilter",), ("KeyConditionExpression",))
    condition = None if filter_expression is None else binding.condition("FilterExpression", filter_expression)
    paths = _paths(binding, projection_expression, attributes_to_get)
    binding.finish()
    if query_filter is not None:
        condition = legacy.conditions(binding, query_filter, conditional_operator)
    table = state.table_of(ctx, table_name)
    index = _index(table, index_name, "Query", consistent=bool(consistent_read))
    schema = table.schema if index is None else index.schema
    places = ranges.range_of(schema, terms, in_index=index is not None)
    if condition is not None:
        _refuse_key_filter(schema.names, condition, binding)
    look = _look(table, index, paths, select, condition, binding)
    reverse = scan_index_forward is False
    begin, end = places
    if exclusive_start_key is not None:
        begin, end = reading.narrowed(begin, end, reading.place_of_start(table, index, exclusive_start_key), reverse=reverse)
    found = reading.stored_items(ctx.tx, table, index, begin, end, reverse=reverse)
    page = reading.read_page(found, table, index, look, limit)
    throttling.read(ctx, table, index, capacity.read_units(page.size_bytes, consistent=bool(consistent_read)), page.looked)
    return _answer(page, look, table, index, return_consumed_capacity, consistent=bool(consistent_read))


@operation(read_only=True)
def scan(
    ctx: Context,
    *,
    table_name: str,
    index_name: str | None = None,
    filter_expression: str | None = None,
    projection_expression: str | None = None,
    expression_attribute_names: dict[str, str] | None = None,
    expression_attribute_values: Item | None = None,
    select: str | None = None,
    limit: int | None = None,
    consistent_read: bool | None = None,
    total_segments: int | None = None,
    segment: int | None = None,
    exclusive_start_key: Item | None = None,
    return_consumed_capacity: str | None = None,
    scan_filter: dict[str, Any] | None = None,
    conditional_operator: str | None = None,
    attributes_to_get: list[str] | None = None,
) -> dict[str, Any]:
    """Read all items of a table or an index, a page at a time; with segments, several readers share the work."""
    binding = Binding(expression_attribute_names, expression_attribute_values)
    if filter_expression is None:
        guards.refuse_loose_values(expression_attribute_values, "FilterExpression")
        if projection_expression is None:
            guards.refuse_loose(expression_attribute_names, None)
    if scan_filter is not None and (filter_expression or projection_expression):
        guards.refuse_mixture(("ScanFilter",), ("FilterExpression",))
    condition = None if filter_expression is None else binding.condition("FilterExpression", filter_expression)
    paths = _paths(binding, projection_expression, attributes_to_get)
    binding.finish()
    if scan_filter is not None:
        condition = legacy.conditions(binding, scan_filter, conditional_operator)
    begin, end = _segment(segment, total_segments)
    table = state.table_of(ctx, table_name)
    index = _index(table, index_name, "Scan", consistent=bool(consistent_read))
    look = _look(table, index, paths, select, condition, binding)
    if exclusive_start_key is not None:
        start = reading.place_of_start(table, index, exclusive_start_key)
        if not begin <= start < end:
            raise ValidationException("The provided starting key is invalid: Invalid ExclusiveStartKey for this segment")
        begin = start + b"\x00"
    found = reading.stored_items(ctx.tx, table, index, begin, end, reverse=False)
    page = reading.read_page(found, table, index, look, limit)
    throttling.read(ctx, table, index, capacity.read_units(page.size_bytes, consistent=bool(consistent_read)), page.looked)
    return _answer(page, look, table, index, return_consumed_capacity, consistent=bool(consistent_read))


def _key_terms(binding: Binding, text: str | None, older: dict[str, Any] | None) -> dict[str, Term]:
    if text is not None:
        if older is not None:
            guards.refuse_mixture(("KeyConditions",), ("KeyConditionExpression",))
        return ranges.terms_of(binding, text)
    if older is None:
        raise ValidationException(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    return legacy.key_terms(older)


def _paths(binding: Binding, text: str | None, older: list[str] | None) -> tuple[tuple[Part, ...], ...] | None:
    if text is not None:
        if older is not None:
            guards.refuse_mixture(("AttributesToGet",), ("ProjectionExpression",))
        return binding.projection(text)
    return None if older is None else tuple((name,) for name in older)


def _index(table: Table, name: str | None, operation_name: str, *, consistent: bool) -> Index | None:
    if name is None:
        return None
    index = table.index(name)
    if index is None and table.vector(name) is not None:
        raise ValidationException(f"{operation_name} operation not supported on this index type")
    if index is None:
        raise ValidationException(f"The table does not have the specified index: {name}")
    if consistent and not index.row.local:
        raise ValidationException("Consistent reads are not supported on global secondary indexes")
    if index.row.filling:
        raise ValidationException(f"Cannot read from backfilling global secondary index: {name}")
    return index


def _look(
    table: Table,
    index: Index | None,
    paths: tuple[tuple[Part, ...], ...] | None,
    select: str | None,
    condition: syntax.Condition | None,
    binding: Binding,
) -> Look:
    """What is asked of each item; ValidationException when Select and the rest contradict each other."""
    if paths is not None and select not in (None, "SPECIFIC_ATTRIBUTES"):
        raise ValidationException(f"Cannot specify the ProjectionExpression when choosing to get {select}")
    if paths is None and select == "SPECIFIC_ATTRIBUTES":
        raise ValidationException(
            "One or more parameter values were invalid: Must specify the AttributesToGet or ProjectionExpression "
            "when choosing to get SPECIFIC_ATTRIBUTES"
        )
    if select == "ALL_PROJECTED_ATTRIBUTES" and index is None:
        raise ValidationException(
            "One or more parameter values were invalid: "
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
        )
    projected = None if index is None else _projected(index, paths, select)
    passes: Callable[[Item], bool] | None = None
    if condition is not None:
        wanted = condition

        def passes(item: Item) -> bool:
            return conditions.holds(wanted, binding, item)

    return Look(paths, select == "COUNT", passes, projected)


def _projected(index: Index, paths: tuple[tuple[Part, ...], ...] | None, select: str | None) -> tuple[str, ...] | None:
    """The attributes that a read of an index can see. Of a local index the rest is fetched from the table when asked for."""
    projected = index.projected
    if projected is None:
        return None
    lacking = [str(path[0]) for path in paths or () if path[0] not in projected]
    if index.row.local:
        return None if lacking or select == "ALL_ATTRIBUTES" else projected
    if select == "ALL_ATTRIBUTES":
        raise ValidationException(
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index "
            f"{index.row.name} because its projection type is not ALL"
        )
    if lacking:
        raise ValidationException(
            f"One or more parameter values were invalid: Global secondary index {index.row.name} does not project "
            f"[{', '.join(lacking)}]"
        )
    return projected


def _refuse_key_filter(names: tuple[str, ...], node: syntax.Condition, binding: Binding) -> None:
    """A filter may not speak of the key: that is the key condition's."""
    for path in syntax.paths_in(node):
        name = binding.parts(path)[0]
        if name in names:
            raise ValidationException(
                f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
            )


def _segment(number: int | None, total: int | None) -> tuple[bytes, bytes]:
    if number is None and total is None:
        return reading.segment(0, 1)
    if total is None:
        raise ValidationException(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"
        )
    if number is None:
        raise ValidationException(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"
        )
    if number >= total:
        raise ValidationException(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {number} is not less than TotalSegments: {total}"
        )
    return reading.segment(number, total)


def _answer(
    page: reading.Page, look: Look, table: Table, index: Index | None, wanted: str | None, *, consistent: bool
) -> dict[str, Any]:
    answer: dict[str, Any] = {"Count": page.matched, "ScannedCount": page.scanned}
    if not look.count_only:
        answer["Items"] = page.items
    if page.last_key is not None:
        answer["LastEvaluatedKey"] = page.last_key
    if wanted is not None:
        units = capacity.read_units(page.size_bytes, consistent=consistent)
        answer["ConsumedCapacity"] = capacity.consumed(wanted, table, units, index=index)
    return answer
