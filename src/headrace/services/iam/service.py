"""IAM's door: its two models, and the authority that the gateway and other services ask."""

from collections.abc import Mapping
from typing import Any

from headrace.operation import Service
from headrace.ports import Credentials, Principal, Scope
from headrace.services.iam import errors, limits, permissions, sessions, workers
from headrace.services.iam.engine.evaluation import Decision
from headrace.services.iam.engine.requests import Place, needs


class Iam:
    """The port `Authority`. One for a server: it remembers what it read for a moment."""

    def __init__(self) -> None:
        self._credentials: permissions.Memory[Credentials | None] = permissions.Memory()
        self._permissions: permissions.Memory[permissions.Permissions] = permissions.Memory()

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
        """AccessDenied unless the principal may make a request. Root may make any."""
        if principal.is_root:
            return
        place = Place(scope.account, scope.region, principal.arn)
        held = self._held(scope, principal)
        context = permissions.request_context(scope, principal, held.tags)
        for need in needs(service, operation, parameters, place):
            verdicts = [held.decide(need.action, resource, context) for resource in need.resources or (None,)]
            if Decision.EXPLICIT_DENY in verdicts or not any(verdicts):
                denied = Decision.EXPLICIT_DENY in verdicts
                raise errors.not_allowed(principal.arn, need.action, (need.resources or ("*",))[0], denied=denied)

    def _held(self, scope: Scope, principal: Principal) -> permissions.Permissions:
        key = f"{principal.arn} {principal.access_key_id}"
        return self._permissions.get(scope, key, lambda tx: permissions.find_permissions(tx, principal))


SERVICE = Service(
    models=("iam", "sts"),
    operations="headrace.services.iam.operations",
    offers={"authority": Iam()},
    workers=workers.WORKERS,
)
