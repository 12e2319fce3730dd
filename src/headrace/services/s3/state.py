"""What S3 keeps.

    ("s3", "bucket", name)                       → Bucket: names are shared by all accounts, as on AWS
    ("s3", "object", bucket id, key)             → Object: the row of an object, with its bytes if they are few
    ("s3", "version", bucket id, key, order, id) → Object: its older versions, the latest first
    ("s3", "upload", bucket id, key, upload id)  → Upload: a multipart upload that is not complete
    ("s3", "part", upload id, number)            → Part: of an upload, and of the object that became of it
    ("s3", "blob", blob id)                      → b"": somebody refers to the blob; what has no such row is swept
    timer ("s3", "doomed")                       blobs, and ("parts", upload id), to be deleted once nobody reads them any more

An object's bytes are in its row, in one blob, or in the blobs of its parts. They are never changed: a new object has a new
row with new blobs, and the old ones are doomed in the same transaction.
"""

from typing import Any

import msgspec

from headrace.layers import timer
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import Scope
from headrace.services.s3 import errors, limits
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction
from headrace.store.blobs import Blobs
from headrace.store.tuples import Item

DOOMED = ("s3", "doomed")
DOOMED_TOPIC = b"s3:doomed"

NULL_VERSION = "null"


class Bucket(msgspec.Struct, omit_defaults=True):
    """A bucket. Its configurations are kept under their kind, as the structure that AWS's model has for it."""

    name: str
    id: str
    account: str
    region: str
    created_at: float
    configurations: dict[str, Any] = {}
    versioning: str = ""

    @property
    def arn(self) -> str:
        """The bucket's ARN."""
        return f"arn:aws:s3:::{self.name}"


class Description(msgspec.Struct, omit_defaults=True):
    """What a caller says of an object beside its bytes. Headers are under the names of AWS's members: ContentType …"""

    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    storage_class: str = "STANDARD"


class Object(msgspec.Struct, omit_defaults=True):
    """An object, or a delete marker. `id` names its parts; `checksums` are base64 by the algorithm's name (CRC32 …)."""

    id: str
    etag: str
    size_bytes: int
    modified_at: float
    about: Description
    checksums: dict[str, str] = {}
    checksum_type: str = "FULL_OBJECT"
    inline: bytes | None = None
    blob_id: str | None = None
    parts_count: int = 0
    version_id: str = NULL_VERSION
    order: int = 0
    marker: bool = False


class Upload(msgspec.Struct, omit_defaults=True):
    """A multipart upload that is not complete."""

    id: str
    initiated_at: float
    about: Description
    checksum_algorithm: str | None = None
    checksum_type: str = "COMPOSITE"


class Part(msgspec.Struct, omit_defaults=True):
    """A part. `number` is the one it was uploaded under."""

    number: int
    etag: str
    size_bytes: int
    modified_at: float
    blob_id: str
    checksums: dict[str, str] = {}


BUCKETS = Records(("s3", "bucket"), Bucket)
OBJECTS = Records(("s3", "object"), Object)
VERSIONS = Records(("s3", "version"), Object)
UPLOADS = Records(("s3", "upload"), Upload)
PARTS = Records(("s3", "part"), Part)


def blobs(scope: Scope) -> Blobs:
    """S3's own space of blobs."""
    return scope.blobs.space("s3")


def bucket(ctx: Scope, name: str, expected_owner: str | None = None) -> Bucket:
    """The caller's bucket of this name. NoSuchBucket, AccessDenied."""
    found = BUCKETS.get(ctx.tx, name)
    if found is None:
        raise errors.no_such_bucket(name)
    if found.account != ctx.account or expected_owner not in (None, found.account):
        raise errors.access_denied()
    return found


def newest(tx: ReadTransaction, owner: Bucket, key: str) -> Object | None:
    """The object at a key; None when there is none, or a delete marker hides it."""
    found = OBJECTS.get(tx, owner.id, key)
    return None if found is None or found.marker else found


def find_object(tx: ReadTransaction, owner: Bucket, key: str, version_id: str | None = None) -> Object:
    """The object at a key, or one version of it. NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker."""
    if version_id is None:
        found = newest(tx, owner, key)
        if found is None:
            raise errors.no_such_key(key)
        return found
    found = find_version(tx, owner, key, version_id)
    if found is None:
        raise errors.NoSuchVersion("The specified version does not exist.", Key=key, VersionId=version_id)
    if found.marker:
        raise errors.MethodNotAllowed(
            "The specified method is not allowed against this resource.", Method="GET", ResourceType="DeleteMarker"
        )
    return found


def find_version(tx: ReadTransaction, owner: Bucket, key: str, version_id: str) -> Object | None:
    """A version of a key: an object or a delete marker."""
    found = OBJECTS.get(tx, owner.id, key)
    if found is not None and found.version_id == version_id:
        return found
    row_key = find_version_key(tx, owner, key, version_id)
    return None if row_key is None else VERSIONS.get(tx, *row_key)


def find_version_key(tx: ReadTransaction, owner: Bucket, key: str, version_id: str) -> tuple[Item, ...] | None:
    """The key of the row of an older version."""
    if version_id != NULL_VERSION:
        try:
            row_key = (owner.id, key, int(version_id[:16], 16), version_id)
        except ValueError:
            return None
        return row_key if VERSIONS.get(tx, *row_key) is not None else None
    return next((row_key for row_key, row in VERSIONS.scan(tx, owner.id, key) if row.version_id == NULL_VERSION), None)


def save_object(tx: Transaction, owner: Bucket, key: str, changed: Object) -> None:
    """Write the row of a version where it is."""
    held = OBJECTS.get(tx, owner.id, key)
    if held is not None and held.version_id == changed.version_id:
        OBJECTS.put(tx, changed, owner.id, key)
        return
    row_key = find_version_key(tx, owner, key, changed.version_id)
    if row_key is not None:
        VERSIONS.put(tx, changed, *row_key)


def shown_version(owner: Bucket, found: Object) -> str | None:
    """The version id as answers tell it: none from a bucket that never had versions."""
    return found.version_id if owner.versioning else None


def hold(tx: Transaction, blob_id: str) -> None:
    """Say that a blob is referred to."""
    tx.set(tuples.pack(("s3", "blob", blob_id)), b"")


def is_held(tx: ReadTransaction, blob_id: str) -> bool:
    """Whether a blob is referred to, or waits for its end."""
    return tx.get(tuples.pack(("s3", "blob", blob_id))) is not None


def release(tx: Transaction, blob_id: str) -> None:
    """Forget a blob that was deleted."""
    tx.clear(tuples.pack(("s3", "blob", blob_id)))


def doom(ctx: Scope, old: Object) -> None:
    """Let an object's bytes be deleted once those who read them now are done."""
    if old.blob_id is not None:
        doom_blob(ctx, old.blob_id)
    if old.parts_count:
        doom_parts(ctx, old.id)


def doom_blob(ctx: Scope, blob_id: str) -> None:
    """Let one blob be deleted."""
    timer.start(ctx.tx, DOOMED, ctx.clock.now() + limits.DOOMED_GRACE_SECONDS, ("blob", blob_id))
    ctx.tx.announce(DOOMED_TOPIC)


def doom_parts(ctx: Scope, upload_id: str) -> None:
    """Let all parts of an upload be deleted, with their rows."""
    timer.start(ctx.tx, DOOMED, ctx.clock.now() + limits.DOOMED_GRACE_SECONDS, ("parts", upload_id))
    ctx.tx.announce(DOOMED_TOPIC)


def find_upload(ctx: Context, owner: Bucket, key: str, upload_id: str) -> Upload:
    """The multipart upload of this id. NoSuchUpload."""
    found = UPLOADS.get(ctx.tx, owner.id, key, upload_id)
    if found is None:
        raise errors.no_such_upload(upload_id)
    return found


def parts(tx: ReadTransaction, upload_id: str, after: int = 0, limit: int | None = None) -> list[Part]:
    """The parts of an upload or of the object made of it, in order."""
    return [part for _, part in PARTS.scan(tx, upload_id, after=(upload_id, after), limit=limit)]
