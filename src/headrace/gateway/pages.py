"""Pages beside the AWS protocols: what the server says of itself, and what services show to people.

They are for the machine's own user: asked from loopback, under a loopback name (so that no foreign web page can reach them by a
name of its own that points here). From elsewhere they need the server's root secret as a bearer token.
"""

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from headrace.kit.errors import AwsError
from headrace.kit.settings import Settings
from headrace.operation import Context, OpenAnswer, OpenPage, Page, PageAnswer, PageRequest
from headrace.wire.request import HttpRequest

log = logging.getLogger(__name__)

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Pages:
    """Finds the page of a path, and decides who may see it."""

    def __init__(self, pages: Mapping[str, Page], context: Callable[[], Context], settings: Settings) -> None:
        self._pages: list[tuple[str, Page]] = []
        self._context = context
        self._settings = settings
        self.add(pages)

    def add(self, pages: Mapping[str, Page]) -> None:
        """Serve more pages."""
        # The longest prefix wins.
        self._pages = sorted([*self._pages, *pages.items()], key=lambda pair: -len(pair[0]))

    def answer(self, request: HttpRequest, body: bytes, client: str) -> PageAnswer:
        """Run the page. Called in a thread."""
        if not self._allowed(request, client):
            return _problem(
                403, "This page is for the machine's own user. From elsewhere, send the root secret as a bearer token."
            )
        path = unquote(request.raw_path)
        for prefix, page in self._pages:
            if path.startswith(prefix):
                asked = PageRequest(path[len(prefix) :], dict(parse_qsl(request.query_string)), request.method, body)
                try:
                    return page(self._context(), asked)
                except AwsError as error:
                    return _problem(error.status, error.message)
                except Exception:
                    log.exception("the page %s failed", path)
                    return _problem(500, "The page failed; the log has the reason.")
        return _problem(404, "There is no such page.")

    def headers(self, answer: PageAnswer) -> list[tuple[str, str]]:
        """The headers of an answer: nothing foreign may be loaded, and no foreign page may embed it."""
        return [
            ("content-type", answer.content_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            ("referrer-policy", "no-referrer"),
            (
                "content-security-policy",
                "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
                "img-src 'self' data:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
            ),
        ]

    def _allowed(self, request: HttpRequest, client: str) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if given and hmac.compare_digest(given.encode(), self._settings.root_secret_access_key.encode()):
            return True
        address = client.rsplit(":", 1)[0].strip("[]").removeprefix("::ffff:")
        host = request.headers.get("host", "")
        name = host if host.endswith("]") else host.rsplit(":", 1)[0] if ":" in host else host
        # A page of another site that knows this address could post a form here.
        foreign = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        # Browsers that do not say so name the page's origin where they change something.
        origin = request.headers.get("origin")
        foreign = foreign or (origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"))
        return address in ("127.0.0.1", "::1") and name.lower() in _LOOPBACK_NAMES and not foreign


class OpenPages:
    """Pages that carry their own permission in the query: for players and browsers, which sign nothing."""

    def __init__(self, context: Callable[[], Context]) -> None:
        self._pages: dict[str, tuple[str, OpenPage]] = {}
        self._context = context

    def add(self, pages: Mapping[tuple[str, str], OpenPage]) -> None:
        """Serve more pages."""
        self._pages.update({path: (name, page) for (path, name), page in pages.items()})

    def find(self, request: HttpRequest) -> OpenPage | None:
        """The page of a request, or None."""
        name, page = self._pages.get(request.raw_path, ("", None))
        return page if page is not None and request.method in ("GET", "HEAD") and f"{name}=" in request.query_string else None

    def answer(self, page: OpenPage, request: HttpRequest) -> OpenAnswer:
        """Run the page. Called in a thread."""
        asked = PageRequest(request.raw_path, dict(parse_qsl(request.query_string)), request.method, b"")
        try:
            return page(self._context(), asked)
        except AwsError as error:
            headers = [("content-type", "application/json"), ("x-amzn-errortype", error.code or type(error).__name__)]
            return OpenAnswer(error.status, headers, json.dumps({"Message": error.message}).encode())
        except Exception:
            log.exception("the page %s failed", request.raw_path)
            return OpenAnswer(
                500, [("content-type", "application/json")], b'{"Message":"The page failed; the log has the reason."}'
            )


def json_answer(value: Any, status: int = 200) -> PageAnswer:
    """A value as JSON."""
    return PageAnswer(status, "application/json", json.dumps(value).encode())


def _problem(status: int, message: str) -> PageAnswer:
    return json_answer({"message": message}, status)
