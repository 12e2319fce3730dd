"""Reads an application's code: statements and queries."""

from dataclasses import replace

from headrace.services.analytics.engine.lexer import Source
from headrace.services.analytics.engine.parser_expressions import ExpressionReader
from headrace.services.analytics.engine.sqltypes import SqlType
from headrace.services.analytics.engine.syntax import (
    AlterPump,
    Bare,
    CreateFunction,
    CreatePump,
    CreateStream,
    CreateView,
    Derived,
    Drop,
    Expr,
    Frame,
    Item,
    Join,
    Query,
    Relation,
    Select,
    Statement,
    Table,
    TableFunction,
    Union,
    With,
)
from headrace.services.analytics.engine.words import RESERVED

CODE_LETTERS_MAX = 102_400


class Reader(ExpressionReader):
    """Reads statements."""

    def statements(self) -> list[Statement]:
        """All statements of the text."""
        found: list[Statement] = []
        while self.token.kind != "end":
            if self.take(";"):
                continue
            found.append(self._statement())
            if self.token.kind != "end":
                self.expect(";")
        return found

    def _statement(self) -> Statement:
        at = self.token.at
        if self.take("CREATE"):
            self.take("OR", "REPLACE")
            for kind, read in (
                ("STREAM", self._create_stream),
                ("PUMP", self._create_pump),
                ("VIEW", self._create_view),
                ("FUNCTION", self._create_function),
            ):
                if self.take(kind):
                    return read(at)
            raise self.unexpected("STREAM, PUMP, VIEW or FUNCTION")
        if self.take("ALTER", "PUMP"):
            name = self._qualified()
            started = self.take("START")
            if not started:
                self.expect("STOP")
            return AlterPump(name, started, at)
        if self.take("DROP"):
            kind = self.token.text
            self.place += 1
            return Drop(kind, self._qualified(), at)
        if self.at_word("SELECT") or self.at_word("WITH") or self.at_word("("):
            return Bare(self.query(), at)
        raise self.unexpected("CREATE, ALTER PUMP, DROP or SELECT")

    def _qualified(self) -> str:
        name = self.identifier()
        while self.take("."):
            name = self.identifier()
        return name

    def _description(self) -> None:
        while self.at_word("DESCRIPTION") or self.at_word("OPTIONS"):
            self.place += 1
            if not self.take("("):
                self.string()
            else:
                while not self.take(")"):
                    self.place += 1

    def _create_stream(self, at: int) -> Statement:
        name = self._qualified()
        columns: list[tuple[str, SqlType]] = []
        self.expect("(")
        while not self.take(")"):
            column = self.identifier()
            columns.append((column, self.type()))
            if self.take("NOT"):
                self.expect("NULL")
            if not self.at_word(")"):
                self.expect(",")
        self._description()
        return CreateStream(name, tuple(columns), at)

    def _create_pump(self, at: int) -> Statement:
        name = self._qualified()
        started = not self.take("STOPPED")
        if started:
            self.take("STARTED")
        self._description()
        self.expect("AS", "INSERT", "INTO")
        target = self._qualified()
        columns = self._names() if self.at_word("(") and self.peek().text not in ("SELECT", "(") else ()
        return CreatePump(name, started, target, columns, self.query(), at)

    def _names(self) -> tuple[str, ...]:
        self.expect("(")
        names = [self.identifier()]
        while self.take(","):
            names.append(self.identifier())
        self.expect(")")
        return tuple(names)

    def _create_view(self, at: int) -> Statement:
        name = self._qualified()
        columns = self._names() if self.at_word("(") else ()
        self._description()
        self.expect("AS")
        return CreateView(name, columns, self.query(), at)

    def _create_function(self, at: int) -> Statement:
        name = self._qualified()
        parameters: list[tuple[str, SqlType]] = []
        self.expect("(")
        while not self.take(")"):
            parameter = self.identifier()
            parameters.append((parameter, self.type()))
            if not self.at_word(")"):
                self.expect(",")
        self.expect("RETURNS")
        returns = self.type()
        for words in (
            ("LANGUAGE", "SQL"), ("DETERMINISTIC",), ("NOT", "DETERMINISTIC"), ("CONTAINS", "SQL"), ("NO", "SQL"),
            ("RETURNS", "NULL", "ON", "NULL", "INPUT"), ("CALLED", "ON", "NULL", "INPUT"), ("READS", "SQL", "DATA"),
        ):  # fmt: skip
            self.take(*words)
        self.expect("RETURN")
        return CreateFunction(name, tuple(parameters), returns, self.expression(), at)

    def query(self) -> Query:
        """A query, with WITH before it and UNION ALL in it."""
        if self.at_word("WITH"):
            return self._with()
        left = self._branch()
        while self.at_word("UNION"):
            at = self._step()
            every = self.take("ALL")
            bare = not self.at_word("(")
            right = self._branch()
            order: tuple[tuple[Expr, bool], ...] = ()
            if bare and isinstance(right, Select) and right.order:  # ORDER BY at the end sorts the whole
                order, right = right.order, replace(right, order=())
            left = Union(left, right, every, order, at)
        for word in ("EXCEPT", "INTERSECT", "LIMIT"):
            if self.at_word(word):
                raise self.error(f"{word} is not supported over streams", self.token.at)
        return left

    def _with(self) -> With:
        start = self._step()
        views: list[CreateView] = []
        while True:
            at = self.token.at
            name = self.identifier()
            columns = self._names() if self.at_word("(") else ()
            self.expect("AS", "(")
            views.append(CreateView(name, columns, self.query(), at))
            self.expect(")")
            if not self.take(","):
                return With(tuple(views), self.query(), start)

    def _step(self) -> int:
        self.place += 1
        return self.tokens[self.place - 1].at

    def _branch(self) -> Query:
        if self.take("("):
            made = self.query()
            self.expect(")")
            return made
        return self._select()

    def _select(self) -> Select:
        at = self.token.at
        self.expect("SELECT")
        streaming = self.take("STREAM")
        distinct = self.take("DISTINCT")
        if not streaming:
            self.take("STREAM")
        if not distinct:
            self.take("ALL")
        items = [self._item()]
        while self.take(","):
            if self.at_word("FROM"):
                raise self.unexpected("an expression")
            items.append(self._item())
        self.expect("FROM")
        source = self._from()
        where = self.expression() if self.take("WHERE") else None
        grouped = self.take("GROUP", "BY")
        group = self._expressions() if grouped else ()
        stagger = self._stagger() if self.at_word("WINDOWED") else None
        having = self.expression() if self.take("HAVING") else None
        windows: list[tuple[str, Frame]] = []
        if self.take("WINDOW"):
            while True:
                name = self.identifier()
                self.expect("AS")
                windows.append((name, self.frame()))
                if not self.take(","):
                    break
        order: list[tuple[Expr, bool]] = []
        within: int | None = None
        if self.take("ORDER", "BY"):
            while True:
                key = self.expression()
                order.append((key, self.take("DESC")))
                self.take("ASC")
                if self.take("WITHIN"):
                    within = self._within()
                if not self.take(","):
                    break
        return Select(
            tuple(items), source, where, group, stagger, having, tuple(windows), tuple(order), distinct, grouped, within, at=at
        )  # fmt: skip

    def _within(self) -> int:
        at = self.token.at
        size = self.expression()
        value = getattr(size, "value", None)
        if not isinstance(value, int) or str(getattr(size, "type", "")) != "INTERVAL DAY TO SECOND":
            raise self.error("WITHIN takes an INTERVAL of days to seconds", at)
        return value

    def _stagger(self) -> Frame:
        at = self.token.at
        self.expect("WINDOWED", "BY", "STAGGER")
        self.expect("(")
        partition: tuple[Expr, ...] = ()
        if self.take("PARTITION", "BY"):
            partition = self._expressions()
        self.expect("RANGE")
        size = self.expression()
        self.take("PRECEDING")
        self.expect(")")
        value = getattr(size, "value", None)
        if not isinstance(value, int) or str(getattr(size, "type", "")) != "INTERVAL DAY TO SECOND":
            raise self.error("RANGE takes an INTERVAL of days to seconds", at)
        return Frame(partition, value)

    def _expressions(self) -> tuple[Expr, ...]:
        found = [self.expression()]
        while self.take(","):
            found.append(self.expression())
        return tuple(found)

    def _item(self) -> Item:
        expression = self.expression()
        if self.take("AS"):
            return Item(expression, self.identifier())
        if self.token.kind == "quoted" or (self.token.kind == "word" and self.token.text not in RESERVED):
            return Item(expression, self.identifier())
        return Item(expression, None)

    def _from(self) -> Relation:
        left = self._joined()
        while self.at_word(","):
            at = self._step()
            left = Join("CROSS", left, self._joined(), None, at=at)
        return left

    def _joined(self) -> Relation:
        left = self._relation()
        while True:
            at = self.token.at
            kind = self._join_kind()
            if kind is None:
                return left
            right = self._relation()
            condition: Expr | None = None
            using: tuple[str, ...] = ()
            if self.take("ON"):
                condition = self.expression()
            elif self.take("USING"):
                using = self._names()
            elif kind != "CROSS":
                raise self.unexpected("ON or USING")
            left = Join(kind, left, right, condition, using, at=at)

    def _join_kind(self) -> str | None:
        if self.take("JOIN") or self.take("INNER", "JOIN"):
            return "INNER"
        if self.take("CROSS", "JOIN"):
            return "CROSS"
        for kind in ("LEFT", "RIGHT", "FULL"):
            if self.take(kind):
                self.take("OUTER")
                self.expect("JOIN")
                return kind
        if self.take("OUTER", "JOIN"):
            return "FULL"
        if self.at_word("NATURAL"):
            raise self.error("NATURAL joins are not supported: use USING", self.token.at)
        return None

    def _relation(self) -> Relation:
        at = self.token.at
        if self.at_word("TABLE", "("):
            return self._table_function(at)
        if self.take("STREAM", "("):  # STREAM(query) is a query
            query = self.query()
            self.expect(")")
            over = self.window() if self.take("OVER") else None
            return Derived(query, self._alias() or "", over, at=at)
        if self.take("("):
            if not self.at_word("SELECT") and not self.at_word("(") and not self.at_word("WITH"):
                made = self._from()
                self.expect(")")
                return made
            query = self.query()
            self.expect(")")
            over = self.window() if self.take("OVER") else None
            alias = self._alias() or ""
            columns = self._names() if alias and self.at_word("(") else ()
            return Derived(query, alias, over, columns, at=at)
        name = self._qualified()
        named = self._alias()
        over = self.window() if self.take("OVER") else None
        return Table(name, self._alias() or named or name, over, at=at)

    def _alias(self) -> str | None:
        if self.take("AS"):
            return self.identifier()
        if self.token.kind == "quoted" or (self.token.kind == "word" and self.token.text not in RESERVED):
            return self.identifier()
        return None

    def _table_function(self, at: int) -> Relation:
        self.expect("TABLE", "(")
        name = self.identifier()
        self.expect("(", "CURSOR", "(")
        query = self.query()
        self.expect(")")
        arguments: list[Expr] = []
        while self.take(","):
            arguments.append(self.expression())
        self.expect(")", ")")
        return TableFunction(name, query, tuple(arguments), self._alias() or name, at=at)


def parse(code: str) -> tuple[Source, list[Statement]]:
    """An application's statements, and the text that places refer to. SqlError where it is no SQL."""
    source = Source(code)
    if len(code) > CODE_LETTERS_MAX:
        raise source.error(f"The code is longer than {CODE_LETTERS_MAX} characters", 0)
    return source, Reader(source).statements()
