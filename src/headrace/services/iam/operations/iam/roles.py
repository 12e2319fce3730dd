"""Roles."""

from typing import Any

from headrace.layers import tags
from headrace.operation import Context, operation
from headrace.services.iam import errors, limits, rules, state

Structure = dict[str, Any]


@operation
def create_role(
    ctx: Context, *, role_name: str, assume_role_policy_document: str, path: str = "/", description: str | None = None,
    max_session_duration: int = limits.SESSION_SECONDS_DEFAULT, permissions_boundary: str | None = None,
    tags: list[dict[str, str]] | None = None,
) -> Structure:  # fmt: skip
    """Create a role that those named in its trust policy may assume.

    Differs from AWS: names are case-sensitive also when they are compared.
    """
    if state.ROLES.get(ctx.tx, ctx.account, role_name) is not None:
        raise errors.EntityAlreadyExistsException(f"Role with name {role_name} already exists.")
    _check_trust(assume_role_policy_document)
    if permissions_boundary is not None:
        state.policy(ctx, permissions_boundary)
    state.check_room(ctx, state.ROLES, "RolesPerAccount")
    role = state.Role(
        name=role_name,
        path=path,
        role_id=rules.identifier(ctx.ids, "role"),
        arn=rules.entity_arn(ctx.account, "role", path, role_name),
        created_at=float(int(ctx.clock.now())),
        trust=assume_role_policy_document,
        description=description,
        session_seconds_max=max_session_duration,
        boundary=permissions_boundary,
    )
    state.put_role(ctx, role)
    state.add_tags(ctx, role.arn, tags)
    return {"Role": show(ctx, role, full=True)}


@operation(read_only=True)
def get_role(ctx: Context, *, role_name: str) -> Structure:
    """Describe a role with its trust policy.

    Differs from AWS: RoleLastUsed is always empty.
    """
    return {"Role": show(ctx, state.role(ctx, role_name), full=True)}


@operation(read_only=True)
def list_roles(ctx: Context, *, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None) -> Structure:
    """List the account's roles below a path."""
    after = rules.read_marker(marker)
    limit = max_items or limits.PAGE_ITEMS_DEFAULT
    found: list[state.Role] = []
    start = None if after is None else (ctx.account, after)
    for _, role in state.ROLES.scan(ctx.tx, ctx.account, after=start):
        if role.path.startswith(path_prefix):
            found.append(role)
            if len(found) > limit:
                break
    shown, more = rules.page([role.name for role in found], max_items)
    return {"Roles": [show(ctx, role, full=False) for role in found[: len(shown)]], **more}


@operation
def delete_role(ctx: Context, *, role_name: str) -> None:
    """Delete a role that has no policies any more. Sessions of it lose their permissions at once."""
    state.drop_entity(ctx, "role", state.role(ctx, role_name))


@operation
def update_role(
    ctx: Context, *, role_name: str, description: str | None = None, max_session_duration: int | None = None
) -> Structure:
    """Change a role's description or how long its sessions may last."""
    role = state.role(ctx, role_name)
    if description is not None:
        role.description = description
    if max_session_duration is not None:
        role.session_seconds_max = max_session_duration
    state.put_role(ctx, role)
    return {}


@operation
def update_role_description(ctx: Context, *, role_name: str, description: str) -> Structure:
    """Change a role's description."""
    role = state.role(ctx, role_name)
    role.description = description
    state.put_role(ctx, role)
    return {"Role": show(ctx, role, full=True)}


@operation
def update_assume_role_policy(ctx: Context, *, role_name: str, policy_document: str) -> None:
    """Replace a role's trust policy."""
    role = state.role(ctx, role_name)
    _check_trust(policy_document)
    role.trust = policy_document
    state.put_role(ctx, role)


@operation
def put_role_permissions_boundary(ctx: Context, *, role_name: str, permissions_boundary: str) -> None:
    """Let a managed policy bound what a role may do at most."""
    role = state.role(ctx, role_name)
    role.boundary = state.policy(ctx, permissions_boundary).arn
    state.put_role(ctx, role)


@operation
def delete_role_permissions_boundary(ctx: Context, *, role_name: str) -> None:
    """Take a role's boundary away."""
    role = state.role(ctx, role_name)
    role.boundary = None
    state.put_role(ctx, role)


@operation
def tag_role(ctx: Context, *, role_name: str, tags: list[dict[str, str]]) -> None:
    """Add tags to a role."""
    state.add_tags(ctx, state.role(ctx, role_name).arn, tags)


@operation
def untag_role(ctx: Context, *, role_name: str, tag_keys: list[str]) -> None:
    """Take tags from a role."""
    tags.remove(ctx.tx, state.role(ctx, role_name).arn, tag_keys)


@operation(read_only=True)
def list_role_tags(ctx: Context, *, role_name: str, marker: str | None = None, max_items: int | None = None) -> Structure:
    """List a role's tags, all of them at once: there are 50 at most."""
    return {"Tags": tags.to_list(tags.get(ctx.tx, state.role(ctx, role_name).arn)), "IsTruncated": False}


@operation(read_only=True)
def list_instance_profiles_for_role(
    ctx: Context, *, role_name: str, marker: str | None = None, max_items: int | None = None
) -> Structure:
    """List a role's instance profiles: there are none here, because there are no instances."""
    state.role(ctx, role_name)
    return {"InstanceProfiles": [], "IsTruncated": False}


def show(ctx: Context, role: state.Role, *, full: bool) -> Structure:
    """A role as IAM answers with it."""
    answer: Structure = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.role_id,
        "Arn": role.arn,
        "CreateDate": role.created_at,
        "AssumeRolePolicyDocument": rules.on_wire(role.trust),
        "MaxSessionDuration": role.session_seconds_max,
    }
    if role.description is not None:
        answer["Description"] = role.description
    if full:
        if role.boundary is not None:
            answer["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": role.boundary}
        pairs = tags.to_list(tags.get(ctx.tx, role.arn))
        if pairs:
            answer["Tags"] = pairs
        answer["RoleLastUsed"] = {}
    return answer


def _check_trust(document: str) -> None:
    if rules.size(document) > limits.ROLE_TRUST_POLICY_CHARACTERS_MAX:
        raise errors.quota("ACLSizePerRole", limits.ROLE_TRUST_POLICY_CHARACTERS_MAX)
    rules.check_document(document, "trust")
