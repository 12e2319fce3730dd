"""Reads an application's inputs: what is new in their shards, in the order of its arrival."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from headrace.operation import Context
from headrace.ports import ColumnSource, RecordSource, SourceColumns, SourceRecord, SourceShard
from headrace.services.analytics import configuration, functions, limits, state
from headrace.services.analytics.engine.schema import Columns, Failure
from headrace.services.analytics.state import Application, Position

_AT_LATEST = {"NOW": "LATEST", "TRIM_HORIZON": "TRIM_HORIZON", "LAST_STOPPED_POINT": "LATEST"}

Place = tuple[str, str]  # input id, shard id


class Read(NamedTuple):
    """What was read: records by in-application stream; where each shard was read to; whether nothing is left to be read."""

    records: Mapping[str, Columns]
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
    batch: SourceColumns

    @property
    def more(self) -> bool:
        """Whether the shard holds more than was read."""
        return self.batch.millis_behind > 0

    @property
    def latest(self) -> int:
        """When the last of its records came: by a clock that may have been set back between them."""
        return max(self.batch.arrived_ms)

    def until(self, arrived_ms: float) -> int:
        """How many of the records came until then."""
        if not self.batch.data or self.latest <= arrived_ms:
            return len(self.batch.data)
        return next(place for place, came_ms in enumerate(self.batch.arrived_ms) if came_ms > arrived_ms)


class Inputs:
    """The inputs of one application, and how far they were read."""

    def __init__(self, ctx: Context, application: Application) -> None:
        self._application = application
        # Few applications ask for them, and each is a number of 56 digits.
        self._names_numbers = "SEQUENCE_NUMBER" in application.code.upper()
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

    def hold(self, ctx: Context, positions: Mapping[Place, Position]) -> None:
        """Keep how far the shards were read, in the running transaction; delivery streams keep what lies behind it."""
        for (input_id, shard_id), position in positions.items():
            state.POSITIONS.put(ctx.tx, Position(position.place, position.ended), self._application.id, input_id, shard_id)
        for part in self._application.inputs:
            service, arn = configuration.source_of(part)
            tap = ctx.ports.taps.get(service)
            for (input_id, shard_id), position in positions.items():
                if tap is not None and input_id == part["InputId"]:
                    tap.hold(ctx, arn, shard_id, _reader(self._application, input_id), position.place)

    def begin(self, ctx: Context) -> dict[Place, Position]:
        """Let delivery streams keep what is put from here on, in the running transaction: where they are read on from."""
        positions: dict[Place, Position] = {}
        for part in self._application.inputs:
            source, arn = _source(ctx, part)
            if configuration.source_of(part)[0] not in ctx.ports.taps:
                continue
            for shard in source.shards(ctx, arn):
                place = (part["InputId"], shard.shard_id)
                positions[place] = self.positions.get(place) or self._first(ctx, place, source, arn)
        self.hold(ctx, positions)
        return positions

    def read(self, ctx: Context) -> Read:
        """The next records of all shards that can be read now, as far as no record that is still to be read came before them."""
        found = [one for part in self._application.inputs for one in self._batches(ctx, part)]
        # What a shard still holds came after what was read of it: later ones of other shards wait for those.
        until = min((one.latest for one in found if one.more and one.batch.data), default=float("inf"))
        records: dict[str, list[Columns]] = {}
        positions: dict[Place, Position] = {}
        failures: list[Failure] = []
        caught_up = True
        count = size_bytes = 0
        for one in found:
            taken = one.until(until)
            whole = taken == len(one.batch.data)
            # A shard that has ended may have children, which are not read yet.
            caught_up = caught_up and whole and not one.more and not one.batch.ended
            position = self._behind(one, taken, whole)
            if position is not None:
                positions[one.place] = position
            if not taken:
                continue
            count += taken
            size_bytes += sum(map(len, one.batch.data if whole else one.batch.data[:taken]))
            names = configuration.stream_names(one.part)
            stream = names[_number(one.place[1]) % len(names)]
            ready, failed = self._ready(ctx, one, taken)
            records.setdefault(stream, []).append(ready)
            failures += failed
        behind_ms = max((one.batch.millis_behind for one in found), default=0)
        merged = {name: _merged(parts) for name, parts in records.items()}
        return Read(
            {name: one for name, one in merged.items() if one.data}, positions, caught_up, behind_ms, count, size_bytes, failures
        )

    def _behind(self, one: "_Batch", taken: int, whole: bool) -> Position | None:
        """Where a shard is read on, if that is another place than before."""
        if whole:
            made = Position(one.batch.position, one.batch.ended)
        else:
            made = Position(one.batch.sequence_number(taken - 1) if taken else one.begin)
        known = self.positions.get(one.place)
        return None if known is not None and (known.place, known.ended) == (made.place, made.ended) else made

    def _ready(self, ctx: Context, of: _Batch, count: int) -> tuple[Columns, list[Failure]]:
        """The first records as the engine takes them; seen by the input's function first, which may fail on some."""
        batch, shard_id = of.batch, of.place[1]
        numbers = [batch.sequence_number(place) if self._names_numbers else "" for place in range(count)]
        columns = Columns(batch.data[:count], batch.arrived_ms[:count], batch.partition_keys[:count], numbers, [shard_id] * count)
        processor = (of.part.get("InputProcessingConfiguration") or {}).get("InputLambdaProcessor")
        if processor is None:
            return columns, []
        records = [
            SourceRecord(batch.sequence_number(place), data, partition_key, arrived_ms / 1000, {})
            for place, (data, arrived_ms, partition_key, *_) in enumerate(zip(*columns, strict=True))
        ]
        made = functions.preprocess(ctx, self._application, processor["ResourceARN"], of.arn, shard_id, records)
        kept = [(place, one) for place, one in enumerate(made) if isinstance(one, bytes)]
        ready = Columns(
            [one for _, one in kept],
            [columns.arrival_ms[place] for place, _ in kept],
            [columns.partition_keys[place] for place, _ in kept],
            [columns.sequence_numbers[place] for place, _ in kept],
            [shard_id] * len(kept),
        )
        return ready, [one for one in made if isinstance(one, Failure)]

    def _batches(self, ctx: Context, part: Mapping[str, Any]) -> Iterator["_Batch"]:
        source, arn = _source(ctx, part)
        open_shards = self._open_shards(ctx, part["InputId"], source, arn)
        limit = max(1, limits.RECORDS_PER_STEP // max(1, len(open_shards)))
        for shard_id in open_shards:
            place = (part["InputId"], shard_id)
            position = self.positions.get(place) or self._first(ctx, place, source, arn)
            batch = _columns(source, ctx, arn, shard_id, position.place, limit)
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
    service, arn = configuration.source_of(part)
    return ctx.ports.taps.get(service) or ctx.ports.sources[service], arn


def behind_seconds(ctx: Context, application: Application) -> dict[str, float]:
    """How long the oldest record that waits has waited, for each input that was read already."""

    def body(inner: Context) -> dict[str, float]:
        behind: dict[str, float] = {}
        sources = {part["InputId"]: _source(inner, part) for part in application.inputs}
        for key, position in state.POSITIONS.scan(inner.tx, application.id):
            input_id, shard_id = str(key[1]), str(key[2])
            if input_id not in sources or position.ended:
                continue
            source, arn = sources[input_id]
            try:
                batch = source.read(inner, arn, shard_id, position.place, 1, limits.SIZE_PER_STEP_BYTES)
            except LookupError:
                continue
            waited = [max(0.0, inner.clock.now() - record.arrived_at) for record in batch.records]
            behind[input_id] = max([behind.get(input_id, 0.0), *waited])
        return behind

    return ctx.snapshot(body)


def release(ctx: Context, application: Application, parts: Sequence[Mapping[str, Any]]) -> None:
    """Let delivery streams keep nothing more for these inputs, in the running transaction."""
    for part in parts:
        service, arn = configuration.source_of(part)
        if service in ctx.ports.taps:
            ctx.ports.taps[service].release(ctx, arn, _reader(application, part["InputId"]))


def _reader(application: Application, input_id: str) -> str:
    return f"analytics/{application.id}/{input_id}"


def _shards(ctx: Context, source: RecordSource, arn: str) -> Sequence[SourceShard]:
    return source.shards(ctx, arn)


def _number(shard_id: str) -> int:
    digits = shard_id.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _columns(source: RecordSource, ctx: Context, arn: str, shard_id: str, position: str, limit: int) -> SourceColumns:
    if isinstance(source, ColumnSource):
        return source.read_columns(ctx, arn, shard_id, position, limit, limits.SIZE_PER_STEP_BYTES)
    batch = source.read(ctx, arn, shard_id, position, limit, limits.SIZE_PER_STEP_BYTES)
    return SourceColumns(
        [one.data for one in batch.records],
        [round(one.arrived_at * 1000) for one in batch.records],
        [one.partition_key for one in batch.records],
        lambda place: batch.records[place].sequence_number,
        batch.position,
        batch.ended,
        batch.millis_behind,
    )


def _merged(parts: Sequence[Columns]) -> Columns:
    """The records of several shards in the order in which they came; those of one stay in theirs."""
    if len(parts) == 1:
        return parts[0]
    together = [list(chain.from_iterable(column)) for column in zip(*parts, strict=True)]
    order = sorted(range(len(together[0])), key=together[1].__getitem__)
    return Columns(*([column[place] for place in order] for column in together))
