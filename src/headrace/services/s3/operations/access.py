"""Operations on who may use a bucket: its policy, and its public access block, which is kept and shown alone."""

import json
from typing import Any

from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC, MalformedPolicy
from headrace.services.s3 import errors, limits, state
from headrace.services.s3.access import POLICY

PUBLIC_ACCESS_BLOCK = "public-access-block"
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@operation(read_only=True)
def get_bucket_policy(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """The policy of a bucket, as it was given."""
    found = state.bucket(ctx, bucket, expected_bucket_owner).configurations.get(POLICY)
    if found is None:
        raise errors.NoSuchBucketPolicy("The bucket policy does not exist", BucketName=bucket)
    return {"Policy": found}


@operation(accepts=("content_md5", "checksum_algorithm", "confirm_remove_self_bucket_access"))
def put_bucket_policy(ctx: Context, *, bucket: str, policy: str, expected_bucket_owner: str | None = None) -> None:
    """Say who may do what with a bucket and its objects; what was said before is replaced."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    _check_policy(policy)
    try:
        ctx.ports.authority.check_policy(policy)
    except MalformedPolicy as error:
        raise errors.MalformedPolicy(str(error)) from None
    found.configurations[POLICY] = policy
    state.BUCKETS.put(ctx.tx, found, bucket)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


def _check_policy(policy: str) -> None:
    if len(policy.encode()) > limits.POLICY_SIZE_MAX_BYTES:
        raise errors.MalformedPolicy("Policies must not be larger than 20 KB")
    try:
        document = json.loads(policy)
    except (ValueError, RecursionError):
        raise errors.MalformedPolicy("This policy contains invalid Json") from None
    if not isinstance(document, dict):
        raise errors.MalformedPolicy("Policies must be valid JSON and the first byte must be '{'")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements or not all(isinstance(one, dict) for one in statements):
        raise errors.MalformedPolicy("Missing required field Statement")
    for statement in statements:
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise errors.MalformedPolicy(f"Invalid effect: {statement.get('Effect')}")
        for names in (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")):
            if not any(name in statement for name in names):
                raise errors.MalformedPolicy(f"Missing required field {names[0]}")


@operation
def delete_bucket_policy(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> None:
    """Forget the policy of a bucket. None is no error, as on AWS."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    found.configurations.pop(POLICY, None)
    state.BUCKETS.put(ctx.tx, found, bucket)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


@operation(read_only=True)
def get_public_access_block(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """What a bucket blocks: everything until it is told otherwise, as in a new bucket on AWS."""
    found = state.bucket(ctx, bucket, expected_bucket_owner).configurations.get(PUBLIC_ACCESS_BLOCK)
    if found == {}:
        raise errors.NoSuchPublicAccessBlockConfiguration(
            "The public access block configuration was not found", BucketName=bucket
        )
    return {"PublicAccessBlockConfiguration": found or dict.fromkeys(_BLOCKS, True)}


@operation(accepts=("content_md5", "checksum_algorithm"))
def put_public_access_block(
    ctx: Context, *, bucket: str, public_access_block_configuration: dict[str, Any], expected_bucket_owner: str | None = None
) -> None:
    """Keep what is to be blocked. Differs from AWS: it changes nothing, because nothing here is ever public."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    found.configurations[PUBLIC_ACCESS_BLOCK] = {name: bool(public_access_block_configuration.get(name)) for name in _BLOCKS}
    state.BUCKETS.put(ctx.tx, found, bucket)


@operation
def delete_public_access_block(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> None:
    """Forget what is to be blocked. Nothing here becomes public by it."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    found.configurations[PUBLIC_ACCESS_BLOCK] = {}
    state.BUCKETS.put(ctx.tx, found, bucket)
