"""Filling a template with its data.

As SES does and Handlebars does not: nothing is HTML-escaped, and printing a missing attribute is an error.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.services.ses.engine.templates import (
    DEPTH_MAX,
    Block,
    Inline,
    Node,
    Partial,
    Path,
    Value,
    compile_template,
)

OUTPUT_CHARACTERS_MAX = 10 * 1024 * 1024
STEPS_MAX = 200_000
DATA_CHARACTERS_MAX = 256 * 1024

_ABSENT: Any = object()


class MissingAttribute(ValueError):
    """The data lacks an attribute that the template prints."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Attribute '{name}' is not present in the rendering data.")
        self.name = name


class RenderingFailure(ValueError):
    """The template asks for too much, or for a partial that does not exist."""


class BadData(ValueError):
    """The data is no JSON object."""


@dataclass(slots=True)
class _Frame:
    this: Any
    parent: "_Frame | None" = None
    names: dict[str, Any] = field(default_factory=dict)  # block parameters
    variables: dict[str, Any] = field(default_factory=dict)  # index, key, first, last


def read_data(text: str) -> dict[str, Any]:
    """Template data as it arrives: a JSON object in a string."""
    if len(text) > DATA_CHARACTERS_MAX:
        raise BadData("Template rendering data is too large")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadData("Template rendering data is invalid") from error
    if not isinstance(data, dict):
        raise BadData("Template rendering data is invalid")
    return data


def render(source: str, data: dict[str, Any]) -> str:
    """The template's text for this data. Raises TemplateSyntax, MissingAttribute or RenderingFailure."""
    return _Renderer(data).run(compile_template(source))


class _Renderer:
    def __init__(self, data: dict[str, Any]) -> None:
        self.root = _Frame(data)
        self.pieces: list[str] = []
        self.size = self.steps = 0
        self.partials: list[dict[str, Inline]] = [{}]

    def run(self, nodes: Sequence[Node]) -> str:
        self.walk(nodes, self.root, 0)
        return "".join(self.pieces)

    def walk(self, nodes: Sequence[Node], frame: _Frame, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise RenderingFailure(f"The template nests more than {DEPTH_MAX} deep")
        # A partial may be used before the place that defines it.
        self.partials.append({**self.partials[-1], **{node.name: node for node in nodes if isinstance(node, Inline)}})
        for node in nodes:
            self.steps += 1
            if self.steps > STEPS_MAX:
                raise RenderingFailure("The template takes too many steps to render")
            if isinstance(node, str):
                self.write(node)
            elif isinstance(node, Value):
                found = self.resolve(node.path, frame)
                if found is _ABSENT:
                    raise MissingAttribute(node.path.text)
                self.write(_text(found))
            elif isinstance(node, Block):
                self.block(node, frame, depth)
            elif isinstance(node, Partial):
                inline = self.partials[-1].get(node.name)
                if inline is None:
                    raise RenderingFailure(f"The partial '{node.name}' could not be found")
                self.walk(inline.body, frame, depth + 1)
        self.partials.pop()

    def write(self, text: str) -> None:
        self.size += len(text)
        if self.size > OUTPUT_CHARACTERS_MAX:
            raise RenderingFailure(f"The rendered text exceeds {OUTPUT_CHARACTERS_MAX} characters")
        self.pieces.append(text)

    def block(self, block: Block, frame: _Frame, depth: int) -> None:
        found = self.resolve(block.path, frame)
        true = found is not _ABSENT and _true(found)
        walk: Callable[[_Frame], None] = lambda inner: self.walk(block.body, inner, depth + 1)  # noqa: E731
        if block.kind == "unless":
            self.walk(block.otherwise if true else block.body, frame, depth + 1)
        elif not true:
            self.walk(block.otherwise, frame, depth + 1)
        elif block.kind == "each" or (block.kind == "section" and isinstance(found, list)):
            for inner in _items(found, frame, block.names):
                walk(inner)
        elif block.kind == "with" or (block.kind == "section" and isinstance(found, dict)):
            walk(_Frame(found, frame, dict(zip(block.names, (found,), strict=False))))
        else:
            walk(frame)

    def resolve(self, path: Path, frame: _Frame) -> Any:
        at: _Frame | None = frame
        for _ in range(path.up):
            at = at.parent if at else None
        if at is None:
            return _ABSENT
        first, *rest = path.steps
        value = self._variable(first, at) if path.variable else _first(first, at, climbs=path.up == 0)
        for step in rest:
            value = _member(value, step)
        return value

    def _variable(self, name: str, frame: _Frame) -> Any:
        if name == "root":
            return self.root.this
        at: _Frame | None = frame
        while at is not None:
            if name in at.variables:
                return at.variables[name]
            at = at.parent
        return _ABSENT


def _first(name: str, frame: _Frame, *, climbs: bool) -> Any:
    """The first step of a path: ``this``, a block parameter, a member here or, as SES does, of a frame further out."""
    if name == "this":
        return frame.this
    at: _Frame | None = frame
    while at is not None:
        found = at.names[name] if name in at.names else _member(at.this, name)
        if found is not _ABSENT or not climbs:
            return found
        at = at.parent
    return _ABSENT


def _member(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, _ABSENT)
    if isinstance(value, list):
        if step == "length":
            return len(value)
        return value[int(step)] if step.isdecimal() and len(step) < 8 and int(step) < len(value) else _ABSENT
    return _ABSENT


def _items(found: Any, frame: _Frame, names: tuple[str, ...]) -> Iterator[_Frame]:
    if isinstance(found, dict):
        pairs: list[tuple[Any, Any]] = list(found.items())
    elif isinstance(found, list):
        pairs = list(enumerate(found))
    else:
        return
    for index, (key, item) in enumerate(pairs):
        variables = {"index": index, "key": key, "first": index == 0, "last": index == len(pairs) - 1}
        yield _Frame(item, frame, dict(zip(names, (item, key), strict=False)), variables)


def _true(value: Any) -> bool:
    # An empty object is true in Handlebars, an empty list is not.
    return value is not None and value is not False and value not in ("", 0, [])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_text(item)}" for key, item in value.items()) + "}"
    return str(value)
