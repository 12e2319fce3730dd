"""Tokens of pages."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from headrace.services.sns import errors


def encode(place: str) -> str:
    """A page goes on behind this place."""
    return urlsafe_b64encode(place.encode()).decode()


def decode(token: str | None) -> str:
    """The place behind which a page goes on; "" without a token. InvalidParameterException."""
    try:
        return urlsafe_b64decode(token or "").decode()
    except ValueError:
        raise errors.invalid("NextToken") from None
