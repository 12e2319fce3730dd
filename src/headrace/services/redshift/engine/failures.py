"""What can go wrong in a statement, with the SQLSTATE that a driver acts on."""

import re

import duckdb

_LINE = re.compile(r"\n\nLINE \d+:.*", re.S)
_USER_FUNCTION = re.compile(r"Function with name \"?udf_(\w+)\"? does not exist")
_VARCHAR_CHECK = re.compile(r"CHECK constraint failed on table \S+ with expression CHECK\(\(strlen\(.*\) <= (\d+)\)\)")
_STATES: tuple[tuple[str, str], ...] = (
    (r"Table with name .* does not exist", "42P01"),
    (r"View with name .* does not exist", "42P01"),
    (r"Schema with name .* does not exist", "3F000"),
    (r"(Scalar|Table|Aggregate) Function with name .* does not exist|No function matches", "42883"),
    (r"Type with name .* does not exist", "42704"),
    (r"Referenced column .* not found|does not have a column named|Referenced table", "42703"),
    (r"Ambiguous reference", "42702"),
    (r"(Table|View|Index|Sequence) with name .* already exists", "42P07"),
    (r"Schema with name .* already exists", "42P06"),
    (r"must appear in the GROUP BY", "42803"),
    (r"[Dd]ivision by zero", "22012"),
    (r"NOT NULL constraint failed", "23502"),
    (r"Could not convert|Conversion Error|Malformed JSON|invalid .* field", "22P02"),
    (r"Out of Range|Overflow", "22003"),
    (r"Conflict on|write-write conflict|Transaction conflict", "40001"),
    (r"INTERRUPT|Interrupted", "57014"),
    (r"Parser Error|syntax error", "42601"),
    (r"Binder Error", "42601"),
    (r"Out of Memory", "53200"),
    (r"[Ww]rite .* failed|No space left", "53100"),
)


class SqlError(Exception):
    """An error that is told to the client as PostgreSQL tells it."""

    def __init__(self, sqlstate: str, message: str, *, detail: str = "", hint: str = "", position: int = 0) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position


def unsupported(what: str) -> SqlError:
    """The refusal of something that Redshift has and this warehouse has not."""
    return SqlError("0A000", f"{what} is not supported by this warehouse")


def syntax(message: str, position: int = 0) -> SqlError:
    """A statement that cannot be read."""
    return SqlError("42601", message, position=position)


def translate(error: Exception) -> SqlError:
    """The client's view of an error raised by DuckDB or by ourselves."""
    if isinstance(error, SqlError):
        return error
    if not isinstance(error, duckdb.Error):
        return SqlError("XX000", f"internal error: {type(error).__name__}: {error}")
    text = str(error)
    if match := _VARCHAR_CHECK.search(text):
        return SqlError("22001", f"value too long for type character varying({match[1]})")
    if match := _USER_FUNCTION.search(text):
        return SqlError("42883", f"function {match[1]} does not exist")
    state = next((state for pattern, state in _STATES if re.search(pattern, text)), "XX000")
    message = _LINE.sub("", text)
    if state == "40001":
        # Redshift names its own number, 1023, which clients look for in the text.
        return SqlError("XX000", "1023", detail=f"Serializable isolation violation: {message}")
    if state == "57014":
        return SqlError(state, "Query cancelled on user's request")
    return SqlError(state, message.split(": ", 1)[-1] if message.split(":")[0].endswith("Error") else message)
