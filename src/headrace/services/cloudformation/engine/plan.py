"""A template in its environment: which resources it has, what each needs, and in which order they are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.services.cloudformation.engine import check, graph
from headrace.services.cloudformation.engine.evaluate import Environment, evaluate
from headrace.services.cloudformation.engine.parameters import text


@dataclass(frozen=True, slots=True)
class Planned:
    """A resource that a template wants. Properties are not evaluated yet, but for the choices of Fn::If."""

    name: str
    kind: str
    properties: dict[str, Any]
    needs: tuple[str, ...]
    deletion_policy: str
    replace_policy: str


def plan(template: Mapping[str, Any], environment: Environment) -> list[Planned]:
    """The resources whose conditions hold, each behind those that it needs. ValidationError when they go in a circle."""
    resources = {
        name: resource
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or environment.condition(resource["Condition"])
    }
    found: dict[str, Planned] = {}
    for name, resource in resources.items():
        chosen = {**resource, "Properties": choose(resource.get("Properties", {}), environment)}
        depends = resource.get("DependsOn", [])
        optional = {depends} if isinstance(depends, str) else set(depends)
        needed = dict.fromkeys(other for other in check.needs(chosen) if other in template["Resources"])
        missing = [other for other in needed if other not in resources and other not in optional]
        if missing:
            raise _unresolved(missing, "Resources")
        found[name] = Planned(
            name,
            resource["Type"],
            chosen["Properties"],
            tuple(other for other in needed if other in resources),
            text(evaluate(resource.get("DeletionPolicy", "Delete"), environment)),
            text(evaluate(resource.get("UpdateReplacePolicy", "Delete"), environment)),
        )
    return [found[name] for name in graph.order({name: item.needs for name, item in found.items()})]


def choose(value: Any, environment: Environment) -> Any:
    """The value with every Fn::If replaced by the branch that holds, so that the other one is nobody's dependency."""
    if isinstance(value, list):
        return [choose(inner, environment) for inner in value]
    if not isinstance(value, dict):
        return value
    argument = value.get("Fn::If") if len(value) == 1 else None
    if isinstance(argument, list) and len(argument) == 3 and isinstance(argument[0], str):
        return choose(argument[1] if environment.condition(argument[0]) else argument[2], environment)
    return {name: choose(inner, environment) for name, inner in value.items()}


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a stack."""

    name: str
    value: str
    description: str | None
    export: str | None


def outputs(template: Mapping[str, Any], environment: Environment) -> list[Output]:
    """The outputs whose conditions hold."""
    found = []
    for name, output in template.get("Outputs", {}).items():
        if "Condition" in output and not environment.condition(output["Condition"]):
            continue
        value = evaluate(output["Value"], environment)
        if isinstance(value, dict | list):
            raise ValidationError(
                f"Template format error: The Value field of every Outputs member must evaluate to a String. (output {name})"
            )
        export = output.get("Export")
        exported = None if export is None else text(evaluate(export["Name"], environment))
        found.append(Output(name, text(value), output.get("Description"), exported))
    return found


def _unresolved(names: list[str], block: str) -> ValidationError:
    return ValidationError(
        f"Template format error: Unresolved resource dependencies [{', '.join(names)}] in the {block} block of the template"
    )
