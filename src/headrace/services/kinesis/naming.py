"""Which stream a request means, and the opaque tokens that requests carry on."""

import base64
import functools
import hashlib
import hmac
from typing import Any, Protocol

import msgspec

from headrace.kit import arn as arns
from headrace.kit.settings import Settings
from headrace.services.kinesis import errors, limits

_SIGNATURE_SIZE_BYTES = 16


class Place(Protocol):
    """Where a request came in: a Context, or a Scope."""

    account: str
    region: str


def stream_name(at: Place, name: str | None, arn: str | None) -> str:
    """The name of the stream that a request gives by name, ARN or both."""
    if arn is None:
        if name is None:
            raise errors.InvalidArgumentException("Either StreamName or StreamARN must be specified.")
        return name
    account, region, in_arn = parse_stream_arn(arn)
    if account != at.account or region != at.region:
        raise errors.ResourceNotFoundException(f"Stream {arn} is not in account {at.account} and region {at.region}.")
    if name is not None and name != in_arn:
        raise errors.InvalidArgumentException(f"StreamARN {arn} and StreamName {name} do not name the same stream.")
    return in_arn


def parse_stream_arn(text: str) -> tuple[str, str, str]:
    """(account, region, stream name) of a stream's ARN; InvalidArgumentException."""
    try:
        arn = arns.parse(text)
    except ValueError:
        arn = None
    if arn is None or arn.service != "kinesis" or not arn.resource.startswith("stream/"):
        raise errors.InvalidArgumentException(f"{text} is not the ARN of a stream.")
    return arn.account, arn.region, arn.resource.removeprefix("stream/").split("/", 1)[0]


class Iterator(msgspec.Struct, array_like=True):
    """What a shard iterator says: read this shard behind this place. It holds all there is, so it survives a restart."""

    account: str
    region: str
    stream: str
    stream_id: str
    shard: int
    after: int
    made_at_ms: int


class Page(msgspec.Struct, array_like=True):
    """What a page token says: go on behind this key of this list."""

    of: str
    after: str
    made_at_ms: int
    filter: dict[str, Any] = {}


def encode(settings: Settings, token: Iterator | Page) -> str:
    """A token as opaque text, signed: nobody makes one by himself, or one of another stream's."""
    raw = msgspec.msgpack.encode(token)
    return base64.urlsafe_b64encode(_signature(settings, raw) + raw).decode()


def decode_iterator(settings: Settings, text: str, now_ms: int) -> Iterator:
    """The iterator in a text; InvalidArgumentException, or ExpiredIteratorException after five minutes."""
    found = read_iterator(settings, text)
    age_ms = now_ms - found.made_at_ms
    if age_ms > limits.ITERATOR_AGE_MAX_MS:
        raise errors.ExpiredIteratorException(
            f"Iterator expired. The iterator was created {age_ms} milliseconds ago, "
            f"which is more than the tolerated delay of {limits.ITERATOR_AGE_MAX_MS} milliseconds."
        )
    return found


def read_iterator(settings: Settings, text: str) -> Iterator:
    """The iterator in a text, however old it is; InvalidArgumentException."""
    raw = _checked(settings, text)
    try:
        found = None if raw is None else msgspec.msgpack.decode(raw, type=Iterator)
    except msgspec.MsgspecError:
        found = None
    if found is None:
        raise errors.InvalidArgumentException("Invalid ShardIterator.")
    return found


def decode_page(settings: Settings, text: str, of: str, now_ms: int) -> Page:
    """The page token in a text, if it is one of this list; InvalidArgumentException, ExpiredNextTokenException."""
    raw = _checked(settings, text)
    try:
        found = None if raw is None else msgspec.msgpack.decode(raw, type=Page)
    except msgspec.MsgspecError:
        found = None
    if found is None or found.of != of:
        raise errors.InvalidArgumentException("Invalid NextToken.")
    if now_ms - found.made_at_ms > limits.ITERATOR_AGE_MAX_MS:
        raise errors.ExpiredNextTokenException("NextToken has expired. Start the listing again.")
    return found


def _checked(settings: Settings, text: str) -> bytes | None:
    try:
        raw = base64.urlsafe_b64decode(text)
    except ValueError:
        return None
    signature, token = raw[:_SIGNATURE_SIZE_BYTES], raw[_SIGNATURE_SIZE_BYTES:]
    return token if hmac.compare_digest(signature, _signature(settings, token)) else None


def _signature(settings: Settings, raw: bytes) -> bytes:
    return hmac.digest(_key(settings.root_secret_access_key), raw, "sha256")[:_SIGNATURE_SIZE_BYTES]


@functools.lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    """The key of tokens comes from the root secret: so every process of a server has the same one, after a restart, too."""
    return hashlib.sha256(b"headrace kinesis tokens\0" + secret.encode()).digest()
