"""DynamoDB against a plain dict: whatever is done, table, indexes, counts and stream agree with it."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.services.dynamodb.memory import ACCOUNT, context, plain

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.services.dynamodb import errors, state
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.operations.dynamodb import batches, items, queries, tables, transactions
from headrace.services.dynamodb.service import StreamSource
from headrace.store.memory import MemoryStore


def create(ctx: Context) -> str:
    """A table with a sort key, two indexes and a stream; the stream's ARN."""
    kinds = {"p": "S", "s": "N", "g": "S", "h": "N"}
    made = ctx.transact(
        lambda inner: tables.create_table(
            inner,
            table_name="things",
            key_schema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
            attribute_definitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()],
            billing_mode="PAY_PER_REQUEST",
            global_secondary_indexes=[
                {
                    "IndexName": "by-g",
                    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "h", "KeyType": "RANGE"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            local_secondary_indexes=[
                {
                    "IndexName": "by-h",
                    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "h", "KeyType": "RANGE"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            stream_specification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def scanned(ctx: Context, **arguments: Any) -> Any:
    return plain(ctx.snapshot(lambda inner: queries.scan(inner, **arguments)))


PARTITIONS = st.sampled_from(["a", "b", "a\x00", "é"])
SORTS = st.sampled_from(["-10", "-9.5", "-1", "0", "1", "1.5", "2", "10", "1e20"])
GROUPS = st.sampled_from(["", "x", "x\x00", "x\x00\x01", "y"])
TEXTS = st.text(max_size=3)


def normal(text: str) -> str:
    return "100000000000000000000" if text == "1e20" else text


def key_of(p: str, s: str) -> Item:
    return {"p": {"S": p}, "s": {"N": normal(s)}}


class Things(RuleBasedStateMachine):
    """Does things to a table and to a dict."""

    @initialize()
    def begin(self) -> None:
        self.ctx = context(MemoryStore())
        self.stream = create(self.ctx)
        self.model: dict[tuple[str, float], Item] = {}
        self.changes = 0

    def put_into_model(self, p: str, s: str, item: Item | None) -> None:
        place = (p, float(s))
        if self.model.get(place) != item:
            self.changes += 1
        if item is None:
            self.model.pop(place, None)
        else:
            self.model[place] = item

    def item(self, p: str, s: str, g: str, h: str | None, v: str) -> Item:
        made: Item = {**key_of(p, s), "v": {"S": v}}
        if g:
            made["g"] = {"S": g}
        if h is not None:
            made["h"] = {"N": normal(h)}
        return made

    @rule(p=PARTITIONS, s=SORTS, g=GROUPS, h=st.none() | SORTS, v=TEXTS)
    def put(self, p: str, s: str, g: str, h: str | None, v: str) -> None:
        item = self.item(p, s, g, h, v)
        given = {**item, "s": {"N": s}}
        old = self.model.get((p, float(s)))
        answer = self.ctx.transact(lambda c: items.put_item(c, table_name="things", item=given, return_values="ALL_OLD"))
        assert plain(answer).get("Attributes") == old
        self.put_into_model(p, s, item)

    @rule(p=PARTITIONS, s=SORTS, g=GROUPS.filter(bool), v=TEXTS)
    def update(self, p: str, s: str, g: str, v: str) -> None:
        answer = self.ctx.transact(
            lambda c: items.update_item(
                c, table_name="things", key={"p": {"S": p}, "s": {"N": s}}, return_values="ALL_NEW",
                update_expression="SET g = :g, v = :v REMOVE h ADD n :one",
                expression_attribute_values={":g": {"S": g}, ":v": {"S": v}, ":one": {"N": "1"}},
            )
        )  # fmt: skip
        before = self.model.get((p, float(s)), key_of(p, s))
        after = {**before, "g": {"S": g}, "v": {"S": v}, "n": {"N": str(int(before.get("n", {"N": "0"})["N"]) + 1)}}
        after.pop("h", None)
        assert plain(answer)["Attributes"] == after
        self.put_into_model(p, s, after)

    @rule(p=PARTITIONS, s=SORTS)
    def delete(self, p: str, s: str) -> None:
        self.ctx.transact(lambda c: items.delete_item(c, table_name="things", key={"p": {"S": p}, "s": {"N": s}}))
        self.put_into_model(p, s, None)

    @rule(p=PARTITIONS, s=SORTS, v=TEXTS)
    def put_if_new(self, p: str, s: str, v: str) -> None:
        item = self.item(p, s, "", None, v)
        passed = True
        try:
            self.ctx.transact(
                lambda c: items.put_item(c, table_name="things", item=dict(item), condition_expression="attribute_not_exists(p)")
            )
        except errors.ConditionalCheckFailedException:
            passed = False
        assert passed == ((p, float(s)) not in self.model)
        if passed:
            self.put_into_model(p, s, item)

    @rule(p=PARTITIONS, keys=st.lists(SORTS, min_size=1, max_size=5, unique=True), fail=st.booleans())
    def transact(self, p: str, keys: list[str], fail: bool) -> None:
        steps: list[dict[str, Any]] = [{"Put": {"TableName": "things", "Item": self.item(p, s, "x", s, "t")}} for s in keys]
        if fail:
            never = {"TableName": "things", "Key": key_of("never", "0"), "ConditionExpression": "attribute_exists(p)"}
            steps.append({"ConditionCheck": never})
        passed = True
        try:
            self.ctx.transact(lambda c: transactions.transact_write_items(c, transact_items=steps))
        except errors.TransactionCanceledException:
            passed = False
        assert passed != fail
        for s in keys if passed else ():
            self.put_into_model(p, s, self.item(p, s, "x", s, "t"))

    @rule(p=PARTITIONS, puts=st.lists(SORTS, max_size=3, unique=True), deletes=st.lists(SORTS, max_size=3, unique=True))
    def batch(self, p: str, puts: list[str], deletes: list[str]) -> None:
        deletes = [s for s in deletes if s not in puts]
        requests: list[dict[str, Any]] = [{"PutRequest": {"Item": self.item(p, s, "y", None, "b")}} for s in puts]
        requests += [{"DeleteRequest": {"Key": key_of(p, s)}} for s in deletes]
        self.ctx.transact(lambda c: batches.batch_write_item(c, request_items={"things": requests}))
        for s in puts:
            self.put_into_model(p, s, self.item(p, s, "y", None, "b"))
        for s in deletes:
            self.put_into_model(p, s, None)

    @rule(p=PARTITIONS, low=SORTS, high=SORTS, forward=st.booleans(), limit=st.none() | st.integers(1, 3))
    def query(self, p: str, low: str, high: str, forward: bool, limit: int | None) -> None:
        low, high = sorted((low, high), key=float)
        expected = [self.model[place] for place in sorted(self.model) if place[0] == p and float(low) <= place[1] <= float(high)]
        found = self.pages(
            limit, key_condition_expression="p = :p AND s BETWEEN :l AND :h", scan_index_forward=forward,
            values={":p": {"S": p}, ":l": {"N": low}, ":h": {"N": high}},
        )  # fmt: skip
        assert found == (expected if forward else expected[::-1])

    @rule(g=GROUPS.filter(bool), h=SORTS, limit=st.none() | st.integers(1, 3), forward=st.booleans())
    def query_index(self, g: str, h: str, limit: int | None, forward: bool) -> None:
        found = self.pages(
            limit, index_name="by-g", key_condition_expression="g = :g AND h >= :h", scan_index_forward=forward,
            values={":g": {"S": g}, ":h": {"N": h}},
        )  # fmt: skip
        expected = [
            item
            for item in self.model.values()
            if item.get("g") == {"S": g} and "h" in item and float(item["h"]["N"]) >= float(h)
        ]
        order = [float(item["h"]["N"]) for item in found]
        assert order == sorted(order, reverse=not forward)
        assert sorted(map(repr, found)) == sorted(map(repr, expected)) or sorted_items(found) == sorted_items(expected)

    def pages(self, limit: int | None, *, values: Item, **query: Any) -> list[Item]:
        found: list[Item] = []
        start: Item | None = None
        while True:
            given = {name: dict(value) for name, value in values.items()}
            answer = plain(
                self.ctx.snapshot(
                    lambda c: queries.query(
                        c, table_name="things", limit=limit, expression_attribute_values=given,  # noqa: B023
                        exclusive_start_key=start, **query,  # noqa: B023
                    )
                )
            )  # fmt: skip
            found += answer["Items"]
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return found

    @invariant()
    def the_table_is_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        answer = scanned(self.ctx, table_name="things")
        assert sorted_items(answer["Items"]) == sorted_items(self.model.values())
        table = self.ctx.snapshot(lambda c: tables.describe_table(c, table_name="things"))["Table"]
        assert table["ItemCount"] == len(self.model)
        counts = {one["IndexName"]: one["ItemCount"] for one in table["GlobalSecondaryIndexes"] + table["LocalSecondaryIndexes"]}
        assert counts == {
            "by-g": sum("g" in i and "h" in i for i in self.model.values()), "by-h": sum("h" in i for i in self.model.values()),
        }  # fmt: skip
        in_index = scanned(self.ctx, table_name="things", index_name="by-g")["Items"]
        assert sorted_items(in_index) == sorted_items(i for i in self.model.values() if "g" in i and "h" in i)
        in_local = scanned(self.ctx, table_name="things", index_name="by-h")["Items"]
        assert sorted_items(in_local) == sorted_items(i for i in self.model.values() if "h" in i)

    @invariant()
    def the_stream_replays_to_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        replayed: dict[tuple[str, float], Item] = {}
        count = 0
        for event in stream_events(self.ctx, self.stream):
            body = event["dynamodb"]
            place = (body["Keys"]["p"]["S"], float(body["Keys"]["s"]["N"]))
            assert replayed.get(place) == body.get("OldImage")
            assert event["eventName"] == ("INSERT" if "OldImage" not in body else "MODIFY" if "NewImage" in body else "REMOVE")
            if "NewImage" in body:
                replayed[place] = body["NewImage"]
            else:
                del replayed[place]
            count += 1
        assert replayed == self.model
        assert count == self.changes


def sorted_items(found: Any) -> list[Any]:
    return sorted((sorted(item.items(), key=lambda pair: pair[0]) for item in found), key=repr)


def stream_events(ctx: Context, arn: str) -> Iterator[dict[str, Any]]:
    source = StreamSource()
    for shard in source.shards(ctx, arn):
        position = source.start(ctx, arn, shard.shard_id, "TRIM_HORIZON")
        while True:
            batch = source.read(ctx, arn, shard.shard_id, position, 3, 1 << 20)
            yield from (dict(record.event) for record in batch.records)
            position = batch.position
            if not batch.records:
                break


Things.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestThings = Things.TestCase


def test_source__event_is_what_a_function_receives() -> None:
    ctx = context(MemoryStore())
    arn = create(ctx)
    ctx.transact(lambda c: items.put_item(c, table_name="things", item={"p": {"S": "a"}, "s": {"N": "1.0"}}))
    (event,) = stream_events(ctx, arn)
    at = event["dynamodb"].pop("ApproximateCreationDateTime")
    assert abs(at - ctx.clock.now()) < 5
    assert len(event.pop("eventID")) == 32
    assert event == {
        "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
        "eventSourceARN": arn,
        "dynamodb": {
            "Keys": {"p": {"S": "a"}, "s": {"N": "1"}}, "NewImage": {"p": {"S": "a"}, "s": {"N": "1"}}, "SizeBytes": 10,
            "SequenceNumber": "100000000000000000001", "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }  # fmt: skip


def test_source__positions_and_topics() -> None:
    ctx = context(MemoryStore())
    arn = create(ctx)
    source = StreamSource()
    heard: list[bytes] = []
    shards = [shard.shard_id for shard in source.shards(ctx, arn)]
    for shard in shards:
        topic = source.topic(ctx, arn, shard)
        ctx.store.signals.listen(topic, lambda topic=topic: heard.append(topic))
    latest = {shard: source.start(ctx, arn, shard, "LATEST") for shard in shards}
    for number in range(3):
        ctx.transact(lambda c, n=number: items.put_item(c, table_name="things", item=key_of("a", str(n))))
    assert len(heard) == 3
    (shard,) = [shard for shard in shards if source.topic(ctx, arn, shard) == heard[0]]
    batch = source.read(ctx, arn, shard, latest[shard], 2, 1 << 20)
    assert [record.event["dynamodb"]["Keys"]["s"]["N"] for record in batch.records] == ["0", "1"]
    assert batch.position == batch.records[-1].sequence_number
    assert not batch.ended
    behind = source.read(ctx, arn, shard, batch.records[0].sequence_number, 10, 1 << 20)
    assert len(behind.records) == 2
    assert source.start(ctx, arn, shard, 0.0) == source.start(ctx, arn, shard, "TRIM_HORIZON")
    assert source.start(ctx, arn, shard, ctx.clock.now() + 60) == source.start(ctx, arn, shard, "LATEST")
    ctx.transact(lambda c: tables.delete_table(c, table_name="things"))
    assert source.read(ctx, arn, shard, behind.position, 10, 1 << 20).ended
    with pytest.raises(LookupError):
        source.shards(ctx, arn.replace("things", "nothing"))


def test_tables__another_process_sees_what_this_one_changed() -> None:
    store = MemoryStore()
    ctx = context(store)
    create(ctx)
    mine = ctx.snapshot(lambda c: state.table_of(c, "things"))
    assert ctx.snapshot(lambda c: state.table_of(c, "things")) is mine
    # Another process: it writes the row, and nothing tells this one.
    row = ctx.snapshot(lambda c: state.TABLES.get(c.tx, ACCOUNT, "us-east-1", "things"))
    assert row is not None
    row.protected = True
    store.transact(lambda tx: state.TABLES.put(tx, row, ACCOUNT, "us-east-1", "things"))
    assert ctx.snapshot(lambda c: state.table_of(c, "things")).row.protected
    store.transact(lambda tx: state.TABLES.delete(tx, ACCOUNT, "us-east-1", "things"))
    with pytest.raises(AwsError):
        ctx.snapshot(lambda c: state.table_of(c, "things"))


def test_put_item__is_run_again_without_harm() -> None:
    """A body may run more than once: what it does to its parameters must not matter."""
    ctx = context(MemoryStore())
    create(ctx)
    item = {"p": {"S": "a"}, "s": {"N": "1.0"}, "x": {"NS": ["3", "1.0"]}}

    def twice(inner: Context) -> None:
        items.put_item(inner, table_name="things", item=item)
        items.put_item(inner, table_name="things", item=item)

    ctx.transact(twice)
    found = scanned(ctx, table_name="things")["Items"]
    assert found == [{"p": {"S": "a"}, "s": {"N": "1"}, "x": {"NS": ["1", "3"]}}]
