"""Batches: many single reads or writes in one request."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, Longer, on_event_loop, operation
from headrace.services.dynamodb import capacity, guards, items, limits, mutations, state, throttling
from headrace.services.dynamodb.engine import projections
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.syntax import Part
from headrace.services.dynamodb.state import Table

_DUPLICATES = "Provided list of item keys contains duplicates"


@operation(read_only=True)
def batch_get_item(
    ctx: Context, *, request_items: dict[str, dict[str, Any]], return_consumed_capacity: str | None = None
) -> dict[str, Any]:
    """Read up to a hundred items of several tables. Differs from AWS: they are all of one moment."""
    if sum(len(wanted["Keys"]) for wanted in request_items.values()) > limits.BATCH_GET_ITEMS_MAX:
        raise ValidationException("Too many items requested for the BatchGetItem call")
    responses: dict[str, list[Any]] = {}
    left: dict[str, dict[str, Any]] = {}
    used: list[Any] = []
    room_bytes = limits.BATCH_GET_SIZE_MAX_BYTES
    hurried = on_event_loop()
    for name, wanted in request_items.items():
        paths = _paths(wanted)
        table = state.table_of(ctx, name)
        places = [mutations.place_of_key(table, key) for key in wanted["Keys"]]
        if len(set(places)) != len(places):
            raise ValidationException(_DUPLICATES)
        found = responses[name] = []
        units = 0.0
        for key, place in zip(wanted["Keys"], places, strict=True):
            stored = ctx.tx.get(table.prefix + place)
            size_bytes = 0 if stored is None else items.size_of(stored)
            if size_bytes > room_bytes:
                left.setdefault(name, {**wanted, "Keys": []})["Keys"].append(key)
                continue
            room_bytes -= size_bytes
            if hurried and limits.BATCH_GET_SIZE_MAX_BYTES - room_bytes > limits.QUICK_SIZE_MAX_BYTES:
                raise Longer
            units += capacity.read_units(size_bytes, consistent=bool(wanted.get("ConsistentRead")))
            if stored is not None:
                found.append(items.raw(stored) if paths is None else projections.project(paths, items.decode(stored)))
        throttling.read(ctx, table, None, units, wanted["Keys"])
        used.append(capacity.consumed(return_consumed_capacity, table, units))
    answer: dict[str, Any] = {"Responses": responses, "UnprocessedKeys": left}
    if return_consumed_capacity not in (None, "NONE"):
        answer["ConsumedCapacity"] = used
    return answer


def _paths(wanted: dict[str, Any]) -> tuple[tuple[Part, ...], ...] | None:
    names, older = wanted.get("ExpressionAttributeNames"), wanted.get("AttributesToGet")
    if "ProjectionExpression" in wanted:
        if older is not None:
            guards.refuse_mixture(("AttributesToGet",), ("ProjectionExpression",))
        binding = Binding(names, None)
        paths = binding.projection(wanted["ProjectionExpression"])
        binding.finish()
        return paths
    guards.refuse_loose(names, None)
    return None if older is None else tuple((name,) for name in older)


@operation
def batch_write_item(
    ctx: Context,
    *,
    request_items: dict[str, list[dict[str, Any]]],
    return_consumed_capacity: str | None = None,
    return_item_collection_metrics: str | None = None,
) -> dict[str, Any]:
    """Put and delete up to 25 items of several tables. Differs from AWS: all are written, or none is."""
    if sum(map(len, request_items.values())) > limits.BATCH_WRITE_ITEMS_MAX:
        raise ValidationException("Too many items requested for the BatchWriteItem call")
    changes: dict[str, list[mutations.Change]] = {}
    for name, requests in request_items.items():
        table = state.table_of(ctx, name)
        prepared = changes[name] = [_change(ctx, table, request) for request in requests]
        if len({change.place for change in prepared}) != len(prepared):
            raise ValidationException(_DUPLICATES)
    now_ms = ctx.clock.now_ms()
    used: list[Any] = []
    metrics: dict[str, list[Any]] = {}
    for name, prepared in changes.items():
        for change in prepared:
            throttling.write(ctx, change.table, change.old, change.new, change.item, change.before)
            mutations.carry_out(ctx.tx, change, now_ms)
            found = capacity.collection_metrics(return_item_collection_metrics, change.table, change.item)
            if found is not None:
                metrics.setdefault(name, []).append(found)
        if return_consumed_capacity is not None:
            used.extend(capacity.by_table([mutations.consumed(return_consumed_capacity, change) for change in prepared]))
    answer: dict[str, Any] = {"UnprocessedItems": {}}
    if return_consumed_capacity not in (None, "NONE"):
        answer["ConsumedCapacity"] = used
    if return_item_collection_metrics == "SIZE":
        answer["ItemCollectionMetrics"] = metrics
    return answer


def _change(ctx: Context, table: Table, request: dict[str, Any]) -> mutations.Change:
    put, delete = request.get("PutRequest"), request.get("DeleteRequest")
    if (put is None) == (delete is None):
        raise ValidationException(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
            if put is not None
            else "Supplied WriteRequest is empty: either PutRequest or DeleteRequest must be present"
        )
    if put is not None:
        item = put["Item"]
        place, new = items.take(table, item)
        return mutations.Change(table, place, ctx.tx.get(table.prefix + place), new, item)
    assert delete is not None
    key = delete["Key"]
    place = mutations.place_of_key(table, key)
    return mutations.Change(table, place, ctx.tx.get(table.prefix + place), None, key)
