"""IAM's door: its two models, and the authority that the gateway and other services ask."""

from collections.abc import Mapping
from typing import Any

from headrace.operation import Service
from headrace.ports import Credentials, Principal, Scope
from headrace.services.iam import errors, limits, permissions, sessions, state, workers
from headrace.services.iam.engine.evaluation import Decision
from headrace.services.iam.engine.requests import Need, Place, needs


class Iam:
    """The port `Authority`. One for a server: it remembers what it read for a moment."""

    def __init__(self) -> None:
        self._credentials: permissions.Memory[Credentials | None] = permissions.Memory()
        self._permissions: permissions.Memory[permissions.Permissions] = permissions.Memory()
        self._verdicts: dict[tuple[Principal, str, Need], tuple[permissions.Permissions, permissions.Verdict]] = {}

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

    def allows(self, scope: Scope, principal: Principal, action: str, resource: str) -> bool:
        """Whether the principal's policies allow the action on the resource. Root may do everything."""
        if principal.is_root:
            return True
        held = self._held(scope, principal)
        return bool(held.decide(action, resource, permissions.request_context(scope, principal, held.tags)))

    def check(self, scope: Scope, principal: Principal, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """NotAuthorized unless the principal may make a request. Root may make any."""
        if principal.is_root:
            return
        place = Place(scope.account, scope.region, principal.arn)
        for need in needs(service, operation, parameters, place):
            full = need if service != "iam" else need._replace(resources=_with_paths(scope, need.resources))
            decision, kind = self._verdict(scope, principal, full)
            if not decision:
                denied = decision is Decision.EXPLICIT_DENY
                raise errors.not_allowed(principal.arn, need.action, (full.resources or ("*",))[0], kind, denied=denied)

    def _verdict(self, scope: Scope, principal: Principal, need: Need) -> permissions.Verdict:
        """What a principal's policies say of a need, remembered for as long as the policies themselves are."""
        held = self._held(scope, principal)
        key = (principal, scope.region, need)
        known = self._verdicts.get(key)
        if known is not None and known[0] is held:
            return known[1]
        context = permissions.request_context(scope, principal, held.tags)
        context.update(need.about)
        # Several resources are names of one thing: one must be allowed, and none denied.
        found = [held.judge(need.action, resource, context) for resource in need.resources or (None,)]
        verdict = next((one for one in found if one.decision is Decision.EXPLICIT_DENY), None)
        verdict = verdict or next((one for one in found if one.decision), found[0])
        if len(self._verdicts) >= limits.CACHE_ENTRIES_MAX:
            self._verdicts.clear()
        self._verdicts[key] = (held, verdict)
        return verdict

    def _held(self, scope: Scope, principal: Principal) -> permissions.Permissions:
        key = f"{principal.arn} {principal.access_key_id}"
        return self._permissions.get(scope, key, lambda tx: permissions.find_permissions(tx, principal))


def _with_paths(scope: Scope, resources: tuple[str, ...]) -> tuple[str, ...]:
    """ARNs of roles and users with the paths that requests leave out."""
    return scope.snapshot(lambda inner: tuple(state.full_arn(inner.tx, resource) for resource in resources))


SERVICE = Service(
    models=("iam", "sts"),
    operations="headrace.services.iam.operations",
    offers={"authority": Iam()},
    workers=workers.WORKERS,
)
