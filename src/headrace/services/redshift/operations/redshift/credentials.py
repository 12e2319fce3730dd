"""Temporary passwords for IAM principals."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.redshift import errors, limits, state
from headrace.services.redshift.engine.passwords import md5_hash

Structure = dict[str, Any]


def _give(ctx: Context, identifier: str | None, user: str, seconds: int | None) -> Structure:
    if not identifier:
        raise errors.InvalidParameterValue("ClusterIdentifier is required: custom domain names are not supported.")
    seconds = limits.CREDENTIALS_DEFAULT_SECONDS if seconds is None else seconds
    if not limits.CREDENTIALS_MIN_SECONDS <= seconds <= limits.CREDENTIALS_MAX_SECONDS:
        raise errors.InvalidParameterValue(
            f"DurationSeconds must be between {limits.CREDENTIALS_MIN_SECONDS} and {limits.CREDENTIALS_MAX_SECONDS}."
        )
    cluster = state.find(ctx.tx, ctx.account, ctx.region, identifier)
    now = ctx.clock.now()
    for key, row in list(state.TEMPORARY.scan(ctx.tx, ctx.account, ctx.region, cluster.identifier, user)):
        if row.expires_at <= now:
            state.TEMPORARY.delete(ctx.tx, *key)
    password = ctx.ids.token(24)
    row = state.Temporary(md5_hash(user, password), now + seconds)
    state.TEMPORARY.put(ctx.tx, row, ctx.account, ctx.region, cluster.identifier, user, ctx.ids.hex(8))
    return {"DbUser": user, "DbPassword": password, "Expiration": row.expires_at}


@operation(accepts=("db_name", "db_groups"))
def get_cluster_credentials(
    ctx: Context,
    *,
    db_user: str,
    cluster_identifier: str | None = None,
    duration_seconds: int | None = None,
    auto_create: bool | None = None,
) -> Structure:
    """A temporary password for a database user, named IAM:user (IAMA:user with AutoCreate).

    Differs from AWS: every user of a cluster may do everything in it, so groups have no effect, and a user that does not exist
    comes in without being created.
    """
    return _give(ctx, cluster_identifier, f"{'IAMA' if auto_create else 'IAM'}:{db_user}", duration_seconds)


@operation(accepts=("db_name",))
def get_cluster_credentials_with_iam(
    ctx: Context, *, cluster_identifier: str | None = None, duration_seconds: int | None = None
) -> Structure:
    """A temporary password for the calling IAM principal: IAM:user, or IAMR:role."""
    resource = ctx.principal.arn.rsplit(":", 1)[-1]
    parts = resource.split("/")
    user = f"IAMR:{parts[1]}" if parts[0] == "assumed-role" else f"IAM:{parts[-1]}"
    given = _give(ctx, cluster_identifier, user, duration_seconds)
    return {**given, "NextRefreshTime": given["Expiration"] - 60}
