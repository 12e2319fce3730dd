"""What DynamoDB does by itself: remove, trim, expire, fill. Each step by hand, on a store in memory."""

from collections.abc import Callable
from typing import Any

from tests.services.dynamodb.memory import context, plain

from headrace.operation import Context
from headrace.services.dynamodb import limits, state, workers
from headrace.services.dynamodb.operations.dynamodb import items, queries, settings, tables, transactions
from headrace.store import tuples
from headrace.store.memory import MemoryStore

DAY_SECONDS = 24 * 3600


def table(ctx: Context, name: str = "things") -> None:
    ctx.transact(
        lambda c: tables.create_table(
            c,
            table_name=name,
            key_schema=[{"AttributeName": "id", "KeyType": "HASH"}],
            attribute_definitions=[{"AttributeName": "id", "AttributeType": "S"}],
            billing_mode="PAY_PER_REQUEST",
            stream_specification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )
    )


def put(ctx: Context, name: str, **more: Any) -> None:
    ctx.transact(lambda c: items.put_item(c, table_name="things", item={"id": {"S": name}, **more}))


def run(step: Callable[[Context], float | None], ctx: Context, times: int = 50) -> None:
    for _ in range(times):
        if step(ctx) != 0.0:
            return
    raise AssertionError("it does not come to an end")


def keys_of(ctx: Context, *family: Any) -> int:
    begin, end = tuples.range_of(("dynamodb", *family))
    return ctx.snapshot(lambda c: sum(1 for _ in c.tx.range(begin, end)))


def test_remove_deleted__leaves_no_key_of_a_table(monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "REMOVE_KEYS_PER_STEP", 7)
    ctx = context(MemoryStore())
    table(ctx)
    table(ctx, "other")
    ctx.transact(lambda c: items.put_item(c, table_name="other", item={"id": {"S": "kept"}}))
    for number in range(30):
        put(ctx, f"k{number}")
    ctx.transact(lambda c: tables.delete_table(c, table_name="things"))
    assert keys_of(ctx, "item") == 31
    run(workers.remove_deleted, ctx)
    assert keys_of(ctx, "item") == 1
    assert keys_of(ctx, "doomed") == 0
    assert plain(ctx.snapshot(lambda c: queries.scan(c, table_name="other")))["Count"] == 1


def test_trim_streams__after_a_day_and_with_them_closed_streams() -> None:
    ctx = context(MemoryStore())
    table(ctx)
    for number in range(20):
        put(ctx, f"old{number}")
    ctx.clock.advance(DAY_SECONDS - 100)
    put(ctx, "young")
    workers.trim_streams(ctx)
    before = keys_of(ctx, "log")
    ctx.clock.advance(200)
    workers.trim_streams(ctx)
    assert before - keys_of(ctx, "log") == 20
    ctx.transact(lambda c: tables.delete_table(c, table_name="things"))
    workers.trim_streams(ctx)
    assert keys_of(ctx, "stream") == 1
    ctx.clock.advance(DAY_SECONDS + 1)
    workers.trim_streams(ctx)
    run(workers.remove_deleted, ctx)
    assert keys_of(ctx, "stream") == keys_of(ctx, "log") == keys_of(ctx, "item") == 0


def test_expire_items__in_pieces_and_none_twice(monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "TTL_ITEMS_PER_STEP", 3)
    ctx = context(MemoryStore())
    table(ctx)
    spec = {"Enabled": True, "AttributeName": "until"}
    ctx.transact(lambda c: settings.update_time_to_live(c, table_name="things", time_to_live_specification=spec))
    until = int(ctx.clock.now()) + 60
    for number in range(10):
        put(ctx, f"k{number}", until={"N": str(until)})
    put(ctx, "later", until={"N": str(until + 1000)})
    wait = workers.expire_items(ctx)
    assert wait is not None
    assert 50 < wait <= 60
    ctx.clock.advance(61)
    run(workers.expire_items, ctx)
    left = plain(ctx.snapshot(lambda c: queries.scan(c, table_name="things")))["Items"]
    assert [item["id"]["S"] for item in left] == ["later"]
    assert keys_of(ctx, "expiry") == 1


def test_expire_items__of_a_table_that_is_gone_or_no_longer_expires() -> None:
    ctx = context(MemoryStore())
    table(ctx)
    spec = {"Enabled": True, "AttributeName": "until"}
    ctx.transact(lambda c: settings.update_time_to_live(c, table_name="things", time_to_live_specification=spec))
    put(ctx, "a", until={"N": str(int(ctx.clock.now()) + 60)})
    off = {**spec, "Enabled": False}
    ctx.transact(lambda c: settings.update_time_to_live(c, table_name="things", time_to_live_specification=off))
    ctx.clock.advance(61)
    run(workers.expire_items, ctx)
    assert plain(ctx.snapshot(lambda c: queries.scan(c, table_name="things")))["Count"] == 1
    # Switched on again, it takes in what is there; the table of the same name that follows is another one.
    ctx.transact(lambda c: settings.update_time_to_live(c, table_name="things", time_to_live_specification=spec))
    ctx.transact(lambda c: tables.delete_table(c, table_name="things"))
    table(ctx)
    put(ctx, "a", until={"N": str(int(ctx.clock.now()) - 1)})
    run(workers.expire_items, ctx)
    assert plain(ctx.snapshot(lambda c: queries.scan(c, table_name="things")))["Count"] == 1


def test_fill_indexes__while_items_come_and_go(monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "FILL_ITEMS_PER_STEP", 5)
    ctx = context(MemoryStore())
    table(ctx)
    for number in range(30):
        put(ctx, f"k{number}", g={"S": "x"})
    create = {
        "IndexName": "by-g",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    ctx.transact(
        lambda c: tables.update_table(
            c,
            table_name="things",
            attribute_definitions=[{"AttributeName": "g", "AttributeType": "S"}],
            global_secondary_index_updates=[{"Create": create}],
        )
    )
    for number in range(30):
        if number % 3 == 0:
            ctx.transact(lambda c, n=number: items.delete_item(c, table_name="things", key={"id": {"S": f"k{n}"}}))
        elif number % 3 == 1:
            put(ctx, f"k{number}", g={"S": "y"})
        workers.fill_indexes(ctx)
    run(workers.fill_indexes, ctx)
    assert keys_of(ctx, "fill") == 0

    def count(value: str) -> int:
        answer = ctx.snapshot(
            lambda c: queries.query(
                c,
                table_name="things",
                index_name="by-g",
                key_condition_expression="g = :g",
                expression_attribute_values={":g": {"S": value}},
            )
        )
        return int(answer["Count"])

    assert (count("x"), count("y")) == (10, 10)
    row = ctx.snapshot(lambda c: state.table_of(c, "things")).row
    assert not row.indexes[0].filling


def test_trim_streams__forgets_clients_tokens(monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "TOKENS_PER_STEP", 3)
    ctx = context(MemoryStore())
    table(ctx)

    def transact(token: str) -> None:
        step = {"Put": {"TableName": "things", "Item": {"id": {"S": token}}}}
        ctx.transact(lambda c: transactions.transact_write_items(c, transact_items=[step], client_request_token=token))

    for number in range(10):
        transact(f"token{number}")
    ctx.clock.advance(599)
    workers.trim_streams(ctx)
    assert keys_of(ctx, "token") == 10
    ctx.clock.advance(2)
    transact("token3")
    workers.trim_streams(ctx)
    assert keys_of(ctx, "token") == 1
    transact("token3")
