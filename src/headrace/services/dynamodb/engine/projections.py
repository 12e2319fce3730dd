"""Takes parts out of items."""

from collections.abc import Iterable

from headrace.services.dynamodb.engine import binding
from headrace.services.dynamodb.engine.syntax import Part
from headrace.services.dynamodb.engine.values import Item, Value


def project(paths: Iterable[tuple[Part, ...]], item: Item) -> Item:
    """The parts of an item at the paths, nested as they were. Elements of lists close up, in their order."""
    simple: Item = {}
    deep: list[tuple[Part, ...]] = []
    for path in paths:
        if len(path) == 1:
            value = item.get(path[0])  # type: ignore[arg-type]
            if value is not None:
                simple[path[0]] = value  # type: ignore[index]
        elif binding.find(path, item) is not None:
            deep.append(path)
    for name in dict.fromkeys(path[0] for path in deep):
        inner = [path[1:] for path in deep if path[0] == name]
        simple[name] = _cut(inner, item[name])  # type: ignore[index]
    return simple


def _cut(paths: list[tuple[Part, ...]], value: Value) -> Value:
    """The parts of a value at paths that are all there."""
    if () in paths:
        return value
    heads = dict.fromkeys(path[0] for path in paths)
    inner = {head: [path[1:] for path in paths if path[0] == head] for head in heads}
    if "L" in value:
        return {"L": [_cut(inner[head], value["L"][head]) for head in sorted(heads, key=int)]}
    return {"M": {head: _cut(inner[head], value["M"][head]) for head in heads}}
