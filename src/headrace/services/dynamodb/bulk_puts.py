"""Bulk puts: lines of DynamoDB JSON or of Ion in a bucket are put into a table that is there, as PutItem would.

What is committed together is a bounded number of puts with the place behind them (object, line), the counts, and the lines of the
report: so a bulk put goes on after a kill, and puts and reports nothing twice.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

import msgspec

from headrace.kit.errors import AwsError
from headrace.layers import lease as leases
from headrace.operation import Context
from headrace.ports import ObjectInfo
from headrace.services.dynamodb import (
    bulk,
    bulk_reports,
    capacity,
    errors,
    guards,
    items,
    jobs,
    limits,
    sources,
    state,
    throttling,
)
from headrace.services.dynamodb.bulk import BULKS, Bulk, Failed
from headrace.services.dynamodb.engine import keys
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.jobs import Job
from headrace.services.dynamodb.sources import Unreadable
from headrace.services.dynamodb.state import Table

_BESIDE = ("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")


class _Found(NamedTuple):
    """A line of an object, or what is wrong with the object; and what was read until here, in bytes."""

    key: str
    number: int
    line: str | Unreadable
    read_bytes: int


class _Put(NamedTuple):
    """The members of a line."""

    item: Item
    condition: str | None
    names: dict[str, str] | None
    values: Item | None


class Putter:
    """The finisher of bulk puts. It keeps the reader of each open from one piece to the next."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[tuple[bytes, list[int]], Iterator[_Found]]] = {}
        # Until when one waits, by the monotonic clock.
        self._waits: dict[int, float] = {}

    def __call__(self, ctx: Context, job: Job, lease: leases.Lease) -> bool:
        """Put for about a second; whether that was the last of it."""
        row = ctx.snapshot(lambda inner: BULKS.get(inner.tx, inner.account, inner.region, job.subject))
        if row is None or row.ended_at is not None:
            return True
        try:
            if row.status == bulk.RUNNING and not self._put(ctx, job, lease, row):
                return False
            bulk_reports.write_files(ctx, row.id, 1)
        except Failed as failed:
            bulk.fail(ctx, row.id, *failed.args)
        bulk_reports.end(ctx, job, lease, row.id)
        self._waits.pop(job.number, None)
        return True

    def _put(self, ctx: Context, job: Job, lease: leases.Lease, row: Bulk) -> bool:
        kept = self._open.pop(job.number, None)
        place = (job.place, job.progress)
        if kept is not None and kept[0] == place:
            reader = kept[1]
        else:
            reader = _read(ctx, row, job.place, job.progress[0] if job.progress else 0)
        begun = time.monotonic()
        if begun < self._waits.get(job.number, 0.0):
            self._open[job.number] = (place, reader)
            raise jobs.Later(self._waits[job.number] - begun)
        units = 0.0
        while time.monotonic() < begun + limits.IMPORT_STEP_SECONDS:
            batch = _batch(reader)
            if not batch:
                return True
            job, used, whole, ended = _keep(ctx, job, lease, batch)
            units += used
            if ended:
                return True
            if not whole:
                return self._wait(job, limits.BULK_THROTTLED_SECONDS)
            if row.units_max and units >= row.units_max:
                break
        self._open[job.number] = ((job.place, job.progress), reader)
        bulk_reports.write_files(ctx, row.id, limits.BULK_REPORT_SIZE_BYTES)
        ahead = units / row.units_max - (time.monotonic() - begun) if row.units_max else 0.0
        return self._wait(job, ahead) if ahead > 0 else False

    def _wait(self, job: Job, seconds: float) -> NoReturn:
        """Let a bulk put wait, whatever wakes the worker meanwhile."""
        self._waits[job.number] = time.monotonic() + seconds
        raise jobs.Later(seconds)


# Reading


def _read(ctx: Context, row: Bulk, place: bytes, skip: int) -> Iterator[_Found]:
    """The lines of the objects from the place on, without the first `skip` of the object there."""
    objects = _objects(ctx, row)
    if row.total_bytes is None:
        bulk.start(ctx, row.id, sum(one.size_bytes for one in objects))
    done_bytes = 0
    for one in objects:
        key = one.key.encode()
        if key >= place:
            yield from _lines(ctx, row, one, skip if key == place else 0, done_bytes)
        done_bytes += one.size_bytes


def _objects(ctx: Context, row: Bulk) -> list[ObjectInfo]:
    bucket, output = row.source["S3Bucket"], row.output["S3Bucket"]
    own = bulk.folder(row) + "/" if output == bucket else None
    try:
        found = list(ctx.ports.objects.list(ctx, bucket, row.source.get("S3KeyPrefix") or ""))
        next(iter(ctx.ports.objects.list(ctx, output)), None)
    except LookupError as error:
        raise Failed("S3NoSuchBucket", f"The bucket does not exist: {error.args[0] if error.args else bucket}") from None
    # A report that lies among the input is not read.
    found = [one for one in found if own is None or not one.key.startswith(own)]
    if len(found) > limits.BULK_OBJECTS_MAX:
        raise Failed("TooManyObjects", f"The input has {len(found)} objects; {limits.BULK_OBJECTS_MAX} are the most")
    return sorted(found, key=lambda one: one.key.encode())


def _lines(ctx: Context, row: Bulk, source: ObjectInfo, skip: int, done_bytes: int) -> Iterator[_Found]:
    read_bytes = done_bytes

    def counted(chunks: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal read_bytes
        for chunk in chunks:
            read_bytes += len(chunk)
            yield chunk

    try:
        chunks = counted(ctx.ports.objects.open(ctx, source.bucket, source.key))
        compression = row.source.get("InputCompressionType") or "NONE"
        for number, line in enumerate(sources.lines(sources.decompressed(chunks, compression))):
            if number >= skip and line.strip():
                yield _Found(source.key, number, line, read_bytes)
    except Unreadable as error:
        if skip <= sources.WHOLE:
            yield _Found(source.key, sources.WHOLE, error, done_bytes + source.size_bytes)
    except LookupError:
        raise Failed("S3NoSuchKey", f"The object is gone: {source.key}") from None


def _batch(reader: Iterator[_Found]) -> list[_Found]:
    """The lines that are put in one transaction."""
    batch: list[_Found] = []
    size_bytes = 0
    for found in reader:
        batch.append(found)
        size_bytes += len(found.line) if isinstance(found.line, str) else 0
        if len(batch) == limits.IMPORT_ITEMS_PER_STEP or size_bytes >= limits.BULK_STEP_SIZE_BYTES:
            break
    return batch


def _taken_apart(line: str, form: str) -> _Put | None:
    """What a line asks for; None when it has no value. Unreadable says what is wrong."""
    members = sources.ion_record(line) if form == "ION" else sources.json_record(line)
    if members is None:
        return None
    for name in members:
        if name != "Item" and name not in _BESIDE:
            # Passed over, it could be a condition that is not heeded.
            raise Unreadable(f'Headrace does not know the member "{name}" of a line')
    condition, names, values = (members.get(name) for name in _BESIDE)
    item = members.get("Item")
    if form == "ION":
        item = None if item is None else item.get("M")
        condition = None if condition is None else condition.get("S", "")
        names = None if names is None else {name: one.get("S") for name, one in names.get("M", {}).items()}
        values = None if values is None else values.get("M")
    if condition is not None and not isinstance(condition, str):
        raise Unreadable("ConditionExpression is no text")
    if names is not None and not (isinstance(names, dict) and all(isinstance(one, str) for one in names.values())):
        raise Unreadable("ExpressionAttributeNames has no texts")
    if values is not None and not (isinstance(values, dict) and all(isinstance(one, dict) for one in values.values())):
        raise Unreadable("ExpressionAttributeValues is not in DynamoDB's form")
    return _Put(sources.checked(item), condition, names, values)


# Putting


def _keep(ctx: Context, job: Job, lease: leases.Lease, batch: list[_Found]) -> tuple[Job, float, bool, bool]:
    """Put a batch: (the job as it stands, write units that were used, whether all was put, whether it is to stop)."""

    def body(inner: Context) -> tuple[Job, float, bool, bool]:
        # Read again, for it may have been cancelled; and a body may run again.
        row = BULKS.get(inner.tx, inner.account, inner.region, job.subject)
        if row is None or row.status != bulk.RUNNING:
            return job, 0.0, True, True
        table = state.find(inner, row.table)
        if table is None or table.row.uuid != row.table_id:
            raise Failed("ResourceNotFoundException", f"Requested resource not found: Table: {row.table} not found")
        units = 0.0
        moved, whole = job, True
        for found in batch:
            try:
                units += _take(inner, row, table, found)
            except (errors.ProvisionedThroughputExceededException, errors.ThrottlingException):
                whole = False
                break
            row.read_bytes = found.read_bytes
            moved = msgspec.structs.replace(job, place=found.key.encode(), progress=[found.number + 1])
        jobs.save(inner, moved, lease)
        BULKS.put(inner.tx, row, inner.account, inner.region, row.id)
        return moved, units, whole, False

    return ctx.transact(body)


def _take(ctx: Context, row: Bulk, table: Table, found: _Found) -> float:
    """Put one line's item, or report why not; the write units that were used."""
    units = 0.0
    try:
        if isinstance(found.line, Unreadable):
            raise found.line
        wanted = _taken_apart(found.line, row.source["InputFormat"])
        if wanted is not None:
            units = _write(ctx, row, table, found, wanted)
            row.processed += 1
    except (errors.ProvisionedThroughputExceededException, errors.ThrottlingException):
        raise
    except (Unreadable, AwsError) as error:
        _fault(ctx, row, found, error.message if isinstance(error, AwsError) else str(error))
    except (TypeError, ValueError, KeyError, AttributeError):
        _fault(ctx, row, found, "The item is not in DynamoDB's form")
    return units


def _fault(ctx: Context, row: Bulk, found: _Found, why: str) -> None:
    row.processed += 1
    row.failed += 1
    _tell(ctx, row, bulk_reports.FAULTY, found, {"errorMessages": [why]})


def _write(ctx: Context, row: Bulk, table: Table, found: _Found, wanted: _Put) -> float:
    guard = guards.guard(wanted.condition, wanted.names, wanted.values)
    item = wanted.item
    place, new = items.take(table, item)
    old = ctx.tx.get(table.prefix + place)
    before = None if old is None or not (guard or table.indexed) else items.decode(old)
    if guard and not guard.passes(before):
        existing = {} if old is None else {"ExistingItem": items.raw(old)}
        _tell(ctx, row, bulk_reports.UNMET, found, {"Item": item, **existing})
        return 0.0
    throttling.write(ctx, table, old, new, item, before)
    items.write(ctx.tx, table, place, old, new, item, ctx.clock.now_ms(), before=before)
    size_bytes = items.size_of(new)
    row.put_bytes += size_bytes
    for index in table.indexes:
        if keys.of_entry_if_any(index.schema, item) is not None:
            sums = row.local_bytes if index.row.local else row.global_bytes
            sums[index.row.name] = sums.get(index.row.name, 0) + items.entry_size(index, item, size_bytes)
    return capacity.write_units(0 if old is None else items.size_of(old), size_bytes)


def _tell(ctx: Context, row: Bulk, kind: str, found: _Found, why: dict[str, Any]) -> None:
    bulk_reports.tell(ctx, row, kind, found.key, None if found.number == sources.WHOLE else found.number, why)
