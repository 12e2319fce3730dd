"""Items as Amazon Ion text, as exports and imports have it: sets are lists with an annotation, numbers are decimals."""

import json
import re
from collections.abc import Mapping
from typing import Any

from headrace.services.dynamodb.engine import numbers, values
from headrace.services.dynamodb.engine.values import Item, Value

_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*").fullmatch
_RESERVED = frozenset(("null", "true", "false", "nan"))
_SETS = {"SS": "S", "NS": "N", "BS": "B"}
_TOKENS = re.compile(
    r"""(?:\s|//[^\n]*|/\*.*?\*/)*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<quoted>'(?:[^'\\]|\\.)*')
    | (?P<blob>\{\{[A-Za-z0-9+/=\s]*\}\})
    | (?P<number>[+-]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[dDeE][+-]?[0-9]+)?)
    | (?P<symbol>[A-Za-z_$][A-Za-z0-9_$]*(?:\.[a-z]+)?)
    | (?P<sign>::|[{}\[\](),:])
    | (?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)
_DEPTH_MAX = 64


class NotIon(Exception):
    """The text is no Ion that an item can be read from."""


def written(members: Mapping[str, Item | Value | None]) -> str:
    """A record: a structure of items."""
    parts = ",".join(f"{_name(name)}:{_item(member)}" for name, member in members.items() if member is not None)
    return "$ion_1_0 {" + parts + "}"


def _item(item: Mapping[str, Any]) -> str:
    return "{" + ",".join(f"{_name(name)}:{_value(value)}" for name, value in item.items()) + "}"


def _name(name: str) -> str:
    if _SYMBOL(name) and name not in _RESERVED:
        return name
    return "'" + json.dumps(name, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


def _value(value: Mapping[str, Any]) -> str:
    kind, content = next(iter(value.items()))
    if kind == "S":
        return json.dumps(content, ensure_ascii=False)
    if kind == "N":
        return str(content) if "." in content else f"{content}."
    if kind == "B":
        return "{{" + str(content) + "}}"
    if kind == "BOOL":
        return "true" if content else "false"
    if kind == "NULL":
        return "null"
    if kind == "L":
        return "[" + ",".join(map(_value, content)) + "]"
    if kind == "M":
        return _item(content)
    return f"$dynamodb_{kind}::[" + ",".join(_value({_SETS[kind]: member}) for member in content) + "]"


def read(text: str) -> Value | None:
    """The value of a line; None when it is empty. NotIon says what is wrong."""
    reader = _Reader(text)
    if reader.kind == "end":
        return None
    found = reader.value(0)
    if reader.kind != "end":
        raise NotIon("more than one value stands on the line")
    return found


class _Reader:
    """One pass over a line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.kind = ""
        self.content = ""
        self._next()
        if self.kind == "symbol" and self.content == "$ion_1_0":
            self._next()

    def _next(self) -> None:
        match = _TOKENS.match(self._text, self._at)
        if match is None:
            raise NotIon(f"unexpected text at character {self._at + 1}")
        self.kind = match.lastgroup or "end"
        self.content = match[self.kind]
        self._at = match.end()

    def _expect(self, sign: str) -> None:
        if self.kind != "sign" or self.content != sign:
            raise NotIon(f"expected {sign!r} at character {self._at}")
        self._next()

    def _is(self, sign: str) -> bool:
        return self.kind == "sign" and self.content == sign

    def value(self, depth: int) -> Value:
        """The next value."""
        if depth > _DEPTH_MAX:
            raise NotIon("nested too deeply")
        kind, content = self.kind, self.content
        if kind == "end":
            raise NotIon("the line ends within a value")
        self._next()
        if kind in ("symbol", "quoted") and self._is("::"):
            self._next()
            return _annotated(content.strip("'"), self.value(depth + 1))
        if kind == "string":
            return {"S": _text(content)}
        if kind == "number":
            return {"N": numbers.normal(content.replace("_", "").lower().replace("d", "e"))}
        if kind == "blob":
            return {"B": "".join(content[2:-2].split())}
        if kind == "symbol" and content in ("true", "false"):
            return {"BOOL": content == "true"}
        if kind == "symbol" and content.partition(".")[0] == "null":
            return {"NULL": True}
        if kind in ("symbol", "quoted"):
            return {"S": _text(content) if kind == "quoted" else content}
        if content == "{":
            return {"M": self._fields(depth)}
        if content == "[":
            members = []
            while not self._is("]"):
                members.append(self.value(depth + 1))
                if not self._is("]"):
                    self._expect(",")
            self._next()
            return {"L": members}
        raise NotIon(f"unexpected {content!r}")

    def _fields(self, depth: int) -> Item:
        found: Item = {}
        while not self._is("}"):
            if self.kind not in ("symbol", "quoted", "string"):
                raise NotIon("expected the name of a field")
            name = self.content if self.kind == "symbol" else _text(self.content)
            self._next()
            self._expect(":")
            found[name] = self.value(depth + 1)
            if not self._is("}"):
                self._expect(",")
        self._next()
        return found


def _text(quoted: str) -> str:
    inner = quoted[1:-1]
    if quoted[0] == "'":
        inner = inner.replace("\\'", "'").replace('"', '\\"')
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        raise NotIon("a text has an escape that is not known") from None


def _annotated(annotation: str, value: Value) -> Value:
    kind = annotation.removeprefix("$dynamodb_")
    if kind not in _SETS or "L" not in value:
        return value
    members = value["L"]
    if any(values.kind_of(member) != _SETS[kind] for member in members):
        raise NotIon(f"a member of a set is not of its type ({kind})")
    return {kind: [member[_SETS[kind]] for member in members]}
