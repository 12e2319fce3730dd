"""What AWS says of a request whose signature it does not accept: per protocol its own code and sentence, all with status 403."""

from calendar import timegm
from email.utils import parsedate_tz
from hashlib import sha256
from time import gmtime, strftime
from typing import ClassVar

from headrace.kit.errors import AwsError

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)
_S3_MISMATCH = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
_BAD_TOKEN = "The security token included in the request is invalid."


class SignatureRefused(AwsError):
    """Base of the errors below."""

    status: ClassVar[int] = 403


class UnrecognizedClientException(SignatureRefused):
    """The access key or the session token is not known."""

    code = "UnrecognizedClientException"


class InvalidClientTokenId(SignatureRefused):
    """The query protocol's name for an access key that is not known."""

    code = "InvalidClientTokenId"


class InvalidAccessKeyId(SignatureRefused):
    """S3's name for an access key that is not known."""

    code = "InvalidAccessKeyId"


class InvalidToken(SignatureRefused):
    """S3's name for a session token that does not belong to the key."""

    code = "InvalidToken"
    status = 400


class InvalidSignatureException(SignatureRefused):
    """The signature is wrong, or its time is."""

    code = "InvalidSignatureException"


class SignatureDoesNotMatch(SignatureRefused):
    """The query protocol's and S3's name for a wrong signature."""

    code = "SignatureDoesNotMatch"


class RequestTimeTooSkewed(SignatureRefused):
    """S3: the request was signed too long ago, or in the future."""

    code = "RequestTimeTooSkewed"


class AccessDenied(SignatureRefused):
    """S3: the request says too little, or its URL has expired."""

    code = "AccessDenied"


class MissingAuthenticationTokenException(SignatureRefused):
    """No signature at all."""

    code = "MissingAuthenticationTokenException"


class MissingAuthenticationToken(SignatureRefused):
    """The query protocol's name for no signature at all."""

    code = "MissingAuthenticationToken"


class IncompleteSignatureException(SignatureRefused):
    """The Authorization header lacks something."""

    code = "IncompleteSignatureException"


class IncompleteSignature(SignatureRefused):
    """The query protocol's name for an Authorization header that lacks something."""

    code = "IncompleteSignature"


class AuthorizationHeaderMalformed(SignatureRefused):
    """S3: the Authorization header cannot be read."""

    code = "AuthorizationHeaderMalformed"
    status = 400


class AuthorizationQueryParametersError(SignatureRefused):
    """S3: the presigned URL cannot be read."""

    code = "AuthorizationQueryParametersError"
    status = 400


class InvalidRequest(SignatureRefused):
    """S3: a kind of signature that is not spoken here."""

    code = "InvalidRequest"
    status = 400


class ContentSha256Mismatch(SignatureRefused):
    """S3: the body is not the one whose hash was signed."""

    code = "XAmzContentSHA256Mismatch"
    status = 400


_S3 = "rest-xml"


def _of(protocol: str, json: type[AwsError], query: type[AwsError], s3: type[AwsError]) -> type[AwsError]:
    return s3 if protocol == _S3 else query if protocol == "query" else json


def unknown_key(protocol: str, access_key_id: str) -> AwsError:
    """No such access key."""
    if protocol == _S3:
        return InvalidAccessKeyId(
            "The AWS Access Key Id you provided does not exist in our records.", AWSAccessKeyId=access_key_id
        )
    return _of(protocol, UnrecognizedClientException, InvalidClientTokenId, InvalidAccessKeyId)(_BAD_TOKEN)


def bad_token(protocol: str) -> AwsError:
    """The session token is not the key's, or there is none where one is needed."""
    if protocol == _S3:
        return InvalidToken("The provided token is malformed or otherwise invalid.")
    return _of(protocol, UnrecognizedClientException, InvalidClientTokenId, InvalidToken)(_BAD_TOKEN)


def mismatch(protocol: str) -> AwsError:
    """The signature differs."""
    kind = _of(protocol, InvalidSignatureException, SignatureDoesNotMatch, SignatureDoesNotMatch)
    return kind(_S3_MISMATCH if protocol == _S3 else _MISMATCH)


def payload_mismatch(protocol: str, declared: str, computed: str) -> AwsError:
    """The body's hash is not the signed one."""
    if protocol == _S3:
        return ContentSha256Mismatch(
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ClientComputedContentSHA256=declared,
            S3ComputedContentSHA256=computed,
        )
    return mismatch(protocol)


def missing(protocol: str) -> AwsError:
    """No signature."""
    if protocol == _S3:
        return AccessDenied("Access Denied")
    kind = _of(protocol, MissingAuthenticationTokenException, MissingAuthenticationToken, AccessDenied)
    return kind("Missing Authentication Token" if protocol != "query" else "Request is missing Authentication Token")


def old_version(protocol: str) -> AwsError:
    """Signature Version 2."""
    if protocol == _S3:
        return InvalidRequest("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
    kind = _of(protocol, InvalidSignatureException, SignatureDoesNotMatch, SignatureDoesNotMatch)
    return kind("AWS Signature Version 2 is not supported. Please use AWS4-HMAC-SHA256.")


def wrong_scheme(protocol: str, authorization: str) -> AwsError:
    """A scheme that is not AWS4-HMAC-SHA256: SigV2, SigV4A or no AWS signature at all."""
    if protocol == _S3:
        return InvalidRequest("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
    if authorization.startswith("AWS4-ECDSA-P256-SHA256"):
        text = "AWS Signature Version 4A is not supported. Please use AWS4-HMAC-SHA256."
    else:
        text = f"Unsupported AWS 'algorithm': '{authorization.split(' ', maxsplit=1)[0]}'."
    return _of(protocol, IncompleteSignatureException, IncompleteSignature, InvalidRequest)(text)


def incomplete(protocol: str, absent: list[str], authorization: str, *, has_date: bool) -> AwsError:
    """Parts of the Authorization header are absent, or the date."""
    parts = [f"Authorization header requires '{name}' parameter." for name in absent]
    if not has_date:
        parts.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    digest = sha256(authorization.encode("utf-8", "replace")).hexdigest()
    text = f"{' '.join(parts)} (Hashed with SHA-256 and encoded with Hex) Authorization={digest}"
    if protocol == _S3:
        return AuthorizationHeaderMalformed(f"The authorization header is malformed; {' '.join(parts)}")
    return _of(protocol, IncompleteSignatureException, IncompleteSignature, AuthorizationHeaderMalformed)(text)


def incomplete_query(protocol: str) -> AwsError:
    """Parts of a presigned URL are absent."""
    text = (
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
        "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
    )
    return _of(protocol, IncompleteSignatureException, IncompleteSignature, AuthorizationQueryParametersError)(text)


def bad_credential(protocol: str, credential: str) -> AwsError:
    """The credential is not KEY/DATE/REGION/SERVICE/aws4_request."""
    if protocol == _S3:
        return AuthorizationHeaderMalformed(
            "The authorization header is malformed; the Credential is mal-formed; "
            'expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    text = f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
    return _of(protocol, IncompleteSignatureException, IncompleteSignature, AuthorizationHeaderMalformed)(text)


def wrong_service(protocol: str, wanted: str) -> AwsError:
    """The scope names another service than the request is for."""
    text = f"Credential should be scoped to correct service: '{wanted}'."
    return _of(protocol, InvalidSignatureException, SignatureDoesNotMatch, AuthorizationHeaderMalformed)(text)


def bad_expires(protocol: str) -> AwsError:
    """X-Amz-Expires is no number of seconds within a week."""
    text = (
        "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
    )
    return _of(protocol, IncompleteSignatureException, IncompleteSignature, AuthorizationQueryParametersError)(text)


def bad_date(protocol: str, scope_date: str, amz_date: str) -> AwsError:
    """The date cannot be read, or is another day than the credential's."""
    if protocol == _S3:
        return AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
    text = (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        f"'{scope_date}' != '{amz_date[:8]}', from '{amz_date}'."
    )
    return _of(protocol, InvalidSignatureException, SignatureDoesNotMatch, AccessDenied)(text)


def expired(protocol: str, amz_date: str, now: float, skew_seconds: int) -> AwsError:
    """Signed too long ago."""
    if protocol == _S3:
        return _too_skewed(amz_date, now, skew_seconds)
    earliest = _amz(now - skew_seconds)
    text = f"Signature expired: {amz_date} is now earlier than {earliest} ({_amz(now)} - {skew_seconds // 60} min.)"
    return _of(protocol, InvalidSignatureException, SignatureDoesNotMatch, RequestTimeTooSkewed)(text)


def not_yet(protocol: str, amz_date: str, now: float, skew_seconds: int) -> AwsError:
    """Signed in the future."""
    if protocol == _S3:
        return _too_skewed(amz_date, now, skew_seconds)
    latest = _amz(now + skew_seconds)
    text = f"Signature not yet current: {amz_date} is still later than {latest} ({_amz(now)} + {skew_seconds // 60} min.)"
    return _of(protocol, InvalidSignatureException, SignatureDoesNotMatch, RequestTimeTooSkewed)(text)


def presigned_expired(protocol: str, expires_s: int, signed_at: float, now: float) -> AwsError:
    """A presigned URL past its X-Amz-Expires."""
    if protocol == _S3:
        return AccessDenied(
            "Request has expired",
            **{"X-Amz-Expires": str(expires_s), "Expires": _iso(signed_at + expires_s), "ServerTime": _iso(now)},
        )
    text = (
        f"Signature expired: {_amz(signed_at)} is now earlier than {_amz(now - expires_s)} ({_amz(now)} - {expires_s // 60} min.)"
    )
    return _of(protocol, InvalidSignatureException, SignatureDoesNotMatch, AccessDenied)(text)


def unsigned_header(protocol: str, name: str) -> AwsError:
    """A header that steers the request is not under the signature."""
    if protocol == _S3:
        return AccessDenied("There were headers present in the request which were not signed", HeadersNotSigned=name)
    text = f"'{name}' must be a 'SignedHeader' in the AWS Authorization."
    return _of(protocol, InvalidSignatureException, SignatureDoesNotMatch, AccessDenied)(text)


def parse_http_date(text: str) -> float | None:
    """Epoch seconds of a Date header, or None."""
    parsed = parsedate_tz(text)
    if parsed is None:
        return None
    try:
        return timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0)
    except (ValueError, OverflowError):
        return None


def _too_skewed(amz_date: str, now: float, skew_seconds: int) -> AwsError:
    return RequestTimeTooSkewed(
        "The difference between the request time and the current time is too large.",
        RequestTime=amz_date,
        ServerTime=_iso(now),
        MaxAllowedSkewMilliseconds=str(skew_seconds * 1000),
    )


def _amz(epoch: float) -> str:
    return strftime("%Y%m%dT%H%M%SZ", gmtime(epoch))


def _iso(epoch: float) -> str:
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(epoch))
