"""What an expression says, as a tree. Placeholders stay in it, so one tree serves every request with the same text."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

# A name, an index into a list, or a placeholder (it begins with "#").
Part: TypeAlias = "str | int"


class Path(msgspec.Struct, frozen=True, eq=False):
    """A document path: an attribute, and what lies inside of it."""

    parts: tuple[Part, ...]


class Placeholder(msgspec.Struct, frozen=True, eq=False):
    """A value that the request gives: `:name`."""

    name: str


class Function(msgspec.Struct, frozen=True, eq=False):
    """A call of a function."""

    name: str
    operands: "tuple[Operand, ...]"


class Sum(msgspec.Struct, frozen=True, eq=False):
    """`left + right` or `left - right`, in SET only."""

    operator: str
    left: "Operand"
    right: "Operand"


Operand: TypeAlias = Path | Placeholder | Function | Sum


class Compare(msgspec.Struct, frozen=True, eq=False):
    """Two operands and = <> < <= > or >=."""

    operator: str
    left: Operand
    right: Operand


class Between(msgspec.Struct, frozen=True, eq=False):
    """`operand BETWEEN low AND high`."""

    operand: Operand
    low: Operand
    high: Operand


class In(msgspec.Struct, frozen=True, eq=False):
    """`operand IN (…)`."""

    operand: Operand
    options: tuple[Operand, ...]


class Both(msgspec.Struct, frozen=True, eq=False):
    """All (AND) or one (OR) of the terms."""

    operator: str
    terms: "tuple[Condition, ...]"


class Not(msgspec.Struct, frozen=True, eq=False):
    """The opposite of a condition."""

    term: "Condition"


Condition: TypeAlias = Compare | Between | In | Both | Not | Function


class Action(msgspec.Struct, frozen=True, eq=False):
    """One action of an update: SET, REMOVE, ADD or DELETE."""

    section: str
    path: Path
    operand: Operand | None = None


class Update(msgspec.Struct, frozen=True, eq=False):
    """All actions of an update, in the order in which they stand."""

    actions: tuple[Action, ...]


class Projection(msgspec.Struct, frozen=True, eq=False):
    """The paths of a projection."""

    paths: tuple[Path, ...]


Tree: TypeAlias = Condition | Update | Projection


class Parsed(msgspec.Struct, frozen=True, eq=False):
    """A tree with the placeholders that it uses, for names and for values."""

    tree: Any
    names: frozenset[str]
    values: frozenset[str]


def shown(path: Path | tuple[Part, ...], names: Mapping[str, str] | None = None) -> str:
    """A path as AWS's error sentences show it: [a, b, [0]]."""
    parts = path.parts if isinstance(path, Path) else path
    given = names or {}
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else given.get(part, part) for part in parts) + "]"


def paths_in(node: Any) -> list[Path]:
    """All paths in a condition or an operand."""
    if isinstance(node, Path):
        return [node]
    if isinstance(node, Both):
        inner: tuple[Any, ...] = node.terms
    elif isinstance(node, Not):
        inner = (node.term,)
    elif isinstance(node, Compare):
        inner = (node.left, node.right)
    elif isinstance(node, Between):
        inner = (node.operand, node.low, node.high)
    elif isinstance(node, In):
        inner = (node.operand, *node.options)
    elif isinstance(node, Function):
        inner = node.operands
    else:
        inner = ()
    return [path for one in inner for path in paths_in(one)]
