"""Operations on buckets: create, head, delete, list, location."""

from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.s3 import errors, limits, rules, shapes, state
from headrace.services.s3.listing import Place

DEFAULT_REGION = "us-east-1"


@operation
def create_bucket(
    ctx: Context, *, bucket: str, create_bucket_configuration: dict[str, Any] | None = None, acl: str | None = None,
    object_ownership: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Create a bucket in the region that is spoken to.

    As on AWS, creating one's own bucket again succeeds in us-east-1 and is BucketAlreadyOwnedByYou elsewhere.
    """
    rules.check_bucket_name(bucket)
    rules.check_acl(acl)
    if object_ownership not in (None, "BucketOwnerEnforced"):
        raise errors.AccessControlListNotSupported("The bucket does not allow ACLs")
    wanted = create_bucket_configuration or {}
    _check_location(wanted.get("LocationConstraint"), ctx.region)
    before = state.BUCKETS.get(ctx.tx, bucket)
    if before is not None and before.account != ctx.account:
        raise errors.BucketAlreadyExists(
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again.", BucketName=bucket,
        )  # fmt: skip
    if before is not None and (before.region != DEFAULT_REGION or ctx.region != DEFAULT_REGION):
        raise errors.BucketAlreadyOwnedByYou(
            "Your previous request to create the named bucket succeeded and you already own it.", BucketName=bucket
        )
    if before is None:
        made = state.Bucket(bucket, ctx.ids.hex(24), ctx.account, ctx.region, ctx.clock.now())
        state.BUCKETS.put(ctx.tx, made, bucket)
        ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
        if wanted.get("Tags"):
            tag_rows.add(ctx.tx, made.arn, rules.tags_of_set(wanted["Tags"], limits.BUCKET_TAGS_MAX))
    return {"Location": f"/{bucket}", "BucketArn": f"arn:aws:s3:::{bucket}"}


def _check_location(constraint: str | None, region: str) -> None:
    if constraint == DEFAULT_REGION and region == DEFAULT_REGION:
        raise errors.IllegalLocationConstraintException("The specified location-constraint is not valid")
    if constraint is None and region != DEFAULT_REGION:
        constraint = "unspecified"
    if constraint not in (None, region, "EU"):
        raise errors.IllegalLocationConstraintException(
            f"The {constraint} location constraint is incompatible for the region specific endpoint this request was sent to."
        )


@operation(read_only=True)
def head_bucket(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """Whether a bucket is there and the caller's."""
    try:
        found = state.bucket(ctx, bucket, expected_bucket_owner)
    except errors.NoSuchBucket:
        raise errors.NotFound("Not Found") from None
    return {"BucketRegion": found.region, "BucketArn": found.arn}


@operation
def delete_bucket(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> None:
    """Delete an empty bucket. As on AWS, multipart uploads that were not completed go with it."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    if any(next(rows.scan(ctx.tx, found.id, limit=1), None) is not None for rows in (state.OBJECTS, state.VERSIONS)):
        raise errors.BucketNotEmpty("The bucket you tried to delete is not empty", BucketName=bucket)
    for _, upload in state.UPLOADS.scan(ctx.tx, found.id):
        state.doom_parts(ctx, upload.id)
    state.UPLOADS.delete_all(ctx.tx, found.id)
    state.BUCKETS.delete(ctx.tx, bucket)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
    tag_rows.drop(ctx.tx, found.arn)


@operation(transaction=False)
def list_buckets(
    ctx: Context, *, max_buckets: int | None = None, continuation_token: str | None = None, prefix: str | None = None,
    bucket_region: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The account's buckets by name."""
    after = "" if continuation_token is None else shapes.place(continuation_token).key
    wanted = min(max_buckets or limits.BUCKETS_PAGE_MAX, limits.BUCKETS_PAGE_MAX)

    def fits(found: state.Bucket) -> bool:
        return (
            found.account == ctx.account and found.name.startswith(prefix or "") and bucket_region in (None, found.region)
        )  # fmt: skip

    def body(inner: Context) -> list[state.Bucket]:
        found = []
        for _, one in state.BUCKETS.scan(inner.tx, after=(after,)):
            if fits(one):
                found.append(one)
                if len(found) > wanted:
                    break
        return found

    found = ctx.snapshot(body)
    answer: dict[str, Any] = {
        "Buckets": [
            {"Name": one.name, "CreationDate": one.created_at, "BucketRegion": one.region, "BucketArn": one.arn}
            for one in found[:wanted]
        ],
        "Owner": shapes.owner(ctx.account),
        "Prefix": prefix,
    }
    if len(found) > wanted:
        answer["ContinuationToken"] = shapes.token(Place(found[wanted - 1].name))
    return answer


@operation(read_only=True)
def get_bucket_location(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """The region of a bucket; nothing for us-east-1, as on AWS."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    return {"LocationConstraint": None if found.region == DEFAULT_REGION else found.region}
