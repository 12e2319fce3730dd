"""Runs applications for tests: records in, rows of each stream out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.services.analytics.engine.instants import parse_instant
from headrace.services.analytics.engine.program import Program, compile
from headrace.services.analytics.engine.schema import Column, InputSchema, ReferenceSchema

SOURCE = "SOURCE_SQL_STREAM_001"
STOCKS = [
    Column("TICKER_SYMBOL", "VARCHAR(4)"),
    Column("SECTOR", "VARCHAR(16)"),
    Column("CHANGE", "REAL"),
    Column("PRICE", "REAL"),
]


def at(text: str) -> int:
    """Milliseconds of a time of the day on which the tests play, '11:00:20' or '11:00:20.5'."""
    return parse_instant(f"2018-08-01 {text}")


def columns(text: str) -> list[Column]:
    """Columns written as `a INTEGER, b VARCHAR(4)`; names as they stand."""
    parts = [part.strip().split(" ", 1) for part in re.split(r",(?![^(]*\))", text)]
    return [Column(name, kind) for name, kind in parts]


class Application:
    """A program, and all that its streams received."""

    def __init__(
        self,
        code: str,
        inputs: Mapping[str, Sequence[Column]] | Sequence[Column],
        tables: Mapping[str, Sequence[Column]] | None = None,
    ) -> None:
        named = inputs if isinstance(inputs, Mapping) else {SOURCE: inputs}
        self.schemas = [InputSchema(name, found) for name, found in named.items()]
        self.references = [ReferenceSchema(name, found) for name, found in (tables or {}).items()]
        self.code = code
        self.program: Program = compile(code, self.schemas, self.references)
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def push(self, rows: Sequence[Sequence[Any]], stream: str = SOURCE) -> "Application":
        """Rows, each with its time first: as text or milliseconds."""
        names = [one.name for one in next(schema for schema in self.schemas if schema.name == stream).columns]
        times = [at(row[0]) if isinstance(row[0], str) else row[0] for row in rows]
        given = {name: [row[place] for row in rows] for place, name in enumerate(names, 1)}
        self.program.push(stream, given, times)
        return self._taken()

    def advance(self, time: str | int) -> "Application":
        """Move the clock."""
        self.program.advance(at(time) if isinstance(time, str) else time)
        return self._taken()

    def _taken(self) -> "Application":
        for name, rows in self.program.take().items():
            self.rows.setdefault(name, []).extend(rows)
        return self

    def restarted(self) -> "Application":
        """Go on in a new program, from the state."""
        state = self.program.state()
        self.program = compile(self.code, self.schemas, self.references)
        self.program.restore(state)
        return self

    def found(self, stream: str = "OUTPUT", rowtime: bool = False) -> list[tuple[Any, ...]]:
        """A stream's rows as tuples; with the time of day of each first, if wanted."""
        return [
            ((f"{row['ROWTIME']:%H:%M:%S}",) if rowtime else ())
            + tuple(value for name, value in row.items() if name != "ROWTIME")
            for row in self.rows.get(stream, [])
        ]

    def errors(self) -> list[str]:
        """The messages of the error stream."""
        return [row["MESSAGE"] for row in self.rows.get("error_stream", [])]
