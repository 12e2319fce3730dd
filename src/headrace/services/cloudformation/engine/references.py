"""What a template's value refers to: resources, parameters, attributes and conditions, found without evaluating anything."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from headrace.kit.errors import ValidationError

SUB_VARIABLE = re.compile(r"\$\{([^${}]*)\}")
DYNAMIC = re.compile(r"\{\{resolve:[^}]*\}\}")


class Reference(NamedTuple):
    """One reference: `kind` is "Ref", "GetAtt" or "Condition"; `attribute` only with GetAtt."""

    kind: str
    name: str
    attribute: str = ""


def find(value: Any) -> Iterator[Reference]:
    """Every reference in a value, in the order of the text."""
    if isinstance(value, list):
        for inner in value:
            yield from find(inner)
    elif isinstance(value, dict):
        if len(value) == 1:
            function, argument = next(iter(value.items()))
            if function == "Ref" and isinstance(argument, str):
                yield Reference("Ref", argument)
                return
            if function == "Fn::GetAtt":
                yield from _attribute(argument)
                return
            if function == "Fn::Sub":
                yield from _sub(argument)
                return
            if function == "Condition" and isinstance(argument, str):
                yield Reference("Condition", argument)
                return
            if function == "Fn::If" and isinstance(argument, list) and argument and isinstance(argument[0], str):
                yield Reference("Condition", argument[0])
        for inner in value.values():
            yield from find(inner)


def split_attribute(argument: Any) -> tuple[str, Any]:
    """(resource, attribute) of a Fn::GetAtt; ValidationError when it is malformed."""
    if isinstance(argument, str):
        argument = argument.split(".", 1)
    if not isinstance(argument, list) or len(argument) < 2 or not all(argument) or not isinstance(argument[0], str):
        raise ValidationError(
            "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the "
            "resource attribute"
        )
    if len(argument) == 2 and not isinstance(argument[1], str):
        return argument[0], argument[1]
    return argument[0], ".".join(str(part) for part in argument[1:])


def split_sub(argument: Any) -> tuple[str, dict[str, Any]]:
    """(text, variables) of a Fn::Sub; ValidationError when it is malformed."""
    if isinstance(argument, str):
        return argument, {}
    if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[0], str) and isinstance(argument[1], dict):
        return argument[0], argument[1]
    raise ValidationError(
        "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first "
        "argument, and an optional second argument to specify a mapping of values to replace in the string"
    )


def dynamic(value: Any) -> str | None:
    """The first dynamic reference ({{resolve:…}}) in a value, or None."""
    if isinstance(value, str):
        match = DYNAMIC.search(value)
        return match.group() if match else None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for item in inner if (found := dynamic(item))), None)


def _attribute(argument: Any) -> Iterator[Reference]:
    resource, attribute = split_attribute(argument)
    yield Reference("GetAtt", resource, attribute if isinstance(attribute, str) else "")
    if not isinstance(attribute, str):
        yield from find(attribute)


def _sub(argument: Any) -> Iterator[Reference]:
    text, variables = split_sub(argument)
    for name in SUB_VARIABLE.findall(text):
        variable = name.strip()
        if variable.startswith("!") or variable in variables:
            continue
        resource, dot, attribute = variable.partition(".")
        yield Reference("GetAtt", resource, attribute) if dot else Reference("Ref", resource)
    yield from find(variables)
