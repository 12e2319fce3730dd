"""The ports: how services meet without knowing each other.

A service that needs another one's ability names it by a Protocol of this file; `app` hands it the service that has it. Every
method takes the `Scope` first: on whose behalf, where, and in which transaction.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import msgspec

from headrace.kit.clock import Clock
from headrace.kit.errors import AccessDeniedException
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.store.api import ReadTransaction, Store, Transaction
from headrace.store.blobs import Blobs

T = TypeVar("T")


class Principal(msgspec.Struct, frozen=True):
    """Who calls: an ARN, and the credentials that proved it."""

    arn: str
    user_id: str
    account: str
    access_key_id: str = ""

    @property
    def is_root(self) -> bool:
        """Whether this is the account itself, which may do everything."""
        return self.arn.endswith(":root")


class Scope(Protocol):
    """On whose behalf, where, and in which transaction something happens. `operation.Context` is one."""

    account: str
    region: str
    request_id: str
    trace_id: str
    principal: Principal
    store: Store
    blobs: Blobs
    clock: Clock
    ids: Ids
    settings: Settings
    ports: "Ports"

    @property
    def tx(self) -> Transaction:
        """The running transaction; RuntimeError outside of one."""

    def transact(self, body: Callable[[Any], T]) -> T:
        """Run body(scope) in the running transaction, or in one of its own."""

    def snapshot(self, body: Callable[[Any], T]) -> T:
        """Run body(scope) on one consistent view."""


class SourceShard(msgspec.Struct, frozen=True):
    """One ordered part of a stream; a child is read after its parents are done."""

    shard_id: str
    parents: tuple[str, ...] = ()
    closed: bool = False


class SourceRecord(msgspec.Struct):
    """A stream's record: its place, its bytes, and the form in which a function receives it.

    `made` is that form, or what makes it: many readers want the bytes alone.
    """

    sequence_number: str
    data: bytes
    partition_key: str
    arrived_at: float
    made: Mapping[str, Any] | Callable[[], Mapping[str, Any]]

    @property
    def event(self) -> Mapping[str, Any]:
        """The record as a function receives it."""
        if callable(self.made):
            self.made = self.made()
        return self.made


class SourceBatch(msgspec.Struct, frozen=True):
    """What one read gave. `position` is where the next read goes on; `ended`: the shard is closed and read to its end."""

    records: Sequence[SourceRecord]
    position: str
    ended: bool
    millis_behind: int


class SourceColumns(msgspec.Struct):
    """What one read gave, as columns: for readers of many records. `sequence_number` is that of the n-th of them."""

    data: Sequence[bytes]
    arrived_ms: Sequence[int]
    partition_keys: Sequence[str]
    sequence_number: Callable[[int], str]
    position: str
    ended: bool
    millis_behind: int


class RecordSource(Protocol):
    """A stream that can be read and read again: DynamoDB Streams, Kinesis Data Streams."""

    def shards(self, scope: Scope, arn: str) -> Sequence[SourceShard]:
        """The shards that can still be read. LookupError: no such stream."""

    def start(self, scope: Scope, arn: str, shard_id: str, where: str | float) -> str:
        """The position for TRIM_HORIZON, LATEST or a time (seconds since 1970)."""

    def read(self, scope: Scope, arn: str, shard_id: str, position: str, limit: int, size_max_bytes: int) -> SourceBatch:
        """Records after the position, in order. A trimmed position goes on at the oldest record that is left.

        A record's sequence number is a position, too: that behind it.
        """

    def topic(self, scope: Scope, arn: str, shard_id: str) -> bytes:
        """The topic that is announced when the shard gets records."""


@runtime_checkable
class ColumnSource(RecordSource, Protocol):
    """A stream that can be read as columns, too."""

    def read_columns(
        self, scope: Scope, arn: str, shard_id: str, position: str, limit: int, size_max_bytes: int
    ) -> SourceColumns:
        """What `read` would give."""


class TappedSource(RecordSource, Protocol):
    """A source that forgets what it has handed on, except what a reader holds: a delivery stream."""

    def hold(self, scope: Scope, arn: str, shard_id: str, reader: str, position: str, until: float | None = None) -> None:
        """Keep what lies behind the position for the reader, until it holds a later one; with the running transaction.

        `until`: when the hold is over by itself, seconds since 1970. Records are kept for a day at most.
        """

    def release(self, scope: Scope, arn: str, reader: str) -> None:
        """Keep nothing more for the reader; nothing when there is no such source."""


class Invocation(msgspec.Struct, frozen=True):
    """The outcome of a function: `function_error` is None, "Handled" or "Unhandled"."""

    status: int
    payload: bytes
    function_error: str | None = None
    executed_version: str = "$LATEST"
    log_tail: bytes = b""


class Invoker(Protocol):
    """Runs functions."""

    def invoke(self, scope: Scope, function_arn: str, payload: bytes, *, kind: str = "RequestResponse") -> Invocation:
        """Invoke and wait (RequestResponse), or queue durably (Event). AwsError when the function can't be invoked."""


class Sink(Protocol):
    """Takes a message for an ARN: dead letters and targets."""

    def send(self, scope: Scope, arn: str, body: bytes, *, attributes: Mapping[str, str] | None = None) -> None:
        """Put the message there; durable on return (with the running transaction, when there is one)."""


class BatchSink(Protocol):
    """Takes many messages for an ARN at once: streams of rows."""

    def send_all(self, scope: Scope, arn: str, bodies: Sequence[bytes], *, partition_keys: Sequence[str] | None = None) -> None:
        """Put the messages there in their order; durable on return (with the running transaction, when there is one).

        A stream with shards spreads them by the keys; without any, evenly. A sink without shards makes nothing of them.
        """


class ObjectInfo(msgspec.Struct, frozen=True):
    """An object of the object store, without its bytes."""

    bucket: str
    key: str
    size_bytes: int
    etag: str
    modified_at: float
    content_type: str = "binary/octet-stream"
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)


class ObjectStore(Protocol):
    """S3, as other services use it. LookupError: no such bucket or object."""

    def put(
        self,
        scope: Scope,
        bucket: str,
        key: str,
        body: bytes | Iterable[bytes],
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Write an object; durable on return."""

    def head(self, scope: Scope, bucket: str, key: str) -> ObjectInfo | None:
        """What is known of an object, or None."""

    def get(self, scope: Scope, bucket: str, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """The bytes start <= i < end of an object."""

    def open(self, scope: Scope, bucket: str, key: str) -> Iterator[bytes]:
        """An object's bytes, chunk by chunk."""

    def list(self, scope: Scope, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """The objects whose keys begin with the prefix, in order."""

    def delete(self, scope: Scope, bucket: str, key: str) -> None:
        """Remove an object, if it is there."""


class LoadFailed(Exception):
    """The warehouse refused a load; the text says why."""


class LoadOutcome(msgspec.Struct, frozen=True):
    """What a load did; `repeated`: this manifest was loaded before, and nothing was added."""

    rows: int
    repeated: bool


class Warehouse(Protocol):
    """Redshift, as Firehose uses it."""

    def load(
        self, scope: Scope, cluster: str, database: str, user: str, password: str, statement: str, manifest_id: str
    ) -> LoadOutcome:
        """Run a COPY and remember its manifest id in the same commit. LoadFailed; ConnectionError when it can't be reached."""


class Flow(msgspec.Struct, frozen=True):
    """One link of a pipeline: what is in `source` goes to `target` by itself. Both are ARNs.

    `behind_seconds`: how long the oldest record that waits has waited; None where nobody knows. `waiting`: how many records wait,
    where they are counted. `problem`: what went wrong last, and still does.
    """

    source: str
    target: str
    by: str
    state: str = "active"
    behind_seconds: float | None = None
    waiting: int | None = None
    problem: str = ""


class Flows(Protocol):
    """What a service knows of how things flow."""

    def flows(self, scope: Scope) -> Sequence[Flow]:
        """All links that the service keeps, of every account and region."""


class Logs(Protocol):
    """CloudWatch Logs, as functions and deliveries write them."""

    def put(self, scope: Scope, group: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        """Append (epoch milliseconds, text) to a log stream; group and stream are made when missing."""


class Metric(msgspec.Struct, frozen=True):
    """A value of a metric, seen `count` times, in a minute since 1970 (now, if none). The unit is one of CloudWatch's names."""

    name: str
    value: float
    unit: str = "None"
    dimensions: tuple[tuple[str, str], ...] = ()
    count: int = 1
    minute: int | None = None


class Metrics(Protocol):
    """CloudWatch metrics, as services write them."""

    def put(self, scope: Scope, namespace: str, values: Sequence[Metric]) -> None:
        """Count the values in; quick, and durable a moment later."""


class InsightRule(msgspec.Struct, frozen=True):
    """A rule that finds the contributors of the largest sums (Sum) or numbers (Count), by the names of their keys."""

    name: str
    labels: tuple[str, ...]
    aggregate: str


class InsightRules(Protocol):
    """The Contributor Insights rules of a service, as CloudWatch shows them."""

    def rules(self, scope: Scope) -> Sequence[InsightRule]:
        """All rules of an account in a region."""

    def minutes(
        self, scope: Scope, name: str, first: int, end: int
    ) -> Mapping[int, tuple[float, Mapping[tuple[str, ...], float]]]:
        """(total, sums by contributor) of the minutes since 1970 with first <= minute < end. LookupError: no such rule."""


class Credentials(msgspec.Struct, frozen=True):
    """Keys that sign requests. `expires_at` (seconds since 1970) and the token are set for temporary ones."""

    access_key_id: str
    secret_access_key: str
    principal: Principal
    session_token: str | None = None
    expires_at: float | None = None

    def __repr__(self) -> str:
        # Without the secrets: it may get into a log.
        return f"Credentials({self.access_key_id!r}, {self.principal!r})"


class NotAuthorized(AccessDeniedException):
    """A principal's policies do not let a request happen; `why` is the end of AWS's sentence."""

    def __init__(self, principal: str, action: str, resource: str, why: str) -> None:
        super().__init__(f"User: {principal} is not authorized to perform: {action} on resource: {resource} {why}")
        self.principal, self.action, self.resource, self.why = principal, action, resource, why


# Announced when the policy of a resource, or whose a bucket is, changes: what was decided by it is forgotten.
RESOURCE_POLICIES_TOPIC = b"resource policies"


class MalformedPolicy(ValueError):
    """What is wrong with a policy document, in AWS's words."""


class ResourcePolicies(Protocol):
    """The policies that a service keeps of its resources. They are read here, and evaluated by `Authority` alone."""

    def policies(self, tx: ReadTransaction, arn: str) -> Sequence[str]:
        """The documents that speak for the resource of an ARN; none when it has none, or is not there."""

    def any_kept(self, tx: ReadTransaction) -> bool:
        """Whether any resource has a policy."""

    def behind(self, scope: Scope, parameters: Mapping[str, Any]) -> str | None:
        """The ARN of the resource that an opaque token of a request stands for, if the request has one."""

    def owner(self, tx: ReadTransaction, arn: str) -> str | None:
        """Whose the resource of an ARN without an account is; None: nobody's."""


class Authority(Protocol):
    """IAM and STS: who holds which keys, and who may do what."""

    def credentials(self, scope: Scope, access_key_id: str) -> Credentials | None:
        """The credentials of an access key id, if it is known, active and not expired."""

    def assume(self, scope: Scope, role_arn: str, session_name: str, service: str) -> Credentials:
        """Temporary credentials of a role for a service, e.g. lambda.amazonaws.com, if the role trusts it."""

    def allows(
        self, scope: Scope, principal: Principal, action: str, resource: str, about: tuple[tuple[str, str], ...] = ()
    ) -> bool:
        """Whether the principal's policies, and those of the resource, allow the action on the resource. `about`: what conditions
        may ask beside what is known of the principal, by keys in lower case.
        """

    def check(self, scope: Scope, principal: Principal, service: str, operation: str, parameters: Mapping[str, Any]) -> str:
        """NotAuthorized unless the policies of the principal and of what a request names allow it; the needs are found from its
        members. The account in which the request runs: the principal's, or that of a resource which lets the principal in.
        """

    def lets_service(self, scope: Scope, service: str, action: str, resource: str, source_arn: str, source_account: str) -> bool:
        """Whether the policy of a resource lets a service (e.g. s3.amazonaws.com) do an action on it, on behalf of a resource of
        the service: the policy's conditions see its ARN and account as aws:SourceArn and aws:SourceAccount.
        """

    def check_policy(self, document: str) -> None:
        """MalformedPolicy unless a document can be the policy of a resource."""


class Api(Protocol):
    """Any operation of any service, called in this process as if a client had: validated, with the same errors."""

    def call(self, scope: Scope, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call e.g. ("dynamodb", "CreateTable", {"TableName": …}). AwsError as the client would get it."""


class Unwired:
    """Stands where no service was wired: says so when it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        raise RuntimeError(f"the port {self._name!r} is not wired in this server")


def _unwired(name: str) -> Any:
    return msgspec.field(default_factory=lambda: Unwired(name))


class Ports(msgspec.Struct):
    """What `app` hands to every context. Those in dicts are found by the service in an ARN; of `insights` and `flows` all are
    asked.
    """

    sources: dict[str, RecordSource] = msgspec.field(default_factory=dict)
    taps: dict[str, TappedSource] = msgspec.field(default_factory=dict)
    sinks: dict[str, Sink] = msgspec.field(default_factory=dict)
    batch_sinks: dict[str, BatchSink] = msgspec.field(default_factory=dict)
    policies: dict[str, ResourcePolicies] = msgspec.field(default_factory=dict)
    insights: dict[str, InsightRules] = msgspec.field(default_factory=dict)
    flows: dict[str, Flows] = msgspec.field(default_factory=dict)
    invoker: Invoker = _unwired("invoker")
    objects: ObjectStore = _unwired("objects")
    warehouse: Warehouse = _unwired("warehouse")
    logs: Logs = _unwired("logs")
    metrics: Metrics = _unwired("metrics")
    authority: Authority = _unwired("authority")
    api: Api = _unwired("api")
