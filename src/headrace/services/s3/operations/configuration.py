"""Operations on a bucket's configuration. What can't be changed here can be read: it is as in a new bucket on AWS."""

from typing import Any

from headrace.kit.errors import UnsupportedParameter
from headrace.operation import Context, operation
from headrace.services.s3 import errors, lifecycle, notifications, shapes, state
from headrace.services.s3.operations import objects

ENCRYPTION = "encryption"


@operation(read_only=True)
def get_bucket_versioning(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """Whether a bucket keeps versions; nothing when it never did."""
    return {"Status": state.bucket(ctx, bucket, expected_bucket_owner).versioning or None}


@operation(accepts=("content_md5", "checksum_algorithm"))
def put_bucket_versioning(
    ctx: Context, *, bucket: str, versioning_configuration: dict[str, Any], expected_bucket_owner: str | None = None
) -> None:
    """Let a bucket keep versions from now on, or keep those it has and add none."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    status = versioning_configuration.get("Status")
    if versioning_configuration.get("MFADelete") == "Enabled":
        raise UnsupportedParameter("Headrace does not know MFADelete.")
    if status not in ("Enabled", "Suspended"):
        raise errors.malformed_xml()
    found.versioning = status
    state.BUCKETS.put(ctx.tx, found, bucket)


@operation(read_only=True)
def get_bucket_acl(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """The owner may do everything, and nobody else anything."""
    return _private(state.bucket(ctx, bucket, expected_bucket_owner))


@operation(read_only=True, accepts=("request_payer",))
def get_object_acl(
    ctx: Context, *, bucket: str, key: str, version_id: str | None = None, expected_bucket_owner: str | None = None
) -> dict[str, Any]:
    """The owner may do everything, and nobody else anything."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    state.find_object(ctx.tx, found, key, version_id)
    return _private(found)


def _private(found: state.Bucket) -> dict[str, Any]:
    owner = shapes.owner(found.account)
    return {"Owner": owner, "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}


@operation(read_only=True)
def get_bucket_ownership_controls(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """The bucket's owner owns all objects."""
    state.bucket(ctx, bucket, expected_bucket_owner)
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}


@operation(accepts=("content_md5", "checksum_algorithm"))
def put_bucket_ownership_controls(
    ctx: Context, *, bucket: str, ownership_controls: dict[str, Any], expected_bucket_owner: str | None = None
) -> None:
    """Take what is so anyway: BucketOwnerEnforced."""
    state.bucket(ctx, bucket, expected_bucket_owner)
    if ownership_controls.get("Rules") != [{"ObjectOwnership": "BucketOwnerEnforced"}]:
        raise UnsupportedParameter("Headrace has no access control lists: object ownership is BucketOwnerEnforced.")


@operation(read_only=True)
def get_bucket_lifecycle_configuration(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """The lifecycle rules of a bucket."""
    found = state.bucket(ctx, bucket, expected_bucket_owner).configurations.get(lifecycle.KIND)
    if not found:
        raise errors.NoSuchLifecycleConfiguration("The lifecycle configuration does not exist", BucketName=bucket)
    return {"Rules": found}


@operation(accepts=("checksum_algorithm", "transition_default_minimum_object_size"))
def put_bucket_lifecycle_configuration(
    ctx: Context, *, bucket: str, lifecycle_configuration: dict[str, Any] | None = None,
    expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Let objects expire or change their storage class, and uploads be aborted, by their age. A worker does it within an hour.

    Differs from AWS: rules on versions that are not current are refused.
    """
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    found.configurations[lifecycle.KIND] = lifecycle.check((lifecycle_configuration or {}).get("Rules") or [])
    state.BUCKETS.put(ctx.tx, found, bucket)
    return {}


@operation
def delete_bucket_lifecycle(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> None:
    """Take the lifecycle rules from a bucket."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    found.configurations.pop(lifecycle.KIND, None)
    state.BUCKETS.put(ctx.tx, found, bucket)


@operation(read_only=True)
def get_bucket_notification_configuration(
    ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None
) -> dict[str, Any]:
    """To whom a bucket announces changes."""
    found: dict[str, Any] = state.bucket(ctx, bucket, expected_bucket_owner).configurations.get(notifications.KIND) or {}
    return found


@operation
def put_bucket_notification_configuration(
    ctx: Context, *, bucket: str, notification_configuration: dict[str, Any], expected_bucket_owner: str | None = None,
    skip_destination_validation: bool | None = None,
) -> None:  # fmt: skip
    """Announce changes of objects to queues, topics and functions whose policies let S3, in the transaction of the change."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    checked = notifications.check(ctx, notification_configuration)
    if not skip_destination_validation:
        notifications.try_targets(ctx, found, checked)
    found.configurations[notifications.KIND] = checked
    state.BUCKETS.put(ctx.tx, found, bucket)


@operation(read_only=True)
def get_bucket_encryption(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """The encryption that was asked for."""
    found = state.bucket(ctx, bucket, expected_bucket_owner).configurations.get(ENCRYPTION)
    if found is None:
        raise errors.ServerSideEncryptionConfigurationNotFoundError(
            "The server side encryption configuration was not found", BucketName=bucket
        )
    return {"ServerSideEncryptionConfiguration": found}


@operation(accepts=("content_md5", "checksum_algorithm"))
def put_bucket_encryption(
    ctx: Context, *, bucket: str, server_side_encryption_configuration: dict[str, Any],
    expected_bucket_owner: str | None = None,
) -> None:  # fmt: skip
    """Keep that AES256 was asked for. Differs from AWS: encryption at rest is left to the disk; keys of KMS are refused."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    rules = server_side_encryption_configuration.get("Rules") or []
    if not rules:
        raise errors.malformed_xml()
    for rule in rules:
        objects.check_encryption((rule.get("ApplyServerSideEncryptionByDefault") or {}).get("SSEAlgorithm"))
    found.configurations[ENCRYPTION] = server_side_encryption_configuration
    state.BUCKETS.put(ctx.tx, found, bucket)


@operation
def delete_bucket_encryption(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> None:
    """Forget what encryption was asked for."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    found.configurations.pop(ENCRYPTION, None)
    state.BUCKETS.put(ctx.tx, found, bucket)
