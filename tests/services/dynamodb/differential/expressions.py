"""Expressions as trees: written out for the server, and computed here by the words of the developer guide.

A path is a tuple of names and list indexes. Operands: ("path", path), ("value", v), ("size", path). Conditions:
("compare", op, a, b), ("between", a, low, high), ("in", a, values), ("exists" | "missing", path), ("type", path, name),
("begins" | "contains", path, v), ("and" | "or", a, b), ("not", a). Updates: a list of ("set", path, expression),
("remove", path), ("add", path, v), ("delete", path, v), where an expression is an operand, ("plus" | "minus" | "append", a, b)
or ("default", path, a).
"""

import copy
from decimal import Decimal
from typing import Any

from tests.services.dynamodb.differential import values
from tests.services.dynamodb.differential.values import Item, Value, content, kind

Path = tuple[str | int, ...]
Tree = tuple[Any, ...]

ORDERED = ("S", "N", "B")


class Invalid(Exception):
    """DynamoDB would answer ValidationException."""


class Writer:
    """Writes trees as text, with placeholders for all names and values."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Value] = {}

    def path(self, path: Path) -> str:
        text = ""
        for part in path:
            if isinstance(part, int):
                text += f"[{part}]"
            else:
                name = next((key for key, known in self.names.items() if known == part), f"#n{len(self.names)}")
                self.names[name] = part
                text += f".{name}" if text else name
        return text

    def value(self, value: Value) -> str:
        name = f":v{len(self.values)}"
        self.values[name] = value
        return name

    def operand(self, tree: Tree) -> str:
        if tree[0] == "path":
            return self.path(tree[1])
        return self.value(tree[1]) if tree[0] == "value" else f"size({self.path(tree[1])})"

    def condition(self, tree: Tree) -> str:
        name = tree[0]
        if name == "compare":
            return f"{self.operand(tree[2])} {tree[1]} {self.operand(tree[3])}"
        if name == "between":
            return f"{self.operand(tree[1])} BETWEEN {self.operand(tree[2])} AND {self.operand(tree[3])}"
        if name == "in":
            return f"{self.operand(tree[1])} IN ({', '.join(self.operand(one) for one in tree[2])})"
        if name in ("exists", "missing"):
            return f"attribute_{'not_' if name == 'missing' else ''}exists({self.path(tree[1])})"
        if name == "type":
            return f"attribute_type({self.path(tree[1])}, {self.value({'S': tree[2]})})"
        if name in ("begins", "contains"):
            return f"{'begins_with' if name == 'begins' else name}({self.path(tree[1])}, {self.value(tree[2])})"
        if name == "not":
            return f"NOT ({self.condition(tree[1])})"
        return f"({self.condition(tree[1])}) {name.upper()} ({self.condition(tree[2])})"

    def update(self, actions: list[Tree]) -> str:
        clauses: dict[str, list[str]] = {}
        for action in actions:
            path = self.path(action[1])
            if action[0] == "set":
                text = f"{path} = {self._set(action[2])}"
            else:
                text = path if action[0] == "remove" else f"{path} {self.value(action[2])}"
            clauses.setdefault(action[0].upper(), []).append(text)
        return " ".join(f"{name} {', '.join(texts)}" for name, texts in clauses.items())

    def _set(self, tree: Tree) -> str:
        if tree[0] in ("plus", "minus"):
            return f"{self._set(tree[1])} {'+' if tree[0] == 'plus' else '-'} {self._set(tree[2])}"
        if tree[0] == "append":
            return f"list_append({self._set(tree[1])}, {self._set(tree[2])})"
        if tree[0] == "default":
            return f"if_not_exists({self.path(tree[1])}, {self._set(tree[2])})"
        return self.operand(tree)


def find(item: Item, path: Path) -> Value | None:
    """The value at a path, or None."""
    here: Value = {"M": item}
    for part in path:
        name = kind(here)
        if isinstance(part, str):
            if name != "M" or part not in content(here):
                return None
        elif name != "L" or part >= len(content(here)):
            return None
        here = content(here)[part]
    return here


def check_condition(tree: Tree) -> None:
    """What is wrong with a condition whatever the item is."""
    name = tree[0]
    if name in ("and", "or"):
        check_condition(tree[1])
        check_condition(tree[2])
    elif name == "not":
        check_condition(tree[1])
    elif name == "compare":
        if tree[1] in ("<", "<=", ">", ">="):
            for one in tree[2:]:
                _check_ordered(one)
        if tree[2] == tree[3] and tree[2][0] == "path":
            raise Invalid("the operands are the same")
    elif name == "between":
        for one in tree[1:]:
            _check_ordered(one)
        low, high = tree[2], tree[3]
        both = low[0] == high[0] == "value"
        if both and (kind(low[1]) != kind(high[1]) or values.sort_key(low[1]) > values.sort_key(high[1])):
            raise Invalid("the bounds")
    elif name == "begins" and kind(tree[2]) not in ("S", "B"):
        raise Invalid("begins_with")


def _check_ordered(operand: Tree) -> None:
    if operand[0] == "value" and kind(operand[1]) not in ORDERED:
        raise Invalid("no order")


def _operand(item: Item, tree: Tree) -> Value | None:
    if tree[0] == "value":
        return dict(tree[1])
    found = find(item, tree[1])
    if tree[0] == "path" or found is None:
        return found
    length = values.length(found)
    return None if length is None else {"N": str(length)}


def holds(item: Item, tree: Tree) -> bool:
    """Whether a condition is true of an item."""
    name = tree[0]
    if name == "and":
        return holds(item, tree[1]) and holds(item, tree[2])
    if name == "or":
        return holds(item, tree[1]) or holds(item, tree[2])
    if name == "not":
        return not holds(item, tree[1])
    if name == "compare":
        return _compare(tree[1], _operand(item, tree[2]), _operand(item, tree[3]))
    if name == "between":
        here = _operand(item, tree[1])
        return _compare(">=", here, _operand(item, tree[2])) and _compare("<=", here, _operand(item, tree[3]))
    if name == "in":
        here = _operand(item, tree[1])
        return any(_compare("=", here, _operand(item, one)) for one in tree[2])
    found = find(item, tree[1])
    if name == "exists":
        return found is not None
    if name == "missing":
        return found is None
    if found is None:
        return False
    if name == "type":
        return kind(found) == tree[2]
    return _begins(found, tree[2]) if name == "begins" else _contains(found, tree[2])


def _compare(operator: str, left: Value | None, right: Value | None) -> bool:
    if operator == "<>":
        # One that is missing differs from any that is there; no document says what two missing ones do.
        return not (left is None and right is None) and not _compare("=", left, right)
    if left is None or right is None:
        return False
    if operator == "=":
        return values.equal(left, right)
    if kind(left) != kind(right) or kind(left) not in ORDERED:
        return False
    a, b = values.sort_key(left), values.sort_key(right)
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])


def _begins(found: Value, start: Value) -> bool:
    if kind(found) != kind(start):
        return False
    if kind(found) == "B":
        return values.bytes_of(content(found)).startswith(values.bytes_of(content(start)))
    return bool(content(found).startswith(content(start)))


def _contains(found: Value, part: Value) -> bool:
    name = kind(found)
    if name == "L":
        return any(values.equal(one, part) for one in content(found))
    if name in ("SS", "NS", "BS"):
        return kind(part) == name[0] and any(values.equal({name[0]: one}, part) for one in content(found))
    if name == "S" and kind(part) == "S":
        return content(part) in content(found)
    return name == "B" == kind(part) and values.bytes_of(content(part)) in values.bytes_of(content(found))


def check_update(actions: list[Tree], key_names: tuple[str, ...]) -> None:
    """What is wrong with an update whatever the item is."""
    paths = [action[1] for action in actions]
    for place, one in enumerate(paths):
        for other in paths[place + 1 :]:
            if _related(one, other):
                raise Invalid("two paths")
    for action in actions:
        if action[0] == "add" and kind(action[2]) not in ("N", "SS", "NS", "BS"):
            raise Invalid("ADD of this type")
        if action[0] == "delete" and kind(action[2]) not in ("SS", "NS", "BS"):
            raise Invalid("DELETE of this type")
        if action[0] == "set":
            _check_set(action[2])
    if any(path[0] in key_names for path in paths):
        raise Invalid("a key")


def _check_set(tree: Tree) -> None:
    wanted = {"plus": "N", "minus": "N", "append": "L"}.get(tree[0])
    if wanted:
        for one in tree[1:]:
            if one[0] == "value" and kind(one[1]) != wanted:
                raise Invalid("an operand's type")
            _check_set(one)
    elif tree[0] == "default":
        _check_set(tree[2])


def _related(one: Path, other: Path) -> bool:
    """Whether one path lies in the other, or they need the same thing to be a list and a map."""
    for a, b in zip(one, other, strict=False):
        if isinstance(a, int) != isinstance(b, int):
            return True
        if a != b:
            return False
    return True


def updated(item: Item, actions: list[Tree]) -> Item:
    """The item after an update; Invalid if the item does not allow it. All is computed from the item as it was."""
    after = copy.deepcopy(item)
    removed: list[Path] = []
    appended: list[tuple[Path, Value]] = []
    for action in actions:
        path = action[1]
        if action[0] == "set":
            value = _computed(item, action[2])
        elif action[0] == "remove":
            _parent(item, path)
            removed.append(path)
            continue
        else:
            _parent(item, path)
            old = find(item, path)
            if old is None and action[0] == "delete":
                continue
            value_or_none = _added(old, action[2]) if action[0] == "add" else _deleted(old, action[2])
            if value_or_none is None:
                removed.append(path)
                continue
            value = value_or_none
        parent = _parent(after, path)
        if isinstance(path[-1], int) and path[-1] >= len(content(_parent(item, path))):
            appended.append((path, value))
        else:
            content(parent)[path[-1]] = value
    for path, value in sorted(appended, key=lambda one: one[0][-1]):
        content(_parent(after, path)).append(value)
    for path in sorted(removed, key=lambda one: one[-1] if isinstance(one[-1], int) else -1, reverse=True):
        inner = content(_parent(after, path))
        if isinstance(path[-1], str):
            inner.pop(path[-1], None)
        elif path[-1] < len(content(_parent(item, path))):
            del inner[path[-1]]
    return after


def _parent(item: Item, path: Path) -> Value:
    found = find(item, path[:-1])
    if found is None or kind(found) != ("M" if isinstance(path[-1], str) else "L"):
        raise Invalid("the document path")
    return found


def _computed(item: Item, tree: Tree) -> Value:
    name = tree[0]
    if name == "value":
        return copy.deepcopy(dict(tree[1]))
    if name == "path":
        found = find(item, tree[1])
        if found is None:
            raise Invalid("no such attribute")
        return copy.deepcopy(found)
    if name == "default":
        found = find(item, tree[1])
        return _computed(item, tree[2]) if found is None else copy.deepcopy(found)
    left, right = _computed(item, tree[1]), _computed(item, tree[2])
    wanted = "L" if name == "append" else "N"
    if kind(left) != wanted or kind(right) != wanted:
        raise Invalid("an operand's type")
    if name == "append":
        return {"L": content(left) + content(right)}
    a, b = values.number(content(left)), values.number(content(right))
    return {"N": values.text_of(_in_range(values.EXACT.add(a, b) if name == "plus" else values.EXACT.subtract(a, b)))}


def _in_range(result: Decimal) -> Decimal:
    if len(result.normalize(values.EXACT).as_tuple().digits) > 38:
        raise Invalid("a number's size")
    return result


def _added(old: Value | None, value: Value) -> Value:
    if old is None:
        return dict(value)
    if kind(old) != kind(value):
        raise Invalid("an operand's type")
    if kind(old) == "N":
        return {"N": values.text_of(_in_range(values.EXACT.add(values.number(content(old)), values.number(content(value)))))}
    name = kind(old)[0]
    new = [one for one in content(value) if not any(values.equal({name: one}, {name: known}) for known in content(old))]
    return {kind(old): content(old) + new}


def _deleted(old: Value | None, value: Value) -> Value | None:
    assert old is not None
    if kind(old) != kind(value):
        raise Invalid("an operand's type")
    name = kind(old)[0]
    left = [one for one in content(old) if not any(values.equal({name: one}, {name: gone}) for gone in content(value))]
    return {kind(old): left} if left else None


def projected(item: Item, paths: list[Path]) -> Item:
    """The parts of an item that a projection names; what is in a list moves together."""
    return _pick({"M": item}, [path for path in paths if find(item, path) is not None]).get("M", {})


def _pick(value: Value, paths: list[Path]) -> Value:
    if () in paths:
        return value
    heads = sorted({path[0] for path in paths}, key=str) if kind(value) == "M" else sorted({path[0] for path in paths})  # type: ignore[type-var]
    inner = {head: _pick(content(value)[head], [path[1:] for path in paths if path[0] == head]) for head in heads}
    return {"M": inner} if kind(value) == "M" else {"L": list(inner.values())}


def check_projection(paths: list[Path]) -> None:
    """Paths that lie in each other can't be projected together."""
    for place, one in enumerate(paths):
        if any(_related(one, other) for other in paths[place + 1 :]):
            raise Invalid("two paths")
