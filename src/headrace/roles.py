"""Services act with the rights of the roles that users gave them, as on AWS."""

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.ports import Credentials

LEFT_MIN_SECONDS = 60.0
HELD_MAX = 10_000


class RoleRefused(Exception):
    """The role can't be assumed, or does not allow what is to be done."""


class Roles:
    """The roles that one service acts with: `trusted` is its principal, as the roles' trust policies name it."""

    def __init__(self, trusted: str, session: str) -> None:
        self._trusted = trusted
        self._session = session
        self._held: dict[tuple[str, str], Credentials] = {}

    def acting(self, ctx: Context, role_arn: str) -> Context:
        """The context with the rights of a role; RoleRefused. Its credentials are kept for as long as they are good."""
        key = ctx.account, role_arn
        credentials = self._held.get(key)
        if credentials is None or (credentials.expires_at or 0) - ctx.clock.now() < LEFT_MIN_SECONDS:
            try:
                credentials = ctx.ports.authority.assume(ctx, role_arn, self._session, self._trusted)
            except AwsError as error:
                self._held.pop(key, None)
                raise RoleRefused(error.message) from error
            if len(self._held) >= HELD_MAX:
                self._held.clear()
            self._held[key] = credentials
        return ctx.at(principal=credentials.principal)

    def check(self, ctx: Context, role_arn: str, action: str, resource: str) -> Context:
        """As `acting`, and RoleRefused unless the role allows the action on the resource."""
        acted = self.acting(ctx, role_arn)
        if ctx.ports.authority.allows(acted, acted.principal, action, resource):
            return acted
        # The role may have been removed and made again since its credentials were given out.
        self._held.pop((ctx.account, role_arn), None)
        acted = self.acting(ctx, role_arn)
        if ctx.ports.authority.allows(acted, acted.principal, action, resource):
            return acted
        raise RoleRefused(f"{role_arn} is not authorized to perform {action} on {resource}")

    def can_be_assumed(self, ctx: Context, role_arn: str) -> bool:
        """Whether the role is there and trusts the service."""
        try:
            ctx.ports.authority.assume(ctx, role_arn, self._session, self._trusted)
        except AwsError:
            return False
        return True
