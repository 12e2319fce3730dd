"""Who may do what: an operation that a user or a role's session asks for runs only if IAM's policies allow it.

IAM decides; this says where it is asked, and puts a refusal into each service's own words. Root may do all in its own account.
"""

from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import AccessDeniedException
from headrace.operation import Context
from headrace.ports import NotAuthorized
from headrace.wire.identify import Target


class AuthorizationErrorException(AccessDeniedException):
    """SNS's name for a refusal."""


class AccessDenied(AccessDeniedException):
    """The name of those services that spoke the query protocol before they spoke JSON."""

    code = "AccessDenied"


class RefusedInJson(AccessDeniedException):
    """The JSON protocols know the status 400 only."""

    status = 400


def authorise(ctx: Context, target: Target, parameters: Mapping[str, Any]) -> str:
    """Let the request pass, and say in which account it runs; or raise AWS's refusal of it."""
    service = target.service.name
    try:
        return ctx.ports.authority.check(ctx, ctx.principal, service, target.operation.name, parameters)
    except NotAuthorized as refusal:
        raise _in_words_of(service, target.protocol, refusal) from None


def _in_words_of(service: str, protocol: str, refusal: NotAuthorized) -> AccessDeniedException:
    user, action, resource, why = refusal.principal, refusal.action, refusal.resource, refusal.why
    if service in ("ses", "sesv2"):
        text = f"User `{user}' is not authorized to perform `{action}' on resource `{resource}'"
        return AccessDeniedException(text)
    if service == "sqs":
        return AccessDenied(_sentence(user, action.lower(), resource, why.replace(action, action.lower())))
    if service == "sns":
        spelled = action.replace("sns:", "SNS:", 1)
        return AuthorizationErrorException(_sentence(user, spelled, resource, why.replace(action, spelled)))
    if service == "s3":
        return AccessDenied(_sentence(user, action, f'"{resource}"', why))
    return (RefusedInJson if protocol == "json" else AccessDeniedException)(refusal.message)


def _sentence(user: str, action: str, resource: str, why: str) -> str:
    return f"User: {user} is not authorized to perform: {action} on resource: {resource} {why}"
