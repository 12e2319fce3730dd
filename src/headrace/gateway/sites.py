"""Web sites that a service serves: each has a name, which lies in the host, or in a path that needs no DNS."""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from headrace.gateway.authenticate import Keys
from headrace.kit.clock import Clock
from headrace.kit.errors import AwsError
from headrace.operation import Context, Site, SiteAnswer, SiteRequest
from headrace.ports import Credentials, Principal
from headrace.wire import sigv4
from headrace.wire.request import HttpRequest

log = logging.getLogger(__name__)

_MACHINE_CLOCK = Clock()


class Found(NamedTuple):
    """A site, the name under which it was asked, and the path within."""

    site: Site
    name: str
    path: str


class Sites:
    """Finds the site of a request."""

    def __init__(self, context: Callable[[], Context], keys: Keys) -> None:
        self._sites: tuple[Site, ...] = ()
        self._context = context
        self._keys = keys

    def add(self, sites: Sequence[Site]) -> None:
        """Serve more sites."""
        self._sites = (*self._sites, *sites)

    def find(self, request: HttpRequest) -> Found | None:
        """The site, or None: then it is somebody else's request."""
        for site in self._sites:
            name, found, _ = request.headers.get("host", "").partition(site.host_part)
            if found and name:
                return Found(site, name, request.raw_path)
            if request.raw_path.startswith(site.path_prefix):
                name, _, path = request.raw_path[len(site.path_prefix) :].partition("/")
                return Found(site, name, f"/{path}")
        return None

    def answer(self, found: Found, request: HttpRequest, client: str) -> SiteAnswer:
        """Run the site. Called in a thread."""
        try:
            principal = self._principal(request)
        except AwsError as error:
            log.debug("a signature to a site was not right: %s", error)
            principal = None
        asked = SiteRequest(
            found.name, request.method, found.path, request.query_string, request.headers, request.body, client, principal
        )
        try:
            return found.site.answer(self._context(), asked)
        except Exception:
            log.exception("%s %s failed", request.method, request.raw_path)
            return SiteAnswer(500, [("content-type", "application/json")], b'{"Message":"Internal Server Error"}')

    def _principal(self, request: HttpRequest) -> Principal | None:
        if "authorization" not in request.headers and "X-Amz-Signature" not in request.query_string:
            return None
        credentials: list[Credentials] = []

        def lookup(access_key_id: str) -> tuple[str, str | None] | None:
            found = self._keys.find(access_key_id)
            if found is None:
                return None
            credentials.append(found)
            return found.secret_access_key, found.session_token

        verified = sigv4.verify(request, lookup, _MACHINE_CLOCK.now(), "rest-json")
        return credentials[0].principal if verified.service == "lambda" else None
