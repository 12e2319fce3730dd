"""Users."""

from typing import Any

from headrace.kit.errors import ValidationError
from headrace.layers import tags
from headrace.operation import Context, operation
from headrace.services.iam import errors, limits, rules, state

Structure = dict[str, Any]


@operation
def create_user(
    ctx: Context, *, user_name: str, path: str = "/", permissions_boundary: str | None = None,
    tags: list[dict[str, str]] | None = None,
) -> Structure:  # fmt: skip
    """Create a user, who may do nothing until a policy says so."""
    if state.USERS.get(ctx.tx, ctx.account, user_name) is not None:
        raise errors.EntityAlreadyExistsException(f"User with name {user_name} already exists.")
    if permissions_boundary is not None:
        state.policy(ctx, permissions_boundary)
    state.check_room(ctx, state.USERS, "UsersPerAccount")
    user = state.User(
        name=user_name,
        path=path,
        user_id=rules.identifier(ctx.ids, "user"),
        arn=rules.entity_arn(ctx.account, "user", path, user_name),
        created_at=float(int(ctx.clock.now())),
        boundary=permissions_boundary,
    )
    state.put_user(ctx, user)
    state.add_tags(ctx, user.arn, tags)
    return {"User": show(ctx, user)}


@operation(read_only=True)
def get_user(ctx: Context, *, user_name: str | None = None) -> Structure:
    """Describe a user; without a name, the caller."""
    if user_name is None and ctx.principal.is_root:
        return {
            "User": {
                "Path": "/",
                "UserName": "root",
                "UserId": ctx.account,
                "Arn": ctx.principal.arn,
                "CreateDate": 0.0,
            }
        }
    return {"User": show(ctx, state.user(ctx, user_name or own_name(ctx)))}


@operation(read_only=True)
def list_users(ctx: Context, *, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None) -> Structure:
    """List the account's users below a path."""
    after = rules.read_marker(marker)
    limit = max_items or limits.PAGE_ITEMS_DEFAULT
    found: list[state.User] = []
    start = None if after is None else (ctx.account, after)
    for _, user in state.USERS.scan(ctx.tx, ctx.account, after=start):
        if user.path.startswith(path_prefix):
            found.append(user)
            if len(found) > limit:
                break
    shown, more = rules.page([user.name for user in found], max_items)
    return {"Users": [show(ctx, user) for user in found[: len(shown)]], **more}


@operation
def delete_user(ctx: Context, *, user_name: str) -> None:
    """Delete a user who has no access keys and no policies any more."""
    user = state.user(ctx, user_name)
    if state.keys_of(ctx, user_name):
        raise errors.DeleteConflictException("Cannot delete entity, must delete access keys first.")
    state.drop_entity(ctx, "user", user)


@operation
def put_user_permissions_boundary(ctx: Context, *, user_name: str, permissions_boundary: str) -> None:
    """Let a managed policy bound what a user may do at most."""
    user = state.user(ctx, user_name)
    user.boundary = state.policy(ctx, permissions_boundary).arn
    state.put_user(ctx, user)


@operation
def delete_user_permissions_boundary(ctx: Context, *, user_name: str) -> None:
    """Take a user's boundary away."""
    user = state.user(ctx, user_name)
    user.boundary = None
    state.put_user(ctx, user)


@operation
def tag_user(ctx: Context, *, user_name: str, tags: list[dict[str, str]]) -> None:
    """Add tags to a user."""
    state.add_tags(ctx, state.user(ctx, user_name).arn, tags)


@operation
def untag_user(ctx: Context, *, user_name: str, tag_keys: list[str]) -> None:
    """Take tags from a user."""
    tags.remove(ctx.tx, state.user(ctx, user_name).arn, tag_keys)


@operation(read_only=True)
def list_user_tags(ctx: Context, *, user_name: str, marker: str | None = None, max_items: int | None = None) -> Structure:
    """List a user's tags, all of them at once: there are 50 at most."""
    return {"Tags": tags.to_list(tags.get(ctx.tx, state.user(ctx, user_name).arn)), "IsTruncated": False}


def own_name(ctx: Context) -> str:
    """The caller's user name, where an operation is about oneself."""
    identity = rules.identify(ctx.principal.arn)
    if identity.kind != "user":
        raise ValidationError("Must specify userName when calling with non-User credentials")
    return identity.name


def show(ctx: Context, user: state.User) -> Structure:
    """A user as IAM answers with it."""
    answer: Structure = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.user_id,
        "Arn": user.arn,
        "CreateDate": user.created_at,
    }
    if user.boundary is not None:
        answer["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": user.boundary}
    pairs = tags.to_list(tags.get(ctx.tx, user.arn))
    if pairs:
        answer["Tags"] = pairs
    return answer
