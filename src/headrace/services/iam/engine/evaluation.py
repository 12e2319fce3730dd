"""Deciding: do these policies let this action on this resource happen?

AWS's order: a Deny that fits ends it; else an Allow that fits is needed; else no.
"""

from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum
from typing import TypeAlias

import msgspec

from headrace.services.iam.engine.conditions import holds
from headrace.services.iam.engine.documents import Policy, Statement
from headrace.services.iam.engine.wildcards import matches, substitute

RequestContext: TypeAlias = Mapping[str, tuple[str, ...]]  # keys in lower case, e.g. "aws:sourceip"


class Decision(Enum):
    """What policies say of one request."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"

    def __bool__(self) -> bool:
        return self is Decision.ALLOWED


class Trust(Enum):
    """What a role's trust policy says of a caller."""

    DENIED = "denied"
    ACCOUNT = "account"  # the caller's account is trusted: its own policies must let the caller do it as well
    CALLER = "caller"  # the caller itself is named


class Reach(IntEnum):
    """What the policies of a resource say of a caller, from the least to the most."""

    DENIED = 0
    SILENT = 1
    ACCOUNT = 2  # its account is let in: its own policies must allow it as well
    EVERYBODY = 3  # everybody is, or its role: its own policies need not allow it, but nothing that bounds it may forbid it
    CALLER = 4  # it is named itself


class Caller(msgspec.Struct, frozen=True):
    """Who asks: every ARN that names it (a session has its own and its role's), its account, or a service's name."""

    arns: frozenset[str]
    account: str
    service: str | None = None
    itself: str = ""


def evaluate(policies: Iterable[Policy], action: str, resource: str | None, context: RequestContext | None = None) -> Decision:
    """The decision of identity policies over one action on one resource.

    Without a resource (a request that does not show it) any Allow of the action will do, and a Deny must be for all resources.
    """
    given = context or {}
    verdict = Decision.IMPLICIT_DENY
    for policy in policies:
        for statement in policy.statements:
            if not statement.allows or verdict is Decision.IMPLICIT_DENY:
                if not _covers(statement, action, resource, given):
                    continue
                if not statement.allows:
                    return Decision.EXPLICIT_DENY
                verdict = Decision.ALLOWED
    return verdict


def trust(policy: Policy, caller: Caller, action: str, context: RequestContext | None = None) -> Trust:
    """How far a role's trust policy lets a caller assume it."""
    given = context or {}
    verdict = Trust.DENIED
    for statement in policy.statements:
        if not _action_fits(statement, action) or not _conditions_hold(statement, given):
            continue
        named = _names(statement, caller)
        if named is Trust.DENIED:
            continue
        if not statement.allows:
            return Trust.DENIED
        if verdict is not Trust.CALLER:
            verdict = named
    return verdict


def reach(policies: Iterable[Policy], caller: Caller, action: str, resource: str, context: RequestContext) -> Reach:
    """What the policies of a resource say of a caller and an action: a Deny that fits ends it, else the Allow that says most."""
    found = Reach.SILENT
    for policy in policies:
        for statement in policy.statements:
            if not _covers(statement, action, resource, context):
                continue
            named = _reaches(statement, caller)
            if named is not Reach.SILENT and not statement.allows:
                return Reach.DENIED
            found = max(found, named)
    return found


def _reaches(statement: Statement, caller: Caller) -> Reach:
    if statement.principals is not None:
        return max((_reaches_one(kind, value, caller) for kind, value in statement.principals), default=Reach.SILENT)
    # Whoever is left out of those that a statement is not about must be named: that his account is, does not do.
    excluded = (_reaches_one(kind, value, caller) for kind, value in statement.not_principals or ())
    return Reach.SILENT if any(one > Reach.ACCOUNT for one in excluded) else Reach.EVERYBODY


def _reaches_one(kind: str, value: str, caller: Caller) -> Reach:
    if caller.service is not None:
        named = (kind == "Service" and matches(value, caller.service)) or (kind == "AWS" and value == "*")
        return Reach.CALLER if named else Reach.SILENT
    if kind != "AWS":
        return Reach.SILENT
    if value == caller.itself:
        return Reach.CALLER
    if value == "*" or value in caller.arns:
        return Reach.EVERYBODY
    return Reach.ACCOUNT if value in (caller.account, f"arn:aws:iam::{caller.account}:root") else Reach.SILENT


def _covers(statement: Statement, action: str, resource: str | None, context: RequestContext) -> bool:
    return (
        _action_fits(statement, action) and _resource_fits(statement, resource, context) and _conditions_hold(statement, context)
    )


def _action_fits(statement: Statement, action: str) -> bool:
    wanted = action.lower()
    if statement.actions is not None:
        return any(matches(pattern.lower(), wanted) for pattern in statement.actions)
    return not any(matches(pattern.lower(), wanted) for pattern in statement.not_actions or ())


def _resource_fits(statement: Statement, resource: str | None, context: RequestContext) -> bool:
    if resource is None:
        return statement.allows or statement.resources == ("*",)
    if statement.resources is not None:
        return _any_resource(statement.resources, resource, context)
    if statement.not_resources is not None:
        return not _any_resource(statement.not_resources, resource, context)
    return True


def _any_resource(patterns: tuple[str, ...], resource: str, context: RequestContext) -> bool:
    filled = (substitute(pattern, context) for pattern in patterns)
    return any(pattern is not None and matches(pattern, resource) for pattern in filled)


def _conditions_hold(statement: Statement, context: RequestContext) -> bool:
    return all(holds(line.operator, line.key, line.values, context) for line in statement.conditions)


def _names(statement: Statement, caller: Caller) -> Trust:
    if statement.principals is not None:
        found = [_names_one(kind, value, caller) for kind, value in statement.principals]
        return max(found, key=_STRENGTH.__getitem__, default=Trust.DENIED)
    excluded = (_names_one(kind, value, caller) for kind, value in statement.not_principals or ())
    return Trust.DENIED if any(one is not Trust.DENIED for one in excluded) else Trust.ACCOUNT


_STRENGTH = {Trust.DENIED: 0, Trust.ACCOUNT: 1, Trust.CALLER: 2}


def _names_one(kind: str, value: str, caller: Caller) -> Trust:
    if kind == "Service":
        return Trust.CALLER if caller.service is not None and matches(value, caller.service) else Trust.DENIED
    if kind != "AWS" or caller.service is not None:
        return Trust.DENIED
    if value == "*" or value in (caller.account, f"arn:aws:iam::{caller.account}:root"):
        return Trust.ACCOUNT
    return Trust.CALLER if value in caller.arns else Trust.DENIED
