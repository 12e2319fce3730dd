"""Reads PartiQL statements: recursive descent, its depth bounded. Trees are kept by their text."""

from functools import lru_cache
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import syntax as expressions
from headrace.services.dynamodb.engine.partiql.cursor import Cursor, malformed
from headrace.services.dynamodb.engine.partiql.lexer import tokens
from headrace.services.dynamodb.engine.partiql.predicates import Predicates
from headrace.services.dynamodb.engine.partiql.syntax import Delete, Exists, Insert, Parsed, Select, Statement, Update
from headrace.services.dynamodb.engine.syntax import Action, Path

_LEFTOVER = "Unexpected token after expression"


def parse(text: str) -> Parsed:
    """A statement; ValidationException in AWS's words when it is none."""
    if len(text.encode()) > limits.STATEMENT_SIZE_MAX_BYTES:
        raise ValidationException(
            "1 validation error detected: Value at 'statement' failed to satisfy constraint: "
            f"Member must have length less than or equal to {limits.STATEMENT_SIZE_MAX_BYTES}"
        )
    return _parse(text)


@lru_cache(maxsize=limits.STATEMENTS_CACHED_MAX)
def _parse(text: str) -> Parsed:
    found = tokens(text)
    if found is None:
        raise malformed("")
    parser = _Parser(found)
    statement = parser.statement()
    parser.take(";")
    if parser.token.kind != "end":
        raise malformed(_LEFTOVER)
    return Parsed(statement, parser.templates, parser.parameters)


class _Parser(Predicates, Cursor):
    """One pass over a statement."""

    def statement(self) -> Statement:
        """The whole statement."""
        if self.take_word("SELECT"):
            return self._select()
        if self.take_word("INSERT"):
            return self._insert()
        if self.take_word("UPDATE"):
            return self._update()
        if self.take_word("DELETE"):
            return self._delete()
        if self.take_word("FROM"):
            return self._update_from()
        if self.is_word("EXISTS") and self.following.text == "(":
            return self._exists()
        raise malformed("Expected data manipulation")

    def _select(self) -> Select:
        paths = self._projection()
        self.expect_word("FROM")
        table, index = self._source()
        where = self.condition() if self.take_word("WHERE") else None
        order: list[tuple[str, bool]] = []
        if self.take_word("ORDER"):
            self.expect_word("BY")
            order.append(self._ordered())
            while self.take(","):
                order.append(self._ordered())
        return Select(table, index, paths, where, tuple(order))

    def _projection(self) -> tuple[Path, ...] | None:
        if self.take("*"):
            if self.is_sign(","):
                raise ValidationException("Other attributes should not be present in the projection when '*' is used.")
            return None
        paths = []
        while True:
            if self.token.kind not in ("word", "quoted") or self.following.text == "(":
                raise ValidationException(f"Unexpected path component at {self.token.where}")
            paths.append(self.path())
            if not self.take(","):
                return tuple(paths)
            if self.is_sign("*"):
                raise ValidationException("Other attributes should not be present in the projection when '*' is used.")

    def _ordered(self) -> tuple[str, bool]:
        name = str(self.path().parts[-1])
        down = self.take_word("DESC")
        if not down:
            self.take_word("ASC")
        return name, down

    def _source(self) -> tuple[str, str | None]:
        """A table, and an index of it. An alias is refused."""
        parts = [self._component()]
        while self.take("."):
            parts.append(self._component())
        if len(parts) > 2:
            raise ValidationException("A path may contain at most 2 components in the FROM clause")
        token = self.token
        clause = token.kind == "word" and token.text.upper() in ("WHERE", "ORDER", "SET", "REMOVE", "RETURNING")
        if token.kind in ("word", "quoted") and not clause:
            raise ValidationException("Aliasing is not supported")
        return parts[0], parts[1] if len(parts) == 2 else None

    def _component(self) -> str:
        token = self.token
        if token.kind not in ("word", "quoted"):
            raise malformed("Expected identifier")
        if not token.text:
            raise ValidationException("Path component cannot be an empty string")
        self.at += 1
        return token.text

    def _target(self) -> str:
        table, index = self._source()
        if index is not None:
            raise ValidationException("This operation is not supported on an index")
        return table

    def _insert(self) -> Insert:
        self.expect_word("INTO")
        table = self._component()
        if self.take("."):
            raise ValidationException("This operation is not supported on an index")
        if not self.take_word("VALUE"):
            raise malformed(_LEFTOVER)
        if not (self.is_sign("{") or self.is_sign("?")):
            raise malformed("Expected a structure")
        return Insert(table, self.literal("root", top=True))

    def _update(self) -> Update:
        table = self._target()
        actions = self._actions()
        where = self.condition() if self.take_word("WHERE") else None
        return Update(table, expressions.Update(actions), where, self._returning())

    def _update_from(self) -> Update:
        table = self._target()
        where = self.condition() if self.take_word("WHERE") else None
        actions = self._actions()
        return Update(table, expressions.Update(actions), where, self._returning())

    def _actions(self) -> tuple[Action, ...]:
        actions: list[Action] = []
        while self.is_word("SET") or self.is_word("REMOVE"):
            section = self.token.text.upper()
            self.at += 1
            read = self._set if section == "SET" else self._remove
            actions.append(read())
            while self.take(","):
                actions.append(read())
        if not actions:
            raise malformed("Expected data manipulation")
        return tuple(actions)

    def _set(self) -> Action:
        path = self.path()
        if not self.take("="):
            raise malformed("Expected '='")
        token = self.token
        if token.kind == "word" and token.text.lower() in ("set_add", "set_delete") and self.following.text == "(":
            return self._set_function(path)
        operand = self.sum()
        _check_assigned(operand)
        return Action("SET", path, operand)

    def _set_function(self, path: Path) -> Action:
        name = self.token
        upper = name.text.upper()
        self.at += 2
        first = self.token
        operands: list[Any] = []
        while not self.take(")"):
            operands.append(self.sum())
            if not self.take(",") and not self.is_sign(")"):
                raise malformed("Expected ')'")
        if len(operands) != 2:
            raise ValidationException(f"{upper} must have exactly two arguments at {name.where}")
        if not isinstance(operands[0], Path) or operands[0].parts != path.parts:
            raise ValidationException(f"The first argument to {upper} must equal the assignment value at {name.where}")
        if not isinstance(operands[1], expressions.Placeholder) or not self.may_be_set(operands[1].name):
            raise ValidationException(f"The second argument to {upper} must be a value with type SET at {first.where}")
        return Action("ADD" if upper == "SET_ADD" else "DELETE", path, operands[1])

    def _remove(self) -> Action:
        return Action("REMOVE", self.path())

    def _delete(self) -> Delete:
        self.expect_word("FROM")
        table = self._target()
        where = self.condition() if self.take_word("WHERE") else None
        returning = self._returning()
        if returning not in (None, "ALL OLD"):
            raise ValidationException(
                f"Invalid returning clause: RETURNING {returning} *. Only RETURNING ALL OLD * is allowed in DELETE statements."
            )
        return Delete(table, where, returning)

    def _returning(self) -> str | None:
        if not self.take_word("RETURNING"):
            return None
        words = []
        for choices in (("ALL", "MODIFIED"), ("OLD", "NEW")):
            word = self.token.text.upper()
            if self.token.kind != "word" or word not in choices:
                raise malformed("Invalid returning clause")
            words.append(word)
            self.at += 1
        if not self.take("*"):
            raise malformed("Invalid returning clause")
        return " ".join(words)

    def _exists(self) -> Exists:
        self.at += 2
        self.expect_word("SELECT")
        select = self._select()
        if not self.take(")"):
            raise malformed("Expected ')'")
        return Exists(select)


def _check_assigned(operand: Any) -> None:
    """SET takes values, paths, sums, list_append and if_not_exists."""
    if isinstance(operand, expressions.Sum):
        _check_assigned(operand.left)
        _check_assigned(operand.right)
    elif isinstance(operand, expressions.Function):
        if operand.name not in ("list_append", "if_not_exists"):
            raise malformed(f"The function {operand.name} can not be assigned")
        for inner in operand.operands:
            _check_assigned(inner)
