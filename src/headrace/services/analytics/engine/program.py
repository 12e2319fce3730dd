"""A compiled application: rows in, rows out, and the state between them.

Only the engine's process imports this module (numpy); the server uses `client.Engine`.

Time. ROWTIME of an input row is the time that it is pushed with (its arrival), but never before the program's clock, so it
never goes back. `advance` moves the clock without rows: windows that end at or before it are closed. Results depend on the rows,
their times and the calls of `advance`, never on how the rows were cut into batches (sums of floats: to the last digits).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.services.analytics.engine import instants
from headrace.services.analytics.engine.casting import to_text
from headrace.services.analytics.engine.coercion import coerce
from headrace.services.analytics.engine.evaluate import Rows
from headrace.services.analytics.engine.nodes import Entry, Field, Node
from headrace.services.analytics.engine.ordering import Resorted
from headrace.services.analytics.engine.packing import decode, encode
from headrace.services.analytics.engine.parser import parse
from headrace.services.analytics.engine.plan import Planner
from headrace.services.analytics.engine.plan_catalog import Catalog, inserted
from headrace.services.analytics.engine.references import ReferenceTable
from headrace.services.analytics.engine.schema import ERROR_STREAM, Column, InputSchema, ReferenceSchema, SqlError, StreamSchema
from headrace.services.analytics.engine.sqltypes import (
    DATE,
    TIME,
    TIMESTAMP,
    Batch,
    SqlType,
    Vector,
    all_null,
    from_list,
    merge,
    parse_type,
)
from headrace.services.analytics.engine.syntax import (
    AlterPump,
    Bare,
    CreateFunction,
    CreatePump,
    CreateStream,
    CreateView,
    Drop,
    Statement,
)

IMPLICIT = (
    ("APPROXIMATE_ARRIVAL_TIME", TIMESTAMP),
    ("PARTITION_KEY", SqlType("VARCHAR", 256)),
    ("SEQUENCE_NUMBER", SqlType("VARCHAR", 128)),
    ("SHARD_ID", SqlType("VARCHAR", 64)),
)
ERROR_FIELDS = [
    Field("ERROR_TIME", TIMESTAMP),
    Field("ERROR_LEVEL", SqlType("VARCHAR", 10)),
    Field("ERROR_NAME", SqlType("VARCHAR", 32)),
    Field("MESSAGE", SqlType("VARCHAR", 4096)),
    Field("DATA_ROWTIME", TIMESTAMP),
    Field("DATA_ROW", SqlType("VARCHAR", 49152)),
    Field("PUMP_NAME", SqlType("VARCHAR", 128)),
]
OUTPUT = "OUTPUT"
_CLOCK = "clock"
_CODE = "code"


class Pump:
    """A pump that runs: the query's node, and the stream that takes its rows."""

    def __init__(self, name: str, node: Node, target: str, reads: set[str]) -> None:
        self.lag_ms = 0
        self.name = name
        self.node = node
        self.target = target
        self.reads = reads

    def nodes(self) -> list[Node]:
        """All nodes, in an order that follows from the code."""
        found: list[Node] = []

        def visit(node: Node) -> None:
            if not isinstance(node, Entry) and node not in found:
                for child in node.children:
                    visit(child)
                found.append(node)

        visit(self.node)
        return found


class Program:
    """One application's streams, pumps and windows. Not safe for several threads."""

    def __init__(self, inputs: Sequence[InputSchema], catalog: Catalog, pumps: Sequence[Pump], fingerprint: bytes) -> None:
        self._fingerprint = fingerprint
        self._fingerprint_saved = False
        self._stale: list[str] = []  # pieces of other code, which are to be removed
        self._inputs = {one.name: one for one in inputs}
        self._streams = catalog.streams
        self._tables = catalog.tables
        self._pumps = pumps
        self._clock = 0
        self._entered_rows = 0
        self._saved_clock = 0
        self._taken: dict[str, list[Batch]] = {}
        self._errors: list[tuple[Any, ...]] = []
        self.counts: dict[str, int] = dict.fromkeys(catalog.streams, 0)
        for pump in pumps:
            pump.node.tell(lambda batch, reasons, name=pump.name: self._failed(batch, reasons, name))  # type: ignore[misc]

    def push(self, stream: str, rows: Mapping[str, Sequence[Any]], arrival_times_ms: Sequence[int]) -> None:
        """Add rows to an input stream, in columns: name -> values. The implicit columns may be among them.

        Columns that are missing are NULL. Values that do not fit their column's type send their row to the error stream.
        """
        self.run({stream: (rows, arrival_times_ms)})

    def advance(self, now_ms: int) -> None:
        """Move the clock: windows that end at or before it are closed. An earlier time than the clock does nothing."""
        if now_ms > self._clock:
            self.run({}, now_ms)

    def run(
        self, pushed: Mapping[str, tuple[Mapping[str, Sequence[Any]], Sequence[int]]], now_ms: int | None = None
    ) -> None:  # fmt: skip
        """One step: rows of several input streams together, then the clock."""
        batches = {name: self._entered(name, rows, times) for name, (rows, times) in pushed.items()}
        self._step({name: batch for name, batch in batches.items() if batch is not None}, now_ms)

    def _entered(self, stream: str, rows: Mapping[str, Sequence[Any]], arrivals: Sequence[int]) -> Batch | None:
        fields = self._streams[stream].fields
        size = len(arrivals)
        if not size:
            return None
        times = np.maximum(np.asarray(arrivals, np.int64), self._clock)
        times = np.maximum.accumulate(times)
        checked = Rows([], times)
        columns: list[Vector] = []
        for field in fields:
            if field.name in rows:
                columns.append(coerce(checked, rows[field.name], field.type))
            elif field.name == "APPROXIMATE_ARRIVAL_TIME":
                columns.append(Vector(np.asarray(arrivals, np.int64)))
            else:
                columns.append(all_null(size, field.type))
        order = np.arange(self._entered_rows, self._entered_rows + size, dtype=np.int64)
        self._entered_rows += size
        batch = Batch(columns, times, order)
        if checked.failed is None:
            return batch
        self._failed(batch, checked.reasons, "", "In-application error: cast")
        kept = ~checked.failed
        return batch.take(kept) if kept.any() else None

    def error(self, reason: str, data: bytes, time_ms: int, name: str = "Deserialization error") -> None:
        """Put a record that could not be read into the error stream."""
        time = max(time_ms, self._clock)
        self._errors.append((time, "ERROR", name[:32], reason[:4096], time, data.hex()[:49152], ""))

    def _failed(self, batch: Batch, reasons: Mapping[int, str], pump: str, name: str = "Row processing error") -> None:
        for place in sorted(reasons):
            time = int(batch.times[place])
            values = [column.take(slice(place, place + 1)).to_list()[0] for column in batch.columns]
            row = ",".join("" if value is None else str(value) for value in values).encode().hex()
            self._errors.append((time, "ERROR", name[:32], reasons[place][:4096], time, row[:49152], pump))

    def _step(self, given: Mapping[str, Batch], now_ms: int | None) -> None:
        with np.errstate(all="ignore"):  # what is wrong with a row is said in the error stream
            self._stepped(given, now_ms)

    def _stepped(self, given: Mapping[str, Batch], now_ms: int | None) -> None:
        clock = max([self._clock, now_ms or 0, *(int(batch.times[-1]) for batch in given.values())])
        waiting: dict[str, list[Batch]] = {name: [batch] for name, batch in given.items()}
        for name, entry in self._streams.items():
            entry.batch = None
            if name in waiting:
                self._enter(name, waiting.pop(name))
        for pump in self._pumps:
            if ERROR_STREAM in pump.reads and self._errors:
                self._put_errors()
            batch = pump.node.step(clock - pump.lag_ms)
            if batch is not None and len(batch):
                self._enter(pump.target, [batch])
        if self._errors:
            self._put_errors()
        self._clock = clock

    def _enter(self, stream: str, batches: list[Batch]) -> None:
        """Rows come into a stream: for its readers in this step, and for `take`."""
        entry = self._streams[stream]
        present = [entry.batch] if entry.batch is not None else []
        entry.batch = merge([*present, *batches])
        self._taken.setdefault(stream, []).extend(batches)
        self.counts[stream] += sum(map(len, batches))

    def _put_errors(self) -> None:
        errors, self._errors = self._errors, []
        errors.sort(key=lambda one: one[0])
        columns = [
            from_list(list(column), field.type) for column, field in zip(zip(*errors, strict=True), ERROR_FIELDS, strict=True)
        ]
        self._enter(ERROR_STREAM, [Batch(columns, columns[0].values)])

    def take_batches(self) -> dict[str, Batch]:
        """As `take`, in columns."""
        taken, self._taken = self._taken, {}
        return {name: merge(batches) for name, batches in taken.items()}

    def take(self) -> dict[str, list[dict[str, Any]]]:
        """The rows that each in-application stream (error_stream among them) received since the last call, in their order.

        Values are None, bool, int, float, str and decimal.Decimal; TIMESTAMP, DATE and TIME as datetime's types.
        ROWTIME is among them.
        """
        made: dict[str, list[dict[str, Any]]] = {}
        for name, batch in self.take_batches().items():
            fields = self._streams[name].fields
            columns = [plain_column(column, field.type) for column, field in zip(batch.columns, fields, strict=True)]
            names = [field.name for field in fields]
            times = plain_column(Vector(batch.times), TIMESTAMP)
            made[name] = [
                {"ROWTIME": time, **dict(zip(names, row, strict=True))}
                for time, row in zip(times, zip(*columns, strict=True), strict=True)
            ]
        return made

    def fields(self, stream: str) -> Sequence[Field]:
        """A stream's columns."""
        return self._streams[stream].fields

    def streams(self) -> list[StreamSchema]:
        """The in-application streams: inputs, those of the code, and the error stream."""
        return [
            StreamSchema(
                name,
                [Column("ROWTIME", "TIMESTAMP"), *(Column(field.name, str(field.type)) for field in entry.fields)],
                "input" if name in self._inputs else "error" if name == ERROR_STREAM else "stream",
            )
            for name, entry in self._streams.items()
        ]

    def load_reference(self, table: str, rows: Mapping[str, Sequence[Any]]) -> None:
        """Put rows in the place of a reference table's rows. SqlError where a value does not fit its column."""
        found = self._tables[table]
        size = max((len(column) for column in rows.values()), default=0)
        checked = Rows([], np.zeros(size, np.int64))
        columns = [
            coerce(checked, rows[field.name], field.type) if field.name in rows else all_null(size, field.type)
            for field in found.fields
        ]
        if checked.failed is not None:
            place, reason = next(iter(checked.reasons.items()))
            raise SqlError(f"Row {place + 1} of the reference table '{table}': {reason}")
        found.put(columns, size)

    def next_ms(self) -> int | None:
        """When, by the clock, the first window closes if no rows come; None when none is open."""
        times = [
            time + pump.lag_ms
            for pump in self._pumps
            for node in pump.nodes()
            if (time := node.next_ms(self._clock - pump.lag_ms)) is not None
        ]
        return min(times) if times else None

    def changes(self) -> dict[str, bytes | None]:
        """The pieces of the state that changed since the last call: new bytes, or None for a piece that is gone."""
        return self._pieces(everything=False)

    def _pieces(self, everything: bool) -> dict[str, bytes | None]:
        pieces: dict[str, bytes | None] = {}
        if not everything:
            pieces.update(dict.fromkeys(self._stale))
            self._stale = []
        if everything or self._clock != self._saved_clock:
            pieces[_CLOCK] = encode(self._clock)
            self._saved_clock = self._saved_clock if everything else self._clock
        if everything or not self._fingerprint_saved:
            pieces[_CODE] = self._fingerprint
            self._fingerprint_saved = not everything
        for pump in self._pumps:
            for place, node in enumerate(pump.nodes()):
                for name, data in node.save(everything).items():
                    pieces[f"{pump.name}/{place}/{name}"] = data
        return pieces

    def state(self) -> bytes:
        """The whole state in one piece (what was not taken is not part of it)."""
        return encode({name: data for name, data in self._pieces(everything=True).items() if data is not None})

    def restore(self, state: bytes | Mapping[str, bytes]) -> None:
        """Continue from a state: bytes of `state`, or all pieces of `changes`. Of a state of other code only the clock counts."""
        pieces = decode(state) if isinstance(state, bytes) else state
        if _CLOCK in pieces:
            self._clock = self._saved_clock = decode(pieces[_CLOCK])
        if pieces.get(_CODE) != self._fingerprint:
            self._stale = [name for name in pieces if name not in (_CLOCK, _CODE)]
            return
        self._fingerprint_saved = True
        for pump in self._pumps:
            for place, node in enumerate(pump.nodes()):
                start = f"{pump.name}/{place}/"
                node.load({name[len(start) :]: data for name, data in pieces.items() if name.startswith(start)})


def plain_column(column: Vector, kind: SqlType) -> list[Any]:
    """Values as Python has them."""
    make = {TIMESTAMP: instants.instant, DATE: instants.as_date, TIME: instants.as_time}.get(kind)
    values = column.to_list()
    return values if make is None else [None if value is None else make(value) for value in values]


def text_column(column: Vector, kind: SqlType) -> list[str | None]:
    """Values as text."""
    make = to_text(kind)
    return [None if value is None else make(value) for value in column.to_list()]


class _Compiler:
    """Puts a program together, statement by statement."""

    def __init__(self, code: str, inputs: Sequence[InputSchema], references: Sequence[ReferenceSchema]) -> None:
        source, self._statements = parse(code)
        self._source = source
        # What the pieces of a state mean follows from the code and the types of its inputs.
        described = repr([code, [(one.name, one.columns) for one in inputs], [(one.name, one.columns) for one in references]])
        self._fingerprint = hashlib.sha256(described.encode()).digest()
        self._inputs = inputs
        self._catalog = Catalog(source)
        for schema in inputs:
            fields = [Field(column.name, parse_type(column.sql_type)) for column in schema.columns]
            named = {field.name for field in fields}
            fields += [Field(name, kind, hidden=True) for name, kind in IMPLICIT if name not in named]
            self._catalog.streams[schema.name] = Entry(fields)
        for table in references:
            fields = [Field(column.name, parse_type(column.sql_type)) for column in table.columns]
            self._catalog.tables[table.name] = ReferenceTable(fields)
        self._catalog.streams[ERROR_STREAM] = Entry(ERROR_FIELDS)
        self._pumps: dict[str, tuple[CreatePump | Bare, bool]] = {}

    def program(self) -> Program:
        """The program."""
        for statement in self._statements:
            self._declare(statement)
        pumps: list[Pump] = []
        for name, (statement, started) in self._pumps.items():
            pump = self._pump(name, statement)
            if started:
                pumps.append(pump)
        return Program(self._inputs, self._catalog, self._ordered(pumps), self._fingerprint)

    def _declare(self, statement: Statement) -> None:
        catalog = self._catalog
        if isinstance(statement, CreateStream):
            if statement.name in {*(one.name for one in self._inputs), *catalog.tables, ERROR_STREAM}:
                raise self._source.error(f"'{statement.name}' is there already", statement.at)
            catalog.streams[statement.name] = Entry([Field(name, kind) for name, kind in statement.columns])
        elif isinstance(statement, CreateView):
            catalog.views[statement.name] = statement
        elif isinstance(statement, CreateFunction):
            catalog.functions[statement.name] = statement
        elif isinstance(statement, CreatePump):
            self._pumps[statement.name] = (statement, statement.started)
        elif isinstance(statement, Bare):
            if OUTPUT in self._pumps:
                raise self._source.error("Only one SELECT can stand alone", statement.at)
            self._pumps[OUTPUT] = (statement, True)
        elif isinstance(statement, AlterPump):
            if statement.name not in self._pumps:
                raise self._source.error(f"Pump '{statement.name}' not found", statement.at)
            self._pumps[statement.name] = (self._pumps[statement.name][0], statement.started)
        else:
            self._drop(statement)

    def _drop(self, statement: Drop) -> None:
        places: dict[str, dict[str, Any]] = {
            "STREAM": self._catalog.streams, "PUMP": self._pumps, "VIEW": self._catalog.views,
            "FUNCTION": self._catalog.functions,
        }  # fmt: skip
        if statement.name not in places.get(statement.kind, {}):
            raise self._source.error(f"{statement.kind} '{statement.name}' not found", statement.at)
        del places[statement.kind][statement.name]

    def _pump(self, name: str, statement: CreatePump | Bare) -> Pump:
        planner = Planner(self._catalog)
        node = planner.query(statement.query)
        if isinstance(statement, Bare):
            fields = _named_once([Field(field.name, field.type) for field in node.fields if field.name != "ROWTIME"])
            self._catalog.streams[OUTPUT] = Entry(fields)
            if len(fields) != len(node.fields):
                return Pump(name, _without_rowtime(node, fields), OUTPUT, planner.used)
            return Pump(name, node, OUTPUT, planner.used)
        target = self._catalog.streams.get(statement.target)
        if target is None:
            raise self._source.error(f"Table '{statement.target}' not found", statement.at)
        if statement.target == ERROR_STREAM:
            raise self._source.error("Cannot insert into the error stream", statement.at)
        made = inserted(node, statement.columns, target, self._source, statement.at)
        return Pump(name, made, statement.target, planner.used)

    def _ordered(self, pumps: list[Pump]) -> list[Pump]:
        """Pumps so that each comes after those that write what it reads; readers of errors last."""
        ordered: list[Pump] = []
        left = sorted(pumps, key=lambda pump: ERROR_STREAM in pump.reads)
        while left:
            ready = [pump for pump in left if not any(other.target in pump.reads for other in left)]
            if not ready:
                names = ", ".join(pump.name for pump in left)
                raise self._source.error(f"Pumps write what they read, in a circle: {names}", 0)
            ordered.append(ready[0])
            left.remove(ready[0])
        for pump in ordered:
            self._set_lag(pump, ordered)
        return ordered

    def _set_lag(self, pump: Pump, pumps: list[Pump]) -> None:
        """The clocks of those who read rows that are put into another order lie behind; rows of two clocks do not meet."""
        streams = self._catalog.streams
        lags = {streams[name].lag_ms for name in pump.reads}
        if len(lags) > 1:
            raise self._source.error(f"Pump '{pump.name}' reads streams whose times differ by ORDER BY … WITHIN", 0)
        pump.lag_ms = max(lags, default=0)
        sorts = [node for node in pump.nodes() if isinstance(node, Resorted)]
        outer = pump.node.children[0] if not isinstance(pump.node, Resorted) and pump.node.children else pump.node
        if sorts and sorts not in ([outer], [pump.node]):
            raise self._source.error("ORDER BY … WITHIN must be the last of a pump's query", 0)
        lag = pump.lag_ms + sum(node.within_ms for node in sorts)
        if lag != streams[pump.target].lag_ms and any(other.target == pump.target for other in pumps if other is not pump):
            raise self._source.error(f"The pumps that feed '{pump.target}' differ by ORDER BY … WITHIN", 0)
        streams[pump.target].lag_ms = lag


def _named_once(fields: list[Field]) -> list[Field]:
    """Columns whose names differ: a name that comes again gets a number."""
    made: list[Field] = []
    for field in fields:
        names = {one.name for one in made}
        name, number = field.name, 0
        while name in names:
            name, number = f"{field.name}{number}", number + 1
        made.append(Field(name, field.type))
    return made


def _without_rowtime(node: Node, fields: list[Field]) -> Node:
    """ROWTIME is part of every row: a query that stands alone does not give it twice."""
    return _Picked(node, [place for place, field in enumerate(node.fields) if field.name != "ROWTIME"], fields)


class _Picked(Node):
    """Some of the columns."""

    def __init__(self, child: Node, places: Sequence[int], fields: Sequence[Field]) -> None:
        super().__init__([child])
        self.fields = fields
        self._places = places

    def step(self, clock: int) -> Batch | None:
        """The rows with fewer columns."""
        batch = self.children[0].step(clock)
        return None if batch is None else Batch([batch.columns[place] for place in self._places], batch.times, batch.order)


def compile(code: str, inputs: Sequence[InputSchema], references: Sequence[ReferenceSchema] = ()) -> Program:
    """The program of an application's code. Raises SqlError with place and reason."""
    return _Compiler(code, inputs, references).program()
