"""The URLs of queues, and tokens of pages."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from headrace.operation import Context
from headrace.services.sqs import errors, state


def url(ctx: Context, queue: state.Queue) -> str:
    """The URL of a queue at this server. Requests may name it by any other host."""
    settings = ctx.settings
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{host}:{settings.port}/{queue.account}/{queue.name}"


def encode_token(name: str) -> str:
    """A page goes on behind this name."""
    return urlsafe_b64encode(name.encode()).decode()


def decode_token(text: str) -> str:
    """The name behind which a page goes on. InvalidParameterValue."""
    try:
        return urlsafe_b64decode(text).decode()
    except ValueError:
        raise errors.InvalidParameterValue("Invalid or expired next token.") from None
