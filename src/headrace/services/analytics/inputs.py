"""Reads an application's inputs: what is new in their shards, in the order of its arrival."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headrace.operation import Context
from headrace.ports import RecordSource, SourceRecord, SourceShard
from headrace.services.analytics import configuration, functions, limits, state
from headrace.services.analytics.engine.schema import Raw
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
        """The next records of all shards that can be read now."""
        records: dict[str, list[tuple[float, Raw]]] = {}
        positions: dict[Place, Position] = {}
        behind_ms = count = size_bytes = 0
        caught_up = True
        for part in self._application.inputs:
            source, arn = _source(ctx, part)
            names = configuration.stream_names(part)
            open_shards = self._open_shards(ctx, part["InputId"], source, arn)
            limit = max(1, limits.RECORDS_PER_STEP // max(1, len(open_shards)))
            for shard_id in open_shards:
                place = (part["InputId"], shard_id)
                position = self.positions.get(place) or self._first(ctx, place, source, arn)
                batch = source.read(ctx, arn, shard_id, position.place, limit, limits.SIZE_PER_STEP_BYTES)
                if batch.ended or batch.position != position.place or place not in self.positions:
                    positions[place] = Position(batch.position, batch.ended)
                caught_up = caught_up and not batch.millis_behind
                behind_ms = max(behind_ms, batch.millis_behind)
                count += len(batch.records)
                size_bytes += sum(len(record.data) for record in batch.records)
                stream = names[_number(shard_id) % len(names)]
                records.setdefault(stream, []).extend(_raw(ctx, self._application, part, arn, shard_id, batch.records))
        # In the order of arrival, whatever shard they came from.
        ordered = {name: [raw for _, raw in sorted(found, key=lambda one: one[0])] for name, found in records.items() if found}
        return Read(ordered, positions, caught_up, behind_ms, count, size_bytes)

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
    ctx: Context, application: Application, part: Mapping[str, Any], arn: str, shard_id: str, records: Sequence[SourceRecord]
) -> list[tuple[float, Raw]]:
    """The records as the engine takes them, with their arrival; first seen by the input's function, if it has one."""
    processor = (part.get("InputProcessingConfiguration") or {}).get("InputLambdaProcessor")
    data: Sequence[bytes | None] = [record.data for record in records]
    if processor is not None and records:
        data = functions.preprocess(ctx, application, processor["ResourceARN"], arn, shard_id, records)
    return [
        (
            record.arrived_at,
            Raw(one, round(record.arrived_at * 1000), record.partition_key, record.sequence_number, shard_id),
        )
        for record, one in zip(records, data, strict=True)
        if one is not None
    ]
