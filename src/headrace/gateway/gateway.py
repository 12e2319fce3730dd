"""The gateway: one HTTP request from its first byte to its answer.

The steps, in order: receive → identify → read the body → authenticate → parse → validate → authorise → run → serialise →
record. All but running is the same for every operation and is driven by the AWS model.
"""

import asyncio
import itertools
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol

from granian._granian import RSGIProtocolClosed

from headrace.gateway import body as bodies
from headrace.gateway import cors
from headrace.gateway.authenticate import ANONYMOUS, Keys
from headrace.gateway.authorise import authorise
from headrace.gateway.counters import Counters
from headrace.gateway.drain import Drain, Drains
from headrace.gateway.endless import EndlessBody
from headrace.gateway.pages import OpenPages, Pages
from headrace.gateway.receive import receive
from headrace.gateway.run import Dispatcher
from headrace.gateway.sites import Found, Sites
from headrace.gateway.sockets import Sockets
from headrace.kit.clock import Clock
from headrace.kit.errors import (
    AwsError,
    InternalFailure,
    ServiceUnavailable,
    UnknownOperationException,
    UnsupportedParameter,
)
from headrace.kit.settings import Settings
from headrace.operation import Context, Service
from headrace.ports import Credentials, Principal
from headrace.store.api import StoreUnavailable
from headrace.wire import models, signature_errors, sigv4
from headrace.wire.body import BodyDecoder, body_decoder, decode_body
from headrace.wire.identify import Target, Unidentified, identify, needs_body
from headrace.wire.protocols.table import protocol as protocol_of
from headrace.wire.request import HttpRequest, Response
from headrace.wire.validate import validate

log = logging.getLogger(__name__)

# Clients sign with the machine's own time, wherever a test has put the server's clock.
_MACHINE_CLOCK = Clock()

PAGE_BODY_SIZE_MAX_BYTES = 1 << 20
HEALTH, NOOP = _OWN_PATHS = ("/_headrace/health", "/_headrace/noop")
# How long an answer that comes in parts waits for a client that takes nothing of it: one that is pushed, one that is read.
PUSH_WAIT_MAX_SECONDS = 10.0
SEND_WAIT_MAX_SECONDS = 120.0


class Services(Protocol):
    """The services that are served: `there` are those that can be called, and all are when it is `whole`."""

    there: dict[str, Service]
    whole: bool

    def find(self, model: str) -> Service | None:
        """The service of a model; None: there is none. May block."""

    def load_all(self) -> None:
        """Wait until all are there."""


class Gateway:
    """An RSGI application over a set of services."""

    def __init__(
        self,
        services: Services,
        context: Callable[[str, str, str, str, Principal], Context],
        keys: Keys,
        pages: Pages,
        open_pages: OpenPages,
        sockets: Sockets,
        sites: Sites,
        counters: Counters,
        settings: Settings,
    ) -> None:
        self.services = services
        self.context = context
        self.keys = keys
        self.counters = counters
        self.settings = settings
        self.held = bodies.Held()
        self.watch = bodies.SilenceWatch()
        self.drains = Drains()
        self._pages = pages
        self._open_pages = open_pages
        self._sockets = sockets
        self._sites = sites
        self._dispatcher: Dispatcher | None = None
        # Those who push parts that they wait for, until the server stops.
        self._pushing: set[asyncio.Task[Any]] = set()
        self.ending = False
        # Bodies without an end that are read now.
        self.endless: set[EndlessBody] = set()
        # Unique over restarts, and cheaper than a new UUID a request: a random beginning and a count.
        self._request_ids = itertools.count()
        self._request_id_prefix = str(uuid.uuid4())[:24]

    def new_request_id(self) -> str:
        """A request id in the form of a UUID."""
        return f"{self._request_id_prefix}{next(self._request_ids):012x}"

    def open(self, service: Service) -> None:
        """Serve what a service shows beside its operations."""
        self._pages.add(service.pages)
        self._open_pages.add(service.open_pages)
        self._sockets.add(service.sockets)
        self._sites.add(service.sites)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve on this event loop."""
        self._dispatcher = Dispatcher(loop)
        self.watch.start(loop)

    def end_pushes(self) -> None:
        """End the answers that go on for as long as nobody ends them: the server is about to wait for its last requests."""
        self.ending = True
        self.drains.end()
        for task in self._pushing:
            task.cancel()
        for body in self.endless:
            body.close()

    async def push(self, parts: AsyncGenerator[bytes], transport: Any, drain: Drain) -> None:
        """Send parts as they are made, on the event loop: no thread waits for them. A reader that stands still is let go."""
        task = asyncio.current_task()
        assert task is not None
        self._pushing.add(task)
        try:
            async with aclosing(parts):
                async for part in parts:
                    if self.ending or not await drain.room(len(part), PUSH_WAIT_MAX_SECONDS):
                        return
                    await transport.send_bytes(part)
        except asyncio.CancelledError:
            if not self.ending:
                raise
        finally:
            self._pushing.discard(task)

    def stop(self) -> None:
        """Let go of the threads."""
        if self._dispatcher is not None:
            self._dispatcher.stop()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        dispatcher = self._dispatcher
        assert dispatcher is not None
        if not self.services.whole and not _can_be_told(scope):
            await dispatcher.in_thread(self.services.load_all)
        if scope.proto != "http":
            await self._sockets.serve(scope, protocol, dispatcher, self.new_request_id())
            return
        request = receive(scope)
        if (site := self._sites.find(request)) is not None:
            try:
                await self._site(site, request, protocol, dispatcher, scope.client)
            except ConnectionError:
                log.debug("the client of %s %s went away", request.method, request.raw_path)
            return
        is_page = request.raw_path.startswith(("/_headrace/", "/_aws/"))
        if not is_page and request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            protocol.response_empty(204, cors.preflight(request.headers))
            return
        try:
            if is_page:
                await self._page(scope, request, protocol, dispatcher)
            elif (open_page := self._open_pages.find(request)) is not None:
                answer = await dispatcher.in_thread(lambda: self._open_pages.answer(open_page, request))
                protocol.response_bytes(answer.status, [*answer.headers, *cors.headers(request.headers)], answer.body)
            else:
                try:
                    await _Exchange(self, request, protocol, dispatcher, scope.client).answer()
                finally:
                    if type(request.body) is EndlessBody:
                        self.endless.discard(request.body)
                        request.body.close()
        except (ConnectionError, RSGIProtocolClosed):
            log.debug("the client of %s %s went away", request.method, request.raw_path)

    async def _site(self, site: Found, request: HttpRequest, protocol: Any, dispatcher: Dispatcher, client: str) -> None:
        try:
            limit = site.site.body_size_max_bytes
            request.body = await bodies.read_whole(protocol, bodies.declared_length(request.headers), limit, self.watch)
        except AwsError as error:
            protocol.response_str(error.status, [("content-type", "application/json")], '{"Message":null}')
            return
        answer = await dispatcher.in_thread(lambda: self._sites.answer(site, request, client))
        await self.send(Response(answer.status, answer.headers, answer.body), protocol, dispatcher, client)

    async def send(self, response: Response, protocol: Any, dispatcher: Dispatcher, client: str) -> None:
        """Send an answer, whole or in parts."""
        if isinstance(response.body, bytes):
            protocol.response_bytes(response.status, response.headers, response.body)
            return
        drain = self.drains.open(client)
        try:
            transport = protocol.response_stream(response.status, response.headers)
            if isinstance(response.body, AsyncGenerator):
                await self.push(response.body, transport, drain)
            else:
                await self._send_parts(response.body, protocol, transport, dispatcher, drain)
        finally:
            drain.close()
            # What was made for this answer (a producer's place, a file) is let go of, however it ended.
            close = getattr(response.body, "close", None)
            if close is not None:
                await dispatcher.in_thread(close)

    async def _send_parts(
        self, body: Iterator[bytes], protocol: Any, transport: Any, dispatcher: Dispatcher, drain: Drain
    ) -> None:
        parts = iter(body)
        gone = asyncio.ensure_future(protocol.client_disconnect())
        try:
            while (part := await dispatcher.in_thread(lambda: next(parts, None))) is not None:
                if not part:
                    # Nothing yet: so an answer that has nothing to send for a while learns that nobody listens.
                    if gone.done() or self.ending:
                        return
                    continue
                if not await drain.room(len(part), SEND_WAIT_MAX_SECONDS):
                    raise ConnectionError("the client takes nothing")
                await transport.send_bytes(part)
        finally:
            gone.cancel()

    async def _page(self, scope: Any, request: HttpRequest, protocol: Any, dispatcher: Dispatcher) -> None:
        if request.raw_path == HEALTH:
            protocol.response_bytes(200, [("content-type", "application/json")], b'{"status":"running"}')
            return
        try:
            body = await bodies.read_whole(
                protocol, bodies.declared_length(request.headers), PAGE_BODY_SIZE_MAX_BYTES, self.watch
            )
        except AwsError as error:
            protocol.response_str(error.status, [("content-type", "text/plain")], error.message)
            return
        if request.raw_path == NOOP:
            # What a request costs before anything is done with it: the measure of `make bench`.
            protocol.response_bytes(200, [("content-type", "application/json")], b"{}")
            return
        answer = await dispatcher.in_thread(lambda: self._pages.answer(request, body, scope.client))
        protocol.response_bytes(answer.status, self._pages.headers(answer), answer.body)


def _can_be_told(scope: Any) -> bool:
    """Whether it is plain whose a request is, before all services are there that might claim it."""
    return scope.proto == "http" and (scope.path in _OWN_PATHS or scope.headers.get("x-amz-target") is not None)


class _Exchange:
    """One request to an AWS protocol and its answer."""

    __slots__ = ("_bound", "_client", "_ctx", "_dispatcher", "_gateway", "_held_bytes", "_parameters", "_protocol", "_request",
                 "_request_id", "_target")  # fmt: skip

    def __init__(self, gateway: Gateway, request: HttpRequest, protocol: Any, dispatcher: Dispatcher, client: str) -> None:
        self._gateway = gateway
        self._client = client
        self._request = request
        self._protocol = protocol
        self._dispatcher = dispatcher
        self._target: Target | None = None
        self._held_bytes = 0
        self._request_id = gateway.new_request_id()

    async def answer(self) -> None:
        """Run the steps, and send what comes of them."""
        gateway = self._gateway
        try:
            # Everything up to the run is plain code: only what waits for the network or the disk is awaited.
            request = self._request
            length = bodies.declared_length(request.headers)
            if needs_body(request):
                await self._read(length)
            target = self._target = identify(request)
            arriving = target.operation.streaming_input is not None and (length is None or length > bodies.AT_ONCE_SIZE_MAX_BYTES)
            arriving = arriving or target.operation.endless
            if not arriving and not request.body:
                await self._read(length)
            if target.service.name not in gateway.services.there:
                await self._dispatcher.in_thread(partial(gateway.services.find, target.service.name))
            self._prepare(target, arriving, length)
            result = await self._dispatcher.run(self._bound, self._ctx, self._parameters)
            response = protocol_of(target.protocol).serialise_response(target.operation, result, self._request_id)
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
            gateway.held.release(self._held_bytes)
        if self._target is not None:
            gateway.counters.count(self._target.operation, response.status)
        asked = self._request.headers
        if type(response.body) is bytes and "origin" not in asked and "sec-fetch-dest" not in asked:
            self._protocol.response_bytes(response.status, response.headers, response.body)
        else:
            await self._send(response)

    async def _read(self, length: int | None) -> None:
        """Read the whole body, counting it against what may be held."""
        if length == 0:
            return
        gateway = self._gateway
        if length is not None and length <= bodies.RESERVED_AT_ONCE_MAX_BYTES:
            self._reserve(length)
            self._request.body = await bodies.read_small(self._protocol, gateway.watch)
        else:
            self._request.body = await bodies.read_whole(
                self._protocol, length, bodies.BUFFERED_SIZE_MAX_BYTES, gateway.watch, self._reserve
            )

    def _reserve(self, size_bytes: int) -> None:
        self._gateway.held.reserve(size_bytes)
        self._held_bytes += size_bytes

    def _prepare(self, target: Target, arriving: bool, length: int | None) -> None:
        """Authenticate, parse, validate and authorise: what runs next is `_bound` on `_ctx` with `_parameters`."""
        gateway = self._gateway
        service_name = target.service.name
        credentials, region = self._authenticate(target, arriving, length)
        service = gateway.services.there.get(service_name)
        bound = service.bound(service_name).get(target.operation.name) if service is not None else None
        if bound is None:
            name = f"{service_name} {target.operation.name}"
            # S3 has a name of its own for this, and its clients do not try again on it.
            refuse = UnsupportedParameter if target.protocol == "rest-xml" else UnknownOperationException
            raise refuse(f"Headrace does not support {name} yet. docs/not-included.md lists what it does.")
        parameters = protocol_of(target.protocol).parse_request(target.operation, self._request, target.labels)
        validate(target.operation, parameters)
        principal = credentials.principal
        self._bound = bound
        self._parameters = parameters
        self._ctx = gateway.context(principal.account, region, service_name, self._request_id, principal)
        self._ctx.trace_id = self._request.headers.get("x-amzn-trace-id", "")
        if principal.arn != ANONYMOUS.arn:
            self._ctx.account = authorise(self._ctx, target, parameters)
            if ":assumed-role/" in principal.arn:
                gateway.counters.count_call(principal.arn, target.operation)

    def _authenticate(self, target: Target, arriving: bool, length: int | None) -> tuple[Credentials, str]:
        """Verify the signature, and undo what goes with it: chunk framing, and compression of bodies."""
        request, gateway = self._request, self._gateway
        found: Credentials | None = None

        def lookup(access_key_id: str) -> tuple[str, str | None] | None:
            nonlocal found
            found = gateway.keys.find(access_key_id)
            return None if found is None else (found.secret_access_key, found.session_token)

        verified = None
        if gateway.settings.require_signatures:
            if arriving:
                request.body = None
            verified = sigv4.verify(request, lookup, _MACHINE_CLOCK.now(), target.protocol)
            if verified.service != target.service.signing_name:
                # What was signed for one service (a link to an object, say) must not open another.
                raise signature_errors.wrong_service(target.protocol, target.service.signing_name)
        if found is None:
            found = Credentials("", "", Principal(ANONYMOUS.arn, "", gateway.settings.account_id))
        if target.operation.streaming_input is not None:
            decoder = body_decoder(verified, request.headers)
            request.body = self._arriving(target, decoder, length) if arriving else _decoded(decoder, request.body)
        elif "content-encoding" in request.headers:
            request.body = decode_body(request.headers, request.body, bodies.BUFFERED_SIZE_MAX_BYTES)
        return found, gateway.settings.region if verified is None else verified.region

    def _arriving(self, target: Target, decoder: BodyDecoder, length: int | None) -> bodies.ArrivingBody:
        if target.operation.endless:
            chunked = "transfer-encoding" in self._request.headers
            endless = EndlessBody(self._protocol, asyncio.get_running_loop(), decoder, length, chunked=chunked)
            self._gateway.endless.add(endless)
            return endless
        declared = self._request.headers.get("x-amz-decoded-content-length")
        decoded_length = int(declared) if declared is not None and declared.isdecimal() else length
        limit_bytes = self._gateway.settings.body_size_max_mib << 20
        return bodies.ArrivingBody(self._protocol, asyncio.get_running_loop(), decoder, decoded_length, limit_bytes)

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
        """Send an answer to a browser, or one that comes in parts."""
        headers = [*response.headers, *cors.headers(self._request.headers), *cors.document(self._request.headers)]
        await self._gateway.send(
            Response(response.status, headers, response.body), self._protocol, self._dispatcher, self._client
        )


def _decoded(decoder: BodyDecoder, body: bytes) -> bodies.WholeBody:
    payload = decoder.feed(body)
    decoder.finish()
    return bodies.WholeBody(payload)
