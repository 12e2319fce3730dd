"""The code of Flink applications: copied from S3 when it is named, so that what runs is what was there then."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.roles import RoleRefused
from headrace.services.analytics import errors, limits, rights, state
from headrace.services.analytics.flink import state as kept
from headrace.services.analytics.references import blobs
from headrace.services.analytics.state import Application


def take(ctx: Context, application: Application, location: dict[str, str]) -> None:
    """Copy the code from S3, with the rights of the application's role; InvalidArgumentException where it can't be read."""
    assert application.flink is not None
    bucket, key = location["BucketARN"].rpartition(":")[2], location["FileKey"]
    digest, size = hashlib.md5(usedforsecurity=False), 0

    def parts(acting: Context) -> Iterator[bytes]:
        nonlocal size
        for part in ctx.ports.objects.open(acting, bucket, key):
            size += len(part)
            if size > limits.CODE_SIZE_MAX_BYTES:
                raise errors.InvalidArgumentException(
                    f"The application's code is larger than {limits.CODE_SIZE_MAX_BYTES} bytes."
                )
            digest.update(part)
            yield part

    try:
        acting = rights.ROLES.check(ctx, application.role, "s3:GetObject", f"{location['BucketARN']}/{key}")
        kept_as = blobs(ctx).put(parts(acting))
    except (LookupError, RoleRefused):
        raise errors.code_not_found(location) from None
    except AwsError as error:
        if isinstance(error, errors.InvalidArgumentException):
            raise
        raise errors.code_not_found(location) from None
    application.flink.code, application.flink.blob = location, kept_as.id
    application.flink.size_bytes, application.flink.md5 = size, digest.hexdigest()


def drop(ctx: Context, application: Application) -> None:
    """Remove the copies of an application's code: those of all its versions."""
    found = ctx.snapshot(
        lambda inner: [one for _, one in state.VERSIONS.scan(inner.tx, inner.account, inner.region, application.name)]
    )
    for blob in {one.flink.blob for one in (*found, application) if one.flink is not None and one.flink.blob}:
        blobs(ctx).delete(blob)


def file(ctx: Context, application: Application) -> Path:
    """The code as a file."""
    assert application.flink is not None
    folder = kept.folder(ctx, application.id) / "code"
    path = folder / f"{application.flink.blob.replace('/', '-')}.jar"
    if not path.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        new = path.with_suffix(".new")
        with new.open("wb") as written:
            for part in blobs(ctx).open(application.flink.blob):
                written.write(part)
        new.rename(path)
    return path
