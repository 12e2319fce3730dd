"""The server against the reference: random operations, and every answer, every index and the stream are the same.

`HEADRACE_DIFFERENTIAL_EXAMPLES` says how many sequences are played (25 operations at most each).
"""

import itertools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, note, settings
from tests.services.dynamodb.differential import strategies, values
from tests.services.dynamodb.differential.expressions import Writer
from tests.services.dynamodb.differential.reference import INDEXES, Failed, Table
from tests.services.dynamodb.differential.values import Item

EXAMPLES = int(os.environ.get("HEADRACE_DIFFERENTIAL_EXAMPLES", "150"))
_numbers = itertools.count()


class Server:
    """A table of the real server, spoken to in the reference's terms."""

    def __init__(self, dynamodb: Any, streams: Any) -> None:
        self.dynamodb, self.streams = dynamodb, streams
        self.name = f"differential-{next(_numbers)}"
        made = dynamodb.create_table(
            TableName=self.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind} for name, kind in zip("psab", "SNSN", strict=True)
            ],
            KeySchema=_schema(("p",), ("s",)),
            GlobalSecondaryIndexes=[
                {"IndexName": name, "Projection": {"ProjectionType": "ALL"}, "KeySchema": _schema(*INDEXES[name])}
                for name in ("by-a", "by-many")
            ],
            LocalSecondaryIndexes=[
                {"IndexName": "by-b", "Projection": {"ProjectionType": "ALL"}, "KeySchema": _schema(*INDEXES["by-b"])}
            ],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.stream = made["TableDescription"]["LatestStreamArn"]

    def call(self, operation: str, writer: Writer | None = None, **arguments: Any) -> Any:
        if writer is not None and writer.names:
            arguments["ExpressionAttributeNames"] = writer.names
        if writer is not None and writer.values:
            arguments["ExpressionAttributeValues"] = writer.values
        try:
            return getattr(self.dynamodb, operation)(
                TableName=self.name, **{name: value for name, value in arguments.items() if value is not None}
            )
        except ClientError as error:
            raise failure(error) from None

    def transact(self, actions: list[Any]) -> None:
        items = []
        for name, what, update, condition in actions:
            writer = Writer()
            body: dict[str, Any] = {"TableName": self.name, "Item" if name == "put" else "Key": what}
            if update is not None:
                body["UpdateExpression"] = writer.update(update)
            if condition is not None:
                body["ConditionExpression"] = writer.condition(condition)
            if writer.names:
                body["ExpressionAttributeNames"] = writer.names
            if writer.values:
                body["ExpressionAttributeValues"] = writer.values
            items.append({{"check": "ConditionCheck"}.get(name, name.capitalize()): body})
        try:
            self.dynamodb.transact_write_items(TransactItems=items)
        except ClientError as error:
            raise failure(error) from None

    def changes(self) -> list[Any]:
        found = []
        described = self.streams.describe_stream(StreamArn=self.stream)["StreamDescription"]
        for shard in described["Shards"]:
            iterator = self.streams.get_shard_iterator(
                StreamArn=self.stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                answer = self.streams.get_records(ShardIterator=iterator)
                if not answer["Records"]:
                    break
                found += answer["Records"]
                iterator = answer.get("NextShardIterator")
        return found


def _schema(partitions: tuple[str, ...], sorts: tuple[str, ...]) -> list[dict[str, str]]:
    keys = [{"AttributeName": name, "KeyType": "HASH"} for name in partitions]
    return keys + [{"AttributeName": name, "KeyType": "RANGE"} for name in sorts]


def failure(error: ClientError) -> Failed:
    reasons = error.response.get("CancellationReasons")
    item = error.response.get("Item")
    return Failed(error.response["Error"]["Code"], [one["Code"] for one in reasons] if reasons else None, item)


def outcome(function: Callable[[], Any]) -> Any:
    try:
        return ("answer", function())
    except Failed as failed:
        return ("error", failed.code, failed.reasons, failed.item and values.plain_item(failed.item))


def _item(item: Item | None) -> Any:
    return None if item is None else values.plain_item(item)


def _condition(writer: Writer, tree: Any) -> str | None:
    return None if tree is None else writer.condition(tree)


def put(server: Server, table: Table, item: Item, condition: Any, wanted: str) -> None:
    writer = Writer()
    text = _condition(writer, condition)
    ours = outcome(
        lambda: _item(
            server.call(
                "put_item", writer, Item=item, ConditionExpression=text, ReturnValues=wanted,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            ).get("Attributes")
        )
    )  # fmt: skip
    theirs = outcome(lambda: _item(table.put(item, condition)))
    if wanted == "NONE" and theirs[0] == "answer":
        theirs = ("answer", None)
    assert ours == theirs


def get(server: Server, table: Table, key: Item, projection: Any) -> None:
    writer = Writer()
    text = None if projection is None else ", ".join(writer.path(path) for path in projection)
    ours = outcome(lambda: _item(server.call("get_item", writer, Key=key, ProjectionExpression=text).get("Item")))
    assert ours == outcome(lambda: _item(table.get(key, projection)))


def delete(server: Server, table: Table, key: Item, condition: Any, wanted: str) -> None:
    writer = Writer()
    text = _condition(writer, condition)
    ours = outcome(
        lambda: _item(
            server.call(
                "delete_item", writer, Key=key, ConditionExpression=text, ReturnValues=wanted,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            ).get("Attributes")
        )
    )  # fmt: skip
    theirs = outcome(lambda: _item(table.delete(key, condition)))
    if wanted == "NONE" and theirs[0] == "answer":
        theirs = ("answer", None)
    assert ours == theirs


def update(server: Server, table: Table, key: Item, actions: Any, condition: Any, wanted: str) -> None:
    writer = Writer()
    update_text = writer.update(actions)
    text = _condition(writer, condition)
    ours = outcome(
        lambda: _item(
            server.call(
                "update_item", writer, Key=key, UpdateExpression=update_text, ConditionExpression=text, ReturnValues=wanted,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            ).get("Attributes")
        )
    )  # fmt: skip
    theirs = outcome(lambda: [_item(one) for one in table.update(key, actions, condition)])
    if theirs[0] == "answer":
        theirs = ("answer", {"NONE": None, "ALL_OLD": theirs[1][0], "ALL_NEW": theirs[1][1]}[wanted])
    assert ours == theirs


def _pages(server: Server, operation: str, writer: Writer, **arguments: Any) -> Any:
    found: list[Any] = []
    scanned = 0
    start = None
    while True:
        answer = server.call(operation, writer, ExclusiveStartKey=start, **arguments)
        assert answer["Count"] == len(answer["Items"])
        found += answer["Items"]
        scanned += answer["ScannedCount"]
        start = answer.get("LastEvaluatedKey")
        if start is None:
            return found, scanned


def query(
    server: Server, table: Table, index: str | None, partitions: Any, sorts: Any, filter_: Any, forward: bool, limit: int | None
) -> None:
    writer = Writer()
    hash_names, range_names = (("p",), ("s",)) if index is None else INDEXES[index]
    asked = [f"{writer.path((name,))} = {writer.value(one)}" for name, one in zip(hash_names, partitions, strict=True)]
    key = " AND ".join([*asked, *(writer.condition(sort) for sort in sorts)])
    text = _condition(writer, filter_)
    uses_key = filter_ is not None and _uses(filter_, {*hash_names, *range_names})
    ours = outcome(
        lambda: _pages(
            server, "query", writer, IndexName=index, KeyConditionExpression=key, FilterExpression=text,
            ScanIndexForward=forward, Limit=limit,
        )
    )  # fmt: skip
    if uses_key:
        assert ours[:2] == ("error", "ValidationException")
        return
    theirs = outcome(lambda: table.query(index, partitions, sorts, filter_, forward=forward))
    if theirs[0] == "answer":
        assert ours[0] == "answer", ours
        order = [[values.sort_key(item[name]) for name in range_names] for item in ours[1][0]]
        assert order == [[values.sort_key(item[name]) for name in range_names] for item in theirs[1][0]]
        # Items with the same keys in an index have no order of their own.
        assert (_bag(ours[1][0]), ours[1][1]) == (_bag(theirs[1][0]), theirs[1][1])
    else:
        assert ours == theirs


def _uses(tree: Any, names: set[str]) -> bool:
    """Whether a path in a condition begins with one of the names."""
    if (
        isinstance(tree, tuple)
        and len(tree) >= 2
        and tree[0] in ("path", "size", "exists", "missing", "type", "begins", "contains")
    ):
        return tree[1][0] in names
    return isinstance(tree, (tuple, list)) and any(_uses(one, names) for one in tree)


def _bag(items: list[Item]) -> Counter[Any]:
    return Counter(values.plain_item(item) for item in items)


def scan(server: Server, table: Table, index: str | None, filter_: Any, limit: int | None) -> None:
    writer = Writer()
    text = _condition(writer, filter_)
    ours = outcome(lambda: _pages(server, "scan", writer, IndexName=index, FilterExpression=text, Limit=limit))
    theirs = outcome(lambda: table.scan(index, filter_))
    if ours[0] == theirs[0] == "answer":
        assert (_bag(ours[1][0]), ours[1][1]) == (_bag(theirs[1][0]), theirs[1][1])
    else:
        assert ours == theirs


def transact(server: Server, table: Table, actions: Any) -> None:
    assert outcome(lambda: server.transact(actions)) == outcome(lambda: table.transact(actions))


PLAYERS = {"put": put, "get": get, "delete": delete, "update": update, "query": query, "scan": scan, "transact": transact}


def _by_key(changes: list[tuple[Any, ...]]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for key, *change in changes:
        found.setdefault(key, []).append(change)
    return found


def _check_stream(server: Server, table: Table) -> None:
    ours = [
        (
            values.plain_item(record["dynamodb"]["Keys"]), record["eventName"],
            _item(record["dynamodb"].get("OldImage")), _item(record["dynamodb"].get("NewImage")),
        )
        for record in server.changes()
    ]  # fmt: skip
    theirs = [(values.plain_item(key), name, _item(old), _item(new)) for name, key, old, new in table.changes]
    assert _by_key(ours) == _by_key(theirs)


@pytest.fixture(scope="session")
def clients(server: Any) -> Any:
    return server.client("dynamodb", "000000098765"), server.client("dynamodbstreams", "000000098765")


@pytest.mark.timeout(3600)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(sequence=strategies.SEQUENCES)
def test_any_operations__answered_as_the_reference_does(clients: Any, sequence: list[Any]) -> None:
    server, table = Server(*clients), Table()
    try:
        for name, *arguments in sequence:
            note(f"{name} {arguments}")
            PLAYERS[name](server, table, *arguments)
        for index in (None, *INDEXES):
            scan(server, table, index, None, None)
        _check_stream(server, table)
    finally:
        server.dynamodb.delete_table(TableName=server.name)
