"""A place among the words of a text."""

from headrace.services.analytics.engine.lexer import Source, Token
from headrace.services.analytics.engine.schema import SqlError

RESERVED = {
    "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "WINDOWED", "ORDER", "UNION", "EXCEPT", "INTERSECT", "JOIN",
    "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "ON", "USING", "OVER", "AS", "AND", "OR", "NOT", "CASE", "WHEN", "THEN",
    "ELSE", "END", "IS", "IN", "LIKE", "BETWEEN", "SIMILAR", "STREAM", "BY", "TO", "FOR", "NATURAL", "OUTER", "INSERT",
    "CREATE", "RANGE", "ROWS", "LIMIT",
}  # fmt: skip


class WordReader:
    """A place among the words of a text."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = source.tokens()
        self.place = 0

    @property
    def token(self) -> Token:
        """The word that comes next."""
        return self.tokens[self.place]

    def peek(self, ahead: int = 1) -> Token:
        """A word after the next."""
        return self.tokens[min(self.place + ahead, len(self.tokens) - 1)]

    def at_word(self, *words: str) -> bool:
        """Whether these words (or symbols) come next."""
        return all(
            self.peek(ahead).text == word and self.peek(ahead).kind in ("word", "symbol") for ahead, word in enumerate(words)
        )

    def take(self, *words: str) -> bool:
        """Pass these words if they come next."""
        if self.at_word(*words):
            self.place += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        """Pass these words, which must come."""
        for word in words:
            if not self.take(word):
                raise self.unexpected(f'"{word}"')

    def unexpected(self, wanted: str = "") -> SqlError:
        """What is said of a word that cannot stand here."""
        tail = f" Was expecting {wanted}." if wanted else ""
        return self.error(f'Encountered "{self.token.text}".{tail}', self.token.at)

    def error(self, message: str, at: int) -> SqlError:
        """An error at a place."""
        return self.source.error(message, at)

    def identifier(self) -> str:
        """A name."""
        token = self.token
        if token.kind == "quoted" or (token.kind == "word" and token.text not in RESERVED):
            self.place += 1
            return token.text
        raise self.unexpected("a name")

    def string(self) -> str:
        """A text between quotes."""
        if self.token.kind != "string":
            raise self.unexpected("a string")
        self.place += 1
        return self.tokens[self.place - 1].text
