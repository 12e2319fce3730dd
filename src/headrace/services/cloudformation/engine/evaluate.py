"""Evaluate a template's values: intrinsic functions, parameters, mappings and conditions.

What a value needs from outside comes in through `Environment`: the attributes of resources that exist, and other stacks' exports.
"""

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.services.cloudformation import limits
from headrace.services.cloudformation.engine import references
from headrace.services.cloudformation.engine.parameters import text


class _NoValue:
    """What AWS::NoValue gives: the property that has it is left out."""


NO_VALUE = _NoValue()


def _no_export(name: str) -> str:
    raise ValidationError(f"No export named {name} found.")


def _no_resource(name: str, attribute: str | None) -> Any:
    raise ValidationError(f"Unresolved dependencies [{name}]. Cannot reference resources in the Conditions block of the template")


@dataclass
class Environment:
    """What a template is evaluated in. `resource(name, attribute)` gives Ref (attribute None) and GetAtt."""

    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    mappings: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    resource: Callable[[str, str | None], Any] = _no_resource
    export: Callable[[str], str] = _no_export
    extensions: bool = False
    _known: dict[str, bool] = field(default_factory=dict)
    _asked: list[str] = field(default_factory=list)

    def condition(self, name: str) -> bool:
        """The truth of a named condition."""
        if name not in self._known:
            if name not in self.conditions:
                raise ValidationError(f"Template format error: Unresolved condition dependency {name} in the template")
            if name in self._asked:
                raise ValidationError(
                    f"Template format error: Circular dependency between conditions: [{', '.join(self._asked)}]"
                )
            self._asked.append(name)
            self._known[name] = truth(self.conditions[name], self)
            self._asked.pop()
        return self._known[name]


def evaluate(value: Any, environment: Environment) -> Any:
    """The value with every function done. A property that is AWS::NoValue is left out of its map or list."""
    if isinstance(value, dict):
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return _ref(argument, environment)
            if name.startswith("Fn::"):
                return _call(name, argument, environment)
        pairs = ((name, evaluate(inner, environment)) for name, inner in value.items())
        return {name: inner for name, inner in pairs if inner is not NO_VALUE}
    if isinstance(value, list):
        items = (evaluate(inner, environment) for inner in value)
        return [inner for inner in items if inner is not NO_VALUE]
    return value


def truth(value: Any, environment: Environment) -> bool:
    """The truth of a condition's definition."""
    if isinstance(value, dict) and len(value) == 1:
        name, argument = next(iter(value.items()))
        if name == "Condition":
            return environment.condition(str(argument))
        operator = _CONDITIONS.get(name)
        if operator is not None:
            return operator(argument, environment)
    result = evaluate(value, environment)
    if text(result) in ("true", "false"):
        return text(result) == "true"
    raise ValidationError("Template format error: Every Conditions member must be a string, or a condition function.")


def _ref(name: Any, environment: Environment) -> Any:
    if not isinstance(name, str):
        raise ValidationError("Template format error: every Ref object must have a single String value.")
    if name == "AWS::NoValue":
        return NO_VALUE
    if name in environment.pseudo:
        return environment.pseudo[name]
    if name in environment.parameters:
        return environment.parameters[name]
    return environment.resource(name, None)


def _call(name: str, argument: Any, environment: Environment) -> Any:
    function = _FUNCTIONS.get(name)
    if function is not None:
        return function(argument, environment)
    if name in _CONDITIONS:
        return _CONDITIONS[name](argument, environment)
    if name in _EXTENSIONS and environment.extensions:
        return _EXTENSIONS[name](argument, environment)
    raise ValidationError(f"Template format error: unsupported function: {name}")


def _string(value: Any, problem: str) -> str:
    if isinstance(value, dict | list) or value is NO_VALUE or value is None:
        raise ValidationError(problem)
    return text(value)


def _get_att(argument: Any, environment: Environment) -> Any:
    resource, attribute = references.split_attribute(argument)
    if not isinstance(attribute, str):
        attribute = _string(evaluate(attribute, environment), "Template error: the attribute of Fn::GetAtt must be a string")
    return environment.resource(resource, attribute)


def _sub(argument: Any, environment: Environment) -> str:
    template, variables = references.split_sub(argument)
    values = {name: evaluate(value, environment) for name, value in variables.items()}

    def replaced(match: re.Match[str]) -> str:
        name = match.group(1).strip()
        if name.startswith("!"):
            return "${" + name[1:] + "}"
        if name in values:
            value = values[name]
        elif "." in name:
            value = environment.resource(*name.split(".", 1))
        else:
            value = _ref(name, environment)
        return _string(value, f"Template error: variable {name} in Fn::Sub expression does not resolve to a string")

    return _bounded(references.SUB_VARIABLE.sub(replaced, template))


def _bounded(result: str) -> str:
    if len(result) > limits.TEXT_SIZE_MAX_BYTES:
        raise ValidationError("Template error: the result of a function is too large")
    return result


_JOIN = (
    "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be "
    "joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
)


def _join(argument: Any, environment: Environment) -> str:
    if not isinstance(argument, list) or len(argument) != 2:
        raise ValidationError(_JOIN)
    delimiter, parts = argument[0], evaluate(argument[1], environment)
    if not isinstance(delimiter, str) or not isinstance(parts, list):
        raise ValidationError(_JOIN)
    return _bounded(delimiter.join(_string(part, _JOIN) for part in parts))


_SPLIT = (
    "Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a "
    "function that returns a string to be split."
)


def _split(argument: Any, environment: Environment) -> list[str]:
    if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str) or not argument[0]:
        raise ValidationError(_SPLIT)
    return _string(evaluate(argument[1], environment), _SPLIT).split(argument[0])


_SELECT = (
    "Template error: every Fn::Select object requires two parameters, the index of the list and the list of values to select from"
)


def _select(argument: Any, environment: Environment) -> Any:
    if not isinstance(argument, list) or len(argument) != 2:
        raise ValidationError(_SELECT)
    index, items = evaluate(argument[0], environment), evaluate(argument[1], environment)
    if not isinstance(items, list) or not text(index).isdecimal():
        raise ValidationError(_SELECT)
    if int(text(index)) >= len(items):
        raise ValidationError(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return items[int(text(index))]


def _find_in_map(argument: Any, environment: Environment) -> Any:
    if not isinstance(argument, list) or len(argument) not in (3, 4):
        raise ValidationError(
            "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and "
            "the attribute for return value"
        )
    keys = [text(evaluate(part, environment)) for part in argument[:3]]
    found: Any = environment.mappings
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if found is not None:
        return found
    if len(argument) == 4 and isinstance(argument[3], dict) and "DefaultValue" in argument[3]:
        return evaluate(argument[3]["DefaultValue"], environment)
    if not isinstance(environment.mappings.get(keys[0]), dict):
        raise ValidationError(f"Template error: Mapping named '{keys[0]}' is not present in the 'Mappings' section of template.")
    raise ValidationError(f"Template error: Unable to get mapping for {'::'.join(keys)}")


def _if(argument: Any, environment: Environment) -> Any:
    if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[0], str):
        raise ValidationError("Template error: Fn::If requires a list argument with three parameters")
    return evaluate(argument[1] if environment.condition(argument[0]) else argument[2], environment)


def _import(argument: Any, environment: Environment) -> str:
    problem = "Template error: the attribute in Fn::ImportValue must be a string or a function that returns a string"
    return environment.export(_string(evaluate(argument, environment), problem))


def _base64(argument: Any, environment: Environment) -> str:
    problem = "Template error: every Fn::Base64 object must have a String-typed value."
    return base64.b64encode(_string(evaluate(argument, environment), problem).encode()).decode()


def _cidr(argument: Any, environment: Environment) -> list[str]:
    parts = evaluate(argument, environment)
    try:
        network = ipaddress.ip_network(parts[0])
        count, bits = int(parts[1]), int(parts[2]) if len(parts) > 2 else 32 - network.prefixlen
        if not 1 <= count <= limits.CIDR_BLOCKS_MAX:
            raise ValueError(count)
        size = 1 << bits
        blocks = network.num_addresses // size
        if bits < 0 or count > blocks:
            raise ValueError(count)
        length = network.max_prefixlen - bits
        return [f"{network[number * size]}/{length}" for number in range(count)]
    except (ValueError, TypeError, IndexError, KeyError):
        raise ValidationError(
            "Template error: every Fn::Cidr object requires a valid CIDR block, a count from 1 to 256 and the bits of each "
            "block, and the block must be large enough."
        ) from None


def _get_azs(argument: Any, environment: Environment) -> list[str]:
    region = text(evaluate(argument, environment)) or environment.pseudo["AWS::Region"]
    return [f"{region}{letter}" for letter in "abc"]


def _transform(argument: Any, environment: Environment) -> Any:
    name = argument.get("Name") if isinstance(argument, dict) else argument
    raise ValidationError(f"Transform {name} is not supported inside a template: use the Transform section.")


def _conditions(name: str, argument: Any, environment: Environment) -> list[bool]:
    if not isinstance(argument, list) or not 2 <= len(argument) <= 10:
        raise ValidationError(
            f"Template error: every {name} object requires a list of at least 2 and at most 10 boolean parameters."
        )
    return [truth(part, environment) for part in argument]


def _and(argument: Any, environment: Environment) -> bool:
    return all(_conditions("Fn::And", argument, environment))


def _or(argument: Any, environment: Environment) -> bool:
    return any(_conditions("Fn::Or", argument, environment))


def _not(argument: Any, environment: Environment) -> bool:
    if not isinstance(argument, list) or len(argument) != 1:
        raise ValidationError("Template error: every Fn::Not object requires one boolean parameter.")
    return not truth(argument[0], environment)


def _equals(argument: Any, environment: Environment) -> bool:
    if not isinstance(argument, list) or len(argument) != 2:
        raise ValidationError("Template error: every Fn::Equals object requires a list of 2 string parameters.")
    first, second = (evaluate(part, environment) for part in argument)
    if isinstance(first, dict | list) or isinstance(second, dict | list):
        return bool(first == second)
    return text(first) == text(second)


def _length(argument: Any, environment: Environment) -> int:
    items = evaluate(argument, environment)
    if not isinstance(items, list):
        raise ValidationError("Template error: every Fn::Length object requires a list.")
    return len(items)


def _to_json(argument: Any, environment: Environment) -> str:
    return _bounded(json.dumps(evaluate(argument, environment), separators=(",", ":")))


_Function = Callable[[Any, Environment], Any]
_FUNCTIONS: dict[str, _Function] = {
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::FindInMap": _find_in_map,
    "Fn::If": _if,
    "Fn::ImportValue": _import,
    "Fn::Base64": _base64,
    "Fn::Cidr": _cidr,
    "Fn::GetAZs": _get_azs,
    "Fn::Transform": _transform,
}
_CONDITIONS: dict[str, Callable[[Any, Environment], bool]] = {
    "Fn::And": _and,
    "Fn::Or": _or,
    "Fn::Not": _not,
    "Fn::Equals": _equals,
}
_EXTENSIONS: dict[str, _Function] = {"Fn::Length": _length, "Fn::ToJsonString": _to_json}
FUNCTIONS = frozenset({*_FUNCTIONS, *_CONDITIONS, *_EXTENSIONS})
