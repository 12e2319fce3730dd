"""What all of a PartiQL statement's parts are read with: the place in its tokens, paths and literal values."""

import re
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import numbers, syntax
from headrace.services.dynamodb.engine.partiql.lexer import KEYWORDS, Token
from headrace.services.dynamodb.engine.partiql.syntax import Bag, Parameter, Template
from headrace.services.dynamodb.engine.syntax import Path, Placeholder

_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)$")
_INT_MAX = (1 << 31) - 1


def malformed(detail: str) -> ValidationException:
    """A statement that can't be read."""
    return ValidationException(f"Statement wasn't well formed, can't be processed: {detail}")


class Cursor:
    """The place in a statement's tokens, and what was read of values so far."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._depth = 0
        self.at = 0
        self.templates: dict[str, Template] = {}
        self.parameters = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self.at]

    @property
    def following(self) -> Token:
        """The token behind the next one."""
        return self._tokens[min(self.at + 1, len(self._tokens) - 1)]

    def is_sign(self, text: str) -> bool:
        """Whether a sign comes next."""
        token = self.token
        return token.kind == "sign" and token.text == text

    def take(self, text: str) -> bool:
        """Step over a sign, if it comes next."""
        found = self.is_sign(text)
        self.at += found
        return found

    def is_word(self, word: str) -> bool:
        """Whether a word (given in capitals) comes next."""
        token = self.token
        return token.kind == "word" and token.text.upper() == word

    def take_word(self, word: str) -> bool:
        """Step over a word, if it comes next."""
        found = self.is_word(word)
        self.at += found
        return found

    def expect_word(self, word: str) -> None:
        """Step over a word that must come next."""
        if not self.take_word(word):
            raise malformed(f"Expected {word}")

    def deeper(self, by: int = 1) -> None:
        """Count how deep the statement nests."""
        self._depth += by
        if self._depth > limits.EXPRESSION_DEPTH_MAX:
            raise malformed("The statement is nested too deeply")

    def path(self) -> Path:
        """A document path."""
        token = self.token
        if token.kind not in ("word", "quoted"):
            raise malformed("Expected identifier")
        if token.kind == "word" and token.text.lower() in KEYWORDS:
            raise malformed("Unexpected keyword")
        self.at += 1
        parts: list[syntax.Part] = [token.text]
        while True:
            if self.take("."):
                token = self.token
                keyword = token.kind == "word" and token.text.lower() in KEYWORDS
                if token.kind not in ("word", "quoted") or keyword:
                    raise malformed("Invalid path dot component")
                parts.append(token.text)
                self.at += 1
            elif self.is_sign("["):
                self.at += 1
                token = self.token
                if token.kind == "string":
                    parts.append(token.text)
                elif token.kind == "number" and token.text.isdecimal():
                    parts.append(int(token.text[:12]))
                else:
                    raise malformed("Invalid path component")
                self.at += 1
                if not self.take("]"):
                    raise malformed("Expected ']'")
            else:
                return Path(tuple(parts))

    def value(self) -> Placeholder:
        """A literal value or a parameter, as a placeholder."""
        template = self.literal("root")
        name = f":{len(self.templates)}"
        self.templates[name] = template
        return Placeholder(name)

    def starts_value(self) -> bool:
        """Whether a literal value or a parameter comes next."""
        token = self.token
        if token.kind in ("string", "number"):
            return True
        if token.kind == "sign":
            return token.text in ("?", "{", "[", "<<", "-", "+")
        return token.kind == "word" and token.text.lower() in ("true", "false", "null")

    def may_be_set(self, name: str) -> bool:
        """Whether a placeholder is written as a set, or is a parameter, of which a call decides."""
        return isinstance(self.templates[name], Bag | Parameter)

    def literal(self, where: str, *, top: bool = False) -> Template:
        """A value as it is written. `where`: its place inside of its attribute, for errors; `top`: a map of attributes."""
        token = self.token
        self.at += 1
        if token.kind == "string":
            return {"S": token.text}
        if token.kind == "number":
            return {"N": _number(token.text, where)}
        if token.kind == "word":
            return self._word(token)
        if token.kind != "sign":
            raise malformed("Expected a value")
        if token.text == "?":
            self.parameters += 1
            return Parameter(self.parameters - 1)
        if token.text in ("-", "+") and self.token.kind == "number":
            self.at += 1
            sign = "-" if token.text == "-" else ""
            return {"N": _number(sign + self._tokens[self.at - 1].text, where)}
        self.deeper()
        try:
            if token.text == "{":
                return {"M": self._fields(where, top=top)}
            if token.text == "[":
                return {"L": self._members("]", where)}
            if token.text == "<<":
                return Bag(tuple(self._members(">>", where)))
        finally:
            self._depth -= 1
        raise malformed("Expected a value")

    def _word(self, token: Token) -> Template:
        lower = token.text.lower()
        if lower in ("true", "false"):
            return {"BOOL": lower == "true"}
        if lower == "null":
            return {"NULL": True}
        if self.is_sign("("):
            raise ValidationException(f"Unsupported data type: {token.text} under key root at {token.where}")
        raise malformed("Expected a value")

    def _fields(self, where: str, *, top: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.take("}"):
            token = self.token
            if token.kind not in ("string", "quoted"):
                raise malformed("Expected a field name")
            self.at += 1
            if not self.take(":"):
                raise malformed("Expected ':'")
            found[token.text] = self.literal("root" if top else f"{where}.{token.text}")
            if not self.take(",") and not self.is_sign("}"):
                raise malformed("Expected '}'")
        return found

    def _members(self, end: str, where: str) -> list[Any]:
        found: list[Any] = []
        while not self.take(end):
            found.append(self.literal(f"{where}[{len(found)}]"))
            if not self.take(",") and not self.is_sign(end):
                raise malformed(f"Expected '{end}'")
        return found


def _number(text: str, where: str) -> str:
    """The normal form of a number. As in Java's BigDecimal, its exponent and its scale fit 32 bits, or it is none."""
    exponent = _EXPONENT.search(text)
    if exponent is not None:
        power = int(exponent[1])
        mantissa = text[: exponent.start()]
        scale = len(mantissa.partition(".")[2]) - power
        if abs(power) > _INT_MAX or abs(scale) > _INT_MAX:
            raise malformed("")
        text = f"{mantissa}e{max(-999999999, min(999999999, power))}"
    try:
        return numbers.normal(text)
    except ValidationException as error:
        raise ValidationException(f"{error.message} under {where}") from None
