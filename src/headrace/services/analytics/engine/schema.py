"""What the engine is told and what it answers: light types, which the server may import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

ERROR_STREAM = "error_stream"
"""The in-application stream that takes rows that could not be processed."""


class SqlError(Exception):
    """The application's code (or a schema) cannot be run: what is wrong, and where (both from 1; 0 when it has no place)."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    def sentence(self) -> str:
        """Message with its place, as the services show it."""
        return f"From line {self.line}, column {self.column}: {self.message}" if self.line else self.message


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name as SQL sees it (case kept), its SQL type as written ('VARCHAR(64)'), and where it is read from.

    The mapping is a path ('$.a.b') for JSON; CSV columns are taken in their order.
    """

    name: str
    sql_type: str
    mapping: str | None = None


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """How raw records are read: JSON below a row path, or CSV with delimiters."""

    kind: Literal["JSON", "CSV"] = "JSON"
    row_path: str = "$"
    row_delimiter: str = "\n"
    column_delimiter: str = ","
    encoding: str = "UTF-8"


@dataclass(frozen=True, slots=True)
class InputSchema:
    """An in-application input stream ('SOURCE_SQL_STREAM_001') and how its records are read.

    ROWTIME, APPROXIMATE_ARRIVAL_TIME, PARTITION_KEY, SEQUENCE_NUMBER and SHARD_ID are added to the columns.
    """

    name: str
    columns: Sequence[Column]
    format: RecordFormat = field(default_factory=RecordFormat)


@dataclass(frozen=True, slots=True)
class ReferenceSchema:
    """An in-application reference table, and how its object in S3 is read."""

    name: str
    columns: Sequence[Column]
    format: RecordFormat = field(default_factory=RecordFormat)


@dataclass(frozen=True, slots=True)
class StreamSchema:
    """An in-application stream: its name, columns, and kind (`input`, `stream`, `error`)."""

    name: str
    columns: Sequence[Column]
    kind: Literal["input", "stream", "error"]


@dataclass(frozen=True, slots=True)
class Raw:
    """A record of a source as it was put: the child process decodes it."""

    data: bytes
    arrival_ms: int
    partition_key: str = ""
    sequence_number: str = ""
    shard_id: str = ""


class Columns(NamedTuple):
    """Records of a source, a list for each of their members."""

    data: Sequence[bytes]
    arrival_ms: Sequence[int]
    partition_keys: Sequence[str]
    sequence_numbers: Sequence[str]
    shard_ids: Sequence[str]


def columns_of(records: Sequence[Raw]) -> Columns:
    """Records, turned."""
    return Columns(
        [one.data for one in records],
        [one.arrival_ms for one in records],
        [one.partition_key for one in records],
        [one.sequence_number for one in records],
        [one.shard_id for one in records],
    )


@dataclass(frozen=True, slots=True)
class Failure:
    """A record for the error stream: its bytes, when it arrived, the error's name, and the reason."""

    data: bytes
    arrival_ms: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Output:
    """What a destination takes: an in-application stream, written as JSON objects or CSV lines."""

    stream: str
    kind: Literal["JSON", "CSV"] = "JSON"


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of an application gave.

    `encoded`: for each output stream that was asked for, its rows as records. `rows`: for each stream that was asked for, its
    rows as values. `pieces`: what changed in the state since the last step: a piece's new bytes, or None when it is gone;
    apply them to what is kept, in the same commit as the inputs' checkpoints. `counts`: rows that each stream has received.
    `next_ms`: when, by the clock, a window next closes if no rows come; None when none is open.
    """

    encoded: Mapping[str, Sequence[bytes]]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    pieces: Mapping[str, bytes | None]
    counts: Mapping[str, int]
    next_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Discovered:
    """A schema that was found in a sample of records: the format, the columns, and the sample parsed with them (as text)."""

    format: RecordFormat
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
