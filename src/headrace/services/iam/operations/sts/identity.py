"""Who is who."""

from typing import Any

from headrace.kit.errors import ValidationError
from headrace.operation import Context, operation
from headrace.services.iam import permissions

Structure = dict[str, Any]


@operation(read_only=True)
def get_caller_identity(ctx: Context) -> Structure:
    """Say who signed the request; everybody may ask."""
    return {"UserId": ctx.principal.user_id, "Account": ctx.principal.account, "Arn": ctx.principal.arn}


@operation(read_only=True)
def get_access_key_info(ctx: Context, *, access_key_id: str) -> Structure:
    """Say to which account a key belongs.

    Differs from AWS: keys that were deleted or never made here are not known.
    """
    root = permissions.root_credentials(ctx, access_key_id)
    found = root or permissions.find_credentials(ctx.tx, access_key_id)
    if found is None:
        raise ValidationError(f"The access key {access_key_id} is not known here.")
    return {"Account": found.principal.account}
