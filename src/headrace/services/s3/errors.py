"""S3's errors, with its own sentences. Those that the model does not declare carry code and status themselves."""

from headrace.kit.errors import AwsError


class NoSuchBucket(AwsError, LookupError):
    """There is no such bucket."""

    status = 404


class NoSuchKey(AwsError, LookupError):
    """There is no such object."""

    status = 404


class NoSuchUpload(AwsError, LookupError):
    """There is no such multipart upload, or no longer."""

    status = 404


class NoSuchVersion(AwsError):
    """There is no such version of the object."""

    status = 404


class MethodNotAllowed(AwsError):
    """A delete marker can't be read."""

    code = "MethodNotAllowed"
    status = 405


class NotFound(AwsError):
    """A HEAD request's answer for what is not there: it has no body to say more."""

    code = "404"
    status = 404


class NoSuchTagSet(AwsError):
    """The bucket has no tags."""

    code = "NoSuchTagSet"
    status = 404


class NoSuchBucketPolicy(AwsError):
    """The bucket has no policy."""

    code = "NoSuchBucketPolicy"
    status = 404


class MalformedPolicy(AwsError):
    """The policy is not what it should be."""

    code = "MalformedPolicy"


class NoSuchPublicAccessBlockConfiguration(AwsError):
    """The bucket's public access block was removed."""

    code = "NoSuchPublicAccessBlockConfiguration"
    status = 404


class ServerSideEncryptionConfigurationNotFoundError(AwsError):
    """No encryption was asked for."""

    code = "ServerSideEncryptionConfigurationNotFoundError"
    status = 404


class NoSuchLifecycleConfiguration(AwsError):
    """The bucket has no lifecycle rules."""

    code = "NoSuchLifecycleConfiguration"
    status = 404


class BucketAlreadyExists(AwsError):
    """Another account has a bucket of this name."""

    status = 409


class BucketAlreadyOwnedByYou(AwsError):
    """The account has a bucket of this name already."""

    status = 409


class BucketNotEmpty(AwsError):
    """The bucket still holds objects."""

    code = "BucketNotEmpty"
    status = 409


class AccessDenied(AwsError):
    """The bucket belongs to another account."""

    status = 403


class InvalidBucketName(AwsError):
    """The name breaks the rules for buckets."""

    code = "InvalidBucketName"


class IllegalLocationConstraintException(AwsError):
    """The region that was asked for is not the one that is spoken to."""

    code = "IllegalLocationConstraintException"


class InvalidArgument(AwsError):
    """A value is not what it should be."""

    code = "InvalidArgument"


class InvalidRequest(AwsError):
    """The request makes no sense as a whole."""


class InvalidRange(AwsError):
    """The range lies outside the object."""

    code = "InvalidRange"
    status = 416


class InvalidPartNumber(AwsError):
    """The object has no such part."""

    code = "InvalidPartNumber"
    status = 416


class PreconditionFailed(AwsError):
    """A condition of the request does not hold."""

    code = "PreconditionFailed"
    status = 412


class NotModified(AwsError):
    """The caller's copy is still good."""

    code = "NotModified"
    status = 304


class BadDigest(AwsError):
    """The body is not the one whose checksum was sent."""

    code = "BadDigest"


class InvalidDigest(AwsError):
    """A Content-MD5 that is none."""

    code = "InvalidDigest"


class IncompleteBody(AwsError):
    """The body ended before its length was reached."""

    code = "IncompleteBody"


class MissingContentLength(AwsError):
    """The length of the body was not declared."""

    code = "MissingContentLength"
    status = 411


class EntityTooLarge(AwsError):
    """The body is larger than an object or part may be."""

    code = "EntityTooLarge"


class EntityTooSmall(AwsError):
    """A part that is not the last one is smaller than 5 MiB."""

    code = "EntityTooSmall"


class KeyTooLongError(AwsError):
    """The key has more than 1024 bytes."""

    code = "KeyTooLongError"


class MetadataTooLarge(AwsError):
    """The metadata is larger than 2 KiB."""

    code = "MetadataTooLarge"


class InvalidPart(AwsError):
    """A part of the list was never uploaded, or has another ETag."""

    code = "InvalidPart"


class InvalidPartOrder(AwsError):
    """The list of parts is not in order."""

    code = "InvalidPartOrder"


class MalformedXML(AwsError):
    """The document in the body is not what it should be."""

    code = "MalformedXML"


class InvalidTag(AwsError):
    """A tag breaks the rules for tags."""

    code = "InvalidTag"


class InvalidStorageClass(AwsError):
    """There is no such storage class."""

    code = "InvalidStorageClass"


class AccessControlListNotSupported(AwsError):
    """Buckets have no access control lists here, as is AWS's own default."""

    code = "AccessControlListNotSupported"


def no_such_bucket(bucket: str) -> NoSuchBucket:
    """No bucket of this name."""
    return NoSuchBucket("The specified bucket does not exist", BucketName=bucket)


def no_such_key(key: str) -> NoSuchKey:
    """No object at this key."""
    return NoSuchKey("The specified key does not exist.", Key=key)


def no_such_upload(upload_id: str) -> NoSuchUpload:
    """No multipart upload of this id."""
    return NoSuchUpload(
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
        UploadId=upload_id,
    )


def access_denied() -> AccessDenied:
    """The bucket is another account's."""
    return AccessDenied("Access Denied")


def precondition_failed(condition: str) -> PreconditionFailed:
    """The named condition does not hold."""
    return PreconditionFailed("At least one of the pre-conditions you specified did not hold", Condition=condition)


def malformed_xml() -> MalformedXML:
    """The document is not what it should be."""
    return MalformedXML("The XML you provided was not well-formed or did not validate against our published schema")


def bad_checksum(algorithm: str) -> BadDigest:
    """The body does not have the checksum that was sent."""
    return BadDigest(f"The {algorithm} you specified did not match the calculated checksum.")
