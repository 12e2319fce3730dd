"""What is asked about resources: whose they are, and what their own policies and the caller's make of a request together.

AWS's rules: a Deny that fits, in either, ends it. In the account of the resource it is enough that one of them allows (its
policy: the caller itself, or everybody); who comes from another account needs both. Services keep the policies: see
ports.ResourcePolicies.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.ports import Principal, ResourcePolicies, Scope
from headrace.services.iam.engine import documents, sharing
from headrace.services.iam.engine.documents import Policy
from headrace.services.iam.engine.evaluation import Caller, Decision, Reach, RequestContext, reach
from headrace.services.iam.engine.requests import Need, is_account
from headrace.services.iam.permissions import Memory, Permissions, Verdict

log = logging.getLogger(__name__)

RESOURCE_BASED = "resource-based policy"


class Resources:
    """The resources of all services, as requests name them."""

    def __init__(self) -> None:
        self._owners: Memory[str | None] = Memory()
        self._kept: Memory[bool] = Memory()

    def names_others(self, scope: Scope, service: str, operation: str, parameters: Mapping[str, Any], account: str) -> bool:
        """Whether a request that can be shared names a resource of another account."""
        if not sharing.names_others(service, operation, parameters, account):
            return False
        if service != "s3":
            return True
        return self.owner(scope, Need("", (f"arn:aws:s3:::{parameters['Bucket']}",)), account) != account

    def owner(self, scope: Scope, need: Need, account: str) -> str:
        """The account of the resource that a need is about; the caller's, where it is not there."""
        parts = need.resources[0].split(":", 5) if need.resources else ()
        if len(parts) != 6:
            return account
        if is_account(parts[4]):
            return parts[4]
        if parts[4]:
            return account
        port = scope.ports.policies.get(parts[2])
        if port is None:
            return account
        arn = need.resources[0].partition("/")[0]
        return self._owners.get(scope, arn, lambda tx: port.owner(tx, arn)) or account

    def behind(self, scope: Scope, need: Need, parameters: Mapping[str, Any]) -> Need:
        """A need that does not show its resource, with the one that the request's token stands for, if any has a policy."""
        service = need.action.partition(":")[0]
        port = scope.ports.policies.get(service)
        if port is None or not self._kept.get(scope, service, port.any_kept):
            return need
        arn = port.behind(scope, parameters)
        return need if arn is None else need._replace(resources=(arn,))

    def judge(
        self, scope: Scope, principal: Principal, held: Permissions, need: Need, context: RequestContext, owner: str
    ) -> Verdict:
        """The decision over the policies of the principal and of the resource, which belongs to `owner`."""
        own = Verdict(Decision.ALLOWED) if principal.is_root else _own(held, need, context)
        port = scope.ports.policies.get(need.action.partition(":")[0])
        if own.decision is Decision.EXPLICIT_DENY or not need.resources:
            return own._replace(owner=owner)
        caller = Caller(held.arns | {principal.arn}, principal.account, itself=principal.arn)
        reached = [reach(_kept(scope, port, resource), caller, need.action, resource, context) for resource in need.resources]
        said = Reach.DENIED if Reach.DENIED in reached else max(reached)
        if said is Reach.DENIED:
            return Verdict(Decision.EXPLICIT_DENY, RESOURCE_BASED, owner)
        if owner != principal.account:
            if own.decision and said is Reach.SILENT:
                return Verdict(Decision.IMPLICIT_DENY, RESOURCE_BASED, owner)
            return own._replace(owner=owner)
        named = said is Reach.CALLER or (said is Reach.EVERYBODY and held.bounds_allow(need.action, need.resources, context))
        if not own.decision and named and held.groups:
            return Verdict(Decision.ALLOWED, RESOURCE_BASED, owner)
        return own._replace(owner=owner)

    def let_service(self, scope: Scope, service: str, action: str, resource: str, context: RequestContext) -> bool:
        """Whether the policy of a resource lets a service do something: nothing else speaks for one."""
        port = scope.ports.policies.get(action.partition(":")[0])
        return reach(_kept(scope, port, resource), Caller(frozenset(), "", service), action, resource, context) is Reach.CALLER


def _own(held: Permissions, need: Need, context: RequestContext) -> Verdict:
    # Several resources are names of one thing: one must be allowed, and none denied.
    found = [held.judge(need.action, resource, context) for resource in need.resources or (None,)]
    verdict = next((one for one in found if one.decision is Decision.EXPLICIT_DENY), None)
    return verdict or next((one for one in found if one.decision), found[0])


def _kept(scope: Scope, port: ResourcePolicies | None, arn: str) -> Sequence[Policy]:
    found: list[Policy] = []
    if port is None or arn.count(":") < 5:
        # What lists things is asked of "*", which has no policy.
        return found
    for text in scope.snapshot(lambda inner: port.policies(inner.tx, arn)):
        try:
            found.append(documents.parse(text, "resource"))
        except documents.MalformedDocument as error:
            # Kept before documents were checked: it says nothing that could be held.
            log.warning("the policy of %s is not evaluated: %s", arn, error)
    return found
