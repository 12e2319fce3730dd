"""Policy documents: from JSON text to statements that can be evaluated, with AWS's own complaints."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from re import compile as regex
from typing import Any, Literal, TypeAlias

import msgspec

from headrace.services.iam.engine import conditions

Kind: TypeAlias = Literal["identity", "trust", "session", "resource"]

VERSIONS = ("2012-10-17", "2008-10-17")
_STATEMENT_MEMBERS = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip
_PRINCIPAL_KINDS = {"AWS", "Service", "Federated", "CanonicalUser"}
_ACTION = regex(r"^[A-Za-z0-9-]+:[A-Za-z0-9*?]+$")
_SID = regex(r"^[A-Za-z0-9]*$")
_SYNTAX = "Syntax errors in policy."


class MalformedDocument(ValueError):
    """What is wrong with a policy document, in AWS's words."""


class Condition(msgspec.Struct, frozen=True):
    """One line of a Condition block."""

    operator: str
    key: str
    values: tuple[str, ...]


class Statement(msgspec.Struct, frozen=True):
    """One statement; a missing list is None, so that Action and NotAction are told apart."""

    sid: str
    allows: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: tuple[tuple[str, str], ...] | None  # (kind, value); ("AWS", "*") is everybody
    not_principals: tuple[tuple[str, str], ...] | None
    conditions: tuple[Condition, ...]


class Policy(msgspec.Struct, frozen=True):
    """The statements of one document."""

    version: str
    statements: tuple[Statement, ...]


@lru_cache(maxsize=512)
def parse(text: str, kind: Kind = "identity") -> Policy:
    """A policy document read and checked: "identity" for users and roles, "trust" for who may assume a role,
    "resource" for those of streams, tables, functions, queues, topics and buckets."""
    try:
        document = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise MalformedDocument("This policy contains invalid Json") from error
    if not isinstance(document, dict) or not set(document) <= {"Version", "Id", "Statement"}:
        raise MalformedDocument(_SYNTAX)
    version = document.get("Version", "2008-10-17")
    if version not in VERSIONS:
        raise MalformedDocument(_SYNTAX)
    given = document.get("Statement")
    listed: list[Any] = given if isinstance(given, list) else [given]
    if not listed or not all(isinstance(item, dict) for item in listed):
        raise MalformedDocument(_SYNTAX)
    statements = tuple(_statement(item, kind) for item in listed)
    sids = [statement.sid for statement in statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise MalformedDocument("Statement IDs (SID) in a single policy must be unique.")
    return Policy(version, statements)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member stands twice")
    return dict(pairs)


def _statement(item: Mapping[str, Any], kind: Kind) -> Statement:
    if not set(item) <= _STATEMENT_MEMBERS or item.get("Effect") not in ("Allow", "Deny"):
        raise MalformedDocument(_SYNTAX)
    for name in ("Action", "Resource", "Principal"):
        if name in item and "Not" + name in item:
            raise MalformedDocument(_SYNTAX)
    sid = item.get("Sid", "")
    if not isinstance(sid, str):
        raise MalformedDocument(_SYNTAX)
    if not _SID.match(sid) and kind not in ("trust", "resource"):
        raise MalformedDocument("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the "
                                "regular expression [0-9A-Za-z]*")  # fmt: skip
    statement = Statement(
        sid=sid,
        allows=item["Effect"] == "Allow",
        actions=_strings(item, "Action"),
        not_actions=_strings(item, "NotAction"),
        resources=_strings(item, "Resource"),
        not_resources=_strings(item, "NotResource"),
        principals=_principals(item, "Principal"),
        not_principals=_principals(item, "NotPrincipal"),
        conditions=tuple(_conditions(item.get("Condition"))),
    )
    _check_actions(statement)
    if kind == "trust":
        _check_trust(statement)
    elif kind == "resource":
        _check_resource(statement)
    else:
        _check_identity(statement)
    return statement


def _strings(item: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    if name not in item:
        return None
    value = item[name]
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
        raise MalformedDocument(_SYNTAX)
    return tuple(listed)


def _principals(item: Mapping[str, Any], name: str) -> tuple[tuple[str, str], ...] | None:
    if name not in item:
        return None
    value = item[name]
    if value == "*":
        return (("AWS", "*"),)
    if not isinstance(value, dict) or not value or not set(value) <= _PRINCIPAL_KINDS:
        raise MalformedDocument(_SYNTAX)
    return tuple((kind, entry) for kind in value for entry in _strings(value, kind) or ())


def _conditions(block: object) -> Iterator[Condition]:
    if block is None:
        return
    if not isinstance(block, dict):
        raise MalformedDocument(_SYNTAX)
    for operator, lines in block.items():
        if not conditions.known(operator):
            raise MalformedDocument(f"Invalid Condition type : {operator}.")
        if not isinstance(lines, dict):
            raise MalformedDocument(_SYNTAX)
        for key, value in lines.items():
            yield Condition(operator, key, tuple(_condition_values(value)))


def _condition_values(value: object) -> Iterator[str]:
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, bool):
            yield "true" if entry else "false"
        elif isinstance(entry, str | int | float):
            yield str(entry)
        else:
            raise MalformedDocument(_SYNTAX)


def _check_actions(statement: Statement) -> None:
    listed = statement.actions if statement.actions is not None else statement.not_actions
    if not listed:
        raise MalformedDocument("Policy statement must contain actions.")
    for action in listed:
        if action == "*":
            continue
        if ":" not in action:
            raise MalformedDocument("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        if not _ACTION.match(action):
            vendor = action.split(":", 1)[0]
            problem = f"Vendor {vendor} is not valid" if not vendor.isalnum() else _SYNTAX
            raise MalformedDocument(problem)


def _check_identity(statement: Statement) -> None:
    if statement.principals is not None or statement.not_principals is not None:
        raise MalformedDocument("Policy document should not specify a principal.")
    listed = statement.resources if statement.resources is not None else statement.not_resources
    if not listed:
        raise MalformedDocument("Policy statement must contain resources.")
    for resource in listed:
        if resource != "*" and (not resource.startswith(("arn:", "*", "${")) or len(resource.split(":", 5)) < 6):
            raise MalformedDocument(f'Resource {resource} must be in ARN format or "*".')


def _check_resource(statement: Statement) -> None:
    if not statement.principals and not statement.not_principals:
        raise MalformedDocument("Missing required field Principal")
    for kind, value in (*(statement.principals or ()), *(statement.not_principals or ())):
        if kind == "AWS" and value != "*" and not (value.isdigit() and len(value) == 12) and not value.startswith("arn:"):
            raise MalformedDocument(f'Invalid principal in policy: "AWS":"{value}"')


def _check_trust(statement: Statement) -> None:
    if statement.resources is not None or statement.not_resources is not None:
        raise MalformedDocument("Has prohibited field Resource.")
    if not statement.principals and not statement.not_principals:
        raise MalformedDocument("Missing required field Principal.")
    for action in statement.actions or ():
        if action != "*" and action.split(":", 1)[0].lower() != "sts":
            raise MalformedDocument("AssumeRole policy may only specify STS AssumeRole actions.")
    for kind, value in statement.principals or ():
        if kind == "AWS" and value != "*" and not value.isdigit() and not value.startswith("arn:"):
            raise MalformedDocument(f'Invalid principal in policy: "AWS":"{value}"')
