"""Who a key belongs to and what its holder may do: the answers that other services and the gateway ask for.

Each process remembers answers for a moment; a change in the same process is known at once, one in another within CACHE_SECONDS.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from headrace.kit.accounts import account_credentials, account_of
from headrace.kit.arn import Arn
from headrace.layers import tags
from headrace.ports import RESOURCE_POLICIES_TOPIC, Credentials, Principal, Scope
from headrace.services.iam import limits, rules, state
from headrace.services.iam.engine import documents
from headrace.services.iam.engine.documents import Policy
from headrace.services.iam.engine.evaluation import Decision, RequestContext, evaluate
from headrace.store.api import ReadTransaction
from headrace.store.signals import Signals

T = TypeVar("T")


class Memory(Generic[T]):
    """Answers by key, each believed until something is announced or CACHE_SECONDS have passed."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[float, T]] = {}
        self._generation = 0
        self._signals: Signals | None = None
        self._lock = threading.Lock()

    def get(self, scope: Scope, key: str, read: Callable[[ReadTransaction], T]) -> T:
        """The answer for the key, from memory or by one read of the store."""
        if getattr(scope, "in_transaction", False):
            return read(scope.tx)  # it may see what is never committed: not to be remembered
        if scope.store.signals is not self._signals:
            self._listen(scope.store.signals)
        now = scope.clock.now()
        held = self._answers.get(key)
        if held is not None and abs(now - held[0]) < limits.CACHE_SECONDS:
            return held[1]
        generation = self._generation
        answer = scope.store.snapshot(read)
        with self._lock:
            # What was read before a change must not be remembered after it.
            if generation == self._generation:
                if len(self._answers) >= limits.CACHE_ENTRIES_MAX:
                    self._answers.clear()
                self._answers[key] = (now, answer)
        return answer

    def forget(self) -> None:
        """Believe nothing any more."""
        with self._lock:
            self._generation += 1
            self._answers = {}

    def _listen(self, signals: Signals) -> None:
        self.forget()
        self._signals = signals
        signals.listen(state.TOPIC, self.forget)
        signals.listen(RESOURCE_POLICIES_TOPIC, self.forget)


OWN = "identity-based policy"


class Verdict(NamedTuple):
    """A decision, AWS's word for the policies that made it, and the account of what it is about."""

    decision: Decision
    kind: str = OWN
    owner: str = ""


class Permissions(msgspec.Struct, frozen=True):
    """The policies of a principal. Each group must allow for itself: its own, a session's, a boundary's (`kinds`).

    `arns` name it in policies of resources: its own, and its role's.
    """

    groups: tuple[tuple[Policy, ...], ...]
    tags: dict[str, str]
    kinds: tuple[str, ...] = (OWN,)
    arns: frozenset[str] = frozenset()

    def decide(self, action: str, resource: str | None, context: RequestContext) -> Decision:
        """The decision over all groups: allowed by each, denied by none."""
        return self.judge(action, resource, context).decision

    def judge(self, action: str, resource: str | None, context: RequestContext) -> Verdict:
        """The decision over all groups, and which of them made it."""
        found = [evaluate(group, action, resource, context) for group in self.groups]
        for decision in (Decision.EXPLICIT_DENY, Decision.IMPLICIT_DENY):
            if decision in found:
                return Verdict(decision, self.kinds[found.index(decision)])
        return Verdict(Decision.ALLOWED if found else Decision.IMPLICIT_DENY)

    def bounds_allow(self, action: str, resources: tuple[str, ...], context: RequestContext) -> bool:
        """Whether what bounds the principal (all groups but its own) allows an action on one of a resource's names."""
        return all(any(evaluate(group, action, one, context) for one in resources) for group in self.groups[1:])


def find_credentials(tx: ReadTransaction, access_key_id: str) -> Credentials | None:
    """The credentials of a user's key or of a session, expired or not; None for a key that is unknown or switched off."""
    session = state.SESSIONS.get(tx, access_key_id)
    if session is not None:
        principal = Principal(session.arn, session.user_id, session.account, access_key_id)
        return Credentials(access_key_id, session.secret, principal, session.token, session.expires_at)
    key = state.KEYS.get(tx, access_key_id)
    user = state.USERS.get(tx, key.account, key.user) if key is not None and key.active else None
    if key is None or user is None:
        return None
    return Credentials(access_key_id, key.secret, Principal(user.arn, user.user_id, key.account, access_key_id))


def root_credentials(scope: Scope, access_key_id: str) -> Credentials | None:
    """The credentials of a root user: the server's own, or those derived for an account."""
    settings = scope.settings
    if access_key_id == settings.root_access_key_id:
        return Credentials(access_key_id, settings.root_secret_access_key, _root(settings.account_id, access_key_id))
    account = account_of(access_key_id)
    if account is None:
        return None
    secret = account_credentials(settings.root_secret_access_key, account)[1]
    return Credentials(access_key_id, secret, _root(account, access_key_id))


def _root(account: str, access_key_id: str) -> Principal:
    return Principal(str(Arn("aws", "iam", "", account, "root")), account, account, access_key_id)


def find_permissions(tx: ReadTransaction, principal: Principal) -> Permissions:
    """Every policy that speaks for a principal that is not root."""
    identity = rules.identify(principal.arn)
    if identity.kind not in ("user", "role"):
        return Permissions((), {})
    table: Any = state.USERS if identity.kind == "user" else state.ROLES
    row: state.User | state.Role | None = table.get(tx, identity.account, identity.name)
    if row is None:
        return Permissions((), {})
    own = state.documents_of(tx, identity.account, identity.kind, identity.name)
    groups, kinds = [_parsed(own)], [OWN]
    principal_tags = tags.get(tx, row.arn)
    if row.boundary is not None:
        boundary = state.find_policy(tx, row.boundary)
        groups.append(_parsed([boundary.versions[boundary.default][0]] if boundary else []))
        kinds.append("permissions boundary")
    session = state.SESSIONS.get(tx, principal.access_key_id) if principal.access_key_id else None
    if session is not None:
        principal_tags = {**principal_tags, **session.tags}
        if session.policies:
            groups.append(_parsed(session.policies))
            kinds.append("session policy")
    return Permissions(tuple(groups), principal_tags, tuple(kinds), frozenset((principal.arn, row.arn)))


def request_context(scope: Scope, principal: Principal, principal_tags: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """The condition keys that are known of every request."""
    identity = rules.identify(principal.arn)
    now = scope.clock.now()
    known = {
        "aws:principalarn": _principal_arn(principal, identity),
        "aws:principalaccount": principal.account,
        "aws:principaltype": {"root": "Account", "user": "User", "role": "AssumedRole"}.get(identity.kind, "Service"),
        "aws:userid": principal.user_id,
        "aws:currenttime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now)),
        "aws:requestedregion": scope.region,
    }
    if identity.kind == "user":
        known["aws:username"] = identity.name
    known.update({f"aws:principaltag/{key.lower()}": value for key, value in principal_tags.items()})
    return {key: (value,) for key, value in known.items()}


def _principal_arn(principal: Principal, identity: rules.Identity) -> str:
    if identity.kind != "role":
        return principal.arn
    return rules.entity_arn(identity.account, "role", "/", identity.name)


def _parsed(texts: list[str]) -> tuple[Policy, ...]:
    return tuple(documents.parse(text) for text in texts)
