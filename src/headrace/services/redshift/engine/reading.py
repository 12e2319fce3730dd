"""Files of a COPY as something that DuckDB selects from: directly where that is right, else normalised row by row."""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from headrace.services.redshift.engine.casting import RowError, Target
from headrace.services.redshift.engine.copying import Copy
from headrace.services.redshift.engine.failures import SqlError, unsupported
from headrace.services.redshift.engine.scan import literal

OBJECT_LIMIT_BYTES = 4 * 1024 * 1024
_STEP = re.compile(r"""\.([\w]+)|\[(\d+)\]|\[['"]([^'"]+)['"]\]""")


def direct(command: Copy, targets: list[Target], paths: list[str]) -> str:
    """What stands behind FROM when DuckDB may read the files itself; empty when it may not."""
    options = command.options
    files = "[" + ", ".join(literal(path) for path in paths) + "]"
    if options.format == "PARQUET":
        names = ", ".join('"' + target.name.replace('"', '""') + '"' for target in targets)
        return f"(select * from read_parquet({files})) as parquet_rows({names})"
    if options.format != "JSON" or options.json.lower() not in ("auto",):
        return ""
    if (
        options.numbers.get("MAXERROR")
        or options.flags & {"IGNOREALLERRORS"}
        or options.texts.keys() & {"NULL", "ACCEPTINVCHARS"}
    ):
        return ""
    compression = "gzip" if "GZIP" in options.flags else "none"
    return (
        f"read_json({files}, format = 'unstructured', columns = {{{_columns(targets)}}}, compression = '{compression}',"
        f" maximum_object_size = {OBJECT_LIMIT_BYTES})"
    )


def _columns(targets: list[Target]) -> str:
    return ", ".join(f"{literal(target.name)}: '{'JSON' if target.stored == 'JSON' else 'VARCHAR'}'" for target in targets)


def normal_source(targets: list[Target], path: str) -> str:
    """What stands behind FROM for a file that `normalise` wrote."""
    extra = "hr_number: 'BIGINT', hr_file: 'VARCHAR', hr_line: 'BIGINT', hr_raw: 'VARCHAR'"
    return (
        f"read_json({literal(path)}, format = 'newline_delimited', columns = {{{_columns(targets)}, {extra}}},"
        f" maximum_object_size = {4 * OBJECT_LIMIT_BYTES})"
    )


def jsonpaths(data: bytes) -> list[list[str | int]]:
    """A jsonpaths file: one path per column."""
    try:
        given = json.loads(data)["jsonpaths"]
    except (ValueError, KeyError, TypeError):
        raise SqlError("XX000", 'Invalid JSONPath format: the file must hold {"jsonpaths": [...]}') from None
    paths = []
    for path in given:
        if not isinstance(path, str) or not path.startswith("$") or _STEP.sub("", path[1:]):
            raise SqlError("XX000", f"Invalid JSONPath format: {path}")
        paths.append([int(index) if index else plain or quoted for plain, index, quoted in _STEP.findall(path[1:])])
    return paths


def _walk(value: Any, path: list[str | int]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode()


def _open(path: str, command: Copy) -> bytes:
    data = Path(path).read_bytes()
    if "GZIP" in command.options.flags:
        try:
            return gzip.decompress(data)
        except (OSError, EOFError):
            raise SqlError("XX000", "the data is not in gzip format") from None
    return data


def normalise(
    command: Copy, targets: list[Target], files: list[tuple[str, str]], out: Path, paths: list[list[str | int]]
) -> list[RowError]:
    """Write every row as one JSON object of texts, with its file and line. Rows that cannot be read at all are returned."""
    errors: list[RowError] = []
    number = 0
    encode = msgspec.json.Encoder().encode
    with out.open("wb") as sink:
        for url, path in files:
            rows = (
                _json_rows(command, targets, _open(path, command), paths)
                if command.options.format == "JSON"
                else _text_rows(command, targets, _open(path, command))
            )
            for line, raw, values in rows:
                number += 1
                if isinstance(values, tuple):
                    errors.append(RowError(0, url, line, "", "", raw, "", values[0], values[1]))
                    continue
                values.update(hr_number=number, hr_file=url, hr_line=line, hr_raw=raw[:1024])
                sink.write(encode(values) + b"\n")
    return errors


Row = tuple[int, str, dict[str, Any] | tuple[int, str]]


def _decode(data: bytes, command: Copy) -> tuple[str, bool]:
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        if mark := command.options.texts.get("ACCEPTINVCHARS"):
            return data.decode(errors="replace").replace("\ufffd", mark), True
        return data.decode(errors="replace"), False


def _json_rows(command: Copy, targets: list[Target], data: bytes, paths: list[list[str | int]]) -> Iterator[Row]:
    text, whole = _decode(data, command)
    fold = command.options.json.lower() == "auto ignorecase"
    if paths and len(paths) != len(targets):
        raise SqlError(
            "XX000",
            "Number of jsonpaths and the number of columns should match. "
            f"JSONPath size: {len(paths)}, Number of columns in table or column list: {len(targets)}",
        )
    decoder, at, line = json.JSONDecoder(parse_float=_Number, parse_int=_Number), 0, 1
    null = command.options.texts.get("NULL")
    while True:
        begin = at
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        line += text.count("\n", begin, at)
        if at >= len(text):
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError as error:
            stop = text.find("\n", at)
            yield line, text[at : stop if stop > 0 else None], (1214, f"Invalid JSON: {error}"[:100])
            if stop < 0:
                return
            at = stop
            continue
        raw = text[at:end]
        first, line, at = line, line + raw.count("\n"), end
        if not whole and "\ufffd" in raw:
            yield first, raw, (1220, "String contains invalid or unsupported UTF8 codepoints")
        elif paths:
            yield (
                first,
                raw,
                {target.name: _value(target, _walk(value, path), null) for target, path in zip(targets, paths, strict=True)},
            )
        elif not isinstance(value, dict):
            yield first, raw, (1214, "Invalid JSON: an object is expected")
        else:
            found = {key.lower(): item for key, item in value.items()} if fold else value
            yield first, raw, {target.name: _value(target, found.get(target.name), null) for target in targets}


class _Number(str):
    """A number, kept as it was written."""


def _value(target: Target, value: Any, null: str | None) -> Any:
    if target.stored == "JSON":
        return json.loads(json.dumps(_plain(value)))
    text = str(value) if isinstance(value, _Number) else value if isinstance(value, str) else _text(_plain(value))
    return None if null is not None and text == null else text


def _plain(value: Any) -> Any:
    if isinstance(value, _Number):
        return json.loads(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _text_rows(command: Copy, targets: list[Target], data: bytes) -> Iterator[Row]:
    options = command.options
    text, whole = _decode(data, command)
    null = options.texts.get("NULL", "\\N" if options.format == "DELIMITED" else None)
    skip = options.numbers.get("IGNOREHEADER", 0)
    for line, raw, given in (
        _csv(command, text) if options.format == "CSV" or "REMOVEQUOTES" in options.flags else _delimited(command, text)
    ):
        if line <= skip or (not raw.strip() and "IGNOREBLANKLINES" in options.flags):
            continue
        if not whole and "\ufffd" in raw:
            yield line, raw, (1220, "String contains invalid or unsupported UTF8 codepoints")
            continue
        missing = len(targets) - len(given) if "FILLRECORD" in options.flags else 0
        fields = [*given, *[None] * missing]
        if len(fields) < len(targets):
            yield line, raw, (1213, "Missing data for not-null field" if fields == [""] else "Delimiter not found")
        elif len(fields) > len(targets):
            yield line, raw, (1202, "Extra column(s) found")
        else:
            values = (None if null is not None and value == null else value for value in fields)
            yield line, raw, {target.name: _cell(target, value) for target, value in zip(targets, values, strict=True)}


def _cell(target: Target, value: str | None) -> Any:
    if target.stored != "JSON" or value is None:
        return value
    return value


def _csv(command: Copy, text: str) -> Iterator[tuple[int, str, list[Any]]]:
    quote = command.options.texts.get("QUOTE", '"')
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=command.options.delimiter, quotechar=quote, doublequote=True, strict=False
    )
    line = 1
    try:
        for fields in reader:
            yield line, command.options.delimiter.join(fields), fields or [""]
            line = reader.line_num + 1
    except csv.Error as error:
        raise SqlError("XX000", f"Invalid quote formatting for CSV: {error}") from None


def _delimited(command: Copy, text: str) -> Iterator[tuple[int, str, list[Any]]]:
    delimiter = command.options.delimiter
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    if "ESCAPE" in command.options.flags:
        raise unsupported("ESCAPE")
    for number, line in enumerate(lines, 1):
        yield number, line, line.removesuffix("\r").split(delimiter)
