"""From the HTTP server's scope to the request that the wire floor understands."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from headrace.wire.request import HttpRequest


def receive(scope: Any) -> HttpRequest:
    """The request without its body. Header names are lower case; repeated ones are joined by commas."""
    pairs = scope.headers.items()
    headers: dict[str, str] = dict(pairs)
    if len(headers) != len(pairs):
        headers = _joined(pairs)
    if "host" not in headers and scope.authority:
        # HTTP/2 has it as a pseudo header; signatures are made over it as "host".
        headers["host"] = scope.authority
    path = scope.path
    if path != "/":
        # The server hands the path over decoded. All SDKs send it encoded in this one way, and sign it so.
        path = quote(path, safe="/-_.~")
    return HttpRequest(scope.method, path, scope.query_string, headers, b"")


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers
