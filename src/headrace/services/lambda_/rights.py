"""What Lambda does for a function, it does with the rights of the function's execution role, as on AWS."""

from collections.abc import Iterable

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.ports import Unwired
from headrace.roles import Roles
from headrace.services.lambda_.errors import InvalidParameterValueException
from headrace.services.lambda_.invocations import PRINCIPAL

_SESSION = "lambda"
_ROLES = Roles(PRINCIPAL, _SESSION)

Need = tuple[str, str]
"""(action, resource)"""


def lacking(ctx: Context, role: str, needs: Iterable[Need]) -> Need | None:
    """What a role that is named in a request lacks. InvalidParameterValueException where Lambda can't take it on."""
    if isinstance(ctx.ports.authority, Unwired):
        return None
    try:
        # The running transaction may come to nothing: these credentials are not kept.
        principal = ctx.ports.authority.assume(ctx, role, _SESSION, PRINCIPAL).principal
    except AwsError:
        raise InvalidParameterValueException("The role defined for the function cannot be assumed by Lambda.") from None
    return next((need for need in needs if not ctx.ports.authority.allows(ctx, principal, *need)), None)


def acting(ctx: Context, role: str, action: str, resource: str) -> Context:
    """The context with the role's rights. RoleRefused when it may not do this (now)."""
    return ctx if isinstance(ctx.ports.authority, Unwired) else _ROLES.check(ctx, role, action, resource)
