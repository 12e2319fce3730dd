"""Opening sessions: temporary credentials for a role, or for the caller itself."""

from collections.abc import Sequence

from headrace.kit.arn import Arn
from headrace.operation import Context
from headrace.ports import Credentials, Principal, Scope
from headrace.services.iam import errors, permissions, rules, state
from headrace.services.iam.engine import documents
from headrace.services.iam.engine.evaluation import Caller, Decision, Trust, trust

TOKEN_BYTES = 96


def role_of(ctx: Context, role_arn: str) -> state.Role | None:
    """The role with an ARN, in whichever account."""
    parts = role_arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
        return None
    role = state.ROLES.get(ctx.tx, parts[4], parts[5].rpartition("/")[2])
    return role if role is not None and role.arn == role_arn else None


def refused(principal: Principal, action: str, resource: str) -> errors.AccessDenied:
    """AWS's sentence for a caller who may not do something."""
    return errors.AccessDenied(f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}")


def check_service(role: state.Role, service: str) -> None:
    """AccessDenied unless a role's trust policy names the service."""
    account = role.arn.split(":")[4]
    caller = Caller(frozenset(), account, service)
    if trust(documents.parse(role.trust, "trust"), caller, "sts:AssumeRole") is Trust.DENIED:
        raise errors.AccessDenied(
            f"{service} is not authorized to perform: sts:AssumeRole on resource: {role.arn}: the role does not trust it"
        )


def check_caller(ctx: Context, role: state.Role | None, role_arn: str, external_id: str | None) -> state.Role:
    """The role, if its trust policy and the caller's own policies together let the caller assume it; else AccessDenied.

    Differs from AWS: an account's root may assume its roles.
    """
    principal = ctx.principal
    action = "sts:AssumeRole"
    if role is None:
        raise refused(principal, action, role_arn)
    identity = rules.identify(principal.arn)
    own = permissions.find_permissions(ctx.tx, principal)
    context = permissions.request_context(ctx, principal, own.tags)
    if external_id is not None:
        context["sts:externalid"] = (external_id,)
    verdict = Decision.ALLOWED if principal.is_root else own.decide(action, role_arn, context)
    arns = {principal.arn}
    if identity.kind == "role":
        session_role = state.ROLES.get(ctx.tx, identity.account, identity.name)
        arns |= {session_role.arn} if session_role is not None else set()
    caller = Caller(frozenset(arns), principal.account)
    trusted = trust(documents.parse(role.trust, "trust"), caller, action, context)
    same_account = role.arn.split(":")[4] == principal.account
    if (
        trusted is Trust.DENIED
        or verdict is Decision.EXPLICIT_DENY
        or (verdict is Decision.IMPLICIT_DENY and not (same_account and trusted is Trust.CALLER))
    ):
        raise refused(principal, action, role_arn)
    return role


def open_for_role(
    ctx: Context, role: state.Role, session_name: str, seconds: int, *,
    policies: Sequence[str] = (), session_tags: dict[str, str] | None = None,
) -> Credentials:  # fmt: skip
    """New temporary credentials of a role, kept until they expire."""
    account = role.arn.split(":")[4]
    return open_session(
        ctx,
        account,
        str(Arn("aws", "sts", "", account, f"assumed-role/{role.name}/{session_name}")),
        f"{role.role_id}:{session_name}",
        seconds,
        policies=policies,
        session_tags=session_tags,
    )


def open_session(
    ctx: Context, account: str, arn: str, user_id: str, seconds: int, *,
    policies: Sequence[str] = (), session_tags: dict[str, str] | None = None,
) -> Credentials:  # fmt: skip
    """New temporary credentials of a principal, kept until they expire."""
    session = state.Session(
        access_key_id=rules.identifier(ctx.ids, "session"),
        secret=rules.secret(ctx.ids),
        token=ctx.ids.token(TOKEN_BYTES),
        account=account,
        arn=arn,
        user_id=user_id,
        expires_at=float(int(ctx.clock.now()) + seconds),
        policies=list(policies),
        tags=session_tags or {},
    )
    state.add_session(ctx, session)
    principal = Principal(arn, user_id, account, session.access_key_id)
    return Credentials(session.access_key_id, session.secret, principal, session.token, session.expires_at)


def assume_for_service(scope: Scope, role_arn: str, session_name: str, service: str, seconds: int) -> Credentials:
    """Temporary credentials of a role of the scope's account for a service, if the role trusts it; AccessDenied otherwise."""

    def body(ctx: Context) -> Credentials:
        role = role_of(ctx, role_arn)
        # A role trusts a service, not whoever may use the service: only its own account may hand it one (iam:PassRole).
        if role is None or role.arn.split(":")[4] != ctx.account:
            raise errors.NoSuchEntityException(f"The role {role_arn} cannot be found.")
        check_service(role, service)
        return open_for_role(ctx, role, session_name, min(seconds, role.session_seconds_max))

    return scope.transact(body)
