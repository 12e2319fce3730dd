"""The gateway: one HTTP request from its first byte to its answer.

The steps, in order: receive → identify → read the body → authenticate → parse → validate → run → serialise → record. All but
running is the same for every operation and is driven by the AWS model.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headrace.gateway import body as bodies
from headrace.gateway import cors
from headrace.gateway.authenticate import ANONYMOUS, Keys
from headrace.gateway.counters import Counters
from headrace.gateway.pages import Pages
from headrace.gateway.receive import receive
from headrace.gateway.run import Dispatcher
from headrace.kit.clock import Clock
from headrace.kit.errors import (
    AwsError,
    InternalFailure,
    ServiceUnavailable,
    UnknownOperationException,
)
from headrace.kit.settings import Settings
from headrace.operation import Context, Service
from headrace.ports import Credentials, Principal
from headrace.store.api import StoreUnavailable
from headrace.wire import models, sigv4
from headrace.wire.body import body_decoder, decode_body
from headrace.wire.identify import Target, Unidentified, identify, needs_body
from headrace.wire.protocols.table import protocol as protocol_of
from headrace.wire.request import HttpRequest, Response
from headrace.wire.validate import validate

log = logging.getLogger(__name__)

_MACHINE_CLOCK = Clock()


class Gateway:
    """An RSGI application over a set of services."""

    def __init__(
        self,
        services: Mapping[str, Service],
        context: Callable[[str, str, str, str, Principal], Context],
        keys: Keys,
        pages: Pages,
        counters: Counters,
        settings: Settings,
    ) -> None:
        self._services = services
        self._context = context
        self._keys = keys
        self._pages = pages
        self._counters = counters
        self._settings = settings
        self._held = bodies.Held()
        self._dispatcher: Dispatcher | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve on this event loop."""
        self._dispatcher = Dispatcher(loop)

    def stop(self) -> None:
        """Let go of the threads."""
        if self._dispatcher is not None:
            self._dispatcher.stop()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        if scope.proto != "http":
            protocol.close(403)
            return
        request = receive(scope)
        dispatcher = self._dispatcher
        assert dispatcher is not None
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            protocol.response_empty(204, cors.preflight(request.headers))
            return
        try:
            if request.raw_path.startswith(("/_headrace/", "/_aws/")):
                await self._page(scope, request, protocol, dispatcher)
            else:
                await _Exchange(self, request, protocol, dispatcher).answer()
        except ConnectionError:
            log.debug("the client of %s %s went away", request.method, request.raw_path)

    async def _page(self, scope: Any, request: HttpRequest, protocol: Any, dispatcher: Dispatcher) -> None:
        if request.raw_path == "/_headrace/health":
            # The no-op: what a request costs before anything is done.
            protocol.response_bytes(200, [("content-type", "application/json")], b'{"status":"running"}')
            return
        try:
            body = await bodies.read_whole(protocol, bodies.declared_length(request.headers), 1 << 20)
        except AwsError as error:
            protocol.response_str(error.status, [("content-type", "text/plain")], error.message)
            return
        answer = await dispatcher.in_thread(lambda: self._pages.answer(request, body, scope.client))
        protocol.response_bytes(answer.status, self._pages.headers(answer), answer.body)


class _Exchange:
    """One request to an AWS protocol and its answer."""

    def __init__(self, gateway: Gateway, request: HttpRequest, protocol: Any, dispatcher: Dispatcher) -> None:
        self._gateway = gateway
        self._request = request
        self._protocol = protocol
        self._dispatcher = dispatcher
        self._target: Target | None = None
        self._held_bytes = 0
        self._request_id = ""

    async def answer(self) -> None:
        """Run the steps, and send what comes of them."""
        gateway = self._gateway
        self._request_id = gateway._context("", "", "", "", ANONYMOUS).ids.uuid()
        try:
            response = await self._steps()
        except AwsError as error:
            response = self._error(error)
        except StoreUnavailable as error:
            log.warning("request %s: %s", self._request_id, error)
            response = self._error(ServiceUnavailable("The store can't be written now. Please try again."))
        except Exception:
            log.exception("request %s failed", self._request_id)
            response = self._error(
                InternalFailure(f"Headrace failed on this request; its log has the reason under {self._request_id}.")
            )
        finally:
            gateway._held.release(self._held_bytes)
        target = self._target
        if target is not None:
            gateway._counters.count(f"{target.service.name}.{target.operation.name}", response.status)
        await self._send(response)

    async def _steps(self) -> Response:
        request = self._request
        length = bodies.declared_length(request.headers)
        if needs_body(request):
            await self._read(length)
        target = self._target = identify(request)
        service = self._gateway._services.get(target.service.name)
        bound = service.bound(target.service.name).get(target.operation.name) if service is not None else None
        streaming = target.operation.streaming_input is not None and (length is None or length > bodies.AT_ONCE_SIZE_MAX_BYTES)
        if not streaming and request.body == b"":
            await self._read(length)
        credentials, region = self._authenticate(target, streaming, length)
        if bound is None:
            name = f"{target.service.name} {target.operation.name}"
            raise UnknownOperationException(f"Headrace does not support {name} yet. docs/not-included.md lists what it does.")
        parameters = protocol_of(target.protocol).parse_request(target.operation, self._request, target.labels)
        validate(target.operation, parameters)
        ctx = self._gateway._context(
            credentials.principal.account, region, target.service.name, self._request_id, credentials.principal
        )
        result = await self._dispatcher.run(bound, ctx, parameters)
        return protocol_of(target.protocol).serialise_response(target.operation, result, self._request_id)

    async def _read(self, length: int | None) -> None:
        """Read the whole body, counting it against what may be held."""
        declared = min(length or 0, bodies.BUFFERED_SIZE_MAX_BYTES)
        self._gateway._held.reserve(declared)
        self._held_bytes += declared
        body = await bodies.read_whole(self._protocol, length, bodies.BUFFERED_SIZE_MAX_BYTES)
        self._request = self._with_body(body)

    def _with_body(self, body: Any) -> HttpRequest:
        request = self._request
        return HttpRequest(request.method, request.raw_path, request.query_string, request.headers, body)

    def _authenticate(self, target: Target, streaming: bool, length: int | None) -> tuple[Credentials, str]:
        """Verify the signature, and undo what goes with it: chunk framing, and compression of bodies."""
        request, gateway = self._request, self._gateway
        streamed = target.operation.streaming_input is not None
        verified = None
        found: Credentials | None = None
        if gateway._settings.require_signatures or sigv4.is_signed(request):

            def lookup(access_key_id: str) -> tuple[str, str | None] | None:
                nonlocal found
                found = gateway._keys.find(access_key_id)
                return None if found is None else (found.secret_access_key, found.session_token)

            checked = self._with_body(None) if streaming else request
            if gateway._settings.require_signatures:
                verified = sigv4.verify(checked, lookup, sigv4_now(), target.protocol)
        if found is None:
            found = Credentials("", "", Principal(ANONYMOUS.arn, "", gateway._settings.account_id))
        region = verified.region if verified is not None else gateway._settings.region
        if streaming:
            decoder = body_decoder(verified, request.headers)
            declared = request.headers.get("x-amz-decoded-content-length")
            decoded_length = int(declared) if declared is not None and declared.isdecimal() else length
            limit_bytes = gateway._settings.body_size_max_mib << 20
            loop = asyncio.get_running_loop()
            self._request = self._with_body(bodies.ArrivingBody(self._protocol, loop, decoder, decoded_length, limit_bytes))
        elif streamed:
            decoder = body_decoder(verified, request.headers)
            payload = decoder.feed(request.body)
            decoder.finish()
            self._request = self._with_body(bodies.WholeBody(payload))
        elif "content-encoding" in request.headers:
            self._request = self._with_body(decode_body(request.headers, request.body, bodies.BUFFERED_SIZE_MAX_BYTES))
        return found, region

    def _error(self, error: AwsError) -> Response:
        target = self._target
        if target is not None:
            return protocol_of(target.protocol).serialise_error(target.service, target.operation, error, self._request_id)
        if isinstance(error, Unidentified):
            return protocol_of(error.protocol).serialise_error(error.service, None, error, self._request_id)
        # Nothing is known yet but the content type: forms are the query protocol's, and XML is what they expect.
        name, service = ("query", "sts") if needs_body(self._request) else ("json", "dynamodb")
        return protocol_of(name).serialise_error(models.service(service), None, error, self._request_id)

    async def _send(self, response: Response) -> None:
        headers = response.headers
        if "origin" in self._request.headers:
            headers = [*headers, *cors.headers(self._request.headers)]
        if isinstance(response.body, bytes):
            self._protocol.response_bytes(response.status, headers, response.body)
            return
        transport = self._protocol.response_stream(response.status, headers)
        parts: Iterator[bytes] = iter(response.body)
        while True:
            part = await self._dispatcher.in_thread(lambda: next(parts, None))
            if part is None:
                return
            await transport.send_bytes(part)


def sigv4_now() -> float:
    """The machine's own time: clients sign with theirs, wherever a test has put the server's clock."""
    return _MACHINE_CLOCK.now()
