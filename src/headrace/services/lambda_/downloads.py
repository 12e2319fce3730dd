"""Where the code of a function can be fetched: an address that holds for ten minutes, for whoever has it."""

import hashlib
import hmac

from headrace.operation import Context, PageAnswer, PageRequest
from headrace.services.lambda_ import packages
from headrace.services.lambda_.state import Code

PREFIX = "/_headrace/lambda/code/"
VALID_SECONDS = 600


def location(ctx: Context, code: Code) -> str:
    """The address of a package."""
    until = int(ctx.clock.now()) + VALID_SECONDS
    scheme = "https" if ctx.settings.tls_certificate else "http"
    host = "127.0.0.1" if ctx.settings.host in ("0.0.0.0", "::") else ctx.settings.host
    return f"{scheme}://{host}:{ctx.settings.port}{PREFIX}{code.blob_id}?until={until}&proof={_proof(ctx, code.blob_id, until)}"


def page(ctx: Context, request: PageRequest) -> PageAnswer:
    """Answer with the package, if the address was given out by us and is not too old."""
    blob_id, until = request.path.strip("/").rpartition("/")[2], request.query.get("until", "")
    expected = _proof(ctx, blob_id, int(until)) if until.isdigit() else ""
    if not expected or not hmac.compare_digest(expected, request.query.get("proof", "")) or int(until) < ctx.clock.now():
        return PageAnswer(403, "text/plain", b"This address does not hold, or not any more.\n")
    try:
        return PageAnswer(200, "application/zip", packages.blobs(ctx).get(blob_id))
    except KeyError:
        return PageAnswer(404, "text/plain", b"The package is gone.\n")


def _proof(ctx: Context, blob_id: str, until: int) -> str:
    secret = b"headrace lambda code " + ctx.settings.root_secret_access_key.encode()
    return hmac.new(secret, f"{blob_id} {until}".encode(), hashlib.sha256).hexdigest()
