"""Functions that stand in FROM: TABLE(f(CURSOR(query), …))."""

from headrace.services.analytics.engine.lexer import Source
from headrace.services.analytics.engine.nodes import Node
from headrace.services.analytics.engine.syntax import TableFunction


def table_function(relation: TableFunction, child: Node, source: Source) -> Node:
    """The node of a function over the rows of a query. SqlError where there is no such function, or its arguments do not fit."""
    raise source.error(f"No match found for function signature {relation.name}", relation.at)
