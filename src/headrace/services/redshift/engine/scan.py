"""Read the text of statements just far enough to cut and mark them, before a parser sees it."""

import re

PARAMETER = "hr_parameter_"
_PIECE = re.compile(
    r"""(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*")
      |(?P<comment>--[^\n]*)
      |(?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
      |\$(?P<number>\d+)
      |(?P<open>/\*)
      |(?P<end>;)
      |(?P<temp>(?<![\w$#])\#(?=[A-Za-z_]))""",
    re.S | re.X,
)


def _comment_end(text: str, start: int) -> int:
    """The index behind a block comment, which may hold others."""
    depth, at = 0, start
    while at < len(text):
        if text.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif text.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if not depth:
                return at
        else:
            at += 1
    return len(text)


def statements(text: str) -> list[str]:
    """The statements in a text, without comments; `$1` becomes an identifier, since a parser would take it for a quote.

    `#name` (a temporary table) becomes `hr_temp_name`; both are mapped back after parsing.
    """
    found: list[str] = []
    current: list[str] = []
    at = 0
    while match := _PIECE.search(text, at):
        current.append(text[at : match.start()])
        at = match.end()
        if match["end"]:
            found.append("".join(current))
            current = []
        elif match["number"]:
            current.append(f" {PARAMETER}{match['number']} ")
        elif match["comment"]:
            current.append(" ")
        elif match["open"]:
            at = _comment_end(text, match.start())
            current.append(" ")
        elif match["temp"]:
            current.append("hr_temp_")
        else:
            current.append(match[0])
    current.append(text[at:])
    found.append("".join(current))
    return [stripped for piece in found if (stripped := piece.strip())]


def first_words(text: str, count: int = 3) -> list[str]:
    """The first words of a statement, in upper case."""
    return [word.upper() for word in re.findall(r"[A-Za-z_]+", text[:200])[:count]]


def literal(value: str) -> str:
    """A string as a DuckDB literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as a DuckDB quoted identifier."""
    return '"' + name.replace('"', '""') + '"'
