"""Reads expressions: by precedence, each with its place."""

from collections.abc import Callable
from decimal import Decimal

from headrace.services.analytics.engine import instants
from headrace.services.analytics.engine.lexer import Source, Token
from headrace.services.analytics.engine.schema import SqlError
from headrace.services.analytics.engine.sqltypes import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    INTERVAL,
    MONTHS,
    NULL,
    TIME,
    TIMESTAMP,
    SqlType,
    type_named,
)
from headrace.services.analytics.engine.syntax import Call, Case, Cast, Expr, Frame, Literal, Name, Over, Star
from headrace.services.analytics.engine.words import RESERVED, WordReader

_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")
_NILADIC = {
    "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "LOCALTIMESTAMP", "LOCALTIME", "CURRENT_ROW_TIMESTAMP",
    "CURRENT_PATH",
}  # fmt: skip
# The keywords that stand between the arguments of functions.
_BETWEEN = {"STEP": ("BY",), "POSITION": ("IN",), "SUBSTRING": ("FROM", "SIMILAR"), "OVERLAY": ("PLACING",)}
DEPTH_MAX = 100


def _between(value: Expr, low: Expr, high: Expr, at: int) -> Expr:
    return Call("AND", (Call(">=", (value, low), at=at), Call("<=", (value, high), at=at)), at=at)


def _all(*conditions: tuple[str, int, int]) -> Callable[[Expr, Expr, Expr, Expr, int], Expr]:
    """Conditions on the ends of two periods: 0 and 1 are those of the first, 2 and 3 those of the second."""

    def make(start: Expr, end: Expr, other_start: Expr, other_end: Expr, at: int) -> Expr:
        ends = (start, end, other_start, other_end)
        calls: list[Expr] = [Call(name, (ends[one], ends[other]), at=at) for name, one, other in conditions]
        return calls[0] if len(calls) == 1 else Call("AND", tuple(calls), at=at)

    return make


PERIODS = {
    "CONTAINS": _all(("<=", 0, 2), (">=", 1, 3)),
    "OVERLAPS": _all((">=", 1, 2), ("<=", 0, 3)),
    "EQUALS": _all(("=", 0, 2), ("=", 1, 3)),
    "PRECEDES": _all(("<=", 1, 2)),
    "SUCCEEDS": _all((">=", 0, 3)),
    "IMMEDIATELY PRECEDES": _all(("=", 1, 2)),
    "IMMEDIATELY SUCCEEDS": _all(("=", 0, 3)),
    "STRICTLY CONTAINS": _all(("<", 0, 2), (">", 1, 3)),
    "STRICTLY PRECEDES": _all(("<", 1, 2)),
    "STRICTLY SUCCEEDS": _all((">", 0, 3)),
}


class ExpressionReader(WordReader):
    """How expressions are read."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._depth = 0

    def expression(self) -> Expr:
        """An expression."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self.error("The expression is nested too deep", self.token.at)
        left = self._and()
        while self.at_word("OR"):
            at = self._pass()
            left = Call("OR", (left, self._and()), at=at)
        self._depth -= 1
        return left

    def _pass(self) -> int:
        self.place += 1
        return self.tokens[self.place - 1].at

    def _and(self) -> Expr:
        left = self._not()
        while self.at_word("AND"):
            at = self._pass()
            left = Call("AND", (left, self._not()), at=at)
        return left

    def _not(self) -> Expr:
        if self.at_word("NOT"):
            at = self._pass()
            return Call("NOT", (self._not(),), at=at)
        return self._comparison()

    def _comparison(self) -> Expr:
        left = self._sum()
        while True:
            at = self.token.at
            if self.token.kind == "symbol" and self.token.text in _COMPARISONS:
                name = self.token.text.replace("!=", "<>")
                self.place += 1
                left = Call(name, (left, self._sum()), at=at)
            elif self.take("IS"):
                left = self._is(left, at)
            else:
                negated = self.at_word("NOT") and self.peek().text in ("LIKE", "IN", "BETWEEN", "SIMILAR")
                self.place += negated
                made = self._predicate(left, at)
                if made is None:
                    return left
                left = Call("NOT", (made,), at=at) if negated else made

    def _is(self, left: Expr, at: int) -> Expr:
        negated = self.take("NOT")
        for word in ("NULL", "TRUE", "FALSE", "UNKNOWN"):
            if self.take(word):
                made = Call(f"IS {'NULL' if word == 'UNKNOWN' else word}", (left,), at=at)
                return Call("NOT", (made,), at=at) if negated else made
        if self.take("DISTINCT", "FROM"):
            made = Call("IS DISTINCT", (left, self._sum()), at=at)
            return Call("NOT", (made,), at=at) if negated else made
        raise self.unexpected("NULL, TRUE, FALSE or UNKNOWN")

    def _predicate(self, left: Expr, at: int) -> Expr | None:
        if self.take("LIKE") or self.take("SIMILAR", "TO"):
            name = self.tokens[self.place - 1].text.replace("TO", "SIMILAR")
            pattern = self._sum()
            escape = (self._sum(),) if self.take("ESCAPE") else ()
            return Call(name, (left, pattern, *escape), at=at)
        if self.take("BETWEEN"):
            symmetric = self.take("SYMMETRIC") or (self.take("ASYMMETRIC") and False)
            low = self._sum()
            self.expect("AND")
            high = self._sum()
            made = _between(left, low, high, at)
            return Call("OR", (made, _between(left, high, low, at)), at=at) if symmetric else made
        if self.take("IN"):
            self.expect("(")
            if self.at_word("SELECT"):
                raise self.error("IN with a subquery is not supported over streams: join with a reference table", at)
            options = [self.expression()]
            while self.take(","):
                options.append(self.expression())
            self.expect(")")
            return Call("IN", (left, *options), at=at)
        return None

    def _sum(self) -> Expr:
        left = self._product()
        while self.token.kind == "symbol" and self.token.text in ("+", "-", "||"):
            name = self.token.text
            at = self._pass()
            left = Call(name, (left, self._product()), at=at)
        return left

    def _product(self) -> Expr:
        left = self._signed()
        while self.token.kind == "symbol" and self.token.text in ("*", "/", "%"):
            name = self.token.text
            at = self._pass()
            left = Call("MOD" if name == "%" else name, (left, self._signed()), at=at)
        return left

    def _signed(self) -> Expr:
        if self.at_word("-"):
            at = self._pass()
            return Call("NEGATE", (self._signed(),), at=at)
        if self.take("+"):
            return self._signed()
        return self._primary()

    def _primary(self) -> Expr:
        token = self.token
        self.place += 1
        if token.kind == "number":
            return self._number(token)
        if token.kind == "string":
            return Literal(token.text, SqlType("VARCHAR", len(token.text)), at=token.at)
        if token.kind == "symbol" and token.text == "(":
            return self._parenthesis()
        if token.kind == "symbol" and token.text == "*":
            return Star(at=token.at)
        if token.kind == "word" and (made := self._keyword(token)) is not None:
            return made
        if token.kind == "quoted" or (token.kind == "word" and token.text not in RESERVED):
            if self.at_word("("):
                return self._over(self._call(token))
            return self._name(token)
        self.place -= 1
        raise self.unexpected("an expression")

    def _parenthesis(self) -> Expr:
        if self.at_word("SELECT"):
            raise self.error("A subquery in an expression is not supported over streams", self.token.at)
        made = self.expression()
        if self.at_word(","):
            return self._periods(made)
        self.expect(")")
        if self.token.kind == "word" and self.token.text in instants.UNITS:
            at = self.token.at
            return Call("INTERVAL OF", (made,), (self._unit()[0],), at=at)
        return made

    def _periods(self, start: Expr) -> Expr:
        """A temporal predicate, between two periods: (start, end or length) PRECEDES (start, end or length)."""
        first = self._period(start)
        at = self.token.at
        words = [word for word in ("STRICTLY", "IMMEDIATELY") if self.take(word)]
        words.append(self.token.text)
        made = PERIODS.get(" ".join(words))
        if made is None and self.peek().text != "(":
            raise self.unexpected("a temporal predicate")
        if made is None:
            raise self.error(f'Temporal predicate "{" ".join(words)}" is not supported', at)
        self.place += 1
        self.expect("(")
        return made(*first, *self._period(self.expression()), at)

    def _period(self, start: Expr) -> tuple[Expr, Expr]:
        """What follows a period's first end: the earlier end is the first."""
        self.expect(",")
        at = self.token.at
        end = self.expression()
        self.expect(")")
        if isinstance(end, Literal) and end.type in (INTERVAL, MONTHS):
            end = Call("+", (start, end), at=at)
        in_order = Call("<=", (start, end), at=at)
        return Case(((in_order, start),), end, at=at), Case(((in_order, end),), start, at=at)

    def _number(self, token: Token) -> Expr:
        text = token.text
        if "e" in text.lower():
            return Literal(float(text), DOUBLE, at=token.at)
        if "." in text:
            value = Decimal(text)
            return Literal(value, SqlType("DECIMAL", 18, max(0, -int(value.as_tuple().exponent))), at=token.at)
        number = int(text)
        if number >= 2**63:
            raise self.error(f"Numeric literal '{text}' out of range", token.at)
        return Literal(number, INTEGER if number < 2**31 else BIGINT, at=token.at)

    def _name(self, token: Token) -> Expr:
        parts = [token.text]
        while self.at_word("."):
            self.place += 1
            if self.take("*"):
                return Star(".".join(parts), at=token.at)
            parts.append(self.identifier())
        return Name(tuple(parts), at=token.at)

    def _keyword(self, token: Token) -> Expr | None:
        text, at = token.text, token.at
        if text in ("TRUE", "FALSE"):
            return Literal(text == "TRUE", BOOLEAN, at=at)
        if text in ("NULL", "UNKNOWN"):
            return Literal(None, NULL if text == "NULL" else BOOLEAN, at=at)
        if text in ("TIMESTAMP", "DATE", "TIME") and self.token.kind == "string":
            try:
                parse = instants.parse_clock if text == "TIME" else instants.parse_instant
                value = parse(self.string())
            except ValueError as error:
                raise self.error(f"Illegal {text} literal: {error}", at) from error
            return Literal(value, {"TIMESTAMP": TIMESTAMP, "DATE": DATE, "TIME": TIME}[text], at=at)
        if text == "INTERVAL" and (self.token.kind == "string" or self.at_word("-")):
            return self.interval(at)
        if text == "CASE":
            return self._case(at)
        if text == "CAST":
            self.expect("(")
            operand = self.expression()
            self.expect("AS")
            made = Cast(operand, self.type(), at=at)
            self.expect(")")
            return made
        if text in _NILADIC:
            if self.take("("):
                if self.token.kind == "number":
                    self.place += 1
                self.expect(")")
            return Call(text, (), at=at)
        if text in ("LEFT", "RIGHT") and self.at_word("("):
            return self._call(token)
        return None

    def interval(self, at: int) -> Literal:
        """What follows INTERVAL: a text and a unit, or a unit TO a unit."""
        sign = -1 if self.take("-") else 1
        text = self.string()
        first, last = self._unit()
        try:
            value = sign * instants.parse_interval(text, first, last)
        except ValueError as error:
            raise self.error(str(error), at) from error
        return Literal(value, MONTHS if first in instants.UNITS_MONTHS else INTERVAL, at=at)

    def _unit(self) -> tuple[str, str]:
        first = self._one_unit()
        if self.at_word("TO") and self.peek().text in instants.UNITS and self.peek(2).text != ")":
            self.place += 1
            return first, self._one_unit()
        if self.at_word("TO") and self.tokens[self.place - 2].kind == "string":
            self.place += 1
            return first, self._one_unit()
        return first, first

    def _one_unit(self) -> str:
        unit = self.token.text
        if unit.rstrip("S") in instants.UNITS:
            unit = unit.rstrip("S")
        if self.token.kind != "word" or unit not in instants.UNITS:
            raise self.unexpected("a unit of time")
        self.place += 1
        if self.take("("):
            while not self.take(")"):
                self.place += 1
        return unit

    def _case(self, at: int) -> Expr:
        operand = None if self.at_word("WHEN") else self.expression()
        whens: list[tuple[Expr, Expr]] = []
        while self.take("WHEN"):
            condition = self.expression()
            if operand is not None:
                condition = Call("=", (operand, condition), at=condition.at)
            self.expect("THEN")
            whens.append((condition, self.expression()))
        if not whens:
            raise self.unexpected('"WHEN"')
        default = self.expression() if self.take("ELSE") else Literal(None, NULL, at=at)
        self.expect("END")
        return Case(tuple(whens), default, at=at)

    def type(self) -> SqlType:
        """A type, as in CAST and CREATE STREAM."""
        at = self.token.at
        words = self.identifier()
        two = f"{words} {self.token.text}"
        if two in ("DOUBLE PRECISION", "CHARACTER VARYING", "CHAR VARYING", "BINARY VARYING"):
            self.place += 1
            words = two
        if words == "INTERVAL":
            first, _ = self._unit()
            return MONTHS if first in instants.UNITS_MONTHS else INTERVAL
        sizes: list[int] = []
        if self.take("("):
            while not self.take(")"):
                if self.token.kind != "number":
                    raise self.unexpected("a number")
                sizes.append(int(self.token.text))
                self.place += 1
                self.take(",")
        try:
            return type_named(words, *[*sizes, None, None][:2])
        except SqlError as error:
            raise self.error(error.message, at) from error

    def _call(self, token: Token) -> Call:
        self.expect("(")
        name, at = token.text, token.at
        distinct = self.take("DISTINCT")
        if not distinct and self.at_word("ALL"):
            self.place += 1
        if name == "TRIM":
            return self._trim(at)
        if name == "EXTRACT":
            unit = self.token.text
            self.place += 1
            self.expect("FROM")
            operand = self.expression()
            self.expect(")")
            return Call(name, (operand,), (unit,), at=at)
        arguments: list[Expr] = []
        words: list[str] = []
        while not self.at_word(")"):
            if arguments and not words and not self.take(","):
                words.extend(self._between(name, arguments))
                continue
            if words and not self.take(","):
                if self.at_word("FOR"):
                    self.place += 1
                else:
                    raise self.unexpected('")"')
            arguments.append(self._argument(name))
        self.expect(")")
        return Call(name, tuple(arguments), tuple(words), distinct, at=at)

    def _argument(self, name: str) -> Expr:
        if name == "POSITION":
            return self._sum()
        if name in ("TSDIFF", "TIMESTAMPDIFF", "TIMESTAMPADD") and self.token.kind == "word" and self.peek().text == ",":
            unit = self.token
            self.place += 1
            return Literal(unit.text, SqlType("VARCHAR"), at=unit.at)
        return self.expression()

    def _between(self, name: str, arguments: list[Expr]) -> list[str]:
        """The keyword that stands between a function's arguments: FLOOR(x TO MINUTE), STEP(x BY …), POSITION(a IN b)."""
        if name in ("FLOOR", "CEIL", "CEILING") and self.take("TO"):
            return [self._one_unit()]
        for owner, word in (
            ("STEP", "BY"),
            ("POSITION", "IN"),
            ("SUBSTRING", "FROM"),
            ("SUBSTRING", "SIMILAR"),
            ("OVERLAY", "PLACING"),
        ):
            if name == owner and self.take(word):
                arguments.append(self.expression())
                if word in ("PLACING", "SIMILAR"):
                    self.expect("FROM" if word == "PLACING" else "ESCAPE")
                    arguments.append(self.expression())
                return [word]
        raise self.unexpected('"," or ")"')

    def _trim(self, at: int) -> Call:
        side = "BOTH"
        for word in ("BOTH", "LEADING", "TRAILING"):
            if self.take(word):
                side = word
        letters: Expr = Literal(" ", SqlType("VARCHAR", 1), at=at)
        if self.take("FROM"):
            operand = self.expression()
        else:
            operand = self.expression()
            if self.take("FROM"):
                letters, operand = operand, self.expression()
        self.expect(")")
        return Call("TRIM", (operand, letters), (side,), at=at)

    def _over(self, call: Call) -> Expr:
        if call.name == "NTH_VALUE" and self.at_word("FROM") and self.peek().text in ("FIRST", "LAST"):
            call = Call(call.name, call.arguments, (*call.words, f"FROM {self.peek().text}"), call.distinct, at=call.at)
            self.place += 2
        if self.at_word("IGNORE", "NULLS") or self.at_word("RESPECT", "NULLS"):
            call = Call(call.name, call.arguments, (*call.words, f"{self.token.text} NULLS"), call.distinct, at=call.at)
            self.place += 2
        if not self.take("OVER"):
            return call
        return Over(call, self.window(), at=call.at)

    def window(self) -> Frame | str:
        """What follows OVER: the name of a window, or a window."""
        if not self.at_word("("):
            return self.identifier()
        return self.frame()

    def frame(self) -> Frame:
        """A window between parentheses."""
        self.expect("(")
        partition: list[Expr] = []
        if self.take("PARTITION", "BY"):
            partition.append(self.expression())
            while self.take(","):
                partition.append(self.expression())
        if self.take("ORDER", "BY"):
            at = self.token.at
            ordered = self.expression()
            if not (isinstance(ordered, Name) and ordered.parts[-1] == "ROWTIME"):
                raise self.error("A window over a stream is in the order of ROWTIME", at)
        range_ms, rows = self._extent()
        self.expect(")")
        return Frame(tuple(partition), range_ms, rows)

    def _extent(self) -> tuple[int | None, int | None]:
        at = self.token.at
        if not (self.take("RANGE") or self.take("ROWS")):
            return None, None
        by_time = self.tokens[self.place - 1].text == "RANGE"
        between = self.take("BETWEEN")
        size = 0
        if self.take("UNBOUNDED"):
            raise self.error("UNBOUNDED windows are not supported over streams", at)
        if not self.take("CURRENT", "ROW"):
            start = self.expression()
            if not isinstance(start, Literal) or not isinstance(start.value, int) or (start.type == INTERVAL) != by_time:
                raise self.error("RANGE takes an INTERVAL of days to seconds, ROWS a whole number", at)
            size = start.value
            if not self.take("PRECEDING") and (between or self.at_word("FOLLOWING")):
                raise self.error("Windows over streams end at the current row: FOLLOWING is not supported", self.token.at)
        if between:
            self.expect("AND", "CURRENT", "ROW")
        return (size, None) if by_time else (None, size)
