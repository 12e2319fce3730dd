"""Redshift's date and time formats in strftime's letters; a letter that is not known is refused, since it would be printed."""

import re
from collections.abc import Callable

from sqlglot import exp

from headrace.services.redshift.engine.failures import unsupported

_PLAIN = {
    "YYYY": "%Y", "YY": "%y", "MM": "%m", "DDD": "%j", "DD": "%d", "HH24": "%H", "HH12": "%I", "HH": "%I", "MI": "%M", "SS": "%S",
    "US": "%f", "MS": "%g", "AM": "%p", "PM": "%p", "IYYY": "%G", "IW": "%V",
}  # fmt: skip
_NAMES = {"MONTH": "%B", "MON": "%b", "DAY": "%A", "DY": "%a"}
_TOKEN = re.compile(
    r'"[^"]*"|FM|T(?=HH)|MONTH|MON|DAY|DY|' + "|".join(sorted(_PLAIN, key=len, reverse=True)) + r"|[A-Za-z]+|.", re.I | re.S
)


def _pieces(given: str) -> list[tuple[str, str]]:
    """(kind, text): kind is plain, name (with its own capitals) or literal."""
    found = []
    for match in _TOKEN.finditer(given):
        text = match[0]
        upper = text.upper()
        if upper in _PLAIN and text in (upper, upper.lower()):
            if text in ("am", "pm"):
                raise unsupported(f"{text} in a format")
            found.append(("plain", _PLAIN[upper]))
        elif upper in _NAMES or upper == "FM":
            found.append(("name", text))
        elif text.startswith('"'):
            found.append(("literal", text[1:-1]))
        elif text.isalpha() and text not in ("T", "Z"):
            raise unsupported(f"{text} in a date or time format")
        elif text.isdigit():
            raise unsupported("a format of numbers")
        else:
            found.append(("literal", text))
    return found


def parsing(given: str) -> str:
    """A format for strptime."""
    return "".join(_NAMES.get(text.upper(), "") if kind == "name" else text.replace("%", "%%") if kind == "literal" else text
                   for kind, text in _pieces(given))  # fmt: skip


def printing(value: exp.Expr, given: str) -> exp.Expr:
    """TO_CHAR as text joined from strftime, with names in the capitals and the width that the format asks for."""
    parts: list[exp.Expr] = []
    plain = ""
    filled = True

    def strftime(form: str) -> exp.Expr:
        return exp.Anonymous(this="strftime", expressions=[value.copy(), exp.Literal.string(form)])

    for kind, text in [*_pieces(given), ("end", "")]:
        if kind in ("plain", "literal"):
            plain += text if kind == "plain" else text.replace("%", "%%")
            continue
        if plain:
            parts.append(strftime(plain))
            plain = ""
        if text.upper() == "FM":
            filled = False
        elif kind == "name":
            name = strftime(_NAMES[text.upper()])
            if text.isupper() or text.islower():
                name = exp.Anonymous(this="upper" if text.isupper() else "lower", expressions=[name])
            if filled and text.upper() in ("MONTH", "DAY"):
                name = exp.Anonymous(this="rpad", expressions=[name, exp.Literal.number(9), exp.Literal.string(" ")])
            parts.append(name)
            filled = True
    result = parts[0] if parts else exp.Literal.string("")
    for part in parts[1:]:
        result = exp.DPipe(this=result, expression=part)
    return exp.Paren(this=result)


def _literal(arguments: list[exp.Expr], name: str) -> str:
    if len(arguments) != 2 or not isinstance(arguments[1], exp.Literal) or not arguments[1].is_string:
        raise unsupported(f"{name} with a format that is no literal")
    return str(arguments[1].this)


def _parsed(arguments: list[exp.Expr], name: str, kind: str) -> exp.Expr:
    form = exp.Literal.string(parsing(_literal(arguments, name)))
    text = exp.Anonymous(this="strptime", expressions=[arguments[0], form])
    return exp.Cast(this=text, to=exp.DataType.build(kind))


FUNCTIONS: dict[str, Callable[[list[exp.Expr]], exp.Expr]] = {
    "TO_CHAR": lambda arguments: printing(arguments[0], _literal(arguments, "TO_CHAR")),
    "TO_DATE": lambda arguments: _parsed(arguments, "TO_DATE", "date"),
    "TO_TIMESTAMP": lambda arguments: _parsed(arguments, "TO_TIMESTAMP", "timestamptz"),
}
