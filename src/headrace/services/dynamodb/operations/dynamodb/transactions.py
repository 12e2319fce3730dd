"""Transactions: several reads or writes, all or none."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, Longer, on_event_loop, operation
from headrace.services.dynamodb import capacity, errors, guards, items, limits, mutations, state, throttling, tokens
from headrace.services.dynamodb.engine import keys, projections
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.mutations import Change
from headrace.services.dynamodb.state import Table

_NONE = {"Code": "None"}
_DUPLICATES = "Transaction request cannot include multiple operations on one item"


class Step:
    """One item of a transaction, prepared: its guard, its change, and what it gives back when the guard fails."""

    __slots__ = ("change", "guard", "wanted")

    def __init__(self, guard: guards.Guard, change: Change, wanted: str | None) -> None:
        self.guard = guard
        self.change = change
        self.wanted = wanted


@operation
def transact_write_items(
    ctx: Context,
    *,
    transact_items: list[dict[str, Any]],
    client_request_token: str | None = None,
    return_consumed_capacity: str | None = None,
    return_item_collection_metrics: str | None = None,
) -> dict[str, Any]:
    """Carry out up to a hundred writes and condition checks, all or none.

    Under a client's token the same request is carried out once in ten minutes. Differs from AWS: conflicts with other
    transactions do not occur, because transactions run one after another.
    """
    if len(transact_items) > limits.TRANSACTION_ITEMS_MAX:
        raise ValidationException(
            f"Member must have length less than or equal to {limits.TRANSACTION_ITEMS_MAX}, Member must have length greater "
            "than or equal to 1"
        )
    repeated = client_request_token is not None and tokens.is_repeated(ctx, client_request_token, transact_items)
    steps, reasons = _prepare(ctx, transact_items)
    if not repeated:
        for number, step in enumerate(steps):
            if step is not None and reasons[number] is _NONE:
                reasons[number] = _checked(step)
        if any(reason is not _NONE for reason in reasons):
            raise errors.canceled(reasons)
    changes = [step.change for step in steps if step is not None]
    size_bytes = sum(items.size_of(change.new) for change in changes if change.new is not None)
    if size_bytes > limits.TRANSACTION_SIZE_MAX_BYTES:
        raise ValidationException("Transaction request exceeds the maximum allowed size of 4 MB")
    if not repeated:
        now_ms = ctx.clock.now_ms()
        for change in changes:
            throttling.write(ctx, change.table, change.old, change.new, change.item, change.before, transactional=True)
            mutations.carry_out(ctx.tx, change, now_ms)
    answer: dict[str, Any] = {}
    if return_consumed_capacity not in (None, "NONE"):
        used = [_consumed(return_consumed_capacity, change, repeated=repeated) for change in changes]
        answer["ConsumedCapacity"] = capacity.by_table(used)
    if return_item_collection_metrics == "SIZE":
        answer["ItemCollectionMetrics"] = _metrics(changes)
    return answer


def _prepare(ctx: Context, given: list[dict[str, Any]]) -> tuple[list[Step | None], list[dict[str, Any]]]:
    """The steps, and for each a reason not to carry it out (code None: there is none yet)."""
    steps: list[Step | None] = []
    reasons: list[dict[str, Any]] = []
    seen: set[tuple[int, bytes]] = set()
    for one in given:
        kinds = [kind for kind in ("ConditionCheck", "Put", "Delete", "Update") if kind in one]
        if len(kinds) != 1:
            raise ValidationException("TransactItems can only contain one of Check, Put, Update or Delete")
        step = None
        try:
            step = _PREPARERS[kinds[0]](ctx, one[kinds[0]])
            place = (step.change.table.row.id, step.change.place)
            reasons.append(_NONE)
        except _Unfit as unfit:
            place = unfit.place
            reasons.append({"Code": "ValidationError", "Message": str(unfit)})
        except keys.SchemaMismatch as mismatch:
            # It names no item, so it can't be the second operation on one.
            steps.append(None)
            reasons.append({"Code": "ValidationError", "Message": mismatch.message})
            continue
        if place in seen:
            raise ValidationException(_DUPLICATES)
        seen.add(place)
        steps.append(step)
    return steps, reasons


class _Unfit(Exception):
    """An item does not fit what is in the table: the transaction is cancelled, not refused."""

    def __init__(self, error: ValidationException, table: Table, place: bytes) -> None:
        super().__init__(error.message)
        self.place = (table.row.id, place)


def _guard(given: dict[str, Any]) -> guards.Guard:
    return guards.guard(
        given.get("ConditionExpression"), given.get("ExpressionAttributeNames"), given.get("ExpressionAttributeValues")
    )


def _put(ctx: Context, given: dict[str, Any]) -> Step:
    guard = _guard(given)
    table = state.table_of(ctx, given["TableName"])
    item = given["Item"]
    try:
        place, new = items.take(table, item)
    except keys.IndexMismatch as error:
        raise _Unfit(error, table, keys.of_item(table.schema, item)) from None
    change = Change(table, place, ctx.tx.get(table.prefix + place), new, item)
    return Step(guard, change, given.get("ReturnValuesOnConditionCheckFailure"))


def _delete(ctx: Context, given: dict[str, Any]) -> Step:
    guard = _guard(given)
    table = state.table_of(ctx, given["TableName"])
    place = mutations.place_of_key(table, given["Key"])
    change = Change(table, place, ctx.tx.get(table.prefix + place), None, given["Key"])
    return Step(guard, change, given.get("ReturnValuesOnConditionCheckFailure"))


def _check(ctx: Context, given: dict[str, Any]) -> Step:
    step = _delete(ctx, given)
    change = step.change
    # Nothing changes: what is there is put in its own place.
    change.new = change.old
    return step


def _update(ctx: Context, given: dict[str, Any]) -> Step:
    binding = Binding(given.get("ExpressionAttributeNames"), given.get("ExpressionAttributeValues"))
    update = binding.update(given["UpdateExpression"])
    text = given.get("ConditionExpression")
    condition = None if text is None else binding.condition("ConditionExpression", text)
    binding.finish()
    guard = guards.Guard(binding, condition)
    table = state.table_of(ctx, given["TableName"])
    place = mutations.place_of_key(table, given["Key"])
    mutations.refuse_key_updates(table, update, binding)
    old = ctx.tx.get(table.prefix + place)
    wanted = given.get("ReturnValuesOnConditionCheckFailure")
    before = None if old is None else items.decode(old)
    if not guard.passes(before):
        return Step(guard, Change(table, place, old, old, given["Key"]), wanted)
    try:
        change = mutations.updated(table, place, old, before, given["Key"], update, binding)
    except ValidationException as error:
        raise _Unfit(error, table, place) from None
    return Step(guard, change, wanted)


_PREPARERS = {"Put": _put, "Delete": _delete, "ConditionCheck": _check, "Update": _update}


def _checked(step: Step) -> dict[str, Any]:
    old = step.change.old
    if step.guard.passes(None if old is None else items.decode(old)):
        return _NONE
    reason: dict[str, Any] = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    if old is not None and step.wanted == "ALL_OLD":
        reason["Item"] = items.raw(old)
    return reason


def _consumed(wanted: str | None, change: Change, *, repeated: bool) -> dict[str, Any] | None:
    """What a write used; one that was carried out before is read only."""
    if repeated:
        size_bytes = 0 if change.old is None else items.size_of(change.old)
        units = capacity.read_units(size_bytes, consistent=True, transactional=True)
        used, name = capacity.consumed(wanted, change.table, units), "ReadCapacityUnits"
    else:
        used, name = mutations.consumed(wanted, change, transactional=True), "WriteCapacityUnits"
    if used is not None:
        used[name] = used["CapacityUnits"]
    return used


def _metrics(changes: list[Change]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for change in changes:
        metrics = capacity.collection_metrics("SIZE", change.table, change.item)
        if metrics is not None:
            found.setdefault(change.table.row.name, []).append(metrics)
    return found


@operation(read_only=True)
def transact_get_items(
    ctx: Context, *, transact_items: list[dict[str, Any]], return_consumed_capacity: str | None = None
) -> dict[str, Any]:
    """Read up to a hundred items, all of one moment."""
    responses: list[dict[str, Any]] = []
    used: list[Any] = []
    size_total_bytes = 0
    hurried = on_event_loop()
    seen: set[tuple[int, bytes]] = set()
    for one in transact_items:
        wanted = one["Get"]
        paths = None
        if "ProjectionExpression" in wanted:
            binding = Binding(wanted.get("ExpressionAttributeNames"), None)
            paths = binding.projection(wanted["ProjectionExpression"])
            binding.finish()
        else:
            guards.refuse_loose(wanted.get("ExpressionAttributeNames"), None)
        table = state.table_of(ctx, wanted["TableName"])
        place = mutations.place_of_key(table, wanted["Key"])
        if (table.row.id, place) in seen:
            raise ValidationException(_DUPLICATES)
        seen.add((table.row.id, place))
        stored = ctx.tx.get(table.prefix + place)
        size_bytes = 0 if stored is None else items.size_of(stored)
        size_total_bytes += size_bytes
        if hurried and size_total_bytes > limits.QUICK_SIZE_MAX_BYTES:
            raise Longer
        if size_total_bytes > limits.TRANSACTION_SIZE_MAX_BYTES:
            raise ValidationException("Transaction request exceeds the maximum allowed size of 4 MB")
        if stored is None:
            responses.append({})
        else:
            responses.append({"Item": items.raw(stored) if paths is None else projections.project(paths, items.decode(stored))})
        units = capacity.read_units(size_bytes, consistent=True, transactional=True)
        throttling.read(ctx, table, None, units, (wanted["Key"],))
        consumed = capacity.consumed(return_consumed_capacity, table, units)
        if consumed is not None:
            used.append({**consumed, "ReadCapacityUnits": units})
    answer: dict[str, Any] = {"Responses": responses}
    if used:
        answer["ConsumedCapacity"] = capacity.by_table(used)
    return answer
