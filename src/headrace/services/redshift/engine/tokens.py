"""A walk over a statement's tokens, for the statements that we read ourselves."""

from sqlglot.dialects.redshift import Redshift
from sqlglot.tokenizer_core import Token, TokenType

from headrace.services.redshift.engine import dialect
from headrace.services.redshift.engine.failures import SqlError, syntax


def check_schema(schema: str) -> None:
    """Refuse the schemas that users have no business in."""
    if schema in (dialect.INTERNAL_SCHEMA, "headrace_functions", "pg_catalog", "information_schema", "main", "temp", "system"):
        raise SqlError("42501", f"permission denied for schema {schema}")


class Reader:
    """A walk over the tokens of a statement."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = Redshift().tokenize(text)
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        """The next token in upper case; empty at the end."""
        at = self.at + ahead
        return self.tokens[at].text.upper() if at < len(self.tokens) else ""

    def take(self, *words: str) -> bool:
        """Go past these words if they come next."""
        if all(self.peek(n) == word for n, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def want(self, *words: str) -> None:
        """Go past these words, or fail."""
        if not self.take(*words):
            raise self.error()

    def error(self) -> SqlError:
        """A syntax error at this place."""
        if self.at >= len(self.tokens):
            return syntax("syntax error at end of input", len(self.text))
        token = self.tokens[self.at]
        return syntax(f'syntax error at or near "{token.text}"', token.start + 1)

    def name(self) -> str:
        """An identifier, folded as Redshift folds it."""
        if self.at >= len(self.tokens) or self.tokens[self.at].token_type in (
            TokenType.L_PAREN,
            TokenType.R_PAREN,
            TokenType.STRING,
            TokenType.NUMBER,
        ):
            raise self.error()
        self.at += 1
        return self.tokens[self.at - 1].text.lower().removeprefix("#").removeprefix(dialect.TEMPORARY)

    def table(self) -> tuple[str, str]:
        """(schema or '', name)."""
        first = self.name()
        if not self.take("."):
            check_schema("")
            return "", first
        check_schema(first)
        return first, self.name()

    def names(self) -> list[str]:
        """(a, b, …)"""
        self.want("(")
        found = [self.name()]
        while self.take(","):
            found.append(self.name())
        self.want(")")
        return found

    def group(self) -> str:
        """The text of a parenthesised group, without its parentheses."""
        self.want("(")
        start, depth = self.at, 1
        while depth:
            if self.at >= len(self.tokens):
                raise self.error()
            depth += {"(": 1, ")": -1}.get(self.peek(), 0)
            self.at += 1
        return self.text[self.tokens[start].start : self.tokens[self.at - 2].end + 1] if self.at - 1 > start else ""

    def rest(self) -> str:
        """The remaining text."""
        return self.text[self.tokens[self.at].start :] if self.at < len(self.tokens) else ""

    def until(self, *stops: str) -> str:
        """The text of an expression, up to a stop word, a comma or the closing parenthesis."""
        start, depth = self.at, 0
        while self.at < len(self.tokens):
            word = self.peek()
            if depth == 0 and (word in stops or word in (",", ")")) and self.at > start:
                break
            depth += {"(": 1, ")": -1}.get(word, 0)
            self.at += 1
        return self.text[self.tokens[start].start : self.tokens[self.at - 1].end + 1]
