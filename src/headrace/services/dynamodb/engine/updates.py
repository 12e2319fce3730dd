"""Changes an item as an update says.

All operands are computed from the item as it was; then the actions are applied. Indexes mean the list as it was, too: so elements
are set first, then those behind the end are appended in order, and removals run from the end.
"""

from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb.engine import binding as bindings
from headrace.services.dynamodb.engine import numbers, syntax, values
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.syntax import Part
from headrace.services.dynamodb.engine.values import Item, Value

_WRONG_TYPE = "An operand in the update expression has an incorrect data type"
_MISSING = "The provided expression refers to an attribute that does not exist in the item"
_WRONG_PATH = "The document path provided in the update expression is invalid for update"


def apply(tree: syntax.Update, binding: Binding, item: Item) -> Item:
    """A changed copy of the item; what was not changed is shared with it."""
    computed = [(action, binding.parts(action.path), _computed(action, binding, item)) for action in tree.actions]
    new = dict(item)
    copied: dict[int, Any] = {}
    appended: dict[int, tuple[list[Any], list[tuple[int, Value]]]] = {}
    removed: list[tuple[tuple[Part, ...], Any]] = []
    for action, path, value in computed:
        holder = _holder(new, path, copied)
        if action.section == "SET":
            _set(holder, path[-1], value, appended)
        elif action.section == "REMOVE":
            removed.append((path, holder))
        elif action.section == "ADD" or value is not None:
            _set(holder, path[-1], value, appended)
        elif _present(holder, path[-1]):
            removed.append((path, holder))
    for members, additions in appended.values():
        members.extend(value for _, value in sorted(additions, key=lambda addition: addition[0]))
    for path, holder in sorted(removed, key=lambda one: one[0][-1] if isinstance(one[0][-1], int) else -1, reverse=True):
        _remove(holder, path[-1])
    return new


def _computed(action: syntax.Action, binding: Binding, item: Item) -> Value | None:
    """The value that an action gives to its path; None where it removes."""
    if action.section == "SET":
        assert action.operand is not None
        return _value(action.operand, binding, item)
    if action.section == "REMOVE":
        return None
    assert isinstance(action.operand, syntax.Placeholder)
    given = binding.values[action.operand.name]
    old = bindings.find(binding.parts(action.path), item)
    return _added(old, given) if action.section == "ADD" else _deleted(old, given)


def _value(operand: syntax.Operand, binding: Binding, item: Item) -> Value:
    if isinstance(operand, syntax.Placeholder):
        return binding.values[operand.name]
    if isinstance(operand, syntax.Path):
        found = binding.find(operand, item)
        if found is None:
            raise ValidationException(_MISSING)
        return found
    if isinstance(operand, syntax.Sum):
        left, right = _value(operand.left, binding, item), _value(operand.right, binding, item)
        if "N" not in left or "N" not in right:
            raise ValidationException(_WRONG_TYPE)
        return {"N": numbers.total(left["N"], right["N"], minus=operand.operator == "-")}
    if operand.name == "if_not_exists":
        path = operand.operands[0]
        assert isinstance(path, syntax.Path)
        found = binding.find(path, item)
        return found if found is not None else _value(operand.operands[1], binding, item)
    first, second = (_value(one, binding, item) for one in operand.operands)
    if "L" not in first or "L" not in second:
        raise ValidationException(_WRONG_TYPE)
    return {"L": [*first["L"], *second["L"]]}


def _added(old: Value | None, given: Value) -> Value:
    if old is None:
        return given
    kind = values.kind_of(given)
    if kind not in old:
        raise ValidationException(_WRONG_TYPE)
    if kind == "N":
        return {"N": numbers.total(old["N"], given["N"])}
    made = {kind: list(dict.fromkeys((*old[kind], *given[kind])))}
    values.take(made)
    return made


def _deleted(old: Value | None, given: Value) -> Value | None:
    if old is None:
        return None
    kind = values.kind_of(given)
    if kind not in old:
        raise ValidationException(_WRONG_TYPE)
    gone = set(given[kind])
    left = [member for member in old[kind] if member not in gone]
    return {kind: left} if left else None


def _holder(new: Item, path: tuple[Part, ...], copied: dict[int, Any]) -> Any:
    """The map or list that holds the path's last part; copied on its way down, so that the old item stays as it was.

    `copied` keeps what was copied already, by identity: each is copied once for the whole update.
    """
    holder: Any = new
    for place, part in enumerate(path[:-1]):
        value = holder[part] if _present(holder, part) else None
        content = None if value is None else value.get("L" if isinstance(path[place + 1], int) else "M")
        if content is None:
            raise ValidationException(_WRONG_PATH)
        if id(content) not in copied:
            content = list(content) if isinstance(content, list) else dict(content)
            copied[id(content)] = content
            holder[part] = {"L" if isinstance(content, list) else "M": content}
        holder = content
    return holder


def _present(holder: Any, part: Part) -> bool:
    if isinstance(holder, list):
        return isinstance(part, int) and part < len(holder)
    return part in holder


def _set(holder: Any, part: Part, value: Value | None, appended: dict[int, Any]) -> None:
    if isinstance(holder, list) and isinstance(part, int) and part >= len(holder):
        appended.setdefault(id(holder), (holder, []))[1].append((part, value))
    else:
        holder[part] = value


def _remove(holder: Any, part: Part) -> None:
    if isinstance(holder, list):
        if isinstance(part, int) and part < len(holder):
            del holder[part]
    else:
        holder.pop(part, None)
