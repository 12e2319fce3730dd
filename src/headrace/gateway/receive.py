"""From the HTTP server's scope to the request that the wire floor understands."""

from typing import Any
from urllib.parse import quote

from headrace.wire.request import HttpRequest


def receive(scope: Any) -> HttpRequest:
    """The request without its body. Header names are lower case; repeated ones are joined by commas."""
    headers: dict[str, str] = {}
    for name, value in scope.headers.items():
        if name in headers:
            headers[name] = f"{headers[name]},{value}"
        else:
            headers[name] = value
    if "host" not in headers and scope.authority:
        # HTTP/2 has it as a pseudo header; signatures are made over it as "host".
        headers["host"] = scope.authority
    path = scope.path
    if path != "/":
        # The server hands the path over decoded. All SDKs send it encoded in this one way, and sign it so.
        path = quote(path, safe="/-_.~")
    return HttpRequest(scope.method, path, scope.query_string, headers, b"")
