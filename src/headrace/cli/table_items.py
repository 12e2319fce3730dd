"""Items as lines of text: in DynamoDB's own JSON, as exports to S3 have them, or as plain JSON."""

import base64
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeSerializer

_FROM_PLAIN = TypeSerializer()


def typed_line(item: Mapping[str, Any]) -> str:
    """An item as a line of an export: {"Item": {…}}."""
    return json.dumps({"Item": item}, default=_bytes, ensure_ascii=False, separators=(",", ":"))


def plain_line(item: Mapping[str, Any]) -> str:
    """An item as plain JSON. Bytes become base64, sets become lists, numbers stay exact."""
    return json.dumps({name: _plain(value) for name, value in item.items()}, default=str, ensure_ascii=False)


def _bytes(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode()


def _plain(value: Mapping[str, Any]) -> Any:
    kind, content = next(iter(value.items()))
    if kind == "N":
        return _number(content)
    if kind == "NS":
        return [_number(member) for member in content]
    if kind == "B":
        return _bytes(content)
    if kind == "BS":
        return [_bytes(member) for member in content]
    if kind == "L":
        return [_plain(member) for member in content]
    if kind == "M":
        return {name: _plain(member) for name, member in content.items()}
    return None if kind == "NULL" else content


def _number(text: str) -> Any:
    """A number that prints as it is; as text when JSON's numbers would round it."""
    if "." not in text:
        return int(text)
    return float(text) if Decimal(repr(float(text))) == Decimal(text) else text


def read_line(line: str, *, plain: bool) -> dict[str, Any]:
    """The item of a line, for a client. ValueError says what is wrong with it."""
    found = json.loads(line, parse_float=Decimal) if plain else json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("the line is no JSON object")
    if plain:
        return {name: _FROM_PLAIN.serialize(value) for name, value in found.items()}
    item = found.get("Item", found)
    return {name: _typed(value) for name, value in item.items()}


def _typed(value: Any) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError('an attribute is not in DynamoDB\'s form, {"S": "text"}: is this plain JSON (--plain)?')
    ((kind, content),) = value.items()
    if kind == "B":
        return {"B": base64.b64decode(content)}
    if kind == "BS":
        return {"BS": [base64.b64decode(member) for member in content]}
    if kind == "L":
        return {"L": [_typed(member) for member in content]}
    if kind == "M":
        return {"M": {name: _typed(member) for name, member in content.items()}}
    return value


def key_value(kind: str, text: str) -> dict[str, Any]:
    """A key as it is given on a command line."""
    return {"B": base64.b64decode(text)} if kind == "B" else {kind: text}
