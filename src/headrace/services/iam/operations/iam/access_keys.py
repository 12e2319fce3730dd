"""Access keys of users."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.iam import errors, limits, rules, state
from headrace.services.iam.operations.iam.users import own_name

Structure = dict[str, Any]


@operation
def create_access_key(ctx: Context, *, user_name: str | None = None) -> Structure:
    """Make an access key for a user; its secret is shown this once.

    Differs from AWS: root gets no further keys; its only ones are those of the settings.
    """
    user = state.user(ctx, user_name or own_name(ctx))
    if len(state.keys_of(ctx, user.name)) >= limits.ACCESS_KEYS_PER_USER_MAX:
        raise errors.quota("AccessKeysPerUser", limits.ACCESS_KEYS_PER_USER_MAX)
    key = state.AccessKey(
        access_key_id=rules.identifier(ctx.ids, "key"),
        secret=rules.secret(ctx.ids),
        account=ctx.account,
        user=user.name,
        active=True,
        created_at=float(int(ctx.clock.now())),
    )
    state.KEYS.put(ctx.tx, key, key.access_key_id)
    state.USER_KEYS.put(ctx.tx, key.created_at, ctx.account, user.name, key.access_key_id)
    state.changed(ctx)
    return {"AccessKey": {**_show(key), "SecretAccessKey": key.secret}}


@operation(read_only=True)
def list_access_keys(
    ctx: Context, *, user_name: str | None = None, marker: str | None = None, max_items: int | None = None
) -> Structure:
    """List a user's access keys, without their secrets; there are two at most."""
    user = state.user(ctx, user_name or own_name(ctx))
    return {"AccessKeyMetadata": [_show(key) for key in state.keys_of(ctx, user.name)], "IsTruncated": False}


@operation
def update_access_key(ctx: Context, *, access_key_id: str, status: str, user_name: str | None = None) -> None:
    """Switch a key on or off; an inactive key signs nothing any more, at once."""
    key = _find(ctx, access_key_id, user_name)
    key.active = status == "Active"
    state.KEYS.put(ctx.tx, key, access_key_id)
    state.changed(ctx)


@operation
def delete_access_key(ctx: Context, *, access_key_id: str, user_name: str | None = None) -> None:
    """Delete a key, which then signs nothing any more."""
    key = _find(ctx, access_key_id, user_name)
    state.KEYS.delete(ctx.tx, access_key_id)
    state.USER_KEYS.delete(ctx.tx, key.account, key.user, access_key_id)
    state.changed(ctx)


def _find(ctx: Context, access_key_id: str, user_name: str | None) -> state.AccessKey:
    user = state.user(ctx, user_name or own_name(ctx))
    key = state.KEYS.get(ctx.tx, access_key_id)
    if key is None or (key.account, key.user) != (ctx.account, user.name):
        raise errors.NoSuchEntityException(f"The Access Key with id {access_key_id} cannot be found.")
    return key


def _show(key: state.AccessKey) -> Structure:
    return {
        "UserName": key.user,
        "AccessKeyId": key.access_key_id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": key.created_at,
    }
