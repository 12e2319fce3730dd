"""Reference tables: rows that streams are joined with, put in whole."""

from collections.abc import Sequence
from typing import Any

from headrace.services.analytics.engine.nodes import Field
from headrace.services.analytics.engine.sqltypes import Vector, from_list


class ReferenceTable:
    """A table's rows, in columns. `version` goes up each time they are put in."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self.columns: list[Vector] = [from_list([], one.type) for one in fields]
        self.size = 0
        self.version = 0

    def put(self, columns: list[Vector], size: int) -> None:
        """Take other rows."""
        self.columns, self.size = columns, size
        self.version += 1

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as tuples."""
        return list(zip(*(column.to_list() for column in self.columns), strict=True))
