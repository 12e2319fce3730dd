"""What an expression says, as a tree. Placeholders stay in it, so one tree serves every request with the same text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

# A name, an index into a list, or a placeholder (it begins with "#").
Part: TypeAlias = "str | int"


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A document path: an attribute, and what lies inside of it."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Placeholder:
    """A value that the request gives: `:name`."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A call of a function."""

    name: str
    operands: "tuple[Operand, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """`left + right` or `left - right`, in SET only."""

    operator: str
    left: "Operand"
    right: "Operand"


Operand: TypeAlias = Path | Placeholder | Function | Sum


@dataclass(frozen=True, slots=True, eq=False)
class Compare:
    """Two operands and = <> < <= > or >=."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """`operand BETWEEN low AND high`."""

    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True, eq=False)
class In:
    """`operand IN (…)`."""

    operand: Operand
    options: tuple[Operand, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Both:
    """All (AND) or one (OR) of the terms."""

    operator: str
    terms: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class Not:
    """The opposite of a condition."""

    term: "Condition"


Condition: TypeAlias = Compare | Between | In | Both | Not | Function


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """One action of an update: SET, REMOVE, ADD or DELETE."""

    section: str
    path: Path
    operand: Operand | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """All actions of an update, in the order in which they stand."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """The paths of a projection."""

    paths: tuple[Path, ...]


Tree: TypeAlias = Condition | Update | Projection


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
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
