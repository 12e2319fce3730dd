"""Cuts a PartiQL statement into tokens. Comments are blanks."""

import re
from typing import NamedTuple

_TOKENS = re.compile(
    r"""(?:\s|--[^\n]*|/\*.*?\*/)*(?:
      (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
    | "(?P<quoted>(?:[^"]|"")*)"
    | '(?P<string>(?:[^']|'')*)'
    | (?P<sign><<|>>|<>|<=|>=|!=|[=<>()\[\]{},.*+\-:?;])
    | (?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)

# The words of SQL that can be no name without quotes. Those that are functions or clauses here are told apart before.
KEYWORDS = frozenset(
    """
    absolute action add all allocate alter and any are as asc assertion at authorization avg begin between bit bit_length both by
    cascade cascaded case cast catalog char character character_length char_length check close coalesce collate collation column
    commit connect connection constraint constraints continue convert corresponding count create cross current current_date
    current_time current_timestamp current_user cursor date day deallocate dec decimal declare default deferrable deferred delete
    desc describe descriptor diagnostics disconnect distinct domain double drop else end escape except exception exec execute
    exists external extract false fetch first float for foreign found from full get global go goto grant group having hour
    identity immediate in indicator initially inner input insensitive insert int integer intersect interval into is isolation join
    key language last leading left level like local lower match max min minute module month names national natural nchar next no
    not null nullif numeric octet_length of on only open option or order outer output overlaps pad partial position precision
    prepare preserve primary prior privileges procedure public read real references relative restrict revoke right rollback rows
    schema scroll second section select session session_user set size smallint some space sql sqlcode sqlerror sqlstate substring
    sum system_user table temporary then time timestamp timezone_hour timezone_minute to trailing transaction translate
    translation trim true union unique unknown update upper usage user using value values varchar varying view when whenever where
    with work write year zone bag blob boolean clob index limit list missing pivot sexp string struct symbol tuple unpivot
    """.split()  # noqa: SIM905
)


class Token(NamedTuple):
    """One token: what kind, its text, and where it stands (`line:column:length`, counted from 1)."""

    kind: str
    text: str
    where: str


def tokens(text: str) -> list[Token] | None:
    """All tokens of a statement, the last one its end; None when a part of it is no token at all."""
    found: list[Token] = []
    position = 0
    while True:
        match = _TOKENS.match(text, position)
        if match is None:
            return None
        kind = match.lastgroup or "end"
        start = match.start(kind) - (kind in ("quoted", "string"))
        line = text.count("\n", 0, start) + 1
        where = f"{line}:{start - text.rfind(chr(10), 0, start)}:{match.end() - start}"
        content = match[kind]
        if kind == "quoted":
            content = content.replace('""', '"')
        elif kind == "string":
            content = content.replace("''", "'")
        found.append(Token(kind, content, where))
        if kind == "end":
            return found
        position = match.end()
