"""Global tables: tables of one name in several regions of this server, each of which takes writes and tells the others.

Each write gives its item a version: when it was made, and in which region. A table's own stream says which items were written;
the consumer then puts such an item, as it is now, into the other regions, if its version is larger than the one there: so the
last writer wins, everywhere the same one. What came from elsewhere has that region in its version, and is not told on.

A global table of the older kind (of 2017) is the same, of tables that were there before: they are put together and parted.

Layout: ("dynamodb", "version", versions id) + place → milliseconds (8 bytes) and the region; it stays when the item goes. A table
that gets its first replica has a new versions id, so that what it wrote before has no version.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from headrace.consumer import Consumer, Outcome, Subscription, forget
from headrace.kit.errors import ValidationException
from headrace.layers import lease as leases
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import SourceRecord
from headrace.services.dynamodb import bulk, errors, items, jobs, limits, state, throughput
from headrace.services.dynamodb.engine import keys
from headrace.services.dynamodb.jobs import Job
from headrace.services.dynamodb.state import Table, TableRow
from headrace.store.tuples import after_prefix

TOPIC = b"dynamodb:replicas"
# The tables that have replicas: the label of the stream that tells them.
REPLICATED = Records[str](("dynamodb", "replicated"), str)


def join(ctx: Context, name: str, made: TableRow) -> None:
    """Make the table `made`, of another region, a replica of the one of this name, and of its replicas."""
    row = state.own_row(ctx, name)
    there = ctx.at(region=made.replicas[0])
    group = sorted({ctx.region, *row.replicas, there.region})
    made.replicas = [one for one in group if one != there.region]
    made.making = True
    state.save(there, made)
    assert made.stream is not None
    REPLICATED.put(ctx.tx, made.stream, there.account, there.region, name)
    for region in made.replicas:
        _tie(ctx.at(region=region), name, group)
    _fill(ctx, name, there.region)
    ctx.tx.announce(TOPIC)


def _tie(ctx: Context, name: str, group: Sequence[str], grouped_at: float | None = None) -> None:
    """Let the table of this region know its group."""
    row = state.own_row(ctx, name)
    if not row.replicas:
        row.versions_id = state.next_number(ctx.tx)
    row.replicas = [one for one in group if one != ctx.region]
    row.grouped_at = grouped_at
    state.save(ctx, row)
    assert row.stream is not None
    if row.replicas:
        REPLICATED.put(ctx.tx, row.stream, ctx.account, ctx.region, name)


def _fill(ctx: Context, name: str, region: str) -> None:
    """Let the worker put what is in this region's table into another's."""
    number = state.next_number(ctx.tx)
    jobs.begin(ctx, Job(number, "replica", ctx.account, ctx.region, name, target=region, step=jobs.FINISH))


def gather(ctx: Context, name: str, group: Sequence[str], grouped_at: float) -> None:
    """Put the tables of a name together, as a global table of the older kind; one that came gets the items of the others."""
    came = [region for region in group if state.own_row(ctx.at(region=region), name).grouped_at is None]
    for region in group:
        _tie(ctx.at(region=region), name, group, grouped_at)
    first = next((region for region in group if region not in came), None)
    for region in came if first is not None else ():
        there = ctx.at(region=region)
        row = state.own_row(there, name)
        row.making = True
        state.save(there, row)
        _fill(ctx.at(region=first), name, region)
    ctx.tx.announce(TOPIC)


def part(ctx: Context, name: str) -> None:
    """Take this region's table out of its global table of the older kind: it stays as a table of its own."""
    leave(ctx, state.own_row(ctx, name))
    row = state.own_row(ctx, name)
    row.replicas, row.grouped_at = [], None
    state.save(ctx, row)


def leave(ctx: Context, row: TableRow) -> None:
    """A replica goes: the others forget it."""
    gone = [state.versions_of(row)] if row.replicas else []
    for region in row.replicas:
        other = ctx.at(region=region)
        kept = state.TABLES.get(other.tx, other.account, region, row.name)
        if kept is None:
            continue
        forget(ctx, _subscription_id(kept, ctx.region))
        forget(ctx, _subscription_id(row, region))
        kept.replicas = [one for one in kept.replicas if one != ctx.region]
        state.save(other, kept)
        if not kept.replicas:
            REPLICATED.delete(ctx.tx, ctx.account, region, row.name)
            gone.append(state.versions_of(kept))
    REPLICATED.delete(ctx.tx, ctx.account, ctx.region, row.name)
    state.doom(ctx.tx, gone)
    ctx.tx.announce(TOPIC)


def shown(ctx: Context, row: TableRow) -> dict[str, Any]:
    """What a TableDescription says of replicas. Those of the older kind are told by DescribeGlobalTable alone."""
    if row.grouped_at is not None:
        return {"GlobalTableVersion": "2017.11.29"}
    if not row.replicas:
        return {}
    listed = []
    for region in row.replicas:
        kept = state.TABLES.get(ctx.tx, ctx.account, region, row.name)
        status = "ACTIVE" if kept is not None and not kept.making else "CREATING"
        arn = state.table_arn(ctx.account, region, row.name)
        own = throughput.overridden(kept, row) if kept is not None else {}
        listed.append({"RegionName": region, "ReplicaStatus": status, "ReplicaArn": arn, **own})
    return {"GlobalTableVersion": "2019.11.21", "MultiRegionConsistency": "EVENTUAL", "Replicas": listed}


def refuse(ctx: Context, row: TableRow, region: str) -> None:
    """ValidationException when a table can't have a replica in a region."""
    if any(one.table == row.name for one in bulk.going_on(ctx)):
        raise errors.in_use(f"Table has a bulk operation in progress: {row.name}")
    if row.stream_view != "NEW_AND_OLD_IMAGES":
        raise ValidationException(
            "One or more parameter values were invalid: Table must have a stream with the view type NEW_AND_OLD_IMAGES "
            "to have replicas"
        )
    if state.find(ctx.at(region=region), row.name) is not None:
        raise ValidationException(
            f"Failed to create a the new replica of table with name: '{row.name}' because one or more replicas already existed "
            "as tables."
        )


def _sync(ctx: Context, source: Table, target: Table, place: bytes, *, any_region: bool = False) -> None:
    """Put an item as it is in one region into another, if its version is larger than the one there."""
    assert source.versions is not None
    assert target.versions is not None
    version = ctx.tx.get(source.versions + place)
    if version is None:
        if not any_region:
            # Written or removed before there were replicas, so nothing to tell: `finish_replica` puts what was there then.
            return
        version = bytes(8) + source.region.encode()
    elif version[8:] != source.region.encode() and not any_region:
        return
    kept = ctx.tx.get(target.versions + place)
    if kept is not None and kept >= version:
        return
    old, new = ctx.tx.get(target.prefix + place), ctx.tx.get(source.prefix + place)
    item = {}
    if new is not None:
        item = items.decode(new)
    elif old is not None:
        item = keys.key_of(target.schema, items.decode(old))
    items.write(ctx.tx, target, place, old, new, item, ctx.clock.now_ms())
    ctx.tx.set(target.versions + place, version)


def finish_replica(ctx: Context, job: Job, lease: leases.Lease) -> bool:
    """Put what was there before into a new replica, some items at a time; whether that was the last of it."""

    def body(inner: Context) -> bool:
        source, target = state.find(inner, job.subject), state.find(inner.at(region=job.target), job.subject)
        if source is None or target is None or job.target not in source.row.replicas:
            return True
        first = source.prefix + job.place + b"\x00" if job.place else source.prefix
        end = after_prefix(source.prefix)
        places = [key[len(source.prefix) :] for key, _ in inner.tx.range(first, end, limit=limits.FILL_ITEMS_PER_STEP)]
        for place in places:
            _sync(inner, source, target, place, any_region=True)
        if len(places) == limits.FILL_ITEMS_PER_STEP:
            job.place = places[-1]
            jobs.save(inner, job, lease)
            return False
        jobs.save(inner, job, lease)
        there = inner.at(region=job.target)
        row = state.own_row(there, job.subject)
        row.making = False
        state.save(there, row)
        return True

    return ctx.transact(body)


# Telling what is written


def _subscription_id(row: TableRow, region: str) -> str:
    return f"dynamodb-replica/{row.id}/{region}/{row.name}"


def _subscriptions(ctx: Context) -> Iterator[Subscription]:
    def body(inner: Context) -> list[Subscription]:
        found = []
        for (account, region, name), label in REPLICATED.scan(inner.tx):
            row = state.TABLES.get(inner.tx, account, region, name)
            if row is None:
                continue
            arn = state.stream_arn(str(account), str(region), str(name), label)
            found += [
                Subscription(_subscription_id(row, other), str(account), str(region), arn, "TRIM_HORIZON", batch_size_max=200)
                for other in row.replicas
            ]
        return found

    yield from ctx.snapshot(body)


class Telling:
    """Puts what was written in one region into another."""

    def handle(self, ctx: Context, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord]) -> Outcome:
        """Put the items as they are now: what is done twice changes nothing."""
        _, _, region, name = subscription.id.split("/", 3)

        def body(inner: Context) -> Outcome:
            source, target = state.find(inner, name), state.find(inner.at(region=region), name)
            if source is None or target is None or region not in source.row.replicas:
                return Outcome()
            for place in dict.fromkeys(keys.of_item(source.schema, record.event["dynamodb"]["Keys"]) for record in records):
                _sync(inner, source, target, place)
            return Outcome()

        return ctx.transact(body)

    def give_up(
        self, ctx: Context, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord], reason: str, attempts: int
    ) -> None:
        """Never called: it is tried until it works."""


CONSUMER = Consumer("dynamodb-replicas", _subscriptions, Telling(), topics=(TOPIC,))
