"""Prefix expressions: `!{timestamp:yyyy/MM/dd}`, `!{firehose:error-output-type}`, `!{firehose:random-string}`.

The values of `timestamp` are Java DateTimeFormatter patterns. AWS's rules for prefixes:
- a Prefix without a timestamp expression gets `yyyy/MM/dd/HH/` appended;
- a Prefix with expressions needs an ErrorOutputPrefix, and may not hold `error-output-type`;
- an ErrorOutputPrefix with expressions holds `error-output-type` at least once;
- one without any gets `TYPE/yyyy/MM/dd/HH/` appended.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

HOURLY = "yyyy/MM/dd/HH/"

_EXPRESSION = re.compile(r"!\{([^}]*)\}")
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([a-zA-Z])\2*|[^a-zA-Z']+")
# Java's names in English, whatever the server's locale.
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _year(value: int, count: int) -> str:
    return f"{value % 100:02d}" if count == 2 else f"{value:0{count}d}"


def _name(names: tuple[str, ...], index: int, count: int) -> str:
    return names[index] if count >= 4 else names[index][:3]


def _week_year(at: datetime) -> int:
    # Java's YYYY in the US locale: the year of the week's last day, a Saturday.
    return (at + timedelta(days=(5 - at.weekday()) % 7)).year


_FIELDS: dict[str, Callable[[datetime, int], str]] = {
    "y": lambda at, n: _year(at.year, n),
    "u": lambda at, n: _year(at.year, n),
    "Y": lambda at, n: _year(_week_year(at), n),
    "M": lambda at, n: f"{at.month:0{n}d}" if n <= 2 else _name(_MONTHS, at.month - 1, n),
    "d": lambda at, n: f"{at.day:0{n}d}",
    "D": lambda at, n: f"{at.timetuple().tm_yday:0{n}d}",
    "E": lambda at, n: _name(_DAYS, at.weekday(), n),
    "H": lambda at, n: f"{at.hour:0{n}d}",
    "h": lambda at, n: f"{(at.hour + 11) % 12 + 1:0{n}d}",
    "a": lambda at, n: "AM" if at.hour < 12 else "PM",
    "m": lambda at, n: f"{at.minute:0{n}d}",
    "s": lambda at, n: f"{at.second:0{n}d}",
    "S": lambda at, n: f"{at.microsecond:06d}"[:n].ljust(n, "0"),
}


def format_time(pattern: str, at: datetime) -> str:
    """A time in a Java DateTimeFormatter pattern; ValueError for a letter that isn't supported."""
    parts: list[str] = []
    end = 0
    for match in _TOKEN.finditer(pattern):
        if match.start() != end:
            break
        end = match.end()
        text = match.group()
        if match.group(2):
            field = _FIELDS.get(text[0])
            if field is None:
                raise ValueError(f"the pattern letter {text[0]!r} is not supported")
            parts.append(field(at, len(text)))
        elif text.startswith("'"):
            parts.append((match.group(1) or "'").replace("''", "'"))
        else:
            parts.append(text)
    if end != len(pattern):
        raise ValueError("a quote is not closed")
    return "".join(parts)


def evaluate(template: str, at: datetime, random_string: Callable[[], str], error_type: str | None = None) -> str:
    """A prefix with its expressions replaced; ValueError for an expression that isn't supported."""

    def replace(match: re.Match[str]) -> str:
        space, _, value = match.group(1).partition(":")
        if space == "timestamp" and value:
            return format_time(value, at)
        if space == "firehose" and value == "random-string":
            return random_string()
        if space == "firehose" and value == "error-output-type" and error_type is not None:
            return error_type
        raise ValueError(f"the expression {match.group()} is not supported here")

    plain = _EXPRESSION.sub("", template)
    if "!{" in plain:
        raise ValueError("the sequence !{ may only begin an expression")
    return _EXPRESSION.sub(replace, template)


def has_expressions(template: str) -> bool:
    """Whether the prefix holds any expression."""
    return "!{" in template


def success_prefix(prefix: str, at: datetime, random_string: Callable[[], str]) -> str:
    """Where delivered objects go."""
    hourly = "" if "!{timestamp:" in prefix else "!{timestamp:" + HOURLY + "}"
    return evaluate(prefix + hourly, at, random_string)


def error_prefix(prefix: str, error_output_prefix: str, error_type: str, at: datetime, random_string: Callable[[], str]) -> str:
    """Where records go that could not be processed."""
    if has_expressions(error_output_prefix):
        return evaluate(error_output_prefix, at, random_string, error_type)
    return (error_output_prefix or prefix) + error_type + "/" + format_time(HOURLY, at)


def check(prefix: str, error_output_prefix: str, *, expressions_allowed: bool = True) -> str | None:
    """What is wrong with a pair of prefixes, in a sentence; None when nothing is."""
    sample = datetime(2000, 1, 2, 3, 4, 5)
    if not expressions_allowed and (has_expressions(prefix) or error_output_prefix):
        return "Prefix must not contain expressions and ErrorOutputPrefix must be null for a Redshift destination."
    if "!{firehose:error-output-type}" in prefix:
        return "Prefix cannot contain !{firehose:error-output-type}."
    if has_expressions(prefix) and not error_output_prefix:
        return "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions."
    if has_expressions(error_output_prefix) and "!{firehose:error-output-type}" not in error_output_prefix:
        return "ErrorOutputPrefix must contain !{firehose:error-output-type} when it contains expressions."
    for name, template, error_type in (("Prefix", prefix, None), ("ErrorOutputPrefix", error_output_prefix, "x")):
        try:
            evaluate(template, sample, lambda: "0" * 11, error_type)
        except ValueError as error:
            return f"{name} is invalid: {error}."
    return None
