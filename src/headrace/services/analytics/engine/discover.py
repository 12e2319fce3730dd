"""Schemas found in samples of records, as DiscoverInputSchema gives them."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from headrace.services.analytics.engine.records import RecordReader, _values
from headrace.services.analytics.engine.schema import Column, Discovered, RecordFormat, SqlError
from headrace.services.analytics.engine.words import RESERVED

SAMPLE_RECORDS_MAX = 1000
COLUMNS_MAX = 1000
_DELIMITERS = ",|\t;"
_WORDS = {*RESERVED, "TIMESTAMP", "DATE", "TIME", "USER", "VALUE", "TABLE", "COLUMN", "INDEX", "KEY", "LEVEL", "ROWTIME", "END",
          "START", "YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "COUNT", "RESULT", "METHOD", "TYPE"}  # fmt: skip


def discover(records: Sequence[bytes], given: RecordFormat | None = None) -> Discovered:
    """Format and columns of a sample. SqlError when no schema fits."""
    sample = [record for record in records[:SAMPLE_RECORDS_MAX] if record.strip()]
    if not sample:
        raise SqlError("There are no records to find a schema in")
    if given is None or given.kind == "JSON":
        found = _json(sample)
        if found:
            return _shown(RecordFormat("JSON"), found, sample)
        if given is not None:
            raise SqlError("The records are no JSON objects")
    return _csv(sample, given)


def _shown(format_: RecordFormat, columns: list[Column], sample: Sequence[bytes]) -> Discovered:
    return Discovered(format_, columns, parse(sample, format_, columns))


def parse(records: Sequence[bytes], format_: RecordFormat, columns: Sequence[Column]) -> list[list[str]]:
    """Records as text in a schema's columns."""
    decoded = RecordReader(format_, columns).read(records)
    values = [decoded.columns[column.name] for column in columns]
    return [["" if value is None else _text(value) for value in row] for row in zip(*values, strict=True)]


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _json(sample: Sequence[bytes]) -> list[Column]:
    leaves: dict[str, list[Any]] = {}
    for record in sample:
        try:
            values = _values(record)
        except (ValueError, UnicodeDecodeError):
            return []
        for value in values:
            if not isinstance(value, dict):
                return []
            _leaves(value, "$", leaves, True)
    names = _names([re.sub(r"\[0:\]$", "", path).rpartition(".")[2] for path in leaves], list(leaves))
    return [Column(name, _type(values), path) for name, (path, values) in zip(names, leaves.items(), strict=True)][:COLUMNS_MAX]


def _leaves(value: dict[str, Any], path: str, leaves: dict[str, list[Any]], flatten: bool) -> None:
    for key, inner in value.items():
        here = f"{path}.{key}" if re.fullmatch(r"[^.\[\]'\"]+", key) else f"{path}['{key}']"
        if isinstance(inner, dict):
            _leaves(inner, here, leaves, flatten)
        elif isinstance(inner, list) and inner and all(isinstance(one, dict) for one in inner) and flatten:
            # One array is flattened: the first that has objects.
            taken = {found.split("[0:].")[0] for found in leaves if "[0:]." in found}
            if taken and taken != {here}:
                leaves.setdefault(f"{here}[0:]", []).append(str(inner))
                continue
            for one in inner:
                _leaves(one, f"{here}[0:]", leaves, False)
        elif isinstance(inner, list):
            leaves.setdefault(f"{here}[0:]", []).append(str(inner))
        else:
            leaves.setdefault(here, []).append(inner)


def _names(wanted: list[str], paths: list[str]) -> list[str]:
    """Names that SQL can write, each once; reserved words get COL_ before them."""
    counts = Counter(wanted)
    made: list[str] = []
    for name, path in zip(wanted, paths, strict=True):
        text = name if counts[name] == 1 else path[2:].replace("[0:]", "").replace(".", "_")
        clean = re.sub(r"\W", "_", text) or "COL"
        if clean.upper() in _WORDS or clean[0].isdigit():
            clean = f"COL_{clean}"
        while clean in made:
            clean += "_"
        made.append(clean)
    return made


def _type(values: list[Any]) -> str:
    known = [value for value in values if value is not None]
    kinds = {type(value) for value in known}
    if kinds == {bool}:
        return "BOOLEAN"
    if kinds == {int}:
        return "INTEGER" if all(-(2**31) <= value < 2**31 for value in known) else "BIGINT"
    if kinds and kinds <= {int, float}:
        return "REAL" if all(abs(value) < 1e7 for value in known) else "DOUBLE"
    return _varchar(known)


def _varchar(values: list[Any]) -> str:
    length = max((len(str(value)) for value in values), default=4)
    size = 4
    while size < length:
        size *= 2
    return f"VARCHAR({min(size, 65535)})"


def _csv(sample: Sequence[bytes], given: RecordFormat | None) -> Discovered:
    try:
        texts = [record.decode() for record in sample]
    except UnicodeDecodeError as error:
        raise SqlError("The records are neither JSON nor text") from error
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    delimiter = given.column_delimiter if given is not None else _delimiter(lines)
    if delimiter is None:
        raise SqlError("No column delimiter fits the records")
    format_ = given or RecordFormat("CSV", row_delimiter="\n", column_delimiter=delimiter)
    width = max(len(row) for row in RecordReader(format_, [])._split("\n".join(lines)))
    probe = [Column(f"COL_{_letters(place)}", "VARCHAR(64)") for place in range(min(width, COLUMNS_MAX))]
    decoded = RecordReader(format_, probe).read(sample)
    columns = [Column(column.name, _text_type(decoded.columns[column.name])) for column in probe]
    return _shown(format_, columns, sample)


def _delimiter(lines: list[str]) -> str | None:
    """The delimiter that every line has, equally often."""
    for delimiter in _DELIMITERS:
        counts = {line.count(delimiter) for line in lines}
        if 0 not in counts and len(counts) == 1:
            return delimiter
    return next((delimiter for delimiter in _DELIMITERS if all(delimiter in line for line in lines)), None)


def _letters(place: int) -> str:
    text = chr(ord("A") + place % 26)
    return text if place < 26 else _letters(place // 26 - 1) + text


def _text_type(values: list[Any]) -> str:
    known = [value.strip() for value in values if value]
    if known and all(re.fullmatch(r"[+-]?\d{1,18}", value) for value in known):
        return _type([int(value) for value in known])
    if known and all(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value) for value in known):
        return _type([float(value) for value in known])
    return _varchar(known)
