"""PynamoDB: models, indexes, conditions, versions, batches and transactions. Argument: the table's name."""

import os
import sys
from datetime import UTC, datetime

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.connection import Connection
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, TransactWriteError, UpdateError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection, LocalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

HOST, REGION = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]


class ByStatus(GlobalSecondaryIndex["Order"]):
    """Orders by their status."""

    class Meta:
        """All of each order."""

        index_name = "by-status"
        projection = AllProjection()

    status = UnicodeAttribute(hash_key=True)
    number = NumberAttribute(range_key=True)


class ByTotal(LocalSecondaryIndex["Order"]):
    """A customer's orders by what they cost."""

    class Meta:
        """The keys alone."""

        index_name = "by-total"
        projection = KeysOnlyProjection()

    customer = UnicodeAttribute(hash_key=True)
    total = NumberAttribute(range_key=True)


class Line(MapAttribute[str, object]):
    """A line of an order."""

    product = UnicodeAttribute()
    count = NumberAttribute(default=1)


class Order(Model):
    """What the table keeps; each write has a condition on the version."""

    class Meta:
        """Where it is."""

        table_name = sys.argv[1]
        host = HOST
        region = REGION
        billing_mode = "PAY_PER_REQUEST"
        stream_view_type = "NEW_IMAGE"

    customer = UnicodeAttribute(hash_key=True)
    number = NumberAttribute(range_key=True)
    status = UnicodeAttribute(default="new")
    total = NumberAttribute(null=True)
    paid = BooleanAttribute(default=False)
    raw = BinaryAttribute(null=True, legacy_encoding=False)
    tags = UnicodeSetAttribute(null=True)
    lines = ListAttribute(of=Line, null=True)
    made_at = UTCDateTimeAttribute(null=True)
    version = VersionAttribute()
    by_status = ByStatus()
    by_total = ByTotal()


def same(what: str, found: object, expected: object) -> None:
    """Say what is not as it should be, and end."""
    if found != expected:
        sys.exit(f"{what}: found {found!r}, not {expected!r}")


def refused(what: str, error: type[Exception], action: object) -> Exception:
    """The refusal that the action must get."""
    try:
        action()  # type: ignore[operator]
    except error as failure:
        return failure
    sys.exit(f"{what}: was not refused")


def single() -> None:
    """One item, with conditions and versions that hold and that do not."""
    made_at = datetime(2024, 2, 29, 12, 30, 0, 250, tzinfo=UTC)
    order = Order("ada", 1, total=12.5, raw=b"\x00\xff", tags={"a", "b"}, lines=[Line(product="pen", count=2)], made_at=made_at)
    order.save(condition=Order.customer.does_not_exist())
    found = Order.get("ada", 1, consistent_read=True)
    same("the item", found.serialize(), order.serialize())
    same("the version", found.version, 1)
    failure = refused("a second put", PutError, lambda: Order("ada", 1).save())
    same("its code", failure.cause_response_code, "ConditionalCheckFailedException")  # type: ignore[attr-defined]
    found.update(
        actions=[
            Order.paid.set(True), Order.total.set(Order.total + 0.25), Order.lines.set(Order.lines.append([Line(product="cap")])),
            Order.tags.add({"c"}), Order.raw.remove(),
        ],
        condition=(Order.status.is_in("new", "late")) & (Order.lines[0].count > 1) & Order.tags.contains("a"),
    )  # fmt: skip
    same("the update", (found.paid, found.total, found.tags, found.raw, found.version), (True, 12.75, {"a", "b", "c"}, None, 2))
    same("the lines", [line.product for line in found.lines], ["pen", "cap"])
    refused("an old version", UpdateError, lambda: order.update(actions=[Order.paid.set(False)]))
    refused("an old version's delete", DeleteError, order.delete)
    found.delete(condition=Order.total > 12)
    refused("what is gone", DoesNotExist, lambda: Order.get("ada", 1))


def many() -> None:
    """A batch, read by pages, by both indexes and by its keys."""
    with Order.batch_write() as batch:
        for number in range(30):
            batch.save(Order("bob", number, status="sent" if number % 2 else "new", total=100 - number))
    query = Order.query("bob", Order.number.between(3, 20), Order.status == "sent", scan_index_forward=False, page_size=4)
    same("the query", [order.number for order in query], [19, 17, 15, 13, 11, 9, 7, 5, 3])
    first = Order.query("bob", limit=10)
    numbers = [order.number for order in first]
    rest = Order.query("bob", last_evaluated_key=first.last_evaluated_key)
    same("the pages", numbers + [order.number for order in rest], list(range(30)))
    same("the index", Order.by_status.count("new"), 15)
    same("the index's items", [order.total for order in Order.by_status.query("sent", Order.number < 4)], [99, 97])
    same("the local index", [order.total for order in Order.by_total.query("bob", Order.total < 74)], [71, 72, 73])
    found = Order.batch_get([("bob", 1), ("bob", 29), ("nobody", 0)])
    same("the batch", sorted(order.number for order in found), [1, 29])
    same("the scan", sum(1 for order in Order.scan(Order.total.exists(), page_size=7)), 30)
    same("its segments", sum(1 for segment in (0, 1) for order in Order.scan(segment=segment, total_segments=2)), 30)


def together() -> None:
    """Transactions; one is cancelled whole."""
    connection = Connection(region=REGION, host=HOST)
    with TransactWrite(connection=connection, client_request_token=sys.argv[1]) as write:
        write.save(Order("cyd", 1), condition=Order.customer.does_not_exist())
        write.save(Order("cyd", 2))
        write.delete(Order.get("bob", 0), add_version_condition=True)

    def again() -> None:
        with TransactWrite(connection=connection) as write:
            write.save(Order("cyd", 3))
            write.save(Order("cyd", 1))

    failure = refused("a transaction over an item that is there", TransactWriteError, again)
    codes = [reason and reason.code for reason in failure.cancellation_reasons]  # type: ignore[attr-defined]
    same("the reasons", codes, [None, "ConditionalCheckFailed"])
    with TransactGet(connection=connection) as read:
        there = [read.get(Order, "cyd", number) for number in (1, 2)]
        absent = read.get(Order, "cyd", 3)
    same("the items read", [one.get().number for one in there], [1, 2])
    refused("what was cancelled", DoesNotExist, absent.get)


def main() -> None:
    """The suite, in one table of its own."""
    Order.create_table(wait=True)
    single()
    many()
    together()
    same("the count", Order.count(), 31)
    Order.delete_table()
    same("whether it exists", Order.exists(), False)
    sys.stdout.write("ok\n")


if __name__ == "__main__":
    main()
