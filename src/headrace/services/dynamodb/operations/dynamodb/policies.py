"""Policies of tables and streams. What they let happen is decided where requests are authorised."""

import json
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC, MalformedPolicy
from headrace.services.dynamodb import errors, limits, state
from headrace.services.dynamodb.state import Policy

_NO_POLICY = "NO_POLICY"


@operation(accepts=("confirm_remove_self_resource_access",))
def put_resource_policy(
    ctx: Context, *, resource_arn: str, policy: str, expected_revision_id: str | None = None
) -> dict[str, Any]:
    """Give a table or a stream a policy. Differs from AWS: it lets in and keeps out callers of the account, and no others."""
    arn = _resource(ctx, resource_arn)
    if len(policy.encode()) > limits.POLICY_SIZE_MAX_BYTES:
        raise errors.LimitExceededException(f"A policy has {limits.POLICY_SIZE_MAX_BYTES} bytes at most")
    try:
        statements = json.loads(policy)["Statement"]
        statements = statements if isinstance(statements, list) else [statements]
        well = bool(statements) and all(
            one["Effect"] in ("Allow", "Deny") and "Principal" in one and "Action" in one for one in statements
        )
    except (ValueError, KeyError, TypeError):
        well = False
    if not well:
        raise ValidationException("Invalid policy document: each statement needs an Effect, a Principal and an Action")
    try:
        ctx.ports.authority.check_policy(policy)
    except MalformedPolicy as error:
        raise ValidationException(f"Invalid policy document: {error}") from None
    kept = state.POLICIES.get(ctx.tx, arn)
    _check_revision(kept, expected_revision_id)
    if kept is not None and kept.text == policy:
        return {"RevisionId": kept.revision}
    made = Policy(policy, str(ctx.clock.now_ms() * 1000 + state.next_number(ctx.tx) % 1000))
    state.POLICIES.put(ctx.tx, made, arn)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
    return {"RevisionId": made.revision}


@operation(read_only=True)
def get_resource_policy(ctx: Context, *, resource_arn: str) -> dict[str, Any]:
    """The policy of a table or a stream."""
    kept = state.POLICIES.get(ctx.tx, _resource(ctx, resource_arn))
    if kept is None:
        raise errors.PolicyNotFoundException(f"Resource-based policy not found for the provided ResourceArn: {resource_arn}")
    return {"Policy": kept.text, "RevisionId": kept.revision}


@operation
def delete_resource_policy(ctx: Context, *, resource_arn: str, expected_revision_id: str | None = None) -> dict[str, Any]:
    """Take a policy away; that there is none is no error."""
    arn = _resource(ctx, resource_arn)
    kept = state.POLICIES.get(ctx.tx, arn)
    _check_revision(kept, expected_revision_id)
    state.POLICIES.delete(ctx.tx, arn)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
    return {} if kept is None else {"RevisionId": kept.revision}


def _resource(ctx: Context, arn: str) -> str:
    if arn.startswith("arn:"):
        if "/stream/" in arn and state.find_stream(ctx, arn) is not None:
            return arn
        if "/" not in arn.partition("table/")[2] and state.find(ctx, arn) is not None:
            return arn
    raise errors.ResourceNotFoundException(f"Requested resource not found: ResourcArn: {arn} not found")


def _check_revision(kept: Policy | None, expected: str | None) -> None:
    if expected is None or (expected == _NO_POLICY and kept is None):
        return
    if kept is None or kept.revision != expected:
        raise errors.PolicyNotFoundException("The policy's revision is not the expected one")
