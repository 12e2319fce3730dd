"""A stack's version put into its environment: what its template's functions see."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.operation import Context
from headrace.services.cloudformation import state
from headrace.services.cloudformation.engine import language, parameters
from headrace.services.cloudformation.engine.evaluate import Environment
from headrace.services.cloudformation.resources.kind import Properties, pairs, tags_of
from headrace.services.cloudformation.resources.table import KINDS

Lookup = Callable[[str, str | None], Any]


def pseudo(account: str, region: str, stack_id: str, name: str, notifications: list[str]) -> dict[str, Any]:
    """The pseudo parameters of a stack."""
    return {
        "AWS::AccountId": account,
        "AWS::NotificationARNs": notifications,
        "AWS::Partition": "aws",
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def environment(
    template: Mapping[str, Any], row: state.Stack, version: state.Version, resource: Lookup, export: Callable[[str], str],
    transforms: list[str],
) -> Environment:  # fmt: skip
    """What the template of a stack's version is evaluated in."""
    return Environment(
        parameters=parameters.typed(template.get("Parameters", {}), version.parameters),
        pseudo=pseudo(row.account, row.region, row.stack_id, row.name, version.notifications),
        mappings=template.get("Mappings", {}),
        conditions=template.get("Conditions", {}),
        resource=resource,
        export=export,
        extensions=language.NAME in transforms,
    )


def load(ctx: Context, row: state.Stack, version: state.Version) -> tuple[dict[str, Any], list[str]]:
    """(the template of a version as its transforms made it, the names of these)."""
    kept = ctx.snapshot(lambda inner: state.template(inner, row.stack_id, version.template))
    return json.loads(kept.processed), kept.transforms


def exported(ctx: Context, used: set[str]) -> Callable[[str], str]:
    """What Fn::ImportValue gives; the names that were asked for are added to `used`."""

    def find(name: str) -> str:
        found = ctx.snapshot(lambda inner: state.EXPORTS.get(inner.tx, inner.account, inner.region, name))
        if found is None:
            raise ValidationError(f"No export named {name} found.")
        used.add(name)
        return found.value

    return find


def existing(rows: Mapping[str, state.Resource]) -> Lookup:
    """Ref and Fn::GetAtt of resources that are there."""

    def find(name: str, attribute: str | None) -> Any:
        row = rows.get(name)
        if row is None or not row.physical_id:
            raise ValidationError(f"Template error: instance of Fn::GetAtt references undefined resource {name}")
        if attribute is None:
            return row.physical_id
        if attribute not in row.attributes:
            raise ValidationError(f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt")
        return row.attributes[attribute]

    return find


def with_tags(kind: str, properties: Properties, tags: Mapping[str, str]) -> dict[str, Any]:
    """The properties with the stack's tags, where the resource type has tags; the resource's own win."""
    found = dict(properties)
    if tags and kind in KINDS and KINDS[kind].takes_stack_tags and "Tags" in (*KINDS[kind].mutable, *KINDS[kind].fixed):
        found["Tags"] = pairs({**tags, **tags_of(properties)})
    return found


def generated_name(ctx: Context, stack: str, logical: str, length_max: int, lower: bool) -> str:
    """A physical name as CloudFormation makes it: stack-logical-RANDOM, cut to fit."""
    random = ctx.ids.upper(12)
    room = max(2, length_max - len(random) - 2)
    if len(stack) + len(logical) > room:
        logical = logical[: max(room // 2, room - len(stack))]
        stack = stack[: room - len(logical)]
    name = f"{stack}-{logical}-{random}"
    return name.lower() if lower else name
