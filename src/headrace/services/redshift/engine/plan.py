"""What a session runs: a statement that was read and translated."""

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from headrace.services.redshift.engine import dialect
from headrace.services.redshift.engine.failures import syntax, unsupported


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, ready to run. `parts` alternate between text and the names of slots; `more` run after it."""

    kind: str
    tag: str
    parts: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    text: str = ""  # the statement as it was read; for COPY and the like, what is run
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """How many `$n` the statement has."""
        return max((int(part) for part in self.parts[1::2] if part.isdigit()), default=0)

    @property
    def returns_rows(self) -> bool:
        """Whether the statement answers with rows."""
        return self.kind in ("select", "show", "explain")


def cut(text: str) -> tuple[str, ...]:
    """Generated text cut at its slots."""
    return tuple(text.split(dialect.SLOT))


def check_query(tree: exp.Expression) -> None:
    """Refuse what Redshift's queries do not have, or what we would get wrong."""
    for kind, name in (
        (exp.Lock, "FOR UPDATE"),
        (exp.TableSample, "TABLESAMPLE"),
        (exp.Command, "this statement"),
        (exp.Describe, "DESCRIBE"),
    ):
        if tree.find(kind):
            raise unsupported(name)
    for star in tree.find_all(exp.Star):
        if star.args.get("replace") or star.args.get("replace_") or star.args.get("rename"):
            raise unsupported("REPLACE or RENAME of columns in *")
    for count in tree.find_all(exp.Count):
        if isinstance(count.this, exp.Distinct) and len(count.this.expressions) != 1:
            raise syntax("COUNT takes one expression")
    for distinct in tree.find_all(exp.Distinct):
        if distinct.args.get("on"):
            raise unsupported("DISTINCT ON")


def query(text: str) -> str:
    """A query's text in DuckDB's words, slots included."""
    tree = dialect.parse(text)
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
        raise unsupported("a query of this form here")
    check_query(tree)
    return dialect.generate(dialect.rewrite(tree))
