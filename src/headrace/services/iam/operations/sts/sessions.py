"""Temporary credentials."""

from typing import Any

from headrace.kit.errors import ValidationError
from headrace.layers import tags as tag_lists
from headrace.operation import Context, operation
from headrace.ports import Credentials
from headrace.services.iam import errors, limits, rules, sessions, state

Structure = dict[str, Any]


@operation
def assume_role(
    ctx: Context, *, role_arn: str, role_session_name: str, duration_seconds: int | None = None,
    policy: str | None = None, policy_arns: list[dict[str, str]] | None = None,
    tags: list[dict[str, str]] | None = None, external_id: str | None = None,
) -> Structure:  # fmt: skip
    """Give temporary credentials of a role that trusts the caller.

    Differs from AWS: root may assume roles too; sessions are swept after they expire and bounded in number.
    """
    role = sessions.check_caller(ctx, sessions.role_of(ctx, role_arn), role_arn, external_id)
    seconds = rules.check_duration(
        duration_seconds,
        limits.SESSION_SECONDS_DEFAULT,
        role.session_seconds_max,
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    if rules.identify(ctx.principal.arn).kind == "role" and seconds > limits.CHAINED_SESSION_SECONDS_MAX:
        raise ValidationError("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
    session_tags = tag_lists.from_list(tags)
    rules.check_tags(session_tags, len(tags or ()))
    policies = _session_policies(ctx, policy, policy_arns)
    opened = sessions.open_for_role(ctx, role, role_session_name, seconds, policies=policies, session_tags=session_tags)
    answer: Structure = {
        "Credentials": _show(opened),
        "AssumedRoleUser": {"AssumedRoleId": opened.principal.user_id, "Arn": opened.principal.arn},
    }
    if policies or session_tags:
        answer["PackedPolicySize"] = min(100, 1 + sum(map(rules.size, policies)) * 100 // 4096)
    return answer


@operation
def get_session_token(ctx: Context, *, duration_seconds: int | None = None) -> Structure:
    """Give temporary credentials with the caller's own permissions."""
    identity = rules.identify(ctx.principal.arn)
    if ctx.principal.access_key_id.startswith(rules.PREFIXES["session"]) or identity.kind not in ("root", "user"):
        raise errors.AccessDenied("Cannot call GetSessionToken with session credentials")
    most = limits.ROOT_SESSION_SECONDS_MAX if ctx.principal.is_root else limits.USER_SESSION_SECONDS_MAX
    seconds = min(duration_seconds or limits.USER_SESSION_SECONDS_DEFAULT, most)
    principal = ctx.principal
    opened = sessions.open_session(ctx, principal.account, principal.arn, principal.user_id, seconds)
    return {"Credentials": _show(opened)}


@operation(read_only=True)
def assume_role_with_web_identity(
    ctx: Context, *, role_arn: str, role_session_name: str, web_identity_token: str, provider_id: str | None = None,
    policy_arns: list[dict[str, str]] | None = None, policy: str | None = None, duration_seconds: int | None = None,
) -> Structure:  # fmt: skip
    """Refuse: no identity provider is known here, so no token can be believed."""
    raise errors.AccessDenied("Not authorized to perform sts:AssumeRoleWithWebIdentity: there are no identity providers")


def _session_policies(ctx: Context, policy: str | None, arns: list[dict[str, str]] | None) -> list[str]:
    found: list[str] = []
    if policy is not None:
        rules.check_document(policy)
        found.append(policy)
    if len(arns or ()) > limits.SESSION_POLICIES_MAX:
        raise ValidationError(f"The policy ARNs list is limited to {limits.SESSION_POLICIES_MAX} entries.")
    for item in arns or ():
        managed = state.find_policy(ctx.tx, item["arn"])
        if managed is None:
            raise ValidationError(f"Policy {item['arn']} does not exist or is not attachable.")
        found.append(managed.versions[managed.default][0])
    if policy is not None and rules.size(policy) > limits.SESSION_POLICY_CHARACTERS_MAX:
        raise errors.PackedPolicyTooLargeException("The session policy exceeds 2048 characters.")
    return found


def _show(credentials: Credentials) -> Structure:
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": credentials.expires_at,
    }
