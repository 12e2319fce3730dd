"""Reads an application's inputs: what is new in their shards, in the order of its arrival."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from headrace.operation import Context
from headrace.ports import RecordSource, SourceBatch, SourceRecord, SourceShard
from headrace.services.analytics import configuration, functions, limits, state
from headrace.services.analytics.engine.schema import Failure, Raw
from headrace.services.analytics.state import Application, Position

_AT_LATEST = {"NOW": "LATEST", "TRIM_HORIZON": "TRIM_HORIZON", "LAST_STOPPED_POINT": "LATEST"}

Place = tuple[str, str]  # input id, shard id


class Read(NamedTuple):
    """What was read: records by in-application stream; where each shard was read to; whether nothing is left to be read."""

    records: Mapping[str, Sequence[Raw]]
    positions: Mapping[Place, Position]
    caught_up: bool
    behind_ms: int
    taken: int
    size_bytes: int
    failures: Sequence[Failure] = ()


class _Batch(NamedTuple):
    """What was read of one shard, from the place `begin` on."""

    part: Mapping[str, Any]
    arn: str
    place: Place
    begin: str
    batch: SourceBatch

    @property
    def more(self) -> bool:
        """Whether the shard holds more than was read."""
        return self.batch.millis_behind > 0

    @property
    def latest(self) -> float:
        """When the last of its records came: by a clock that may have been set back between them."""
        return max(record.arrived_at for record in self.batch.records)


class Inputs:
    """The inputs of one application, and how far they were read."""

    def __init__(self, ctx: Context, application: Application) -> None:
        self._application = application
        self.positions: dict[Place, Position] = ctx.snapshot(
            lambda inner: {(str(key[1]), str(key[2])): row for key, row in state.POSITIONS.scan(inner.tx, application.id)}
        )

    def topics(self, ctx: Context) -> tuple[bytes, ...]:
        """What is announced when there is something to read."""
        return tuple(
            source.topic(ctx, arn, shard.shard_id)
            for part in self._application.inputs
            for source, arn in [_source(ctx, part)]
            for shard in _shards(ctx, source, arn)
        )

    def read(self, ctx: Context) -> Read:
        """The next records of all shards that can be read now, as far as no record that is still to be read came before them."""
        found = [one for part in self._application.inputs for one in self._batches(ctx, part)]
        # What a shard still holds came after what was read of it: later ones of other shards wait for those.
        until = min((one.latest for one in found if one.more and one.batch.records), default=float("inf"))
        records: dict[str, list[tuple[float, Raw]]] = {}
        positions: dict[Place, Position] = {}
        failures: list[Failure] = []
        caught_up = True
        count = size_bytes = 0
        for one in found:
            taken = list(takewhile(lambda record: record.arrived_at <= until, one.batch.records))
            whole = len(taken) == len(one.batch.records)
            # A shard that has ended may have children, which are not read yet.
            caught_up = caught_up and whole and not one.more and not one.batch.ended
            position = self._behind(one, taken, whole)
            if position is not None:
                positions[one.place] = position
            count += len(taken)
            size_bytes += sum(len(record.data) for record in taken)
            names = configuration.stream_names(one.part)
            stream = names[_number(one.place[1]) % len(names)]
            ready, failed = _raw(ctx, self._application, one, taken)
            records.setdefault(stream, []).extend(ready)
            failures += failed
        ordered = {name: [raw for _, raw in sorted(rows, key=lambda row: row[0])] for name, rows in records.items() if rows}
        behind_ms = max((one.batch.millis_behind for one in found), default=0)
        return Read(ordered, positions, caught_up, behind_ms, count, size_bytes, failures)

    def _behind(self, one: "_Batch", taken: Sequence[SourceRecord], whole: bool) -> Position | None:
        """Where a shard is read on, if that is another place than before."""
        if whole:
            made = Position(one.batch.position, one.batch.ended)
        else:
            made = Position(taken[-1].sequence_number if taken else one.begin)
        known = self.positions.get(one.place)
        return None if known is not None and (known.place, known.ended) == (made.place, made.ended) else made

    def _batches(self, ctx: Context, part: Mapping[str, Any]) -> Iterator["_Batch"]:
        source, arn = _source(ctx, part)
        open_shards = self._open_shards(ctx, part["InputId"], source, arn)
        limit = max(1, limits.RECORDS_PER_STEP // max(1, len(open_shards)))
        for shard_id in open_shards:
            place = (part["InputId"], shard_id)
            position = self.positions.get(place) or self._first(ctx, place, source, arn)
            batch = source.read(ctx, arn, shard_id, position.place, limit, limits.SIZE_PER_STEP_BYTES)
            yield _Batch(part, arn, place, position.place, batch)

    def _first(self, ctx: Context, place: Place, source: RecordSource, arn: str) -> Position:
        input_id, shard_id = place
        seen = any(known == input_id for known, _ in self.positions)
        # A shard that came later, by a split, is read from its beginning.
        wanted = "TRIM_HORIZON" if seen else _AT_LATEST[self._application.starts.get(input_id, "LAST_STOPPED_POINT")]
        return Position(source.start(ctx, arn, shard_id, wanted))

    def _open_shards(self, ctx: Context, input_id: str, source: RecordSource, arn: str) -> list[str]:
        shards = _shards(ctx, source, arn)
        present = {shard.shard_id for shard in shards}
        ended = {one for one in present if (known := self.positions.get((input_id, one))) is not None and known.ended}
        return [
            shard.shard_id
            for shard in shards
            if shard.shard_id not in ended and not any(parent in present and parent not in ended for parent in shard.parents)
        ]


def _source(ctx: Context, part: Mapping[str, Any]) -> tuple[RecordSource, str]:
    arn = part["KinesisStreamsInput"]["ResourceARN"]
    return ctx.ports.sources[arn.split(":", 3)[2]], arn


def _shards(ctx: Context, source: RecordSource, arn: str) -> Sequence[SourceShard]:
    return source.shards(ctx, arn)


def _number(shard_id: str) -> int:
    digits = shard_id.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _raw(
    ctx: Context, application: Application, of: _Batch, records: Sequence[SourceRecord]
) -> tuple[list[tuple[float, Raw]], list[Failure]]:
    """The records as the engine takes them, with their arrival; first seen by the input's function, which may fail on some."""
    processor = (of.part.get("InputProcessingConfiguration") or {}).get("InputLambdaProcessor")
    shard_id = of.place[1]
    data: Sequence[bytes | Failure | None] = [record.data for record in records]
    if processor is not None and records:
        data = functions.preprocess(ctx, application, processor["ResourceARN"], of.arn, shard_id, records)
    found = [
        (
            record.arrived_at,
            Raw(one, round(record.arrived_at * 1000), record.partition_key, record.sequence_number, shard_id),
        )
        for record, one in zip(records, data, strict=True)
        if isinstance(one, bytes)
    ]
    return found, [one for one in data if isinstance(one, Failure)]
