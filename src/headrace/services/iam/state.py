"""What IAM keeps. It is global: no key has a region.

    iam role    account name                     Role
    iam user    account name                     User
    iam policy  account name                     ManagedPolicy (with all of its versions)
    iam inline  account kind name policy         the document of an inline policy; kind is "role" or "user"
    iam attach  account kind name policy-arn     that a managed policy is attached
    iam attached policy-arn account kind name    the same the other way round
    iam key     access-key-id                    AccessKey
    iam userkey account user access-key-id       the keys of a user
    iam session access-key-id                    Session: temporary credentials; a timer removes it
    iam sessions account                         how many sessions live

Every change announces TOPIC, so that what a process remembers is forgotten at once.
"""

from typing import Any

import msgspec

from headrace.layers import tags, timer
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.services.iam import errors, limits, managed, rules
from headrace.store.api import ReadTransaction

TOPIC = b"iam"


class Role(msgspec.Struct):
    """A role."""

    name: str
    path: str
    role_id: str
    arn: str
    created_at: float
    trust: str
    description: str | None = None
    session_seconds_max: int = limits.SESSION_SECONDS_DEFAULT
    boundary: str | None = None


class User(msgspec.Struct):
    """A user."""

    name: str
    path: str
    user_id: str
    arn: str
    created_at: float
    boundary: str | None = None


class ManagedPolicy(msgspec.Struct):
    """A customer's managed policy. Versions are {number: (document, created_at)}."""

    name: str
    path: str
    policy_id: str
    arn: str
    created_at: float
    updated_at: float
    default: int
    versions: dict[int, tuple[str, float]]
    last_version: int = 1
    description: str | None = None


class AccessKey(msgspec.Struct):
    """A user's access key."""

    access_key_id: str
    secret: str
    account: str
    user: str
    active: bool
    created_at: float


class Session(msgspec.Struct):
    """Temporary credentials: of a role, or of a user or root that asked for a session token."""

    access_key_id: str
    secret: str
    token: str
    account: str
    arn: str
    user_id: str
    expires_at: float
    policies: list[str]
    tags: dict[str, str]


ROLES = Records(("iam", "role"), Role)
USERS = Records(("iam", "user"), User)
POLICIES = Records(("iam", "policy"), ManagedPolicy)
INLINE = Records(("iam", "inline"), str)
ATTACH = Records(("iam", "attach"), float)
ATTACHED = Records(("iam", "attached"), float)
KEYS = Records(("iam", "key"), AccessKey)
USER_KEYS = Records(("iam", "userkey"), float)
SESSIONS = Records(("iam", "session"), Session)
SESSION_COUNT = Records(("iam", "sessions"), int)
TIMER = ("iam", "session")


def role(ctx: Context, name: str) -> Role:
    """The role, or NoSuchEntity."""
    found = ROLES.get(ctx.tx, ctx.account, name)
    if found is None:
        raise errors.missing("role", name)
    return found


def user(ctx: Context, name: str) -> User:
    """The user, or NoSuchEntity."""
    found = USERS.get(ctx.tx, ctx.account, name)
    if found is None:
        raise errors.missing("user", name)
    return found


def check_room(ctx: Context, family: "Records[Any]", quota: str) -> None:
    """LimitExceeded when an account has as many roles, users or policies as it may have."""
    most = limits.ENTITIES_PER_ACCOUNT_MAX
    if sum(1 for _ in family.scan(ctx.tx, ctx.account, limit=most)) >= most:
        raise errors.quota(quota, most)


def put_role(ctx: Context, row: Role) -> None:
    """Write a role."""
    ROLES.put(ctx.tx, row, ctx.account, row.name)
    changed(ctx)


def put_user(ctx: Context, row: User) -> None:
    """Write a user."""
    USERS.put(ctx.tx, row, ctx.account, row.name)
    changed(ctx)


def entity(ctx: Context, kind: str, name: str) -> Role | User:
    """The role or user, or NoSuchEntity."""
    return role(ctx, name) if kind == "role" else user(ctx, name)


def full_arn(tx: ReadTransaction, arn: str) -> str:
    """The ARN of a role or user that exists, with its path; any other ARN as it is."""
    account, _, resource = arn.removeprefix("arn:aws:iam::").partition(":")
    kind, _, name = resource.partition("/")
    row = ROLES.get(tx, account, name) if kind == "role" else USERS.get(tx, account, name) if kind == "user" else None
    return arn if row is None else row.arn


def changed(ctx: Context) -> None:
    """Let every cache forget what it knows of IAM."""
    ctx.tx.announce(TOPIC)


def add_tags(ctx: Context, arn: str, given: list[dict[str, str]] | None) -> None:
    """Add tags, as they came in a request, to a role, user or policy."""
    if given:
        new = tags.from_list(given)
        rules.check_tags(new, len(given))
        merged = tags.add(ctx.tx, arn, new)
        rules.check_tags(merged, len(merged))
        changed(ctx)


def policy(ctx: Context, arn: str) -> ManagedPolicy:
    """A managed policy, the customer's or AWS's; NoSuchEntity when there is none."""
    found = find_policy(ctx.tx, arn)
    if found is None:
        raise errors.no_policy(arn)
    return found


def own_policy(ctx: Context, arn: str) -> ManagedPolicy:
    """A managed policy that the caller may change."""
    if managed.is_aws(arn):
        raise errors.AccessDenied(f"AWS managed policies cannot be changed: {arn}")
    return policy(ctx, arn)


def find_policy(tx: ReadTransaction, arn: str) -> ManagedPolicy | None:
    """A managed policy, the customer's or AWS's."""
    if managed.is_aws(arn):
        document = managed.document(arn)
        if document is None:
            return None
        path, _, name = arn.split(":policy", 1)[1].rpartition("/")
        return ManagedPolicy(
            name, path + "/", managed.policy_id(arn), arn, managed.CREATED_AT, managed.CREATED_AT, 1,
            {1: (document, managed.CREATED_AT)},
        )  # fmt: skip
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith(rules.POLICY_PATH):
        return None
    found = POLICIES.get(tx, parts[4], parts[5].rpartition("/")[2])
    return found if found is not None and found.arn == arn else None


def attachments(ctx: Context, arn: str, limit: int) -> int:
    """How many of this account's roles and users a managed policy is attached to, counted up to a limit."""
    return sum(1 for _ in ATTACHED.scan(ctx.tx, arn, ctx.account, limit=limit))


def attached(tx: ReadTransaction, account: str, kind: str, name: str) -> list[str]:
    """The ARNs of the managed policies that are attached to a role or user."""
    return [str(key[-1]) for key, _ in ATTACH.scan(tx, account, kind, name)]


def inline(tx: ReadTransaction, account: str, kind: str, name: str) -> dict[str, str]:
    """The inline policies of a role or user by their names."""
    return {str(key[-1]): document for key, document in INLINE.scan(tx, account, kind, name)}


def documents_of(tx: ReadTransaction, account: str, kind: str, name: str) -> list[str]:
    """Every policy document that speaks for a role or user."""
    found = list(inline(tx, account, kind, name).values())
    for arn in attached(tx, account, kind, name):
        managed_policy = find_policy(tx, arn)
        if managed_policy is not None:
            found.append(managed_policy.versions[managed_policy.default][0])
    return found


def keys_of(ctx: Context, user_name: str) -> list[AccessKey]:
    """The access keys of a user."""
    names = [str(key[-1]) for key, _ in USER_KEYS.scan(ctx.tx, ctx.account, user_name)]
    return [key for key in (KEYS.get(ctx.tx, name) for name in names) if key is not None]


def drop_entity(ctx: Context, kind: str, row: Role | User) -> None:
    """Remove a role or user that nothing hangs on any more; DeleteConflict when something does."""
    if attached(ctx.tx, ctx.account, kind, row.name):
        raise errors.DeleteConflictException("Cannot delete entity, must detach all policies first.")
    if inline(ctx.tx, ctx.account, kind, row.name):
        raise errors.DeleteConflictException("Cannot delete entity, must delete policies first.")
    (ROLES if kind == "role" else USERS).delete(ctx.tx, ctx.account, row.name)
    tags.drop(ctx.tx, row.arn)
    changed(ctx)


def add_session(ctx: Context, session: Session) -> None:
    """Keep temporary credentials until they expire."""
    live = SESSION_COUNT.get(ctx.tx, session.account) or 0
    if live >= limits.SESSIONS_PER_ACCOUNT_MAX:
        raise errors.Throttling("Rate exceeded: too many temporary credentials are valid at this time")
    SESSION_COUNT.put(ctx.tx, live + 1, session.account)
    SESSIONS.put(ctx.tx, session, session.access_key_id)
    timer.start(ctx.tx, TIMER, session.expires_at, (session.access_key_id,))


def drop_expired_sessions(ctx: Context, now: float) -> int:
    """Remove sessions that have expired, a bounded number; how many."""
    due = timer.due(ctx.tx, TIMER, now, limits.SWEEP_BATCH)
    for due_at, name, _ in due:
        session = SESSIONS.get(ctx.tx, *name)
        timer.cancel(ctx.tx, TIMER, due_at, name)
        if session is not None:
            SESSIONS.delete(ctx.tx, *name)
            live = SESSION_COUNT.get(ctx.tx, session.account) or 0
            SESSION_COUNT.put(ctx.tx, max(0, live - 1), session.account)
    return len(due)
