"""Named parameters of the Data API."""

import re

from headrace.services.redshift import errors

_PIECE = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$|::|(?<![\w:]):(?P<name>[A-Za-z_]\w*)""", re.S
)


def numbered(sql: str, names: list[str]) -> str:
    """The text with `:name` as `$n`. ValidationException when a parameter is not given, or given and not used."""
    used: set[str] = set()

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        if name not in names:
            raise errors.ValidationException(f"Parameters list contains no value for the parameter {name}.")
        used.add(name)
        return f"${names.index(name) + 1}"

    text = _PIECE.sub(replace, sql)
    if len(set(names)) != len(names):
        raise errors.ValidationException("Parameters list contains a name twice.")
    if unused := [name for name in names if name not in used]:
        raise errors.ValidationException(f"Parameters list contains unused parameters. Unused parameters: {unused}")
    return text
