"""What becomes of a text in a column of a type: the rules by which COPY reads values."""

from dataclasses import dataclass
from typing import Any

import duckdb

from headrace.services.redshift.engine.copying import Options
from headrace.services.redshift.engine.formats import parsing
from headrace.services.redshift.engine.scan import identifier, literal


@dataclass(frozen=True, slots=True)
class Target:
    """A column that is loaded."""

    name: str
    stored: str
    declared: str
    limit_bytes: int | None
    identity: bool
    not_null: bool = False


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that could not be loaded, and why. `number` is its place among all rows read; 0 when it was not read at all."""

    number: int
    file: str
    line: int
    column: str
    declared: str
    raw_line: str
    raw_value: str
    code: int
    message: str


def target(name: str, stored: str, nullable: bool, facts: dict[str, Any]) -> Target:
    """A column as the catalog knows it."""
    declared = str(facts.get("type") or stored.lower())
    limit = int(declared.split("(")[1].rstrip(")")) if declared.startswith("character") and "(" in declared else None
    return Target(name, stored, declared, limit, "identity" in facts, not nullable)


_AUTO_TIMES = ("%Y%m%d", "%Y%m%d %H%M%S", "%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%b %d, %Y", "%d %b %Y",
               "%d-%b-%Y", "%b-%d-%Y", "%d.%m.%Y", "%m-%d-%Y", "%b %d %H:%M:%S %Y", "%Y.%m.%d")  # fmt: skip


def _time(text: str, stored: str, given: str) -> str:
    kind = "DATE" if stored == "DATE" else "TIME" if stored == "TIME" else "TIMESTAMPTZ" if "TIME ZONE" in stored else "TIMESTAMP"
    mode = given.lower()
    if mode in ("epochsecs", "epochmillisecs"):
        scale = "1000000" if mode == "epochsecs" else "1000"
        return f"cast(make_timestamp(cast(round(cast({text} as decimal(24,6)) * {scale}) as bigint)) as {kind})"
    if mode == "auto" and kind != "TIME":
        formats = "[" + ", ".join(literal(form) for form in _AUTO_TIMES) + "]"
        return f"coalesce(try_cast({text} as {kind}), cast(try_strptime({text}, {formats}) as {kind}), cast({text} as {kind}))"
    if mode and mode != "auto":
        # COPY's own default writes HH for hours up to 23.
        form = parsing(given) if "%p" in parsing(given) else parsing(given).replace("%I", "%H")
        return f"cast(strptime({text}, {literal(form)}) as {kind})"
    return f"cast({text} as {kind})"


def strict(column: Target, options: Options, source: str | None = None) -> str:
    """An expression from the text column of the same name to the value; it fails where the text cannot be the value."""
    if options.format == "PARQUET":
        return source or identifier(column.name)
    text = source or identifier(column.name)
    stored = column.stored
    if stored == "VARCHAR":
        return _varchar(column, options, text)
    if stored == "JSON":
        return f"cast(nullif({text}, '') as json)" if options.format != "JSON" else text
    filled = f"nullif(trim({text}), '')"
    if stored in ("SMALLINT", "INTEGER", "BIGINT"):
        # What is no whole number is made one that fails: DuckDB itself would round 1.5.
        return f"cast(case when regexp_full_match({filled}, '[+-]?[0-9]+') then {filled} else {filled} || '?' end as {stored})"
    if stored.startswith("DECIMAL("):
        if "ROUNDEC" in options.flags:
            return f"cast({filled} as {stored})"
        scale = int(stored[8:-1].split(",")[1])
        return f"cast(regexp_replace({filled}, '^([+-]?[0-9]*\\.[0-9]{{{scale}}})[0-9]+$', '\\1') as {stored})"
    if stored == "BOOLEAN":
        low = f"lower({filled})"
        return (
            f"cast(case when {low} in ('t', 'true', 'y', 'yes', '1', 'on') then 'true'"
            f" when {low} in ('f', 'false', 'n', 'no', '0', 'off') then 'false' else {filled} || '?' end as boolean)"
        )
    if stored == "DATE":
        return _time(filled, stored, options.texts.get("DATEFORMAT", ""))
    if stored.startswith("TIME"):
        return _time(filled, stored, options.texts.get("TIMEFORMAT", ""))
    if stored == "BLOB":
        return f"from_hex({filled})"
    return f"cast({filled} as {stored})"


def _varchar(column: Target, options: Options, text: str) -> str:
    if "EMPTYASNULL" in options.flags:
        text = f"nullif({text}, '')"
    if "BLANKSASNULL" in options.flags:
        text = f"case when trim({text}) = '' then null else {text} end"
    if "TRIMBLANKS" in options.flags:
        text = f"rtrim({text})"
    if column.limit_bytes is None:
        return text
    if "TRUNCATECOLUMNS" in options.flags:
        # The limit is in bytes: where a letter has more than one, cut letters off until they fit.
        cut = f"left({text}, {column.limit_bytes})"
        limit = column.limit_bytes
        return f"case when strlen({cut}) <= {limit} then {cut} else headrace.hr_cut_bytes({cut}, {limit}) end"
    return f"case when strlen({text}) > {column.limit_bytes} then error('String length exceeds DDL length') else {text} end"


def _fault(column: Target) -> tuple[int, str]:
    stored = column.stored
    if stored == "VARCHAR":
        return 1204, "String length exceeds DDL length"
    if stored in ("SMALLINT", "INTEGER", "BIGINT"):
        return 1207, f"Invalid digit, Type: {column.declared.capitalize()}"
    if stored.startswith("DECIMAL"):
        return 1207, f"Invalid digit, Type: {column.declared}"
    if stored == "BOOLEAN":
        return 1210, "Invalid boolean value"
    if stored == "DATE":
        return 1205, "Invalid Date Format"
    if stored.startswith("TIME"):
        return 1206, "Invalid timestamp format or value"
    if stored == "JSON":
        return 1224, "Invalid JSON format"
    return 1216, f"Invalid value for the type {column.declared}"


def _bad(column: Target, options: Options) -> str:
    """A condition that holds for the texts that cannot be loaded into a column."""
    name = identifier(column.name)
    if column.stored == "VARCHAR":
        if column.limit_bytes is None or "TRUNCATECOLUMNS" in options.flags:
            return "false"
        return f"strlen({'rtrim(' + name + ')' if 'TRIMBLANKS' in options.flags else name}) > {column.limit_bytes}"
    if column.stored == "JSON" and options.format == "JSON":
        return "false"
    return f"nullif(trim({name}), '') is not null and try({strict(column, options)}) is null"


def find_errors(
    side: duckdb.DuckDBPyConnection, staged: str, targets: list[Target], options: Options, limit: int
) -> list[RowError]:
    """The rows of the staged texts that cannot be loaded, in their order."""
    found: dict[int, RowError] = {}
    for column in targets:
        name = identifier(column.name)
        rows = side.execute(
            f"select hr_number, hr_file, hr_line, hr_raw, {name} from {staged}"
            f" where {_bad(column, options)} order by 1 limit {min(limit, 10**6)}"
        ).fetchall()
        code, message = _fault(column)
        for number, file, line, raw, given in rows:
            found.setdefault(
                number, RowError(number, file, line, column.name, column.declared, raw or "", str(given), code, message)
            )
        if column.not_null:
            rows = side.execute(
                f"select hr_number, hr_file, hr_line, hr_raw from {staged} where not ({_bad(column, options)})"
                f" and ({strict(column, options)}) is null order by 1 limit {min(limit, 10**6)}"
            ).fetchall()
            for number, file, line, raw in rows:
                message = "Missing data for not-null field"
                found.setdefault(number, RowError(number, file, line, column.name, column.declared, raw or "", "", 1213, message))
    return [found[number] for number in sorted(found)]
