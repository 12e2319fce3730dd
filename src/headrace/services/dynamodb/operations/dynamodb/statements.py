"""PartiQL: statements one by one, in batches and in transactions."""

from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import AwsError, ValidationException
from headrace.operation import Context, operation
from headrace.services.dynamodb import capacity, errors, items, limits, mutations, selecting, state, throttling, tokens
from headrace.services.dynamodb.engine.partiql.syntax import Exists, Select
from headrace.services.dynamodb.engine.values import Item, Value
from headrace.services.dynamodb.selecting import Selected
from headrace.services.dynamodb.state import Table
from headrace.services.dynamodb.statements import Bound, Write, key_and_rest, prepare

_DUPLICATES = "Transaction request cannot include multiple operations on one item"
_CODES = {
    "ValidationException": "ValidationError", "ResourceNotFoundException": "ResourceNotFound",
    "ConditionalCheckFailedException": "ConditionalCheckFailed", "DuplicateItemException": "DuplicateItem",
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded", "AccessDeniedException": "AccessDenied",
    "ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded",
}  # fmt: skip


@operation(transaction=False)
def execute_statement(
    ctx: Context,
    *,
    statement: str,
    parameters: list[Value] | None = None,
    consistent_read: bool | None = None,
    next_token: str | None = None,
    return_consumed_capacity: str | None = None,
    limit: int | None = None,
    return_values_on_condition_check_failure: str | None = None,
) -> dict[str, Any]:
    """Carry out one statement. Differs from AWS: ORDER BY the sort key orders within each partition."""
    bound = Bound(statement, parameters)
    if isinstance(bound.statement, Exists):
        raise ValidationException("EXISTS() is only supported in ExecuteTransaction")
    consistent = bool(consistent_read)
    if bound.reads:
        found = ctx.snapshot(
            lambda inner: selecting.select(inner, bound, statement, consistent=consistent, limit=limit, next_token=next_token)
        )
        units = capacity.read_units(found.page.size_bytes, consistent=consistent)
        throttling.read(ctx, found.table, found.source, units, found.page.looked)
        return _selected(found, return_consumed_capacity, units)

    def body(inner: Context) -> dict[str, Any]:
        # A body may run again, and taking values into their form changes them: so each run has its own.
        write = prepare(inner, Bound(statement, parameters))
        write.check(return_values_on_condition_check_failure)
        _let_through(inner, write.change)
        mutations.carry_out(inner.tx, write.change, inner.clock.now_ms())
        answer: dict[str, Any] = {"Items": [] if write.returned is None else [write.returned]}
        if return_consumed_capacity is not None:
            answer["ConsumedCapacity"] = mutations.consumed(return_consumed_capacity, write.change)
        return answer

    return ctx.transact(body)


def _selected(found: Selected, wanted: str | None, units: float) -> dict[str, Any]:
    answer: dict[str, Any] = {"Items": found.items}
    if found.next_token is not None:
        answer["NextToken"] = found.next_token
        answer["LastEvaluatedKey"] = found.page.last_key
    if wanted is not None:
        answer["ConsumedCapacity"] = capacity.consumed(wanted, found.table, units, index=found.source)
    return answer


@operation(transaction=False)
def batch_execute_statement(
    ctx: Context, *, statements: list[dict[str, Any]], return_consumed_capacity: str | None = None
) -> dict[str, Any]:
    """Carry out up to 25 statements on single items, each for itself. Differs from AWS: they are all of one moment."""
    if len(statements) > limits.STATEMENTS_PER_BATCH_MAX:
        raise ValidationException(
            "1 validation error detected: Value at 'statements' failed to satisfy constraint: "
            f"Member must have length less than or equal to {limits.STATEMENTS_PER_BATCH_MAX}"
        )
    kinds = {bound.reads for one in statements if (bound := _bound_or_none(one)) is not None}
    if len(kinds) > 1:
        raise ValidationException("BatchExecuteStatement API does not support both read and write operations in the same request")

    def body(inner: Context) -> dict[str, Any]:
        used: list[Any] = []
        responses = [_member(inner, one, return_consumed_capacity, used) for one in statements]
        answer: dict[str, Any] = {"Responses": responses}
        if return_consumed_capacity not in (None, "NONE"):
            answer["ConsumedCapacity"] = capacity.by_table(used)
        return answer

    return ctx.snapshot(body) if kinds == {True} else ctx.transact(body)


def _bound_or_none(one: Mapping[str, Any]) -> Bound | None:
    try:
        return Bound(one["Statement"], one.get("Parameters"))
    except AwsError:
        return None


def _member(ctx: Context, one: Mapping[str, Any], wanted: str | None, used: list[Any]) -> dict[str, Any]:
    """What one statement of a batch gives. What is wrong with it is found before it writes, so the others go on."""
    answer: dict[str, Any] = {}
    try:
        bound = Bound(one["Statement"], one.get("Parameters"))
        answer["TableName"] = bound.table_name
        if bound.reads:
            table, key = _single(ctx, bound, "BatchExecuteStatement")
            found, units = _read(ctx, table, key, bound, consistent=bool(one.get("ConsistentRead")))
            used.append(capacity.consumed(wanted, table, units))
        elif isinstance(bound.statement, Exists):
            raise ValidationException("EXISTS() is only supported in ExecuteTransaction")
        else:
            write = prepare(ctx, bound)
            write.check(one.get("ReturnValuesOnConditionCheckFailure"))
            _let_through(ctx, write.change)
            mutations.carry_out(ctx.tx, write.change, ctx.clock.now_ms())
            found = write.returned
            used.append(mutations.consumed(wanted, write.change))
    except AwsError as error:
        code = type(error).__name__
        failure: dict[str, Any] = {"Code": _CODES.get(code, code), "Message": error.message}
        if error.fields.get("Item") is not None:
            failure["Item"] = error.fields["Item"]
        answer["Error"] = failure
        return answer
    if found:
        answer["Item"] = found
    return answer


def _single(ctx: Context, bound: Bound, operation_name: str) -> tuple[Table, Item]:
    """The table and the key of a SELECT that must name one item, and nothing else."""
    statement = bound.statement
    assert isinstance(statement, Select)
    table = state.table_of(ctx, statement.table)
    index = None if statement.index is None else table.index(statement.index)
    if index is not None:
        selecting.key_of_index(index)
    key, rest = key_and_rest(table.schema, bound)
    if key is None or rest or statement.index is not None:
        raise ValidationException(f"Select statements within {operation_name} must specify the primary key in the where clause.")
    return table, key


def _read(
    ctx: Context, table: Table, key: Item, bound: Bound, *, consistent: bool, transactional: bool = False
) -> tuple[Any, float]:
    """(item or None, units) of a SELECT of one item."""
    statement = bound.statement
    assert isinstance(statement, Select)
    stored = ctx.tx.get(table.prefix + mutations.place_of_key(table, key))
    size_bytes = 0 if stored is None else items.size_of(stored)
    units = capacity.read_units(size_bytes, consistent=consistent, transactional=transactional)
    throttling.read(ctx, table, None, units, (key,))
    if stored is None:
        return None, units
    return selecting.shown_item(statement, items.decode(stored)), units


@operation(transaction=False)
def execute_transaction(
    ctx: Context,
    *,
    transact_statements: list[dict[str, Any]],
    client_request_token: str | None = None,
    return_consumed_capacity: str | None = None,
) -> dict[str, Any]:
    """Carry out up to a hundred statements on single items, all or none: only reads, or only writes and EXISTS conditions."""
    if len(transact_statements) > limits.TRANSACTION_ITEMS_MAX:
        raise ValidationException(
            "1 validation error detected: Value at 'transactStatements' failed to satisfy constraint: "
            f"Member must have length less than or equal to {limits.TRANSACTION_ITEMS_MAX}"
        )
    bounds = [Bound(one["Statement"], one.get("Parameters")) for one in transact_statements]
    for number, bound in enumerate(bounds):
        _check_member(number, bound)
    kinds = {bound.reads for bound in bounds}
    if len(kinds) > 1:
        raise ValidationException("ExecuteTransaction API does not support both read and write operations in the same request.")
    if kinds == {True}:
        return ctx.snapshot(lambda inner: _read_all(inner, bounds, return_consumed_capacity))
    return ctx.transact(lambda inner: _write_all(inner, transact_statements, client_request_token, return_consumed_capacity))


def _check_member(number: int, bound: Bound) -> None:
    statement = bound.statement
    if getattr(statement, "returning", None) is not None:
        raise _failed(number, "RETURNING clause is not supported in ExecuteTransaction.")
    if getattr(statement, "index", None) is not None:
        raise _failed(number, "Reads on indices are not supported within transactions.")


def _failed(number: int, sentence: str) -> ValidationException:
    return ValidationException(f"Validation failed in TransactStatements[{number}]: {sentence}")


def _read_all(ctx: Context, bounds: list[Bound], wanted: str | None) -> dict[str, Any]:
    responses: list[dict[str, Any]] = []
    used: list[Any] = []
    for number, bound in enumerate(bounds):
        try:
            table, key = _single(ctx, bound, "ExecuteTransaction")
        except ValidationException as error:
            raise _failed(number, error.message) from None
        found, units = _read(ctx, table, key, bound, consistent=True, transactional=True)
        responses.append({} if found is None else {"Item": found})
        consumed = capacity.consumed(wanted, table, units)
        used.append(None if consumed is None else {**consumed, "ReadCapacityUnits": units})
    answer: dict[str, Any] = {"Responses": responses}
    if wanted not in (None, "NONE"):
        answer["ConsumedCapacity"] = capacity.by_table(used)
    return answer


def _write_all(ctx: Context, given: list[dict[str, Any]], token: str | None, wanted: str | None) -> dict[str, Any]:
    repeated = token is not None and tokens.is_repeated(ctx, token, given)
    answer: dict[str, Any] = {"Responses": []}
    writes: list[Write] = []
    seen: set[tuple[int, bytes]] = set()
    for number, one in enumerate(given):
        try:
            write = prepare(ctx, Bound(one["Statement"], one.get("Parameters")))
        except ValidationException as error:
            if error.message.startswith("EXISTS()"):
                raise _failed(number, error.message) from None
            raise
        place = (write.change.table.row.id, write.change.place)
        if place in seen:
            raise ValidationException(_DUPLICATES)
        seen.add(place)
        writes.append(write)
    if not repeated:
        reasons = [write.reason(one.get("ReturnValuesOnConditionCheckFailure")) for write, one in zip(writes, given, strict=True)]
        if any(reason["Code"] != "None" for reason in reasons):
            raise errors.canceled(reasons)
        now_ms = ctx.clock.now_ms()
        for write in writes:
            change = write.change
            throttling.write(ctx, change.table, change.old, change.new, change.item, change.before, transactional=True)
            mutations.carry_out(ctx.tx, change, now_ms)
    if wanted not in (None, "NONE"):
        answer["ConsumedCapacity"] = capacity.by_table([_used(wanted, write, repeated=repeated) for write in writes])
    return answer


def _used(wanted: str | None, write: Write, *, repeated: bool) -> dict[str, Any] | None:
    """What a write of a transaction uses; a repeated one is a read of what it did."""
    change = write.change
    if repeated:
        units = capacity.read_units(0 if change.old is None else items.size_of(change.old), consistent=True, transactional=True)
        consumed = capacity.consumed(wanted, change.table, units)
        return None if consumed is None else {**consumed, "ReadCapacityUnits": units}
    consumed = mutations.consumed(wanted, change, transactional=True)
    return None if consumed is None else {**consumed, "WriteCapacityUnits": consumed["CapacityUnits"]}


def _let_through(ctx: Context, change: mutations.Change) -> None:
    throttling.write(ctx, change.table, change.old, change.new, change.item, change.before)
