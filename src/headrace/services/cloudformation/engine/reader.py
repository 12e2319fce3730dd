"""Read a template's text: JSON, or YAML with CloudFormation's short forms (!Ref, !Sub, !GetAtt …).

YAML is read from the parser's events, so that nothing but maps, lists and scalars can come out, nesting has an end, and aliases
are refused as AWS refuses them: no small text can become a large structure. Imported by operations only: PyYAML takes a while to
load, and a server without stacks never needs it.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from headrace.kit.errors import ValidationError
from headrace.services.cloudformation import limits

_FUNCTIONS = frozenset(
    [
        "And",
        "Base64",
        "Cidr",
        "Equals",
        "FindInMap",
        "GetAZs",
        "GetAtt",
        "If",
        "ImportValue",
        "Join",
        "Length",
        "Not",
        "Or",
        "Select",
        "Split",
        "Sub",
        "ToJsonString",
        "Transform",
    ]
)
_STANDARD = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$")
_HEXADECIMAL = re.compile(r"[-+]?0x[0-9a-fA-F_]+$")
_OCTAL = re.compile(r"[-+]?0[0-7_]+$")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"
)
_WORDS: dict[str, bool | None] = {
    **{word: True for text in ("true", "yes", "on") for word in (text, text.capitalize(), text.upper())},
    **{word: False for text in ("false", "no", "off") for word in (text, text.capitalize(), text.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}


def read(text: str) -> dict[str, Any]:
    """The template as a dict. ValidationError with AWS's sentence when it is none."""
    found = _read_json(text) if text.lstrip()[:1] == "{" else _read_yaml(text)
    if not isinstance(found, dict):
        raise ValidationError("Template format error: unsupported structure.")
    return found


def _read_json(text: str) -> Any:
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValidationError(
            f"Template format error: JSON not well-formed. (line {error.lineno}, column {error.colno})"
        ) from None
    except (RecursionError, ValueError):
        raise ValidationError("Template format error: JSON not well-formed.") from None
    _check_depth(found)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > limits.TEMPLATE_DEPTH_MAX:
        raise ValidationError("Template format error: the template is nested too deeply.")
    if isinstance(value, dict):
        for inner in value.values():
            _check_depth(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_depth(inner, depth + 1)


def _read_yaml(text: str) -> Any:
    events = yaml.parse(text, Loader=yaml.CSafeLoader)
    try:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                return _value(next(events), events, 0)
    except yaml.MarkedYAMLError as error:
        raise _malformed(error.problem_mark) from None
    except yaml.YAMLError:
        raise ValidationError("Template format error: YAML not well-formed.") from None
    return None


def _malformed(mark: Any) -> ValidationError:
    where = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    return ValidationError(f"Template format error: YAML not well-formed.{where}")


def _value(event: Any, events: Iterator[Any], depth: int) -> Any:
    if depth > limits.TEMPLATE_DEPTH_MAX:
        raise ValidationError("Template format error: the template is nested too deeply.")
    if isinstance(event, yaml.AliasEvent):
        raise ValidationError("Template format error: YAML aliases are not allowed in CloudFormation templates")
    if isinstance(event, yaml.ScalarEvent):
        plain = event.tag is None and event.implicit[0]
        return _tagged(event, _scalar(event.value) if plain else event.value)
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(_value(item, events, depth + 1))
        return _tagged(event, items)
    return _tagged(event, _mapping(events, depth))


def _mapping(events: Iterator[Any], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        if isinstance(key, yaml.AliasEvent):
            raise ValidationError("Template format error: YAML aliases are not allowed in CloudFormation templates")
        if not isinstance(key, yaml.ScalarEvent) or key.value in found:
            raise _malformed(key.start_mark)
        found[key.value] = _value(next(events), events, depth + 1)
    return found


def _tagged(event: Any, value: Any) -> Any:
    tag = event.tag
    if tag is None or tag == "!":
        return value
    if tag.startswith(_STANDARD):
        return _standard(tag.removeprefix(_STANDARD), value, event)
    name = tag.removeprefix("!")
    if name in ("Ref", "Condition"):
        return {name: value}
    if name not in _FUNCTIONS:
        raise ValidationError(f"Template format error: unsupported tag {tag}.")
    if name == "GetAtt" and isinstance(value, str):
        return {"Fn::GetAtt": value.split(".", 1)}
    if isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
        value = _scalar(event.value)
    return {f"Fn::{name}": value}


def _standard(name: str, value: Any, event: Any) -> Any:
    if name in ("str", "map", "seq"):
        return value
    if name in ("int", "float", "bool", "null"):
        return _scalar(value)
    raise _malformed(event.start_mark)


def _scalar(text: str) -> Any:
    """A plain scalar by YAML 1.1's rules, except that dates stay text, as in CloudFormation."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        digits = text.replace("_", "")
        return int(digits) if len(digits) <= limits.NUMBER_DIGITS_MAX else text
    if _HEXADECIMAL.match(text) and len(text) <= limits.NUMBER_DIGITS_MAX:
        return int(text.replace("_", ""), 16)
    if _OCTAL.match(text) and len(text) <= limits.NUMBER_DIGITS_MAX:
        return int(text.replace("_", ""), 8)
    if _FLOAT.match(text):
        number = float(text.replace("_", ""))
        return number if math.isfinite(number) else text
    return text
