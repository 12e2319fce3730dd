"""Deliveries act with the rights of the role that the user gave them, as on AWS."""

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.ports import Credentials
from headrace.services.firehose import limits

_TRUSTED = "firehose.amazonaws.com"
_SESSION = "firehose"

_held: dict[tuple[str, str], Credentials] = {}


class RoleRefused(Exception):
    """The role can't be assumed, or does not allow what is to be done."""


def acting(ctx: Context, role_arn: str) -> Context:
    """The context with the rights of a role; RoleRefused. Its credentials are kept for as long as they are good."""
    key = ctx.account, role_arn
    credentials = _held.get(key)
    if credentials is None or (credentials.expires_at or 0) - ctx.clock.now() < limits.ROLE_LEFT_MIN_SECONDS:
        try:
            credentials = ctx.ports.authority.assume(ctx, role_arn, _SESSION, _TRUSTED)
        except AwsError as error:
            _held.pop(key, None)
            raise RoleRefused(error.message) from error
        if len(_held) >= limits.ROLES_HELD_MAX:
            _held.clear()
        _held[key] = credentials
    return ctx.at(principal=credentials.principal)


def check(ctx: Context, role_arn: str, action: str, resource: str) -> Context:
    """As `acting`, and RoleRefused unless the role allows the action on the resource."""
    acted = acting(ctx, role_arn)
    if ctx.ports.authority.allows(acted, acted.principal, action, resource):
        return acted
    # The role may have been removed and made again since its credentials were given out.
    _held.pop((ctx.account, role_arn), None)
    acted = acting(ctx, role_arn)
    if ctx.ports.authority.allows(acted, acted.principal, action, resource):
        return acted
    raise RoleRefused(f"{role_arn} is not authorized to perform {action} on {resource}")


def can_be_assumed(ctx: Context, role_arn: str) -> bool:
    """Whether the role is there and trusts Firehose."""
    try:
        ctx.ports.authority.assume(ctx, role_arn, _SESSION, _TRUSTED)
    except AwsError:
        return False
    return True
