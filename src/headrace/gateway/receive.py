"""From the HTTP server's scope to the request that the wire floor understands."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from headrace.wire.request import HttpRequest

_DURABLE = "/2025-12-01/durable-execution"
_DURABLE_PATH = re.compile(
    r"(?P<place>/2025-12-01/(?:durable-executions|durable-execution-callbacks)/)"
    r"(?P<name>[^/]+/durable-execution/[^/]+/[^/]+|.+(?=/(?:succeed|fail|heartbeat)\Z))(?P<rest>/.*)?\Z"
)


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
        path = _durable(path) if path.startswith(_DURABLE) else quote(path, safe="/-_.~")
    return HttpRequest(scope.method, path, scope.query_string, headers, b"")


def _durable(path: str) -> str:
    """A path of Lambda's that holds a name with slashes, which were encoded before the server decoded them."""
    found = _DURABLE_PATH.match(path)
    if found is None:
        return quote(path, safe="/-_.~")
    return found["place"] + quote(found["name"], safe="-_.~") + (found["rest"] or "")


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers
