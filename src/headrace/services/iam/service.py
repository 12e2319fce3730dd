"""IAM's door: its two models, and the authority that the gateway and other services ask."""

from collections.abc import Mapping
from typing import Any

from headrace.operation import Service
from headrace.ports import Credentials, MalformedPolicy, Principal, Scope
from headrace.services.iam import errors, limits, permissions, resources, sessions, state, workers
from headrace.services.iam.engine import documents, sharing
from headrace.services.iam.engine.evaluation import Decision
from headrace.services.iam.engine.requests import Need, Place, needs


class Iam:
    """The port `Authority`. One for a server: it remembers what it read for a moment."""

    def __init__(self) -> None:
        self._credentials: permissions.Memory[Credentials | None] = permissions.Memory()
        self._permissions: permissions.Memory[permissions.Permissions] = permissions.Memory()
        self._resources = resources.Resources()
        self._verdicts: dict[tuple[Principal, str, Need, bool], tuple[permissions.Permissions, permissions.Verdict]] = {}

    def credentials(self, scope: Scope, access_key_id: str) -> Credentials | None:
        """The credentials of an access key id, if it is known, active and not expired."""
        found = permissions.root_credentials(scope, access_key_id) or self._credentials.get(
            scope, access_key_id, lambda tx: permissions.find_credentials(tx, access_key_id)
        )
        if found is not None and found.expires_at is not None and found.expires_at <= scope.clock.now():
            return None
        return found

    def assume(self, scope: Scope, role_arn: str, session_name: str, service: str) -> Credentials:
        """Temporary credentials of a role for a service, for as long as the role's sessions may last."""
        return sessions.assume_for_service(scope, role_arn, session_name, service, limits.SESSION_SECONDS_MAX)

    def allows(
        self, scope: Scope, principal: Principal, action: str, resource: str, about: tuple[tuple[str, str], ...] = ()
    ) -> bool:
        """Whether the principal's policies, and those of the resource, allow the action on it. Root may do all in its account."""
        need = Need(action, (resource,), tuple((key, (value,)) for key, value in about))
        if principal.is_root and self._resources.owner(scope, need, principal.account) == principal.account:
            return True
        return bool(self._verdict(scope, principal, need, shared=True).decision)

    def check(self, scope: Scope, principal: Principal, service: str, operation: str, parameters: Mapping[str, Any]) -> str:
        """NotAuthorized unless the principal may make a request; the account in which it runs. Root may make any in its own."""
        own = principal.account
        if principal.is_root and not self._resources.names_others(scope, service, operation, parameters, own):
            return own
        shared = operation in sharing.SHARED.get(service, ())
        owners = set()
        for need in needs(service, operation, parameters, Place(own, scope.region, principal.arn)):
            full = need if service != "iam" else need._replace(resources=_with_paths(scope, need.resources))
            full = full if full.resources else self._resources.behind(scope, full, parameters)
            verdict = self._verdict(scope, principal, full, shared=shared)
            if not verdict.decision:
                denied = verdict.decision is Decision.EXPLICIT_DENY
                raise errors.not_allowed(principal.arn, need.action, (full.resources or ("*",))[0], verdict.kind, denied=denied)
            owners.add(verdict.owner)
        # What names things of several accounts runs in the caller's, where the service refuses the others'.
        return owners.pop() or own if len(owners) == 1 else own

    def lets_service(self, scope: Scope, service: str, action: str, resource: str, source_arn: str, source_account: str) -> bool:
        """Whether the policy of a resource lets a service, on behalf of one of its own resources, do something with it."""
        context = {"aws:sourcearn": (source_arn,), "aws:sourceaccount": (source_account,), "aws:sourceowner": (source_account,)}
        return self._resources.let_service(scope, service, action, resource, context)

    def check_policy(self, document: str) -> None:
        """MalformedPolicy unless a document can be the policy of a resource."""
        try:
            documents.parse(document, "resource")
        except documents.MalformedDocument as error:
            raise MalformedPolicy(str(error)) from None

    def _verdict(self, scope: Scope, principal: Principal, need: Need, *, shared: bool) -> permissions.Verdict:
        """What the policies of a principal and of a resource say of a need, remembered for as long as the policies are.

        `shared`: the resource may be another account's, and then both must let the principal.
        """
        held = self._permissions.get(
            scope, f"{principal.arn} {principal.access_key_id}", lambda tx: permissions.find_permissions(tx, principal)
        )
        key = (principal, scope.region, need, shared)
        known = self._verdicts.get(key)
        if known is not None and known[0] is held:
            return known[1]
        owner = self._resources.owner(scope, need, principal.account) if shared else principal.account
        context = permissions.request_context(scope, principal, held.tags)
        context.update(need.about)
        verdict = self._resources.judge(scope, principal, held, need, context, owner)
        if len(self._verdicts) >= limits.CACHE_ENTRIES_MAX:
            self._verdicts.clear()
        self._verdicts[key] = (held, verdict)
        return verdict


def _with_paths(scope: Scope, resources: tuple[str, ...]) -> tuple[str, ...]:
    """ARNs of roles and users with the paths that requests leave out."""
    return scope.snapshot(lambda inner: tuple(state.full_arn(inner.tx, resource) for resource in resources))


SERVICE = Service(
    models=("iam", "sts"),
    operations="headrace.services.iam.operations",
    offers={"authority": Iam()},
    workers=workers.WORKERS,
)
