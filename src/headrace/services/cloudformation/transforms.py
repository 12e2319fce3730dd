"""Transforms: what a template becomes before it is looked at. SAM's runs in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import ServiceUnavailable, ValidationError
from headrace.operation import Context
from headrace.services.cloudformation import limits
from headrace.services.cloudformation.engine import language
from headrace.services.cloudformation.engine.evaluate import Environment

SERVERLESS = "AWS::Serverless-2016-10-31"
_PROGRAM = "headrace.services.cloudformation.engine.sam"
# The child needs its Python and nothing else of the server's environment: above all no keys.
_INHERITED = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "SYSTEMROOT", "TMPDIR")


def names(template: Mapping[str, Any]) -> list[str]:
    """The transforms that a template asks for. ValidationError when one is not known."""
    asked = template.get("Transform", [])
    found = [asked] if isinstance(asked, str) else asked
    if not isinstance(found, list):
        found = [found]
    for name in found:
        if name not in (SERVERLESS, language.NAME):
            shown = name.get("Name") if isinstance(name, dict) else name
            raise ValidationError(f"No transform named {shown} found.")
    return [str(name) for name in found]


def apply(ctx: Context, template: dict[str, Any], parameters: Mapping[str, str], environment: Environment) -> dict[str, Any]:
    """The template that its transforms make of it."""
    asked = names(template)
    result = {section: value for section, value in template.items() if section != "Transform"}
    if language.NAME in asked:
        result = language.unroll(result, environment)
    if SERVERLESS in asked:
        result = _serverless(ctx, {**result, "Transform": SERVERLESS}, parameters)
        result.pop("Transform", None)
    return result


def _serverless(ctx: Context, template: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    region = ctx.region or ctx.settings.region
    pseudo = {"AWS::Region": region, "AWS::Partition": "aws", "AWS::AccountId": ctx.account}
    request = {
        "template": template,
        "parameters": {**parameters, **pseudo},
        "policies": _policies(ctx),
        "region": region,
    }
    answer = _run(json.dumps(request).encode())
    if "errors" in answer:
        raise ValidationError(
            f"Transform {SERVERLESS} failed with: Invalid Serverless Application Specification document. Number of errors found: "
            f"{len(answer['errors'])}. {' '.join(answer['errors'])}"
        )
    result: dict[str, Any] = answer["template"]
    return result


def _policies(ctx: Context) -> dict[str, str]:
    answer = ctx.ports.api.call(ctx, "iam", "ListPolicies", {"Scope": "AWS", "MaxItems": 1000})
    return {policy["PolicyName"]: policy["Arn"] for policy in answer["Policies"]}


def _run(request: bytes) -> dict[str, Any]:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-m", _PROGRAM],
            input=request,
            capture_output=True,
            timeout=limits.TRANSFORM_SECONDS_MAX,
            env={**environment, "AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_TELEMETRY": "0"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServiceUnavailable(f"The transform {SERVERLESS} took longer than {limits.TRANSFORM_SECONDS_MAX:.0f} s.") from None
    if done.returncode != 0:
        raise RuntimeError(f"the transform {SERVERLESS} failed: {done.stderr.decode(errors='replace')[-2000:]}")
    if len(done.stdout) > limits.TEMPLATE_PROCESSED_SIZE_MAX_BYTES:
        raise ValidationError(f"Transform {SERVERLESS} failed with: the template that it makes is too large.")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
