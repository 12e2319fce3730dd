"""Reads the conditions and the computed values of PartiQL statements, into the trees of expressions."""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import syntax
from headrace.services.dynamodb.engine.parser import COMPARATORS
from headrace.services.dynamodb.engine.partiql.cursor import Cursor, malformed
from headrace.services.dynamodb.engine.syntax import Compare, Function, Not, Path, Placeholder, Sum

_CONDITIONS = frozenset(("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"))
_COMPUTED = frozenset(("size", "list_append", "if_not_exists"))
_TYPES = {
    "NULL": "NULL", "BOOL": "BOOL", "BOOLEAN": "BOOL", "STRING": "S", "INT": "N", "INTEGER": "N", "NUMBER": "N", "DECIMAL": "N",
    "NUMERIC": "N", "BLOB": "B", "BINARY": "B", "LIST": "L", "STRUCT": "M", "TUPLE": "M", "MAP": "M",
}  # fmt: skip


class Predicates(Cursor):
    """Conditions and operands."""

    def condition(self) -> syntax.Condition:
        """A whole condition."""
        return self._whole(self._either())

    def _whole(self, found: Any) -> syntax.Condition:
        if isinstance(found, Path | Placeholder | Sum) or (isinstance(found, Function) and found.name not in _CONDITIONS):
            raise malformed("Expected a condition")
        return found  # type: ignore[no-any-return]

    def _either(self) -> Any:
        first = self._all()
        if not self.is_word("OR"):
            return first
        terms = [self._whole(first)]
        while self.take_word("OR"):
            terms.append(self._whole(self._all()))
        return syntax.Both("OR", tuple(terms))

    def _all(self) -> Any:
        first = self._opposite()
        if not self.is_word("AND"):
            return first
        terms = [self._whole(first)]
        while self.take_word("AND"):
            terms.append(self._whole(self._opposite()))
        return syntax.Both("AND", tuple(terms))

    def _opposite(self) -> Any:
        if not self.take_word("NOT"):
            return self._comparison()
        self.deeper()
        term = Not(self._whole(self._opposite()))
        self.deeper(-1)
        return term

    def _comparison(self) -> Any:
        if self.is_sign("("):
            self.at += 1
            self.deeper()
            left = self._either()
            self.deeper(-1)
            if not self.take(")"):
                raise malformed("Expected ')'")
            if not isinstance(left, Path | Placeholder | Function | Sum):
                return left
        else:
            left = self.sum()
        token = self.token
        operator = "<>" if token.text == "!=" else token.text
        if token.kind == "sign" and operator in COMPARATORS:
            self.at += 1
            return self._compared(operator, left, self.sum())
        if self.take_word("IS"):
            return self._kind(left)
        opposite = self.is_word("NOT") and self.following.text.upper() in ("IN", "BETWEEN")
        self.at += opposite
        found = left
        if self.take_word("BETWEEN"):
            low = self.sum()
            self.expect_word("AND")
            high = self.sum()
            _plain(left, low, high)
            found = syntax.Between(left, low, high)
        elif self.take_word("IN"):
            found = self._options(left)
        return Not(found) if opposite else found

    def _compared(self, operator: str, left: Any, right: Any) -> Any:
        """A comparison. A function that is a condition may be compared with true and false."""
        if isinstance(right, Function) and right.name in _CONDITIONS:
            left, right = right, left
        if isinstance(left, Function) and left.name in _CONDITIONS:
            wanted = self.templates.get(right.name) if isinstance(right, Placeholder) else None
            if operator not in ("=", "<>") or not isinstance(wanted, dict) or "BOOL" not in wanted:
                raise malformed("Unexpected operand of a condition")
            return left if wanted["BOOL"] == (operator == "=") else Not(left)
        _plain(left, right)
        return Compare(operator, left, right)

    def _kind(self, left: Any) -> Any:
        opposite = self.take_word("NOT")
        word = self.token.text.upper()
        if self.token.kind != "word" or not isinstance(left, Path) or (word != "MISSING" and word not in _TYPES):
            raise malformed("Expected a type")
        self.at += 1
        if word == "MISSING":
            return Function("attribute_exists" if opposite else "attribute_not_exists", (left,))
        name = f":{len(self.templates)}"
        self.templates[name] = {"S": _TYPES[word]}
        found = Function("attribute_type", (left, Placeholder(name)))
        return Not(found) if opposite else found

    def _options(self, left: Any) -> syntax.In:
        end = "]" if self.is_sign("[") else ")"
        if not (self.take("[") or self.take("(")):
            raise malformed("Expected a list of values")
        options: list[Any] = []
        while not self.take(end):
            options.append(self.sum())
            if not self.take(",") and not self.is_sign(end):
                raise malformed(f"Expected '{end}'")
        if len(options) > limits.IN_OPERANDS_MAX:
            raise ValidationException(f"The IN operator is provided with too many operands; number of operands: {len(options)}")
        _plain(left, *options)
        return syntax.In(left, tuple(options))

    # Operands

    def sum(self) -> Any:
        """An operand, or the sum or difference of some."""
        left = self._operand()
        while self.is_sign("+") or self.is_sign("-"):
            sign = self.token.text
            self.at += 1
            left = Sum(sign, left, self._operand())
        return left

    def _operand(self) -> Any:
        token = self.token
        if self.starts_value():
            return self.value()
        if token.kind == "word" and self.following.text == "(" and self.following.kind == "sign":
            return self._function()
        return self.path()

    def _function(self) -> Function:
        token = self.token
        name = token.text.lower()
        if name not in _CONDITIONS and name not in _COMPUTED:
            raise ValidationException(f"Unrecognized function: {name} at {token.where}")
        self.at += 2
        self.deeper()
        operands: list[Any] = []
        while not self.take(")"):
            operands.append(self.sum())
            if not self.take(",") and not self.is_sign(")"):
                raise malformed("Expected ')'")
        self.deeper(-1)
        if name in _CONDITIONS:
            _plain(*operands)
        return Function(name, tuple(operands))


def _plain(*operands: Any) -> None:
    """Refuse what is computed only in SET."""
    for operand in operands:
        if isinstance(operand, Sum) or (isinstance(operand, Function) and operand.name != "size"):
            raise malformed("Unexpected operand of a condition")
