"""A template's form: what AWS refuses before it looks at any value."""

from collections.abc import Collection, Iterator
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.services.cloudformation import limits
from headrace.services.cloudformation.engine import parameters, references

_SECTIONS = frozenset(
    [
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Rules",
        "Mappings",
        "Conditions",
        "Transform",
        "Resources",
        "Outputs",
    ]
)
_RESOURCE = frozenset(
    [
        "Type",
        "Properties",
        "Condition",
        "DependsOn",
        "DeletionPolicy",
        "UpdateReplacePolicy",
        "Metadata",
        "CreationPolicy",
        "UpdatePolicy",
    ]
)
_POLICIES = frozenset({"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"})
PSEUDO = frozenset(
    f"AWS::{name}"
    for name in [
        "AccountId",
        "NoValue",
        "NotificationARNs",
        "Partition",
        "Region",
        "StackId",
        "StackName",
        "URLSuffix",
    ]
)


def check_sections(template: dict[str, Any], *, transformed: bool) -> None:
    """ValidationError unless the template has the sections that it must have, and no others.

    Before a transform (`transformed` false) there may be sections and resources that only the transform knows.
    """
    version = template.get("AWSTemplateFormatVersion")
    if version is not None and version != "2010-09-09":
        raise ValidationError(f"Template format error: {version} is not a supported value for AWSTemplateFormatVersion.")
    unknown = sorted(set(template) - _SECTIONS)
    if unknown and (transformed or unknown != ["Globals"]):
        raise ValidationError(f"Invalid template property or properties [{', '.join(unknown)}]")
    description = template.get("Description")
    if description is not None and not isinstance(description, str):
        raise ValidationError("Template format error: Description must be a string.")
    if description and len(description.encode()) > limits.DESCRIPTION_SIZE_MAX_BYTES:
        raise ValidationError("Template format error: 'Description' length is greater than 1024.")
    for section, most in (
        ("Parameters", limits.PARAMETERS_MAX),
        ("Mappings", limits.MAPPINGS_MAX),
        ("Resources", limits.RESOURCES_MAX),
        ("Outputs", limits.OUTPUTS_MAX),
        ("Conditions", limits.OUTPUTS_MAX),
    ):
        found = template.get(section, {})
        if not isinstance(found, dict):
            raise ValidationError(f"Template format error: [/{section}] '{section}' must be a map.")
        if len(found) > most:
            raise ValidationError(
                f"Template format error: Number of {section.lower()}, {len(found)}, is greater than maximum allowed, {most}"
            )
    if not template.get("Resources"):
        raise ValidationError("Template format error: At least one Resources member must be defined.")
    if "Rules" in template:
        raise ValidationError("The section Rules is not supported: use Conditions.")
    parameters.check(template.get("Parameters", {}))
    _check_mappings(template.get("Mappings", {}))
    dynamic = references.dynamic({"Resources": template["Resources"], "Outputs": template.get("Outputs", {})})
    if dynamic is not None:
        raise ValidationError(f"Dynamic references are not supported: {dynamic}. Use a parameter with NoEcho.")


def check(template: dict[str, Any], types: Collection[str]) -> None:
    """ValidationError unless a template (after its transforms) is one that can be evaluated."""
    check_sections(template, transformed=True)
    resources = template["Resources"]
    for name, resource in resources.items():
        _check_resource(name, resource)
    unknown = sorted({resource["Type"] for resource in resources.values()} - set(types))
    if unknown:
        raise ValidationError(f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")
    for name, output in template.get("Outputs", {}).items():
        _check_output(name, output)
    conditions = template.get("Conditions", {})
    known = {*template.get("Parameters", {}), *PSEUDO}
    bad = sorted({r.name for r in references.find(conditions) if r.kind != "Condition" and r.name not in known})
    if bad:
        raise ValidationError(
            f"Template format error: Unresolved dependencies [{', '.join(bad)}]. Cannot reference resources in the Conditions "
            "block of the template"
        )
    _check_references(template, known)


def needs(resource: dict[str, Any]) -> Iterator[str]:
    """The names that a resource refers to: other resources, but parameters too."""
    depends = resource.get("DependsOn", [])
    yield from [depends] if isinstance(depends, str) else depends
    for reference in references.find(resource.get("Properties", {})):
        if reference.kind != "Condition":
            yield reference.name


def _check_mappings(mappings: dict[str, Any]) -> None:
    for name, mapping in mappings.items():
        if name == "Fn::Transform":
            raise ValidationError("Transform AWS::Include is not supported.")
        if not isinstance(mapping, dict) or not all(isinstance(inner, dict) for inner in mapping.values()):
            raise ValidationError(f"Template format error: Every Mappings attribute must be a map. (mapping {name})")


def _check_resource(name: str, resource: Any) -> None:
    if not name.isalnum():
        raise ValidationError(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(resource, dict):
        raise ValidationError(f"Template format error: [/Resources/{name}] resource definition is malformed")
    if not isinstance(resource.get("Type"), str):
        raise ValidationError(f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member.")
    unknown = sorted(set(resource) - _RESOURCE)
    if unknown:
        raise ValidationError(f"Invalid template resource property '{unknown[0]}'")
    if not isinstance(resource.get("Properties", {}), dict):
        raise ValidationError(f"Template format error: [/Resources/{name}/Properties] 'Properties' must be a map.")
    depends = resource.get("DependsOn", [])
    if not isinstance(depends, str | list) or (isinstance(depends, list) and not all(isinstance(d, str) for d in depends)):
        raise ValidationError(f"Template format error: DependsOn must be a string or list of strings. (resource {name})")
    for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
        policy = resource.get(attribute, "Delete")
        if isinstance(policy, str) and policy not in _POLICIES:
            raise ValidationError(f"Template error: Unrecognized {attribute} {policy} for resource {name}")
        if policy == "Snapshot":
            raise ValidationError(f"{attribute} Snapshot of resource {name} is not supported: use Retain.")
    for attribute in ("CreationPolicy", "UpdatePolicy"):
        if attribute in resource:
            raise ValidationError(f"The attribute {attribute} of resource {name} is not supported.")


def _check_output(name: str, output: Any) -> None:
    if not name.isalnum():
        raise ValidationError(f"Template format error: Output name {name} is non alphanumeric.")
    if not isinstance(output, dict) or "Value" not in output:
        raise ValidationError("Template format error: Every Outputs member must contain a Value object")
    export = output.get("Export")
    if export is not None and (not isinstance(export, dict) or set(export) != {"Name"}):
        raise ValidationError(f"Template format error: [/Outputs/{name}/Export] must have a Name, and nothing else.")


def _check_references(template: dict[str, Any], known: set[str]) -> None:
    resources, conditions = template["Resources"], template.get("Conditions", {})
    for block in ("Resources", "Outputs"):
        found: list[references.Reference] = []
        for item in template.get(block, {}).values():
            found += references.find({key: value for key, value in item.items() if key not in ("Metadata", "Condition")})
            if isinstance(item.get("Condition"), str):
                found.append(references.Reference("Condition", item["Condition"]))
            depends = item.get("DependsOn", [])
            found += [references.Reference("Ref", d) for d in ([depends] if isinstance(depends, str) else depends)]
        for reference in found:
            if reference.kind == "GetAtt" and reference.name not in resources:
                raise ValidationError(f"Template error: instance of Fn::GetAtt references undefined resource {reference.name}")
            if reference.kind == "Condition" and reference.name not in conditions:
                raise ValidationError(
                    f"Template format error: Unresolved condition dependency {reference.name} in the {block} block of "
                    "the template"
                )
        missing = sorted({r.name for r in found if r.kind == "Ref" and r.name not in known and r.name not in resources})
        if missing:
            raise ValidationError(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] in the {block} block of the "
                "template"
            )
