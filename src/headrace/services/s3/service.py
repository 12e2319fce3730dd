"""The door of S3, and what it offers to other services."""

from collections.abc import Iterable, Iterator, Mapping

from headrace.operation import Service
from headrace.ports import ObjectInfo, Scope
from headrace.services.s3 import access, changes, contents, digests, flows, limits, shapes, state, workers
from headrace.services.s3.rules import Span, check_key
from headrace.store import tuples


class Objects:
    """The object store, as other services use it: in the scope's account. LookupError: no such bucket or object."""

    def put(
        self, scope: Scope, bucket: str, key: str, body: bytes | Iterable[bytes], *, content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:  # fmt: skip
        """Write an object; durable on return."""
        check_key(key)
        headers = {} if content_type is None else {"ContentType": content_type}
        about = state.Description(headers, dict(metadata or {}))
        scope.snapshot(lambda inner: state.bucket(inner, bucket))
        source = (body,) if isinstance(body, bytes) else body
        stored = contents.take(scope, source, digests.Wanted(), None, limits.PUT_SIZE_MAX_BYTES)
        made = state.Object(
            scope.ids.hex(24), stored.etag, stored.size_bytes, scope.clock.now(), about, stored.checksums,
            inline=stored.inline, blob_id=stored.blob_id,
        )  # fmt: skip
        scope.transact(lambda inner: changes.put_object(inner, state.bucket(inner, bucket), key, made, "Put"))
        return _info(bucket, key, made)

    def head(self, scope: Scope, bucket: str, key: str) -> ObjectInfo | None:
        """What is known of an object, or None."""
        found = scope.snapshot(lambda inner: state.newest(inner.tx, state.bucket(inner, bucket), key))
        return None if found is None else _info(bucket, key, found)

    def get(self, scope: Scope, bucket: str, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """The bytes start <= i < end of an object."""
        return b"".join(_read(scope, bucket, key, start, end))

    def open(self, scope: Scope, bucket: str, key: str) -> Iterator[bytes]:
        """An object's bytes, chunk by chunk."""
        return _read(scope, bucket, key, 0, None)

    def list(self, scope: Scope, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """The objects whose keys begin with the prefix, in order. Each page of them is one consistent view."""
        after: str | None = None
        while True:
            found = scope.snapshot(lambda inner: _page(inner, bucket, prefix, after))  # noqa: B023 (run at once)
            for key, row in found:
                if not row.marker:
                    yield _info(bucket, key, row)
            if len(found) < limits.PAGE_MAX:
                return
            after = found[-1][0]

    def delete(self, scope: Scope, bucket: str, key: str) -> None:
        """Remove an object, if it is there."""
        scope.transact(lambda inner: changes.delete_object(inner, state.bucket(inner, bucket), key))


class ObjectSink:
    """Puts messages for bucket ARNs as objects. The attribute `key` is the object's key; without it, one is made."""

    def send(self, scope: Scope, arn: str, body: bytes, *, attributes: Mapping[str, str] | None = None) -> None:
        """Write the message as an object."""
        bucket, _, prefix = arn.split(":", 5)[5].partition("/")
        key = (attributes or {}).get("key") or prefix.rstrip("*") + scope.ids.uuid()
        OBJECTS.put(scope, bucket, key, body, content_type="application/json")


def _read(scope: Scope, bucket: str, key: str, start: int, end: int | None) -> Iterator[bytes]:
    def body(inner: Scope) -> tuple[state.Object, list[state.Part]]:
        found = state.find_object(inner.tx, state.bucket(inner, bucket), key)
        return found, state.parts(inner.tx, found.id) if found.parts_count else []

    found, parts = scope.snapshot(body)
    span = Span(min(start, found.size_bytes), found.size_bytes if end is None else min(end, found.size_bytes))
    return contents.stream(scope, found, contents.extents(found, parts, span), span)


def _page(scope: Scope, bucket: str, prefix: str, after: str | None) -> list[tuple[str, state.Object]]:
    owner = state.bucket(scope, bucket)
    first = state.OBJECTS.key(owner.id, prefix)[:-1]
    begin = first if after is None else state.OBJECTS.key(owner.id, after) + b"\x00"
    pairs = scope.tx.range(begin, tuples.after_prefix(first), limit=limits.PAGE_MAX)
    return [(str(tuples.unpack(key)[-1]), state.OBJECTS.decode(raw)) for key, raw in pairs]


def _info(bucket: str, key: str, found: state.Object) -> ObjectInfo:
    return ObjectInfo(
        bucket, key, found.size_bytes, found.etag, found.modified_at,
        found.about.headers.get("ContentType", shapes.DEFAULT_CONTENT_TYPE), found.about.metadata,
    )  # fmt: skip


OBJECTS = Objects()

SERVICE = Service(
    models=("s3",),
    operations="headrace.services.s3.operations",
    offers={"objects": OBJECTS, "sinks.s3": ObjectSink(), "policies.s3": access.BucketPolicies(), "flows.s3": flows.Links()},
    workers=workers.WORKERS,
)
