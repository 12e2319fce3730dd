"""Functions that take a line of a log apart into the columns of a row."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.services.analytics.engine.casting import convert
from headrace.services.analytics.engine.evaluate import Builder, Compiled, Invocation, Rows, TypeProblem, each, strict
from headrace.services.analytics.engine.sqltypes import VARCHAR, SqlType, from_list, parse_type

_COMMON = r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)'
_EXTENDED = _COMMON + r'(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?'
_W3C: dict[str, tuple[str, tuple[str, ...]]] = {
    "COMMON": (_COMMON, ("C_IP", "C_AUTHTYPE", "CS_USERNAME", "TIMESTAMP", "REQUEST", "SC_STATUS", "SC_BYTES")),
    "COMMON WITH VHOST": (r"^(\S+) " + _COMMON[1:], ("S_DNS", "C_IP", "C_AUTHTYPE", "CS_USERNAME", "TIMESTAMP", "REQUEST",
                                                     "SC_STATUS", "SC_BYTES")),
    "NCSA EXTENDED": (_EXTENDED, ("C_IP", "C_AUTHTYPE", "CS_USERNAME", "TIMESTAMP", "REQUEST", "SC_STATUS", "SC_BYTES",
                                  "CS_REFERER", "CS_USER_AGENT")),
    "REFERER": (r"^(.*?) -> (.*)$", ("CS_REFERER", "CS_URI")),
    "AGENT": (r"^(.*)$", ("CS_USER_AGENT",)),
}  # fmt: skip
_SYSLOG = re.compile(
    r"^(?:<(\d{1,3})>)?\s*([A-Z][a-z]{2}\s+\d{1,2} \d{2}:\d{2}:\d{2}|\d{4}-\d{2}-\d{2}T\S+)\s+(\S+)\s+(.*)$", re.DOTALL
)
_FACILITIES = ["kernel", "user", "mail", "system", "security", "syslogd", "printer", "news", "uucp", "clock", "security",
               "ftp", "ntp", "audit", "alert", "clock", *(f"local{number}" for number in range(8))]  # fmt: skip
_SEVERITIES = ["Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"]


def _columns(count: int) -> list["Described"]:
    return [Described(f"COLUMN{number}", VARCHAR, None, None) for number in range(1, count + 1)]


def _parsed(
    invocation: Invocation, columns: Sequence["Described"], parse: Callable[[str], tuple[Any, ...] | None]
) -> Compiled:  # fmt: skip
    """A ROW for each line; its columns are all NULL where the line is not of the form."""
    kind = SqlType("ROW", fields=tuple((column.name, column.type) for column in columns))
    empty = (None,) * len(columns)
    return strict(each(lambda line: parse(line) or empty, kind), invocation.arguments[:1], kind)


def _expression(text: str) -> "re.Pattern[str]":
    try:
        return re.compile(text)
    except re.error as error:
        raise TypeProblem(f"Invalid regular expression '{text}': {error}") from error


def regex_log(invocation: Invocation) -> Compiled:
    """REGEX_LOG_PARSE: a column for each group of an expression that matches the whole line."""
    invocation.need(2, 3)
    pattern = _expression(invocation.text(1))
    if not pattern.groups:
        raise TypeProblem("REGEX_LOG_PARSE needs an expression with groups")
    names = _columns(pattern.groups)

    def parse(line: str) -> tuple[Any, ...] | None:
        found = pattern.fullmatch(line)
        return found.groups() if found else None

    return _parsed(invocation, names, parse)


def fast_regex(invocation: Invocation) -> Compiled:
    """FAST_REGEX_LOG_PARSER: as REGEX_LOG_PARSE, for expressions without backtracking; here it is the same machine."""
    return regex_log(invocation)


def w3c(invocation: Invocation) -> Compiled:
    """W3C_LOG_PARSE: a line of a web server's log, in a format that is named or given by the names of its fields."""
    invocation.need(2)
    name = invocation.text(1).strip()
    if name.upper() in _W3C:
        expression, columns = _W3C[name.upper()]
        matches = re.compile(expression, re.DOTALL).match

        def parse(line: str) -> tuple[Any, ...] | None:
            found = matches(line)
            return found.groups() if found else None

        return _parsed(invocation, _columns(len(columns)), parse)
    if name.upper().startswith("EXTENDED") or (" " not in name and "," not in name):
        raise TypeProblem(f"W3C_LOG_PARSE knows no format '{name}'")
    count = len(re.split(r"[\s,]+", name))
    splits = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')

    def fields(line: str) -> tuple[Any, ...]:
        found = [one[1] if one[1] is not None else one[2] for one in splits.finditer(line)]
        return tuple((found + [None] * count)[:count])

    return _parsed(invocation, _columns(count), fields)


def syslog(invocation: Invocation) -> Compiled:
    """SYS_LOG_PARSE: facility, severity, timestamp, host and message of a line of syslog."""
    invocation.need(1)

    def parse(line: str) -> tuple[Any, ...] | None:
        found = _SYSLOG.match(line)
        if not found:
            return None
        facility = severity = None
        if found[1] is not None and int(found[1]) // 8 < len(_FACILITIES):
            facility, severity = _FACILITIES[int(found[1]) // 8], _SEVERITIES[int(found[1]) % 8]
        return (facility, severity, found[2], found[3], found[4])

    return _parsed(invocation, _columns(5), parse)


def _split(line: str, delimiter: str, escape: str, quote: str) -> list[str | None]:
    fields: list[str | None] = []
    text, quoted, place = "", False, 0
    while place < len(line):
        if escape and line.startswith(escape, place) and place + len(escape) < len(line):
            text += line[place + len(escape)]
            place += len(escape) + 1
        elif quote and line[place] == (quote[-1] if quoted else quote[0]):
            quoted, place = not quoted, place + 1
        elif not quoted and line.startswith(delimiter, place):
            fields.append(text)
            text, place = "", place + len(delimiter)
        else:
            text += line[place]
            place += 1
    return [*fields, text]


def variable_columns(invocation: Invocation) -> Compiled:
    """VARIABLE_COLUMN_LOG_PARSE(line, 'columns', delimiter, escape, quote): fields between delimiters; NULL for missing ones."""
    invocation.need(3, 5)
    counted = invocation.arguments[1].constant
    columns = _columns(counted) if isinstance(counted, int) else described(invocation.text(1))
    delimiter = invocation.text(2)
    escape, quote = [invocation.text(place) if len(invocation.arguments) > place else "" for place in (3, 4)]
    if not delimiter:
        raise TypeProblem("VARIABLE_COLUMN_LOG_PARSE needs a delimiter")

    def parse(line: str) -> tuple[Any, ...]:
        plain = not (escape and escape in line) and not (quote and quote[0] in line)
        fields: list[str | None] = [*line.split(delimiter)] if plain else _split(line, delimiter, escape, quote)
        texts = (fields + [None] * len(columns))[: len(columns)]
        return tuple(column.value(text) for column, text in zip(columns, texts, strict=True))

    return _parsed(invocation, columns, parse)


_COLUMN = re.compile(
    r"""\s*(?:"([^"]+)"|([\w$]+))\s*(?:TYPE\s+([\w ]+?\s*(?:\(\s*\d+\s*(?:,\s*\d+\s*)?\))?))?\s*"""
    r"""(?:NOT\s+NULL\s*)?(?:'([^']*)')?\s*(?:START\s+(\d+)\s*(?:FOR\s+(\d+)\s*)?)?$""",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Described:
    """A column of a description: `"b" TYPE VARCHAR(4) START 3 FOR 4`."""

    name: str
    type: SqlType
    start: int | None
    length: int | None

    def value(self, text: str | None) -> Any:
        """A text as the column's type; NULL where it cannot be it."""
        if text is None or self.type.is_text:
            return text if text is None or not self.type.length else text[: self.type.length]
        column = from_list([text], VARCHAR)
        rows = Rows([column], np.zeros(1, np.int64))
        made = convert(rows, column, VARCHAR, self.type)
        return None if rows.failed is not None else made.to_list()[0]


def described(text: str) -> list[Described]:
    """The columns of a description."""
    made: list[Described] = []
    for part in re.split(r",(?![^(]*\))", text):
        found = _COLUMN.match(part)
        if not found:
            raise TypeProblem(f"'{part.strip()}' describes no column")
        kind = parse_type(found[3].strip()) if found[3] else VARCHAR
        start, length = (int(number) if number else None for number in (found[5], found[6]))
        made.append(Described(found[1] or found[2].upper(), kind, start, length))
    return made


def fixed_columns(invocation: Invocation) -> Compiled:
    """FIXED_COLUMN_LOG_PARSE(line, 'name TYPE type START place FOR length, …'): fields at fixed places, which count from 0."""
    invocation.need(2)
    columns = described(invocation.text(1))
    if any(column.start is None for column in columns):
        raise TypeProblem("FIXED_COLUMN_LOG_PARSE needs START for each column")

    def cut(line: str, column: Described) -> Any:
        start = column.start or 0
        stop = None if column.length is None else start + column.length
        return column.value(line[start:stop]) if start < len(line) else None

    return _parsed(invocation, columns, lambda line: tuple(cut(line, column) for column in columns))


LOG_FUNCTIONS: dict[str, Builder] = {
    "REGEX_LOG_PARSE": regex_log, "FAST_REGEX_LOG_PARSER": fast_regex, "FAST_REGEX_LOG_PARSE": fast_regex,
    "W3C_LOG_PARSE": w3c, "SYS_LOG_PARSE": syslog, "VARIABLE_COLUMN_LOG_PARSE": variable_columns,
    "FIXED_COLUMN_LOG_PARSE": fixed_columns,
}  # fmt: skip
