"""What S3 keeps.

    ("s3", "bucket", name)                       → Bucket: names are shared by all accounts, as on AWS
    ("s3", "object", bucket id, key)             → Object: the row of an object, with its bytes if they are few
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

DOOMED = ("s3", "doomed")
DOOMED_TOPIC = b"s3:doomed"


class Bucket(msgspec.Struct, omit_defaults=True):
    """A bucket. Its configurations are kept under their kind, as the structure that AWS's model has for it."""

    name: str
    id: str
    account: str
    region: str
    created_at: float
    configurations: dict[str, Any] = {}

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
    """An object. `id` names its parts if it has any; `checksums` are base64 by the algorithm's name (CRC32 …)."""

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


def find_object(tx: ReadTransaction, owner: Bucket, key: str) -> Object:
    """The object at a key. NoSuchKey."""
    found = OBJECTS.get(tx, owner.id, key)
    if found is None:
        raise errors.no_such_key(key)
    return found


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
