"""Cuts the text of an expression into tokens."""

import re
from typing import NamedTuple

_TOKENS = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<placeholder>\#[A-Za-z0-9_]+)
    | (?P<value>:[A-Za-z0-9_]+)
    | (?P<index>[0-9]+)
    | (?P<sign><>|<=|>=|[=<>()\[\],.+\-])
    | (?P<strange>[^ \t\r\n])
    | (?P<end>\Z))""",
    re.VERBOSE,
)

END = "<EOF>"


class Token(NamedTuple):
    """One token: what kind, its text, and where it stands."""

    kind: str
    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """All tokens of the text; the last one is the end."""
    found: list[Token] = []
    position = 0
    while True:
        match = _TOKENS.match(text, position)
        # A trailing blank is followed by nothing but the end, so every position matches.
        assert match is not None
        kind = match.lastgroup or "end"
        if kind == "end":
            found.append(Token("end", END, match.end(), match.end()))
            return found
        found.append(Token(kind, match[kind], match.start(kind), match.end(kind)))
        position = match.end()
