"""CORS: browsers may call the AWS protocols from any page, because every call is signed."""

from collections.abc import Mapping

PREFLIGHT_AGE_SECONDS = "86400"
_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def headers(request_headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """What an answer to a browser carries; nothing for others."""
    if "origin" not in request_headers:
        return []
    return [("access-control-allow-origin", "*"), ("access-control-expose-headers", "*")]


def document(request_headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """What keeps a stored document that a browser opens from acting as one of the server's own pages."""
    if request_headers.get("sec-fetch-dest", "empty") == "empty":
        return []
    return [
        ("content-security-policy", "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts"),
        ("x-content-type-options", "nosniff"),
    ]


def preflight(request_headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The answer's headers to a browser that asks before it calls."""
    asked = request_headers.get("access-control-request-headers", "")
    return [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", _METHODS),
        ("access-control-allow-headers", asked or "*"),
        ("access-control-expose-headers", "*"),
        ("access-control-max-age", PREFLIGHT_AGE_SECONDS),
    ]
