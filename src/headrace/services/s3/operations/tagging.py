"""Operations on the tags of buckets and objects."""

from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.s3 import errors, limits, rules, shapes, state


@operation(read_only=True, accepts=("request_payer",))
def get_object_tagging(
    ctx: Context, *, bucket: str, key: str, version_id: str | None = None, expected_bucket_owner: str | None = None
) -> dict[str, Any]:
    """The tags of an object."""
    owner = state.bucket(ctx, bucket, expected_bucket_owner)
    found = state.find_object(ctx.tx, owner, key, version_id)
    return {"VersionId": state.shown_version(owner, found), "TagSet": shapes.tag_set(found.about.tags)}


@operation(accepts=("request_payer", "content_md5", "checksum_algorithm"))
def put_object_tagging(
    ctx: Context, *, bucket: str, key: str, tagging: dict[str, Any], version_id: str | None = None,
    expected_bucket_owner: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Give an object these tags in place of those it has."""
    tags = rules.tags_of_set(tagging.get("TagSet") or [], limits.OBJECT_TAGS_MAX)
    return _set_tags(ctx, bucket, key, version_id, tags, expected_bucket_owner)


@operation
def delete_object_tagging(
    ctx: Context, *, bucket: str, key: str, version_id: str | None = None, expected_bucket_owner: str | None = None
) -> dict[str, Any]:
    """Take all tags from an object."""
    return _set_tags(ctx, bucket, key, version_id, {}, expected_bucket_owner)


def _set_tags(
    ctx: Context, bucket: str, key: str, version_id: str | None, tags: dict[str, str], expected_owner: str | None
) -> dict[str, Any]:
    owner = state.bucket(ctx, bucket, expected_owner)
    found = state.find_object(ctx.tx, owner, key, version_id)
    found.about.tags = tags
    state.save_object(ctx.tx, owner, key, found)
    return {"VersionId": state.shown_version(owner, found)}


@operation(read_only=True)
def get_bucket_tagging(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> dict[str, Any]:
    """The tags of a bucket."""
    tags = tag_rows.get(ctx.tx, state.bucket(ctx, bucket, expected_bucket_owner).arn)
    if not tags:
        raise errors.NoSuchTagSet("The TagSet does not exist", BucketName=bucket)
    return {"TagSet": shapes.tag_set(tags)}


@operation(accepts=("content_md5", "checksum_algorithm"))
def put_bucket_tagging(ctx: Context, *, bucket: str, tagging: dict[str, Any], expected_bucket_owner: str | None = None) -> None:
    """Give a bucket these tags in place of those it has."""
    found = state.bucket(ctx, bucket, expected_bucket_owner)
    tags = rules.tags_of_set(tagging.get("TagSet") or [], limits.BUCKET_TAGS_MAX)
    tag_rows.drop(ctx.tx, found.arn)
    tag_rows.add(ctx.tx, found.arn, tags)


@operation
def delete_bucket_tagging(ctx: Context, *, bucket: str, expected_bucket_owner: str | None = None) -> None:
    """Take all tags from a bucket."""
    tag_rows.drop(ctx.tx, state.bucket(ctx, bucket, expected_bucket_owner).arn)
