"""The server's own address, and the opaque tokens that requests carry on."""

import base64
from typing import TypeVar

import msgspec

from headrace.kit.settings import Settings
from headrace.services.video import errors

T = TypeVar("T")


def data_endpoint(settings: Settings) -> str:
    """Where the media APIs are: this server."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{host}:{settings.port}"


def write_token(of: str, value: object) -> str:
    """A page token: go on behind this value in the list of that name."""
    return base64.b64encode(msgspec.msgpack.encode((of, value))).decode()


def read_token(token: str, of: str, kind: type[T]) -> T:
    """The value in a page token of a list; InvalidArgumentException."""
    try:
        named, value = msgspec.msgpack.decode(base64.b64decode(token, validate=True), type=tuple[str, kind])  # type: ignore[valid-type]
    except (ValueError, msgspec.DecodeError):
        raise errors.InvalidArgumentException("NextToken is not valid.") from None
    if named != of:
        raise errors.InvalidArgumentException("NextToken is not valid.")
    return value
