"""Policies of roles and users: managed ones attached to them, and inline ones that are theirs alone."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.iam import errors, limits, rules, state

Structure = dict[str, Any]


@operation
def attach_role_policy(ctx: Context, *, role_name: str, policy_arn: str) -> None:
    """Attach a managed policy to a role; once is enough."""
    _attach(ctx, "role", role_name, policy_arn)


@operation
def detach_role_policy(ctx: Context, *, role_name: str, policy_arn: str) -> None:
    """Take a managed policy from a role."""
    _detach(ctx, "role", role_name, policy_arn)


@operation(read_only=True)
def list_attached_role_policies(
    ctx: Context, *, role_name: str, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None
) -> Structure:
    """List the managed policies of a role; there are ten at most."""
    return _list_attached(ctx, "role", role_name, path_prefix)


@operation
def attach_user_policy(ctx: Context, *, user_name: str, policy_arn: str) -> None:
    """Attach a managed policy to a user; once is enough."""
    _attach(ctx, "user", user_name, policy_arn)


@operation
def detach_user_policy(ctx: Context, *, user_name: str, policy_arn: str) -> None:
    """Take a managed policy from a user."""
    _detach(ctx, "user", user_name, policy_arn)


@operation(read_only=True)
def list_attached_user_policies(
    ctx: Context, *, user_name: str, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None
) -> Structure:
    """List the managed policies of a user; there are ten at most."""
    return _list_attached(ctx, "user", user_name, path_prefix)


@operation(read_only=True)
def list_entities_for_policy(
    ctx: Context, *, policy_arn: str, entity_filter: str | None = None, marker: str | None = None,
    max_items: int | None = None,
) -> Structure:  # fmt: skip
    """List the roles and users that a managed policy is attached to.

    Differs from AWS: all at once, up to the quota of entities; there are no groups.
    """
    state.policy(ctx, policy_arn)
    roles, users = [], []
    found = state.ATTACHED.scan(ctx.tx, policy_arn, ctx.account, limit=limits.ENTITIES_PER_ACCOUNT_MAX)
    for (_, _, kind, name), _ in found:
        if kind == "role" and entity_filter in (None, "Role"):
            roles.append({"RoleName": name, "RoleId": state.role(ctx, str(name)).role_id})
        elif kind == "user" and entity_filter in (None, "User"):
            users.append({"UserName": name, "UserId": state.user(ctx, str(name)).user_id})
    return {"PolicyRoles": roles, "PolicyUsers": users, "PolicyGroups": [], "IsTruncated": False}


@operation
def put_role_policy(ctx: Context, *, role_name: str, policy_name: str, policy_document: str) -> None:
    """Write an inline policy of a role."""
    _put(ctx, "role", role_name, policy_name, policy_document)


@operation(read_only=True)
def get_role_policy(ctx: Context, *, role_name: str, policy_name: str) -> Structure:
    """Show an inline policy of a role."""
    return {"RoleName": role_name, **_get(ctx, "role", role_name, policy_name)}


@operation
def delete_role_policy(ctx: Context, *, role_name: str, policy_name: str) -> None:
    """Delete an inline policy of a role."""
    _delete(ctx, "role", role_name, policy_name)


@operation(read_only=True)
def list_role_policies(ctx: Context, *, role_name: str, marker: str | None = None, max_items: int | None = None) -> Structure:
    """List the names of a role's inline policies."""
    return _list(ctx, "role", role_name, marker, max_items)


@operation
def put_user_policy(ctx: Context, *, user_name: str, policy_name: str, policy_document: str) -> None:
    """Write an inline policy of a user."""
    _put(ctx, "user", user_name, policy_name, policy_document)


@operation(read_only=True)
def get_user_policy(ctx: Context, *, user_name: str, policy_name: str) -> Structure:
    """Show an inline policy of a user."""
    return {"UserName": user_name, **_get(ctx, "user", user_name, policy_name)}


@operation
def delete_user_policy(ctx: Context, *, user_name: str, policy_name: str) -> None:
    """Delete an inline policy of a user."""
    _delete(ctx, "user", user_name, policy_name)


@operation(read_only=True)
def list_user_policies(ctx: Context, *, user_name: str, marker: str | None = None, max_items: int | None = None) -> Structure:
    """List the names of a user's inline policies."""
    return _list(ctx, "user", user_name, marker, max_items)


def _attach(ctx: Context, kind: str, name: str, arn: str) -> None:
    state.entity(ctx, kind, name)
    if state.find_policy(ctx.tx, arn) is None:
        raise errors.NoSuchEntityException(f"Policy {arn} does not exist or is not attachable.")
    there = state.attached(ctx.tx, ctx.account, kind, name)
    if arn in there:
        return
    if len(there) >= limits.ATTACHED_POLICIES_MAX:
        raise errors.quota(f"PoliciesPer{kind.capitalize()}", limits.ATTACHED_POLICIES_MAX)
    now = ctx.clock.now()
    state.ATTACH.put(ctx.tx, now, ctx.account, kind, name, arn)
    state.ATTACHED.put(ctx.tx, now, arn, ctx.account, kind, name)
    state.changed(ctx)


def _detach(ctx: Context, kind: str, name: str, arn: str) -> None:
    state.entity(ctx, kind, name)
    if state.ATTACH.get(ctx.tx, ctx.account, kind, name, arn) is None:
        raise errors.no_policy(arn)
    state.ATTACH.delete(ctx.tx, ctx.account, kind, name, arn)
    state.ATTACHED.delete(ctx.tx, arn, ctx.account, kind, name)
    state.changed(ctx)


def _list_attached(ctx: Context, kind: str, name: str, path_prefix: str) -> Structure:
    state.entity(ctx, kind, name)
    found = (state.find_policy(ctx.tx, arn) for arn in state.attached(ctx.tx, ctx.account, kind, name))
    return {
        "AttachedPolicies": [
            {"PolicyName": policy.name, "PolicyArn": policy.arn}
            for policy in found
            if policy is not None and policy.path.startswith(path_prefix)
        ],
        "IsTruncated": False,
    }


def _put(ctx: Context, kind: str, name: str, policy_name: str, document: str) -> None:
    state.entity(ctx, kind, name)
    rules.check_document(document)
    others = state.inline(ctx.tx, ctx.account, kind, name)
    most = limits.ROLE_INLINE_POLICIES_CHARACTERS_MAX if kind == "role" else limits.USER_INLINE_POLICIES_CHARACTERS_MAX
    if sum(map(rules.size, {**others, policy_name: document}.values())) > most:
        raise errors.LimitExceededException(f"Maximum policy size of {most} bytes exceeded for {kind} {name}")
    state.INLINE.put(ctx.tx, document, ctx.account, kind, name, policy_name)
    state.changed(ctx)


def _get(ctx: Context, kind: str, name: str, policy_name: str) -> Structure:
    state.entity(ctx, kind, name)
    document = state.INLINE.get(ctx.tx, ctx.account, kind, name, policy_name)
    if document is None:
        raise errors.missing(f"{kind} policy", policy_name)
    return {"PolicyName": policy_name, "PolicyDocument": rules.on_wire(document)}


def _delete(ctx: Context, kind: str, name: str, policy_name: str) -> None:
    _get(ctx, kind, name, policy_name)
    state.INLINE.delete(ctx.tx, ctx.account, kind, name, policy_name)
    state.changed(ctx)


def _list(ctx: Context, kind: str, name: str, marker: str | None, max_items: int | None) -> Structure:
    state.entity(ctx, kind, name)
    after = rules.read_marker(marker)
    names = [one for one in state.inline(ctx.tx, ctx.account, kind, name) if after is None or one > after]
    shown, more = rules.page(names, max_items)
    return {"PolicyNames": shown, **more}
