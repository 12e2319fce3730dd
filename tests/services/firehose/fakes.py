"""Firehose alone: its workers and operations on the memory store, with ports that keep what they are given."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from headrace.kit.clock import Clock
from headrace.kit.errors import AwsError
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.operation import Context
from headrace.ports import Credentials, Invocation, LoadOutcome, Metric, ObjectInfo, Ports, Principal, Scope
from headrace.services.firehose import state
from headrace.services.firehose.delivery import Deliverer
from headrace.services.firehose.operations import records, streams
from headrace.services.firehose.roles import ROLES
from headrace.store.memory import Crash, MemoryStore

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/firehose"
S3: dict[str, Any] = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket"}
NOW: dict[str, Any] = {"SizeInMBs": 1, "IntervalInSeconds": 0}
REDSHIFT: dict[str, Any] = {
    "RoleARN": ROLE,
    "ClusterJDBCURL": "jdbc:redshift://reports.x.us-east-1.redshift.amazonaws.com:5439/dev",
    "CopyCommand": {"DataTableName": "overdue", "CopyOptions": "json 'auto'"},
    "Username": "loader",
    "Password": "secret-password",
    "S3Configuration": {**S3, "Prefix": "stage/", "BufferingHints": NOW},
}


class Deaths:
    """Lets the process die at the n-th of the moments that are passed."""

    def __init__(self) -> None:
        self.countdown: int | None = None
        self.passed = 0

    def moment(self) -> None:
        """Die here, if it is time."""
        self.passed += 1
        if self.countdown is not None:
            self.countdown -= 1
            if self.countdown == 0:
                raise Crash


class FakeObjects:
    """Buckets in memory."""

    def __init__(self, deaths: Deaths) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {"bucket": {}, "backup": {}}
        self.writes: list[str] = []
        self._deaths = deaths

    def put(
        self, scope: Scope, bucket: str, key: str, body: bytes | Iterable[bytes], *, content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:  # fmt: skip
        self._deaths.moment()
        if bucket not in self.buckets:
            raise LookupError(bucket)
        data = body if isinstance(body, bytes) else b"".join(body)
        self.buckets[bucket][key] = data
        self.writes.append(key)
        self._deaths.moment()
        return ObjectInfo(bucket, key, len(data), "etag", 0.0)

    def head(self, scope: Scope, bucket: str, key: str) -> ObjectInfo | None:
        data = self.buckets[bucket].get(key)
        return None if data is None else ObjectInfo(bucket, key, len(data), "etag", 0.0)

    def get(self, scope: Scope, bucket: str, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return self.buckets[bucket][key][start:end]

    def open(self, scope: Scope, bucket: str, key: str) -> Iterator[bytes]:
        yield self.buckets[bucket][key]

    def list(self, scope: Scope, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        raise NotImplementedError

    def delete(self, scope: Scope, bucket: str, key: str) -> None:
        raise NotImplementedError


class FakeWarehouse:
    """A table of lines. A manifest id and its rows are kept together, as in one commit."""

    def __init__(self, objects: FakeObjects, deaths: Deaths) -> None:
        self.rows: list[bytes] = []
        self.loaded: set[str] = set()
        self.statements: list[str] = []
        self.logins: list[tuple[str, str, str, str]] = []
        self.repeated = 0
        self.failure: Exception | None = None
        self._objects = objects
        self._deaths = deaths

    def load(
        self, scope: Scope, cluster: str, database: str, user: str, password: str, statement: str, manifest_id: str
    ) -> LoadOutcome:
        self._deaths.moment()
        self.statements.append(statement)
        self.logins.append((cluster, database, user, password))
        if self.failure is not None:
            raise self.failure
        repeated = manifest_id in self.loaded
        if not repeated:
            found = re.search(r"FROM 's3://([^/]+)/([^']+)'", statement)
            assert found is not None
            for entry in json.loads(self._objects.get(scope, found[1], found[2]))["entries"]:
                bucket, key = entry["url"].removeprefix("s3://").split("/", 1)
                self.rows.extend(self._objects.get(scope, bucket, key).splitlines())
            self.loaded.add(manifest_id)
        self.repeated += repeated
        self._deaths.moment()
        return LoadOutcome(0, repeated)


class FakeInvoker:
    """Runs a Python function on each record, in the form of a transformation."""

    def __init__(self, deaths: Deaths) -> None:
        self.transform: Callable[[bytes], tuple[str, bytes | None]] = lambda data: ("Ok", data)
        self.failures = 0
        self.events: list[dict[str, Any]] = []
        self._deaths = deaths

    def invoke(self, scope: Scope, function_arn: str, payload: bytes, *, kind: str = "RequestResponse") -> Invocation:
        self._deaths.moment()
        event = json.loads(payload)
        self.events.append(event)
        if self.failures:
            self.failures -= 1
            return Invocation(200, b'{"errorMessage": "no"}', "Unhandled")
        answers = []
        for record in event["records"]:
            result, data = self.transform(base64.b64decode(record["data"]))
            encoded = None if data is None else base64.b64encode(data).decode()
            answers.append({"recordId": record["recordId"], "result": result, "data": encoded})
        return Invocation(200, json.dumps({"records": answers}).encode())


class FakeAuthority:
    """Everybody is allowed what is not denied."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.denied: set[tuple[str, str]] = set()

    def credentials(self, scope: Scope, access_key_id: str) -> Credentials | None:
        return None

    def assume(self, scope: Scope, role_arn: str, session_name: str, service: str) -> Credentials:
        assert service == "firehose.amazonaws.com"
        if role_arn in self.unknown:
            raise AwsError(f"The role {role_arn} cannot be found.")
        return Credentials("key", "secret", Principal(role_arn, "id", ACCOUNT), "token", scope.clock.now() + 3600)

    def allows(
        self, scope: Scope, principal: Principal, action: str, resource: str, about: tuple[tuple[str, str], ...] = ()
    ) -> bool:
        assert principal is scope.principal
        return (principal.arn, action) not in self.denied


class FakeLogs:
    """Log lines in a list."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def put(self, scope: Scope, group: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        self.lines.extend((group, stream, json.loads(text)) for _, text in events)


class FakeMetrics:
    """Sums of metrics by name."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}

    def put(self, scope: Scope, namespace: str, values: Sequence[Metric]) -> None:
        assert namespace == "AWS/Firehose"
        for value in values:
            assert [name for name, _ in value.dimensions] == ["DeliveryStreamName"]
            self.sums[value.name] = self.sums.get(value.name, 0) + value.value


class House:
    """A server with nothing but Firehose in it, which can die and start again."""

    def __init__(self) -> None:
        self.deaths = Deaths()
        self.objects = FakeObjects(self.deaths)
        self.warehouse = FakeWarehouse(self.objects, self.deaths)
        self.invoker = FakeInvoker(self.deaths)
        self.logs, self.metrics = FakeLogs(), FakeMetrics()
        self.authority = FakeAuthority()
        ROLES._held.clear()
        self.clock, self.ids = Clock(), Ids(7)
        self.ports = Ports(
            objects=self.objects,
            warehouse=self.warehouse,
            invoker=self.invoker,
            logs=self.logs,
            metrics=self.metrics,
            authority=self.authority,
        )
        self.store = MemoryStore()

    def context(self) -> Context:
        """A context as a worker gets it."""
        return Context(
            account=ACCOUNT, region=REGION, service="firehose", request_id="r", store=self.store,
            principal=Principal("arn:aws:iam::123456789012:root", ACCOUNT, ACCOUNT), blobs=None,  # type: ignore[arg-type]
            clock=self.clock, ids=self.ids, settings=Settings(), ports=self.ports,
        )  # fmt: skip

    def create(self, **configuration: Any) -> None:
        """Create the delivery stream `d`."""
        self.create_another("d", **configuration)

    def create_another(self, name: str, **configuration: Any) -> None:
        """Create a delivery stream."""
        self.context().transact(lambda ctx: streams.create_delivery_stream(ctx, delivery_stream_name=name, **configuration))

    def put(self, *data: bytes) -> None:
        """Put records, each in a request of its own."""
        for one in data:
            self.context().transact(
                lambda ctx, one=one: records.put_record(ctx, delivery_stream_name="d", record={"Data": one})  # type: ignore[misc]
            )

    def put_batch(self, *data: bytes) -> None:
        """Put records in one request."""
        given = [{"Data": one} for one in data]
        self.context().transact(lambda ctx: records.put_record_batch(ctx, delivery_stream_name="d", records=given))

    def stream(self, name: str = "d") -> state.DeliveryStream:
        """A delivery stream's row."""
        return self.context().snapshot(lambda ctx: state.find(ctx.tx, ACCOUNT, REGION, name))

    def step(self, owner: str = "one") -> float | None:
        """One step of the worker of `d`, as a process named `owner` does it."""
        return self.step_of("d", owner)

    def step_of(self, name: str, owner: str = "one") -> float | None:
        """One step of a delivery stream's worker."""
        return Deliverer(self.stream(name).id, state.Pending(ACCOUNT, REGION, name), owner).step(self.context())

    def leftovers(self) -> list[bytes]:
        """The keys of the store that belong to a buffer or a delivery."""
        stream_id = self.stream().id.encode()
        return [key for key in self.store._keys if stream_id in key and b"lease" not in key]

    def objects_below(self, prefix: str = "", bucket: str = "bucket") -> dict[str, bytes]:
        """The objects whose keys begin so."""
        return {key: data for key, data in self.objects.buckets[bucket].items() if key.startswith(prefix)}
