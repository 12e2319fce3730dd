"""Says whether an item satisfies a condition."""

from headrace.services.dynamodb.engine import syntax, values
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.values import Item, Value


def holds(node: syntax.Condition, binding: Binding, item: Item) -> bool:
    """Whether the item satisfies the condition. A missing item is an empty one."""
    if isinstance(node, syntax.Compare):
        return _compares(node, binding, item)
    if isinstance(node, syntax.Both):
        if node.operator == "AND":
            return all(holds(term, binding, item) for term in node.terms)
        return any(holds(term, binding, item) for term in node.terms)
    if isinstance(node, syntax.Function):
        return _FUNCTIONS[node.name](node, binding, item)
    if isinstance(node, syntax.Not):
        return not holds(node.term, binding, item)
    if isinstance(node, syntax.Between):
        return _between(node, binding, item)
    value = _value(node.operand, binding, item)
    return value is not None and any(_value(option, binding, item) == value for option in node.options)


def _value(operand: syntax.Operand, binding: Binding, item: Item) -> Value | None:
    if isinstance(operand, syntax.Path):
        return binding.find(operand, item)
    if isinstance(operand, syntax.Placeholder):
        return binding.values[operand.name]
    assert isinstance(operand, syntax.Function)
    size = _size(_value(operand.operands[0], binding, item))
    return None if size is None else {"N": str(size)}


def _compares(node: syntax.Compare, binding: Binding, item: Item) -> bool:
    left, right = _value(node.left, binding, item), _value(node.right, binding, item)
    operator = node.operator
    if operator == "<>":
        return left != right
    if left is None or right is None:
        return False
    if operator == "=":
        return left == right
    first, second = values.order_of(left), values.order_of(right)
    if first is None or second is None or first[0] != second[0]:
        return False
    if operator == "<":
        return bool(first[1] < second[1])
    if operator == "<=":
        return bool(first[1] <= second[1])
    if operator == ">":
        return bool(first[1] > second[1])
    return bool(first[1] >= second[1])


def _between(node: syntax.Between, binding: Binding, item: Item) -> bool:
    value, low, high = (_value(operand, binding, item) for operand in (node.operand, node.low, node.high))
    if value is None or low is None or high is None:
        return False
    middle, first, last = values.order_of(value), values.order_of(low), values.order_of(high)
    if middle is None or first is None or last is None or not middle[0] == first[0] == last[0]:
        return False
    return bool(first[1] <= middle[1] <= last[1])


def _exists(node: syntax.Function, binding: Binding, item: Item) -> bool:
    return _value(node.operands[0], binding, item) is not None


def _exists_not(node: syntax.Function, binding: Binding, item: Item) -> bool:
    return _value(node.operands[0], binding, item) is None


def _has_type(node: syntax.Function, binding: Binding, item: Item) -> bool:
    value, wanted = (_value(operand, binding, item) for operand in node.operands)
    return value is not None and wanted is not None and values.kind_of(value) == wanted["S"]


def _begins_with(node: syntax.Function, binding: Binding, item: Item) -> bool:
    value, start = (_value(operand, binding, item) for operand in node.operands)
    if value is None or start is None:
        return False
    if "S" in value and "S" in start:
        return bool(value["S"].startswith(start["S"]))
    if "B" in value and "B" in start:
        return values.binary(value["B"]).startswith(values.binary(start["B"]))
    return False


def _contains(node: syntax.Function, binding: Binding, item: Item) -> bool:
    value, wanted = (_value(operand, binding, item) for operand in node.operands)
    if value is None or wanted is None:
        return False
    kind, content = next(iter(value.items()))
    wanted_kind, wanted_content = next(iter(wanted.items()))
    if kind == "L":
        return wanted in content
    if kind in ("SS", "NS", "BS"):
        return wanted_kind == kind[0] and wanted_content in content
    if kind == wanted_kind == "S":
        return wanted_content in content
    if kind == wanted_kind == "B":
        return values.binary(wanted_content) in values.binary(content)
    return False


def _size(value: Value | None) -> int | None:
    """What size() gives: the length of a text in UTF-8 or of bytes, or how many elements there are."""
    if value is None:
        return None
    kind, content = next(iter(value.items()))
    if kind == "S":
        return values.text_size(content)
    if kind == "B":
        return len(values.binary(content))
    if kind in ("SS", "NS", "BS", "L", "M"):
        return len(content)
    return None


_FUNCTIONS = {
    "attribute_exists": _exists,
    "attribute_not_exists": _exists_not,
    "attribute_type": _has_type,
    "begins_with": _begins_with,
    "contains": _contains,
}
