"""S3's resource types."""

from collections.abc import Mapping
from typing import Any

from headrace.kit.errors import AwsError, ValidationError
from headrace.services.cloudformation.resources.kind import (
    Attributes,
    Call,
    Kind,
    Naming,
    Properties,
    changed,
    is_missing,
    pairs,
    pick,
    tags_of,
)  # fmt: skip


def _create_bucket(call: Call, name: str, properties: Properties) -> str:
    location = None if call.region == "us-east-1" else {"LocationConstraint": call.region}
    call("s3", "CreateBucket", Bucket=name, CreateBucketConfiguration=location)
    return name


def _finish_bucket(call: Call, name: str, properties: Properties) -> None:
    _set(call, name, properties, {})


def _set(call: Call, name: str, new: Properties, old: Properties) -> None:
    """Write each setting that changed, and remove those that the template does not have any more."""
    for property_name, (operation, member, shape, removal) in _SETTINGS.items():
        if not changed(new, old, property_name):
            continue
        if property_name in new:
            call("s3", operation, Bucket=name, **{member: shape(new)})
        elif removal is None:
            call("s3", operation, Bucket=name, **{member: {}})
        else:
            call("s3", removal, Bucket=name)


def _tagging(properties: Properties) -> dict[str, Any]:
    return {"TagSet": pairs(tags_of(properties))}


def _as_is(name: str) -> Any:
    return lambda properties: properties[name]


def _encryption(properties: Properties) -> dict[str, Any]:
    rules = []
    for rule in properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]:
        default = {"ApplyServerSideEncryptionByDefault": rule.get("ServerSideEncryptionByDefault")}
        rules.append({**default, **pick(rule, "BucketKeyEnabled")})
    return {"Rules": rules}


def _lifecycle(properties: Properties) -> dict[str, Any]:
    return {"Rules": [_lifecycle_rule(rule) for rule in properties["LifecycleConfiguration"]["Rules"]]}


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    found = pick(rule, "Status", ID="Id")
    expiration = pick(rule, Days="ExpirationInDays", Date="ExpirationDate", ExpiredObjectDeleteMarker="ExpiredObjectDeleteMarker")
    if expiration:
        found["Expiration"] = expiration
    found["Filter"] = {"Prefix": rule.get("Prefix", "")}
    if "NoncurrentVersionExpiration" in rule:
        found["NoncurrentVersionExpiration"] = pick(
            rule["NoncurrentVersionExpiration"], "NoncurrentDays", "NewerNoncurrentVersions"
        )
    if "AbortIncompleteMultipartUpload" in rule:
        found["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    unknown = set(rule) - {
        "Id", "Status", "Prefix", "ExpirationInDays", "ExpirationDate", "ExpiredObjectDeleteMarker",
        "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload",
    }  # fmt: skip
    if unknown:
        raise ValidationError(f"Encountered unsupported property {sorted(unknown)[0]} in LifecycleConfiguration/Rules")
    return found


def _notification(properties: Properties) -> dict[str, Any]:
    given, found = properties["NotificationConfiguration"], {}
    for name, target, member, arn in (
        ("LambdaConfigurations", "Function", "LambdaFunctionConfigurations", "LambdaFunctionArn"),
        ("QueueConfigurations", "Queue", "QueueConfigurations", "QueueArn"),
        ("TopicConfigurations", "Topic", "TopicConfigurations", "TopicArn"),
    ):
        if name in given:
            found[member] = [
                {
                    arn: entry[target],
                    "Events": [entry["Event"]],
                    **({"Filter": {"Key": {"FilterRules": entry["Filter"]["S3Key"]["Rules"]}}} if "Filter" in entry else {}),
                }
                for entry in given[name]
            ]
    if "EventBridgeConfiguration" in given:
        raise ValidationError("Encountered unsupported property EventBridgeConfiguration in NotificationConfiguration")
    return found


# Property: the operation that sets it, its member, what it holds, and the operation that removes it (None: set it empty).
_SETTINGS: dict[str, tuple[str, str, Any, str | None]] = {
    "Tags": ("PutBucketTagging", "Tagging", _tagging, "DeleteBucketTagging"),
    "VersioningConfiguration": (
        "PutBucketVersioning", "VersioningConfiguration", _as_is("VersioningConfiguration"), None,
    ),
    "PublicAccessBlockConfiguration": (
        "PutPublicAccessBlock", "PublicAccessBlockConfiguration", _as_is("PublicAccessBlockConfiguration"),
        "DeletePublicAccessBlock",
    ),
    "OwnershipControls": (
        "PutBucketOwnershipControls", "OwnershipControls", _as_is("OwnershipControls"), "DeleteBucketOwnershipControls",
    ),
    "BucketEncryption": (
        "PutBucketEncryption", "ServerSideEncryptionConfiguration", _encryption, "DeleteBucketEncryption",
    ),
    "LifecycleConfiguration": (
        "PutBucketLifecycleConfiguration", "LifecycleConfiguration", _lifecycle, "DeleteBucketLifecycle",
    ),
    "NotificationConfiguration": (
        "PutBucketNotificationConfiguration", "NotificationConfiguration", _notification, None,
    ),
}  # fmt: skip


def _read_bucket(call: Call, name: str, properties: Properties) -> Attributes:
    call("s3", "HeadBucket", Bucket=name)
    return {
        "Arn": f"arn:aws:s3:::{name}",
        "DomainName": f"{name}.s3.amazonaws.com",
        "RegionalDomainName": f"{name}.s3.{call.region}.amazonaws.com",
        "DualStackDomainName": f"{name}.s3.dualstack.{call.region}.amazonaws.com",
        "WebsiteURL": f"http://{name}.s3-website-{call.region}.amazonaws.com",
    }


def _update_bucket(call: Call, name: str, new: Properties, old: Properties) -> None:
    if "VersioningConfiguration" in old and "VersioningConfiguration" not in new:
        new = {**new, "VersioningConfiguration": {"Status": "Suspended"}}
    _set(call, name, new, old)


def _delete_bucket(call: Call, name: str, properties: Properties) -> None:
    call("s3", "DeleteBucket", Bucket=name)


def _put_policy(call: Call, name: str, properties: Properties) -> str:
    call("s3", "PutBucketPolicy", Bucket=properties["Bucket"], Policy=properties["PolicyDocument"])
    return str(properties["Bucket"])


def _update_policy(call: Call, name: str, new: Properties, old: Properties) -> None:
    _put_policy(call, name, new)


def _delete_policy(call: Call, name: str, properties: Properties) -> None:
    try:
        call("s3", "DeleteBucketPolicy", Bucket=properties["Bucket"])
    except AwsError as error:
        if not is_missing(error):
            raise


def _nothing(call: Call, name: str, properties: Properties) -> Attributes:
    return {}


KINDS = (
    Kind(
        type="AWS::S3::Bucket",
        naming=Naming("BucketName", 63, lower=True),
        fixed=("BucketName",),
        mutable=tuple(_SETTINGS),
        attributes=("Arn", "DomainName", "RegionalDomainName", "DualStackDomainName", "WebsiteURL"),
        create=_create_bucket, finish=_finish_bucket, read=_read_bucket, update=_update_bucket, delete=_delete_bucket,
    ),
    Kind(
        type="AWS::S3::BucketPolicy",
        required=("Bucket", "PolicyDocument"),
        fixed=("Bucket",),
        mutable=("PolicyDocument",),
        create=_put_policy, read=_nothing, update=_update_policy, delete=_delete_policy,
    ),
)  # fmt: skip
