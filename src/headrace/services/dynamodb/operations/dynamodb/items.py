"""One item: put, get, update, delete."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import capacity, guards, items, mutations, state, throttling
from headrace.services.dynamodb.engine import legacy, projections
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.values import Item


@operation
def put_item(
    ctx: Context,
    *,
    table_name: str,
    item: Item,
    condition_expression: str | None = None,
    expression_attribute_names: dict[str, str] | None = None,
    expression_attribute_values: Item | None = None,
    return_values: str | None = None,
    return_values_on_condition_check_failure: str | None = None,
    return_consumed_capacity: str | None = None,
    return_item_collection_metrics: str | None = None,
    expected: dict[str, Any] | None = None,
    conditional_operator: str | None = None,
) -> dict[str, Any]:
    """Put a whole item in place of the one with its key, if any."""
    if return_values not in (None, "NONE", "ALL_OLD"):
        raise ValidationException("Return values set to invalid value")
    guard = guards.guard(
        condition_expression, expression_attribute_names, expression_attribute_values,
        expected=expected, operator=conditional_operator,
    )  # fmt: skip
    table = state.table_of(ctx, table_name)
    tx = ctx.tx
    place, new = items.take(table, item)
    old = tx.get(table.prefix + place)
    before = items.decode(old) if old is not None and (guard or table.indexed) else None
    guard.check(old, before, return_values_on_condition_check_failure)
    throttling.write(ctx, table, old, new, item, before)
    items.write(tx, table, place, old, new, item, ctx.clock.now_ms(), before=before)
    answer: dict[str, Any] = {}
    if return_values == "ALL_OLD" and old is not None:
        answer["Attributes"] = items.raw(old)
    if return_consumed_capacity is not None or return_item_collection_metrics is not None:
        change = mutations.Change(table, place, old, new, item, before)
        _account(answer, change, return_consumed_capacity, return_item_collection_metrics)
    return answer


@operation(read_only=True)
def get_item(
    ctx: Context,
    *,
    table_name: str,
    key: Item,
    consistent_read: bool | None = None,
    projection_expression: str | None = None,
    expression_attribute_names: dict[str, str] | None = None,
    return_consumed_capacity: str | None = None,
    attributes_to_get: list[str] | None = None,
) -> dict[str, Any]:
    """Read one item. Every read here is consistent; ConsistentRead changes the capacity that is counted."""
    paths = None
    if projection_expression is not None:
        if attributes_to_get is not None:
            guards.refuse_mixture(("AttributesToGet",), ("ProjectionExpression",))
        binding = Binding(expression_attribute_names, None)
        paths = binding.projection(projection_expression)
        binding.finish()
    elif attributes_to_get is not None:
        paths = tuple((name,) for name in attributes_to_get)
    elif expression_attribute_names is not None:
        guards.refuse_loose(expression_attribute_names, None)
    table = state.table_of(ctx, table_name)
    stored = ctx.tx.get(table.prefix + mutations.place_of_key(table, key))
    units = capacity.read_units(0 if stored is None else items.size_of(stored), consistent=bool(consistent_read))
    throttling.read(ctx, table, None, units, (key,))
    answer: dict[str, Any] = {}
    if stored is not None:
        answer["Item"] = items.raw(stored) if paths is None else projections.project(paths, items.decode(stored))
    if return_consumed_capacity is not None:
        answer["ConsumedCapacity"] = capacity.consumed(return_consumed_capacity, table, units)
    return answer


@operation
def update_item(
    ctx: Context,
    *,
    table_name: str,
    key: Item,
    update_expression: str | None = None,
    condition_expression: str | None = None,
    expression_attribute_names: dict[str, str] | None = None,
    expression_attribute_values: Item | None = None,
    return_values: str | None = None,
    return_values_on_condition_check_failure: str | None = None,
    return_consumed_capacity: str | None = None,
    return_item_collection_metrics: str | None = None,
    attribute_updates: dict[str, Any] | None = None,
    expected: dict[str, Any] | None = None,
    conditional_operator: str | None = None,
) -> dict[str, Any]:
    """Change attributes of an item, or make one of its key and them."""
    newer = [
        name
        for name, text in (("UpdateExpression", update_expression), ("ConditionExpression", condition_expression))
        if text is not None
    ]
    older = [name for name, given in (("AttributeUpdates", attribute_updates), ("Expected", expected)) if given is not None]
    if newer and older:
        guards.refuse_mixture(tuple(older), tuple(newer))
    if not newer:
        guards.refuse_loose(expression_attribute_names, expression_attribute_values, "UpdateExpression", "ConditionExpression")
    binding = Binding(expression_attribute_names, expression_attribute_values)
    update = None if update_expression is None else binding.update(update_expression)
    condition = None if condition_expression is None else binding.condition("ConditionExpression", condition_expression)
    binding.finish()
    if attribute_updates is not None:
        update = legacy.update(binding, attribute_updates)
    guard = guards.Guard(binding, condition) if expected is None else guards.expected_guard(expected, conditional_operator)
    table = state.table_of(ctx, table_name)
    place = mutations.place_of_key(table, key)
    if update is not None:
        mutations.refuse_key_updates(table, update, binding)
    tx = ctx.tx
    old = tx.get(table.prefix + place)
    before = None if old is None else items.decode(old)
    guard.check(old, before, return_values_on_condition_check_failure)
    change = mutations.updated(table, place, old, before, key, update, binding)
    throttling.write(ctx, table, old, change.new, change.item, before)
    mutations.carry_out(tx, change, ctx.clock.now_ms())
    answer: dict[str, Any] = {}
    if (attributes := mutations.update_answer(return_values, update, binding, change)) is not None:
        answer["Attributes"] = attributes
    _account(answer, change, return_consumed_capacity, return_item_collection_metrics)
    return answer


@operation
def delete_item(
    ctx: Context,
    *,
    table_name: str,
    key: Item,
    condition_expression: str | None = None,
    expression_attribute_names: dict[str, str] | None = None,
    expression_attribute_values: Item | None = None,
    return_values: str | None = None,
    return_values_on_condition_check_failure: str | None = None,
    return_consumed_capacity: str | None = None,
    return_item_collection_metrics: str | None = None,
    expected: dict[str, Any] | None = None,
    conditional_operator: str | None = None,
) -> dict[str, Any]:
    """Delete an item; that it was not there is no error."""
    if return_values not in (None, "NONE", "ALL_OLD"):
        raise ValidationException("Return values set to invalid value")
    guard = guards.guard(
        condition_expression, expression_attribute_names, expression_attribute_values,
        expected=expected, operator=conditional_operator,
    )  # fmt: skip
    table = state.table_of(ctx, table_name)
    place = mutations.place_of_key(table, key)
    tx = ctx.tx
    old = tx.get(table.prefix + place)
    before = items.decode(old) if old is not None and (guard or table.indexed) else None
    guard.check(old, before, return_values_on_condition_check_failure)
    throttling.write(ctx, table, old, None, key, before)
    items.write(tx, table, place, old, None, key, ctx.clock.now_ms(), before=before)
    answer: dict[str, Any] = {}
    if return_values == "ALL_OLD" and old is not None:
        answer["Attributes"] = items.raw(old)
    change = mutations.Change(table, place, old, None, key, before)
    _account(answer, change, return_consumed_capacity, return_item_collection_metrics)
    return answer


def _account(answer: dict[str, Any], change: mutations.Change, wanted: str | None, metrics: str | None) -> None:
    """What the write used, and the metrics of its item collection, as far as they are wanted."""
    if wanted is not None:
        answer["ConsumedCapacity"] = mutations.consumed(wanted, change)
    if metrics is not None:
        answer["ItemCollectionMetrics"] = capacity.collection_metrics(metrics, change.table, change.item)
