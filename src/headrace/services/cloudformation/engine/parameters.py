"""A template's parameters: what they may be, and the values that a request gives them."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.services.cloudformation import limits
from headrace.services.cloudformation.engine import matching

# Types of existing AWS things are taken as the text that they are; lists are split at commas.
_EXISTING = ("AWS::EC2::", "AWS::Route53::")
_PLAIN = re.compile(r"\^?\[[\w .@/:-]+\](?:[*+]|\{\d{1,3}(?:,\d{0,3})?\})?\$?")


def check(declared: Mapping[str, Any]) -> None:
    """ValidationError unless every parameter has a type that is supported and a default that it allows."""
    for name, parameter in declared.items():
        if not name.isalnum():
            raise ValidationError(f"Template format error: Parameter name {name} is non alphanumeric.")
        if not isinstance(parameter, dict) or "Type" not in parameter:
            raise ValidationError("Template format error: Every Parameters object must contain a Type member.")
        kind = str(parameter["Type"])
        if kind.startswith("AWS::SSM::"):
            raise ValidationError(f"Parameter {name}: parameters of Systems Manager ({kind}) are not supported.")
        if not _known(kind):
            raise ValidationError(f"Template format error: Unrecognized parameter type: {kind}")
        default = parameter.get("Default")
        if isinstance(default, dict | list):
            raise ValidationError(f"Template format error: Every Default member must be a string. (parameter {name})")
        if default is not None:
            _check_value(name, parameter, text(default))


def values(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The text of every parameter: as given, or the default."""
    unknown = [name for name in given if name not in declared]
    if unknown:
        raise ValidationError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    found: dict[str, str] = {}
    missing = []
    for name, parameter in declared.items():
        if name in given:
            found[name] = given[name]
            _check_value(name, parameter, given[name])
        elif parameter.get("Default") is not None:
            found[name] = text(parameter["Default"])
        else:
            missing.append(name)
    if missing:
        raise ValidationError(f"Parameters: [{', '.join(missing)}] must have values")
    return found


def typed(declared: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """What Ref gives: a list for list types, otherwise the text."""
    return {
        name: [part.strip() for part in value.split(",")] if _is_list(str(declared[name]["Type"])) else value
        for name, value in texts.items()
        if name in declared
    }


def no_echo(parameter: Mapping[str, Any]) -> bool:
    """Whether a parameter's value must not be shown."""
    return text(parameter.get("NoEcho", False)) == "true"


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _known(kind: str) -> bool:
    inner = kind.removeprefix("List<").removesuffix(">") if kind.startswith("List<") else kind
    return kind in ("String", "Number", "CommaDelimitedList", "List<Number>", "List<String>") or inner.startswith(_EXISTING)


def _is_list(kind: str) -> bool:
    return kind == "CommaDelimitedList" or kind.startswith("List<")


def _check_value(name: str, parameter: Mapping[str, Any], value: str) -> None:
    description = parameter.get("ConstraintDescription")

    def wrong(rule: str) -> ValidationError:
        return ValidationError(
            f"Parameter '{name}' failed to satisfy constraint: {description}" if description else f"Parameter '{name}' {rule}"
        )

    if len(value.encode()) > limits.PARAMETER_VALUE_SIZE_MAX_BYTES:
        raise ValidationError(f"Parameter '{name}' must be less than or equal to {limits.PARAMETER_VALUE_SIZE_MAX_BYTES} bytes")
    allowed = parameter.get("AllowedValues")
    parts = [part.strip() for part in value.split(",")] if _is_list(str(parameter["Type"])) else [value]
    if allowed is not None and any(part not in [text(item) for item in allowed] for part in parts):
        raise wrong(f"must be one of AllowedValues: [{', '.join(text(item) for item in allowed)}]")
    pattern = parameter.get("AllowedPattern")
    if pattern is not None and not all(_matches(name, str(pattern), part) for part in parts):
        raise wrong(f"must match pattern {pattern}")
    if "MinLength" in parameter and len(value) < int(parameter["MinLength"]):
        raise wrong(f"must contain at least {parameter['MinLength']} characters")
    if "MaxLength" in parameter and len(value) > int(parameter["MaxLength"]):
        raise wrong(f"must contain at most {parameter['MaxLength']} characters")
    if str(parameter["Type"]) in ("Number", "List<Number>"):
        _check_numbers(name, parameter, parts, wrong)


def _check_numbers(name: str, parameter: Mapping[str, Any], parts: list[str], wrong: Any) -> None:
    for part in parts:
        try:
            number = Decimal(part)
        except InvalidOperation:
            raise ValidationError(f"Parameter '{name}' must be a number.") from None
        if "MinValue" in parameter and number < Decimal(str(parameter["MinValue"])):
            raise wrong(f"must be a number not less than {parameter['MinValue']}")
        if "MaxValue" in parameter and number > Decimal(str(parameter["MaxValue"])):
            raise wrong(f"must be a number not greater than {parameter['MaxValue']}")


def _matches(name: str, pattern: str, value: str) -> bool:
    try:
        found = _match(pattern, value)
    except subprocess.TimeoutExpired:
        raise ValidationError(f"Parameter '{name}': its AllowedPattern takes too long to match.") from None
    if found is None:
        raise ValidationError(f"Template format error: the AllowedPattern of parameter {name} is no regular expression.")
    return found


@lru_cache(maxsize=256)
def _match(pattern: str, value: str) -> bool | None:
    """A pattern of one set of characters is quick on any text; any other one is tried in a process that can be stopped."""
    if _PLAIN.fullmatch(pattern):
        return re.fullmatch(pattern, value) is not None
    done = subprocess.run(
        [sys.executable, "-I", matching.__file__],
        input=json.dumps([pattern, value]).encode(),
        capture_output=True,
        timeout=limits.PATTERN_SECONDS_MAX,
        env={},
        check=True,
    )
    found: bool | None = json.loads(done.stdout)
    return found
