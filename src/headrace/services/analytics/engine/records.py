"""Raw records to columns, and rows to records."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec

from headrace.services.analytics.engine import instants
from headrace.services.analytics.engine.casting import to_text
from headrace.services.analytics.engine.jsonpath import Path, find, steps
from headrace.services.analytics.engine.nodes import Field
from headrace.services.analytics.engine.schema import Column, RecordFormat, SqlError
from headrace.services.analytics.engine.sqltypes import Batch, SqlType, Vector, parse_type


@dataclass(slots=True)
class Decoded:
    """Values by column; which record each row is from (None: one row for each record); and the records that could not be read."""

    columns: dict[str, list[Any]]
    size: int
    origins: list[int] | None = None
    bad: list[tuple[int, str]] = field(default_factory=list)


class RecordReader:
    """Reads records of one schema."""

    def __init__(self, format_: RecordFormat, columns: Sequence[Column]) -> None:
        self._format = format_
        self._names = [column.name for column in columns]
        self._texts = [parse_type(column.sql_type).is_text for column in columns]
        self._row_delimiter = _unescaped(format_.row_delimiter) or "\n"
        self._column_delimiter = _unescaped(format_.column_delimiter) or ","
        if format_.kind == "JSON":
            self._row_path = steps(format_.row_path or "$")
            self._paths = [steps(column.mapping or f"$.{column.name}") for column in columns]
            flattened = {path[: path.index(None)] for path in self._paths if None in path[:-1]}
            if len(flattened) > 1:
                raise SqlError("Only one array can be flattened in a schema")
            self._array: Path | None = next(iter(flattened), None)
            self._fast = _FastJson(self._row_path, self._paths) if _plain(self._row_path, self._paths) else None

    def read(self, records: Sequence[bytes]) -> Decoded:
        """The rows of records. They may be views of other memory."""
        if self._format.kind == "CSV":
            return self._read_csv([bytes(record) for record in records])
        if self._fast is not None:
            try:
                found = self._fast.read(records)
                return Decoded(dict(zip(self._names, found, strict=True)), len(records))
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
        return self._one_by_one([bytes(record) for record in records])

    def _one_by_one(self, records: Sequence[bytes]) -> Decoded:
        rows: list[list[Any]] = []
        origins: list[int] = []
        bad: list[tuple[int, str]] = []
        for place, record in enumerate(records):
            try:
                found = [row for value in _values(record) for row in self._rows(value)]
            except (ValueError, UnicodeDecodeError) as error:
                bad.append((place, f"Invalid JSON: {error}"))
                continue
            rows += found
            origins += [place] * len(found)
        return self._decoded(rows, origins, bad)

    def _decoded(self, rows: list[list[Any]], origins: list[int], bad: list[tuple[int, str]]) -> Decoded:
        columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in self._names]
        if self._format.kind == "CSV":  # an empty field is NULL where it is not text
            columns = [
                column if text else [value if value and value.strip() else None for value in column]
                for column, text in zip(columns, self._texts, strict=True)
            ]
        return Decoded(dict(zip(self._names, columns, strict=True)), len(rows), origins, bad)

    def _rows(self, value: Any) -> list[list[Any]]:
        """The rows of one JSON value: one, or one for each element of the array that is flattened."""
        made: list[list[Any]] = []
        for row in _elements(value, self._row_path):
            if not isinstance(row, dict | list):
                raise ValueError("the row is no object")
            if self._array is None:
                made.append([find(row, path) for path in self._paths])
                continue
            elements = find(row, self._array)
            width = len(self._array)
            for element in elements if isinstance(elements, list) and elements else [None]:
                made.append(
                    [
                        find(element, path[width + 1 :]) if path[:width] == self._array and None in path[:-1] else find(row, path)
                        for path in self._paths
                    ]
                )
        return made

    def _read_csv(self, records: Sequence[bytes]) -> Decoded:
        rows: list[list[Any]] = []
        origins: list[int] = []
        bad: list[tuple[int, str]] = []
        width = len(self._names)
        for place, record in enumerate(records):
            try:
                text = record.decode(self._format.encoding or "UTF-8")
                found = self._split(text)
            except (UnicodeDecodeError, csv.Error, LookupError) as error:
                bad.append((place, f"Invalid CSV: {error}"))
                continue
            rows += [(row + [None] * width)[:width] if len(row) != width else row for row in found]
            origins += [place] * len(found)
        return self._decoded(rows, origins, bad)

    def _split(self, text: str) -> list[list[Any]]:
        lines = [line for line in text.split(self._row_delimiter) if line.strip("\r\n")]
        if '"' in text and len(self._column_delimiter) == 1:
            return [row for line in lines for row in csv.reader([line], delimiter=self._column_delimiter, strict=True)]
        return [line.rstrip("\r").split(self._column_delimiter) for line in lines]


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")


def _plain(row_path: Path, paths: Sequence[Path]) -> bool:
    """Whether paths are names only, and none is both a leaf and a branch."""
    if not all(isinstance(step, str) for path in (row_path, *paths) for step in path) or not all(paths):
        return False
    branches = {path[:length] for path in paths for length in range(len(path))}
    return not any(path in branches for path in paths)


class _FastJson:
    """Reads members at fixed places, into structures made for them; what else a record has is skipped as it is read."""

    def __init__(self, row_path: Path, paths: Sequence[Path]) -> None:
        full = [(*row_path, *path) for path in paths]
        self._getters: list[Callable[[Any], Any]] = []
        structure, places = _structure(full)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(structure).decode
        self._row: list[str] = []
        for path in full:
            self._getters.append(_getter(places[path]))

    def read(self, records: Sequence[bytes]) -> list[list[Any]]:
        """The columns. DecodeError when a record is no JSON, or not of this form."""
        decode = self._decode
        found = [decode(record) for record in records]
        return [list(map(getter, found)) for getter in self._getters]


def _getter(names: list[str]) -> Callable[[Any], Any]:
    if len(names) == 1:
        return attrgetter(names[0])

    def get(value: Any) -> Any:
        for name in names:
            if value is None:
                return None
            value = getattr(value, name)
        return value

    return get


def _structure(paths: Sequence[tuple[Any, ...]]) -> tuple[type, dict[tuple[Any, ...], list[str]]]:
    """A structure that has the paths, and by which attributes each is reached."""
    names: dict[str, str] = {}
    leaves: dict[str, bool] = {}
    for path in paths:
        names.setdefault(path[0], f"f{len(names)}")
        leaves[path[0]] = len(path) == 1
    fields: list[Any] = []
    places: dict[tuple[Any, ...], list[str]] = {}
    for name, attribute in names.items():
        if leaves[name]:
            fields.append((attribute, Any, None))
            places[(name,)] = [attribute]
            continue
        inner, inner_places = _structure([path[1:] for path in paths if path[0] == name])
        fields.append((attribute, inner | None, None))
        places.update({(name, *path): [attribute, *way] for path, way in inner_places.items()})
    renamed = {attribute: name for name, attribute in names.items()}
    return msgspec.defstruct("Row", fields, rename=renamed, gc=False), places


def _values(record: bytes) -> list[Any]:
    """The JSON values of a record: most have one; some have several, one after another."""
    try:
        return [msgspec.json.decode(record)]
    except msgspec.DecodeError:
        text, found, decoder = record.decode(), [], json.JSONDecoder()
        place = 0
        while place < len(text):
            if text[place].isspace():
                place += 1
                continue
            value, place = decoder.raw_decode(text, place)
            found.append(value)
        if not found:
            raise ValueError("the record is empty") from None
        return found


def _elements(value: Any, path: Path) -> list[Any]:
    """What lies at a row path: `[0:]` in it gives each element."""
    found = [value]
    for step in path:
        if step is None:
            found = [element for one in found if isinstance(one, list) for element in one]
        else:
            found = [inner for one in found if (inner := find(one, (step,))) is not None]
    if not path and isinstance(value, list):
        return value
    return found


_JSON = msgspec.json.Encoder(decimal_format="number")
_TEXTS: dict[str, Callable[[Any], Any]] = {
    "TIMESTAMP": instants.timestamp_text, "DATE": instants.date_text, "TIME": instants.clock_text,
    "VARBINARY": lambda value: value.hex(), "ROW": list,
}  # fmt: skip


def json_column(column: Vector, kind: SqlType) -> list[Any]:
    """Values as JSON has them."""
    make = _TEXTS.get(kind.kind)
    values = column.to_list()
    return values if make is None else [None if value is None else make(value) for value in values]


def encode_rows(batch: Batch, fields: Sequence[Field], kind: str) -> list[bytes]:
    """Rows as records: JSON objects, or lines of CSV that end in a newline."""
    names = [one.name for one in fields]
    if kind == "JSON":
        columns = [json_column(column, one.type) for column, one in zip(batch.columns, fields, strict=True)]
        encode = _JSON.encode
        return [encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
    texts = [
        [None if value is None else make(value) for value in column.to_list()]
        for column, make in ((column, to_text(one.type)) for column, one in zip(batch.columns, fields, strict=True))
    ]
    lines: list[bytes] = []
    for row in zip(*texts, strict=True):
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerow(row)
        lines.append(out.getvalue().encode())
    return lines
