"""Reads expressions: recursive descent over the lexer's tokens, its depth bounded.

What is wrong with the text alone is found here, in AWS's words and its order of precedence; what depends on the request's
names and values is found by `binding`. Trees are kept by their text, for a program sends the same few expressions all the time.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import syntax
from headrace.services.dynamodb.engine.lexer import Token, tokens
from headrace.services.dynamodb.engine.reserved import WORDS
from headrace.services.dynamodb.engine.syntax import Operand, Parsed, Path

COMPARATORS = frozenset(("=", "<>", "<", "<=", ">", ">="))
CONDITION_FUNCTIONS = frozenset(("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"))
UPDATE_FUNCTIONS = frozenset(("if_not_exists", "list_append"))
_SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")
_CONNECTIVES = frozenset(("AND", "OR", "NOT", "BETWEEN", "IN"))


class Wrong(Exception):
    """The expression is wrong; the text says how, without the expression's kind in front of it."""


def parse(kind: str, text: str) -> Parsed:
    """Parse a ConditionExpression, FilterExpression, KeyConditionExpression, UpdateExpression or ProjectionExpression."""
    try:
        size_bytes = len(text.encode())
        if size_bytes > limits.EXPRESSION_SIZE_MAX_BYTES:
            raise Wrong(f"Expression size has exceeded the maximum allowed size; expression size: {size_bytes}")
        return _parse(_READERS.get(kind, "condition"), text)
    except Wrong as wrong:
        raise ValidationException(f"Invalid {kind}: {wrong}") from None


_READERS = {"UpdateExpression": "update", "ProjectionExpression": "projection"}


@lru_cache(maxsize=limits.EXPRESSIONS_CACHED_MAX)
def _parse(reader: str, text: str) -> Parsed:
    if not text.strip(" \t\r\n"):
        raise Wrong("The expression can not be empty;")
    parser = _Parser(text, UPDATE_FUNCTIONS if reader == "update" else CONDITION_FUNCTIONS)
    read: Callable[[], Any] = {"update": parser.update, "projection": parser.projection}.get(reader, parser.condition)
    tree = read()
    parser.finish()
    return Parsed(tree, frozenset(parser.names), frozenset(parser.values))


class _Parser:
    """One pass over the tokens of one expression."""

    def __init__(self, text: str, functions: frozenset[str]) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        self._operators = 0
        self._functions = functions
        self._wrong: dict[str, str] = {}
        self._in_parentheses = False
        self.names: set[str] = set()
        self.values: set[str] = set()

    # What all kinds of expressions share

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _syntax_error(self) -> Wrong:
        token = self._token
        first = self._tokens[self._at - 1] if self._at else token
        last = self._tokens[self._at + 1] if token.kind != "end" else token
        near = self._text[first.start : last.end].strip()
        return Wrong(f'Syntax error; token: "{token.text}", near: "{near}"')

    def _advance(self) -> Token:
        token = self._token
        self._at += 1
        return token

    def _is(self, text: str) -> bool:
        return self._token.text == text

    def _expect(self, text: str) -> None:
        if not self._is(text):
            raise self._syntax_error()
        self._at += 1

    def _is_word(self, word: str) -> bool:
        token = self._token
        return token.kind == "name" and token.text.upper() == word

    def _take_word(self, word: str) -> bool:
        if self._is_word(word):
            self._at += 1
            return True
        return False

    def _note(self, kind: str, message: str) -> None:
        self._wrong.setdefault(kind, message)

    def _count_operator(self) -> None:
        self._operators += 1
        if self._operators > limits.EXPRESSION_OPERATORS_MAX:
            raise Wrong(f"The expression contains too many operators; operator count: {self._operators}")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > limits.EXPRESSION_DEPTH_MAX:
            raise Wrong("The expression is nested too deeply;")

    def finish(self) -> None:
        """Nothing may be left; then raise the gravest of what was noted."""
        if self._token.kind != "end":
            raise self._syntax_error()
        for kind in ("parentheses", "function", "misuse", "reserved", "section"):
            if kind in self._wrong:
                raise Wrong(self._wrong[kind])

    # Operands

    def path(self) -> Path:
        """A document path."""
        parts: list[syntax.Part] = [self._name()]
        while True:
            if self._is("."):
                self._at += 1
                parts.append(self._name())
            elif self._is("["):
                self._at += 1
                if self._token.kind != "index":
                    raise self._syntax_error()
                parts.append(int(self._advance().text[:12]))
                self._expect("]")
            else:
                return Path(tuple(parts))

    def _name(self) -> str:
        token = self._token
        if token.kind == "placeholder":
            self.names.add(token.text)
        elif token.kind != "name" or token.text.upper() in _CONNECTIVES:
            raise self._syntax_error()
        elif token.text.upper() in WORDS:
            self._note("reserved", f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
        self._at += 1
        return token.text

    def operand(self) -> Operand:
        """A path, a value, a function, or one of these in parentheses."""
        token = self._token
        if token.text == "(" and token.kind == "sign":
            self._at += 1
            self._deeper()
            doubled = self._is("(")
            inner = self.operand()
            if doubled:
                self._note("parentheses", "The expression has redundant parentheses;")
            self._expect(")")
            self._depth -= 1
            return inner
        if token.kind == "value":
            self._at += 1
            self.values.add(token.text)
            return syntax.Placeholder(token.text)
        if token.kind == "name" and self._tokens[self._at + 1].text == "(" and token.text.upper() not in _CONNECTIVES:
            return self._function()
        return self.path()

    def _function(self) -> syntax.Function:
        name = self._advance().text
        self._at += 1
        self._count_operator()
        self._deeper()
        operands = [self.operand()]
        while self._is(","):
            self._at += 1
            operands.append(self.operand())
        self._expect(")")
        self._depth -= 1
        if name not in self._functions:
            self._note("function", f"Invalid function name; function: {name}")
        if self._functions is CONDITION_FUNCTIONS:
            self._check_use(operands)
        return syntax.Function(name, tuple(operands))

    def _check_use(self, operands: list[Operand]) -> None:
        for operand in operands:
            if isinstance(operand, syntax.Function) and operand.name != "size":
                self._misused(operand.name)

    def _misused(self, name: str) -> None:
        self._note("misuse", f"The function is not allowed to be used this way in an expression; function: {name}")

    # Conditions

    def condition(self) -> syntax.Condition:
        """A whole condition."""
        return self._whole(self._either())

    def _whole(self, found: Any) -> syntax.Condition:
        """What was read must be a condition, not an operand that stands alone."""
        if isinstance(found, Path | syntax.Placeholder):
            raise self._syntax_error()
        if isinstance(found, syntax.Function) and found.name == "size":
            self._misused("size")
        return found  # type: ignore[no-any-return]

    def _either(self) -> Any:
        return self._joined("OR", self._all)

    def _all(self) -> Any:
        return self._joined("AND", self._opposite)

    def _joined(self, word: str, read: Callable[[], Any]) -> Any:
        first = read()
        if not self._is_word(word):
            return first
        terms = [self._whole(first)]
        while self._take_word(word):
            self._count_operator()
            terms.append(self._whole(read()))
        return syntax.Both(word, tuple(terms))

    def _opposite(self) -> Any:
        if self._take_word("NOT"):
            self._count_operator()
            self._deeper()
            term = self._whole(self._opposite())
            self._depth -= 1
            return syntax.Not(term)
        return self._comparison()

    def _comparison(self) -> Any:
        """A comparison, or what stands in its place: a function, or anything in parentheses."""
        if self._is("(") and self._token.kind == "sign":
            left = self._parenthesised()
            if not isinstance(left, Path | syntax.Placeholder | syntax.Function):
                return left
        else:
            left = self.operand()
        token = self._token
        if token.text in COMPARATORS:
            self._at += 1
            self._count_operator()
            right = self.operand()
            self._check_use([left, right])
            return syntax.Compare(token.text, left, right)
        if self._take_word("BETWEEN"):
            self._count_operator()
            low = self.operand()
            if not self._take_word("AND"):
                raise self._syntax_error()
            high = self.operand()
            self._check_use([left, low, high])
            return syntax.Between(left, low, high)
        if self._take_word("IN"):
            return self._options(left)
        return left

    def _options(self, left: Operand) -> syntax.In:
        self._count_operator()
        self._expect("(")
        options = [self.operand()]
        while self._is(","):
            self._at += 1
            options.append(self.operand())
        self._expect(")")
        if len(options) > limits.IN_OPERANDS_MAX:
            raise Wrong(f"The IN operator is provided with too many operands; number of operands: {len(options)}")
        self._check_use([left, *options])
        return syntax.In(left, tuple(options))

    def _parenthesised(self) -> Any:
        self._at += 1
        self._deeper()
        start = self._at
        inner = self._either()
        # ((x)): the inner pair ends right before the outer one does.
        if self._tokens[start].text == "(" and self._closes(start) == self._at - 1:
            self._note("parentheses", "The expression has redundant parentheses;")
        self._expect(")")
        self._depth -= 1
        return inner

    def _closes(self, start: int) -> int:
        """Where the parenthesis that opens at `start` is closed."""
        level = 0
        for place in range(start, len(self._tokens)):
            text = self._tokens[place].text
            level += (text == "(") - (text == ")")
            if level == 0:
                return place
        return -1

    # Updates

    def update(self) -> syntax.Update:
        """A whole update: sections of actions."""
        actions: list[syntax.Action] = []
        seen: set[str] = set()
        while self._token.kind != "end":
            section = self._token.text.upper() if self._token.kind == "name" else ""
            if section not in _SECTIONS:
                raise self._syntax_error()
            self._at += 1
            if section in seen:
                self._note("section", f'The "{section}" section can only be used once in an update expression;')
            seen.add(section)
            actions.append(self._action(section))
            while self._is(","):
                self._at += 1
                actions.append(self._action(section))
        return syntax.Update(tuple(actions))

    def _action(self, section: str) -> syntax.Action:
        self._count_operator()
        path = self.path()
        if section == "REMOVE":
            return syntax.Action(section, path)
        if section == "SET":
            self._expect("=")
            return syntax.Action(section, path, self._assigned())
        if self._token.kind != "value":
            raise self._syntax_error()
        return syntax.Action(section, path, self.operand())

    def _assigned(self) -> Operand:
        if self._is("("):
            # Either the whole sum stands in parentheses, or its first operand does.
            self._at += 1
            self._deeper()
            left = self._assigned()
            self._expect(")")
            self._depth -= 1
        else:
            left = self.operand()
        token = self._token
        if token.text in ("+", "-") and token.kind == "sign":
            self._at += 1
            self._count_operator()
            return syntax.Sum(token.text, left, self.operand())
        return left

    # Projections

    def projection(self) -> syntax.Projection:
        """A whole projection: paths."""
        paths = [self.path()]
        while self._is(","):
            self._at += 1
            paths.append(self.path())
        return syntax.Projection(tuple(paths))
