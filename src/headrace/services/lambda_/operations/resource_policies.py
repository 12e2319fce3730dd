"""Policies of functions as one document: the statements that AddPermission adds one by one."""

import json
from typing import Any

from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC, MalformedPolicy
from headrace.services.lambda_ import naming, state
from headrace.services.lambda_.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceNotFoundException,
)
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import Policy


@operation
def put_resource_policy(ctx: Context, *, resource_arn: str, policy: str, revision_id: str | None = None) -> dict[str, Any]:
    """Replace the policy of a function, version or alias.

    Differs from AWS: services of the server need none to invoke the function; a statement without a Sid gets one, the document's
    Id is `default`; a policy that lets everybody in is not refused.
    """
    name = _named(ctx, resource_arn)
    old = state.POLICIES.get(ctx.tx, *name[:3], name.qualifier or "")
    if revision_id is not None and (old is None or old.revision_id != revision_id):
        raise PreconditionFailedException.revision()
    new = Policy(ctx.ids.uuid(), [{"Sid": ctx.ids.uuid(), **statement} for statement in _statements(policy)])
    _check(ctx, new)
    state.POLICIES.put(ctx.tx, new, *name[:3], name.qualifier or "")
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
    return _shape(new)


@operation(read_only=True)
def get_resource_policy(ctx: Context, *, resource_arn: str) -> dict[str, Any]:
    """The policy of a function, version or alias."""
    return _shape(_find(ctx, _named(ctx, resource_arn)))


@operation
def delete_resource_policy(ctx: Context, *, resource_arn: str, revision_id: str | None = None) -> None:
    """Remove the policy of a function, version or alias."""
    name = _named(ctx, resource_arn)
    if revision_id is not None and _find(ctx, name).revision_id != revision_id:
        raise PreconditionFailedException.revision()
    _find(ctx, name)
    state.POLICIES.delete(ctx.tx, *name[:3], name.qualifier or "")
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


def _check(ctx: Context, policy: Policy) -> None:
    try:
        ctx.ports.authority.check_policy(_shape(policy)["Policy"])
    except MalformedPolicy as error:
        raise InvalidParameterValueException(f"The resource policy can't be evaluated: {error}") from None


def _named(ctx: Context, arn: str) -> FunctionName:
    name = naming.parse(ctx, arn)
    state.resolve(ctx.tx, name)
    return name


def _find(ctx: Context, name: FunctionName) -> Policy:
    found = state.POLICIES.get(ctx.tx, *name[:3], name.qualifier or "")
    if found is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return found


def _statements(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidParameterValueException("The resource policy is not valid JSON.") from None
    statements = document.get("Statement") if isinstance(document, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    needed = {"Effect", "Principal", "Action", "Resource"}
    if not isinstance(statements, list) or not statements:
        raise InvalidParameterValueException("The resource policy has no Statement.")
    if not all(isinstance(one, dict) and needed <= one.keys() for one in statements):
        raise InvalidParameterValueException(f"Each statement of a resource policy needs {', '.join(sorted(needed))}.")
    return statements


def _shape(policy: Policy) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}
    return {"Policy": json.dumps(document, separators=(",", ":")), "RevisionId": policy.revision_id}
