"""The transform AWS::LanguageExtensions: loops (Fn::ForEach), which are unrolled before anything else is looked at.

Fn::Length, Fn::ToJsonString and the default of Fn::FindInMap are functions like the others: see `evaluate`.
"""

from typing import Any

from headrace.kit.errors import ValidationError
from headrace.services.cloudformation import limits
from headrace.services.cloudformation.engine.evaluate import Environment, evaluate
from headrace.services.cloudformation.engine.parameters import text

NAME = "AWS::LanguageExtensions"
_LOOP = "Fn::ForEach::"


def unroll(template: dict[str, Any], environment: Environment) -> dict[str, Any]:
    """The template without loops. Collections may refer to parameters and mappings."""
    left = [limits.FOREACH_VALUES_MAX]
    return {
        section: _unroll(value, {}, environment, left) if section in ("Resources", "Outputs", "Conditions") else value
        for section, value in template.items()
    }


def _unroll(value: Any, variables: dict[str, str], environment: Environment, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise ValidationError(f"Template format error: the template has more than {limits.FOREACH_VALUES_MAX} values.")
    if isinstance(value, str):
        left[0] -= len(value) // 100
        return _replace(value, variables)
    if isinstance(value, list):
        return [_unroll(inner, variables, environment, left) for inner in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and isinstance(value["Ref"], str) and value["Ref"] in variables:
        return variables[value["Ref"]]
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if not name.startswith(_LOOP):
            found[_replace(name, variables)] = _unroll(inner, variables, environment, left)
            continue
        for repeated in _loop(name, inner, variables, environment, left):
            for key in repeated:
                if key in found:
                    raise ValidationError(f"Template format error: {name} gives the key {key} twice.")
            found.update(repeated)
    return found


def _loop(name: str, loop: Any, variables: dict[str, str], environment: Environment, left: list[int]) -> list[dict[str, Any]]:
    if not isinstance(loop, list) or len(loop) != 3 or not isinstance(loop[0], str) or not isinstance(loop[2], dict):
        raise ValidationError(f"Template format error: {name} requires an identifier, a collection and a map.")
    collection = evaluate(_unroll(loop[1], variables, environment, left), environment)
    if not isinstance(collection, list):
        raise ValidationError(f"Template format error: the collection of {name} must be a list.")
    return [_unroll(loop[2], {**variables, loop[0]: text(item)}, environment, left) for item in collection]


def _replace(value: str, variables: dict[str, str]) -> str:
    for name, replacement in variables.items():
        value = value.replace("${" + name + "}", replacement).replace(
            "&{" + name + "}", "".join(letter for letter in replacement if letter.isalnum())
        )
    return value
