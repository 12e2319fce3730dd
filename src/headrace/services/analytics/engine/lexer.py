"""The words of SQL-1_0, each with its place."""

import re
from bisect import bisect_right
from dataclasses import dataclass

from headrace.services.analytics.engine.schema import SqlError

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<string>'(?:[^']|'')*')
    |(?P<unicode>[uU]&'(?:[^']|'')*'(?:\s+[uU][eE][sS][cC][aA][pP][eE]\s+'[^']')?)
    |(?P<word>[A-Za-z_][\w$]*)
    |(?P<symbol><>|!=|<=|>=|\|\||=>|[-+*/%(),.;=<>?\[\]:])""",
    re.VERBOSE | re.DOTALL,
)


_ESCAPED = r"{0}(?:({0})|\+([0-9a-fA-F]{{6}})|([0-9a-fA-F]{{4}})|)"


@dataclass(frozen=True, slots=True)
class Token:
    """A word: its kind (word, quoted, string, number, symbol, end), its text (words in capitals), and where it begins."""

    kind: str
    text: str
    at: int


class Source:
    """A text whose places can be told."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]

    def error(self, message: str, at: int) -> SqlError:
        """An error at a place."""
        line = bisect_right(self._lines, at)
        return SqlError(message, line, at - self._lines[line - 1] + 1)

    def tokens(self) -> list[Token]:
        """All words, and one that stands for the end."""
        found: list[Token] = []
        at = 0
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise self.error(f'Lexical error: unexpected character "{self.text[at]}"', at)
            kind, text = str(match.lastgroup), match.group()
            if kind == "word":
                text = text.upper()
            elif kind in ("quoted", "string"):
                text = text[1:-1].replace(text[0] * 2, text[0])
            elif kind == "unicode":
                kind, text = "string", self._unescaped(text, at)
            if kind != "space":
                found.append(Token(kind, text, at))
            at = match.end()
        return [*found, Token("end", "<EOF>", len(self.text))]

    def _unescaped(self, text: str, at: int) -> str:
        """What U&'d\\0061ta' says; UESCAPE names another sign than the backslash."""
        named = re.search(r"'\s+UESCAPE\s+'(.)'$", text, re.IGNORECASE)
        body = text[3 : named.start() if named else -1].replace("''", "'")

        def sign(found: "re.Match[str]") -> str:
            if found[1]:
                return found[1]
            code = found[2] or found[3]
            if not code or int(code, 16) > 0x10FFFF:
                raise self.error(f"Invalid Unicode escape in {text}", at)
            return chr(int(code, 16))

        return re.sub(_ESCAPED.format(re.escape(named[1] if named else "\\")), sign, body)
