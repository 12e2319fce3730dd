"""A request's template and parameters made ready: read, transformed, checked, and compared with what the stack is."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from headrace.kit.errors import ValidationError
from headrace.layers import tags as tag_lists
from headrace.operation import Context
from headrace.services.cloudformation import errors, evaluation, limits, state, transforms
from headrace.services.cloudformation.engine import check, parameters, references
from headrace.services.cloudformation.engine.evaluate import Environment, evaluate
from headrace.services.cloudformation.engine.plan import Planned, outputs, plan
from headrace.services.cloudformation.engine.reader import read
from headrace.services.cloudformation.resources import iam
from headrace.services.cloudformation.resources.table import KINDS

UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
_HOSTED = re.compile(r"(?P<bucket>[a-z0-9.-]+)\.s3(?:[.-][a-z0-9-]+)?\.(?:amazonaws\.com|localhost.*)$")


@dataclass
class Request:
    """What CreateStack, UpdateStack and CreateChangeSet have in common."""

    body: str | None = None
    url: str | None = None
    use_previous: bool = False
    parameters: Sequence[Mapping[str, Any]] | None = None
    capabilities: Sequence[str] | None = None
    tags: Sequence[Mapping[str, str]] | None = None
    notifications: Sequence[str] | None = None
    role: str | None = None
    expands: bool = False


@dataclass
class Prepared:
    """A version of a stack that may be kept: its template, and what its making would change."""

    template: state.Template
    processed: dict[str, Any]
    version: state.Version
    environment: Environment
    items: list[Planned]
    changes: list[dict[str, Any]] = field(default_factory=list)
    differs: bool = True


def template_text(ctx: Context, body: str | None, url: str | None) -> str:
    """The text of a template that is given in the request, or lies in a bucket."""
    if (body is None) == (url is None):
        raise ValidationError("Either Template URL or Template Body must be specified.")
    if body is not None:
        size = len(body.encode())
        if size > limits.TEMPLATE_BODY_SIZE_MAX_BYTES:
            raise ValidationError(
                "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less "
                f"than or equal to {limits.TEMPLATE_BODY_SIZE_MAX_BYTES}"
            )
        return body
    assert url is not None
    bucket, key = _place(url)
    found = ctx.ports.objects.head(ctx, bucket, key)
    if found is None:
        raise ValidationError("S3 error: The specified key does not exist.")
    if found.size_bytes > limits.TEMPLATE_OBJECT_SIZE_MAX_BYTES:
        raise ValidationError(f"Template may not exceed {limits.TEMPLATE_OBJECT_SIZE_MAX_BYTES} bytes in size.")
    try:
        return ctx.ports.objects.get(ctx, bucket, key).decode()
    except LookupError:
        raise ValidationError("S3 error: The specified key does not exist.") from None
    except UnicodeDecodeError:
        raise ValidationError("Template format error: unsupported structure.") from None


def _place(url: str) -> tuple[str, str]:
    """(bucket, key) of a template's URL: a bucket in the host's name, or first in the path. Nothing is fetched from elsewhere."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    hosted = _HOSTED.match(parts.hostname or "")
    if hosted is not None:
        bucket, key = hosted.group("bucket"), path
    else:
        bucket, _, key = path.partition("/")
    if parts.scheme not in ("http", "https") or not bucket or not key:
        raise ValidationError("TemplateURL must be a supported URL.")
    return bucket, key


def given_parameters(
    declared: Mapping[str, Any], given: Sequence[Mapping[str, Any]] | None, before: state.Version | None
) -> dict[str, str]:
    """The values of a request's parameters, with those of before where it says so."""
    found: dict[str, str] = {}
    for parameter in given or ():
        name = parameter.get("ParameterKey", "")
        if name in found:
            raise ValidationError(f"Duplicate parameter key: {name}")
        if not parameter.get("UsePreviousValue"):
            if "ParameterValue" not in parameter:
                raise ValidationError(f"Parameters: [{name}] must have values")
            found[name] = parameter["ParameterValue"]
        elif before is None or name not in before.parameters:
            raise ValidationError(
                f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a "
                "parameter key not in the previous template"
            )
        else:
            found[name] = before.parameters[name]
    return parameters.values(declared, found)


def prepare(ctx: Context, row: state.Stack, request: Request, rows: Mapping[str, state.Resource]) -> Prepared:
    """The version that a request asks for. `row` may be a stack that is not kept yet. Runs outside of any transaction."""
    before = row.wanted
    if request.use_previous:
        if before is None:
            raise ValidationError(f"Stack [{row.name}] does not exist")
        previous = before.template
        text = ctx.snapshot(lambda inner: state.template(inner, row.stack_id, previous)).text
    else:
        text = template_text(ctx, request.body, request.url)
    raw = read(text)
    check.check_sections(raw, transformed=False)
    values = given_parameters(raw.get("Parameters", {}), request.parameters, before)
    tags = tag_lists.from_list(request.tags) if request.tags is not None else dict(before.tags) if before is not None else {}
    _check_tags(tags)
    version = state.Version(
        template="",
        parameters=values,
        tags=tags,
        capabilities=list(request.capabilities or ()),
        notifications=list(request.notifications or (before.notifications if before is not None else ())),
        hidden=[name for name, parameter in raw.get("Parameters", {}).items() if parameters.no_echo(parameter)],
        description=raw.get("Description"),
        role=request.role or (before.role if before is not None else None),
    )
    asked = transforms.names(raw)
    lookup = _Planning(rows)
    early = evaluation.environment(raw, row, version, lookup.resource, evaluation.exported(ctx, set()), asked)
    processed = transforms.apply(ctx, raw, values, early) if asked else raw
    check.check(processed, KINDS)
    _check_capabilities(processed, request, transformed=bool(asked))
    text_processed = json.dumps(processed)
    if len(text_processed) > limits.TEMPLATE_PROCESSED_SIZE_MAX_BYTES:
        raise ValidationError("Template format error: the processed template is too large.")
    environment = evaluation.environment(processed, row, version, lookup.resource, early.export, asked)
    items = plan(processed, environment)
    _check_resources(processed, items)
    prepared = Prepared(state.Template(text, text_processed, asked), processed, version, environment, items)
    _compare(ctx, row, prepared, lookup)
    return prepared


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > limits.STACK_TAGS_MAX:
        raise ValidationError(f"Number of tags, {len(tags)}, is greater than maximum allowed, {limits.STACK_TAGS_MAX}")
    for key in tags:
        if key.lower().startswith("aws:"):
            raise ValidationError(f"aws: prefixed tag key names are not allowed for external use: {key}")


def needed_capabilities(resources: Mapping[str, Any]) -> list[str]:
    """The capabilities that a template's resources ask for, of which one at least must be acknowledged."""
    kinds = [(str(resource.get("Type")), resource.get("Properties") or {}) for resource in resources.values()]
    if any(iam.named(kind, properties) for kind, properties in kinds):
        return ["CAPABILITY_NAMED_IAM"]
    return ["CAPABILITY_IAM"] if any(iam.is_iam(kind) for kind, _ in kinds) else []


def _check_capabilities(processed: Mapping[str, Any], request: Request, *, transformed: bool) -> None:
    given = set(request.capabilities or ())
    if transformed and not request.expands and "CAPABILITY_AUTO_EXPAND" not in given:
        raise errors.InsufficientCapabilitiesException("Requires capabilities : [CAPABILITY_AUTO_EXPAND]")
    needed = needed_capabilities(processed["Resources"])
    if needed and not given & {*needed, "CAPABILITY_NAMED_IAM"}:
        raise errors.InsufficientCapabilitiesException(f"Requires capabilities : [{', '.join(needed)}]")


def _check_resources(processed: Mapping[str, Any], items: Sequence[Planned]) -> None:
    """Refuse at once what would fail later: properties and attributes that a resource type does not have."""
    for item in items:
        problem = KINDS[item.kind].problem(item.name, item.properties)
        if problem is not None:
            raise ValidationError(problem)
    kinds = {name: KINDS[resource["Type"]] for name, resource in processed["Resources"].items()}
    for block in ("Resources", "Outputs"):
        for reference in references.find([{**entry, "Metadata": None} for entry in processed.get(block, {}).values()]):
            if reference.kind != "GetAtt" or not reference.attribute or reference.name not in kinds:
                continue
            kind = kinds[reference.name]
            nested = kind.type == "AWS::CloudFormation::Stack" and reference.attribute.startswith("Outputs.")
            if reference.attribute not in kind.attributes and not nested:
                raise ValidationError(
                    f"Template error: resource {reference.name} does not support attribute type {reference.attribute} "
                    "in Fn::GetAtt"
                )


class _Planning:
    """Ref and Fn::GetAtt while nothing is made yet: what is not known gives UNKNOWN."""

    def __init__(self, rows: Mapping[str, state.Resource]) -> None:
        self.rows = rows
        self.unknown: set[str] = set()

    def resource(self, name: str, attribute: str | None) -> Any:
        row = self.rows.get(name)
        if row is None or name in self.unknown or not row.physical_id:
            return UNKNOWN
        return row.physical_id if attribute is None else row.attributes.get(attribute, UNKNOWN)


def _compare(ctx: Context, row: state.Stack, prepared: Prepared, lookup: _Planning) -> None:
    """Find what a version changes in the stack's resources; `differs` is false when nothing at all would."""
    wanted = set()
    for item in prepared.items:
        wanted.add(item.name)
        change = _change(item, prepared, lookup)
        if change is not None:
            prepared.changes.append({"Type": "Resource", "ResourceChange": change})
    for old in lookup.rows.values():
        if old.name not in wanted:
            prepared.changes.append({"Type": "Resource", "ResourceChange": _resource_change("Remove", old.name, old.kind, old)})
    if row.wanted is not None and not prepared.changes:
        prepared.differs = row.wanted.tags != prepared.version.tags or _outputs_differ(row, prepared)


def _outputs_differ(row: state.Stack, prepared: Prepared) -> bool:
    found = [state.Output(o.name, o.value, o.description, o.export) for o in outputs(prepared.processed, prepared.environment)]
    return sorted(found, key=lambda o: o.name) != sorted(row.outputs, key=lambda o: o.name)


def _change(item: Planned, prepared: Prepared, lookup: _Planning) -> dict[str, Any] | None:
    old = lookup.rows.get(item.name)
    if old is None or not old.physical_id:
        lookup.unknown.add(item.name)
        return _resource_change("Add", item.name, item.kind, None)
    try:
        evaluated = evaluate(item.properties, prepared.environment)
    except ValidationError as error:
        # A function may not like what stands for a value that is not known yet.
        if UNKNOWN not in json.dumps(item.properties) and not lookup.unknown:
            raise ValidationError(error.message) from None
        evaluated = {}
    properties = evaluation.with_tags(item.kind, evaluated, prepared.version.tags)
    kind = KINDS[item.kind]
    policies = (item.deletion_policy, item.replace_policy) != (old.deletion_policy, old.replace_policy)
    if properties == old.properties and item.kind == old.kind and old.stage == "done" and not policies:
        return None
    replaced = item.kind != old.kind or (properties != old.properties and kind.needs_replacement(properties, old.properties))
    if replaced:
        lookup.unknown.add(item.name)
    change = _resource_change("Modify", item.name, item.kind, old)
    change["Replacement"] = "True" if replaced else "False"
    names = sorted({*properties, *old.properties}, key=str)
    change["Scope"] = ["Properties"] if properties != old.properties else ["DeletionPolicy"]
    change["Details"] = [
        {
            "Target": {
                "Attribute": "Properties",
                "Name": name,
                "RequiresRecreation": "Always" if name in kind.fixed else "Never",
            },
            "Evaluation": "Dynamic" if UNKNOWN in json.dumps(properties.get(name)) else "Static",
            "ChangeSource": "DirectModification",
        }
        for name in names
        if properties.get(name) != old.properties.get(name)
    ]
    return change


def _resource_change(action: str, name: str, kind: str, old: state.Resource | None) -> dict[str, Any]:
    change = {"Action": action, "LogicalResourceId": name, "ResourceType": kind, "Scope": [], "Details": []}
    return change if old is None else {**change, "PhysicalResourceId": old.physical_id}
