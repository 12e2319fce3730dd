"""Templates by themselves: checked, summed up, given back."""

import json
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.operation import Context, operation
from headrace.services.cloudformation import errors, limits, state, transforms
from headrace.services.cloudformation.engine import check, parameters
from headrace.services.cloudformation.engine.reader import read
from headrace.services.cloudformation.prepare import needed_capabilities, template_text
from headrace.services.cloudformation.resources.table import KINDS

Structure = dict[str, Any]
_IAM_REASON = "The following resource(s) require capabilities: [{}]"


@operation(transaction=False)
def validate_template(ctx: Context, *, template_body: str | None = None, template_url: str | None = None) -> Structure:
    """Check a template's form, references and resource types, and say what it asks for."""
    template = read(template_text(ctx, template_body, template_url))
    check.check_sections(template, transformed=False)
    names = transforms.names(template)
    if not names:
        check.check(template, KINDS)
    answer: Structure = {"Parameters": [_parameter(name, declared) for name, declared in template.get("Parameters", {}).items()]}
    return {**answer, **_asks(template, names)}


def _parameter(name: str, declared: Structure) -> Structure:
    found: Structure = {"ParameterKey": name, "NoEcho": parameters.no_echo(declared)}
    if "Default" in declared:
        found["DefaultValue"] = parameters.text(declared["Default"])
    if "Description" in declared:
        found["Description"] = str(declared["Description"])
    return found


def _asks(template: Structure, names: list[str]) -> Structure:
    answer: Structure = {}
    if "Description" in template:
        answer["Description"] = template["Description"]
    resources = template.get("Resources", {})
    if names:
        answer["DeclaredTransforms"] = names
        answer["Capabilities"] = ["CAPABILITY_AUTO_EXPAND"]
        answer["CapabilitiesReason"] = _IAM_REASON.format("AWS::CloudFormation::Transform")
    needed = needed_capabilities({name: item for name, item in resources.items() if isinstance(item, dict)})
    if needed:
        kinds = sorted({item["Type"] for item in resources.values() if str(item.get("Type")).startswith("AWS::IAM::")})
        answer["Capabilities"] = [*needed, *answer.get("Capabilities", [])]
        answer["CapabilitiesReason"] = _IAM_REASON.format(", ".join(kinds))
    return answer


@operation(transaction=False, accepts=("template_summary_config", "call_as"))
def get_template_summary(
    ctx: Context, *, template_body: str | None = None, template_url: str | None = None, stack_name: str | None = None
) -> Structure:
    """What a template, or that of a stack, asks for and makes."""
    if stack_name is not None:
        text = _kept(ctx, stack_name, None)[1].text
    else:
        text = template_text(ctx, template_body, template_url)
    template = read(text)
    check.check_sections(template, transformed=False)
    names = transforms.names(template)
    found = []
    for name, declared in template.get("Parameters", {}).items():
        allowed = [parameters.text(value) for value in declared.get("AllowedValues", [])]
        entry = {**_parameter(name, declared), "ParameterType": declared["Type"]}
        found.append({**entry, "ParameterConstraints": {"AllowedValues": allowed} if allowed else {}})
    kinds = sorted({str(item.get("Type")) for item in template["Resources"].values() if isinstance(item, dict)})
    answer: Structure = {"Parameters": found, "ResourceTypes": kinds, **_asks(template, names)}
    if "AWSTemplateFormatVersion" in template:
        answer["Version"] = template["AWSTemplateFormatVersion"]
    if "Metadata" in template:
        answer["Metadata"] = json.dumps(template["Metadata"])
    return answer


@operation(transaction=False)
def get_template(
    ctx: Context, *, stack_name: str | None = None, change_set_name: str | None = None, template_stage: str = "Original"
) -> Structure:
    """A stack's template, or a change set's, as it was given or as its transforms made it."""
    if stack_name is None:
        raise ValidationError("StackName must be specified.")
    row, template = _kept(ctx, stack_name, change_set_name)
    processed = template_stage == "Processed" and template.transforms
    if len(template.processed) > limits.TEMPLATE_PROCESSED_SIZE_MAX_BYTES:
        raise ValidationError(f"The template of stack {row.name} is too large.")
    return {"TemplateBody": template.processed if processed else template.text, "StagesAvailable": ["Original", "Processed"]}


def _kept(ctx: Context, stack_name: str, change_set: str | None) -> tuple[state.Stack, state.Template]:
    def body(inner: Context) -> tuple[state.Stack, state.Template]:
        row = state.stack(inner, stack_name)
        version = row.wanted
        if change_set is not None:
            found = next((c for c in state.change_sets(inner, row.stack_id) if change_set in (c.name, c.change_set_id)), None)
            if found is None:
                raise errors.no_change_set(change_set)
            version = found.version
        if version is None:
            raise ValidationError(f"Stack with id {stack_name} has no template: its change set was not executed yet.")
        return row, state.template(inner, row.stack_id, version.template)

    return ctx.snapshot(body)
