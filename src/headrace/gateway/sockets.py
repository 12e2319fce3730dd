"""WebSockets: opened by a presigned URL, then texts in both directions. What is said in them is the services' business.

A conversation's texts are handed over one after another, each in a thread; what it says back may come from any thread.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from headrace.gateway.authenticate import ANONYMOUS, Keys
from headrace.gateway.receive import receive
from headrace.gateway.run import Dispatcher
from headrace.kit.clock import Clock
from headrace.kit.errors import AwsError
from headrace.kit.settings import Settings
from headrace.operation import Context, Conversation, Socket
from headrace.ports import Credentials, Principal
from headrace.wire import sigv4
from headrace.wire.request import HttpRequest

log = logging.getLogger(__name__)

TEXT_SIZE_MAX_BYTES = 128 << 10
TEXTS_WAITING_MAX = 1024
SILENCE_MAX_SECONDS = 600.0
DURATION_MAX_SECONDS = 2 * 3600.0
SOCKETS_MAX = 2048
_MACHINE_CLOCK = Clock()
_CLOSE, _BYTES = 0, 1


class Sockets:
    """Finds the service of a WebSocket, checks who opens it, and carries its texts."""

    def __init__(self, context: Callable[[str, str, str, str, Principal], Context], keys: Keys, settings: Settings) -> None:
        self._sockets: dict[str, tuple[str, Socket]] = {}
        self._context = context
        self._keys = keys
        self._settings = settings
        self._open = 0

    def add(self, sockets: Mapping[tuple[str, str], Socket]) -> None:
        """Serve more of them."""
        self._sockets.update({path: (name, socket) for (path, name), socket in sockets.items()})

    async def serve(self, scope: Any, protocol: Any, dispatcher: Dispatcher, request_id: str) -> None:
        """Serve one WebSocket until either side ends it."""
        request = receive(scope)
        name, socket = self._sockets.get(request.raw_path, ("", None))
        if socket is None or f"{name}=" not in request.query_string or self._open >= SOCKETS_MAX:
            protocol.close(404 if self._open < SOCKETS_MAX else 503)
            return
        line = _Line(asyncio.get_running_loop())
        self._open += 1
        try:
            ctx = self._authenticated(request, socket.signing_name, request_id)
            query = dict(parse_qsl(request.query_string))
            conversation = await dispatcher.in_thread(lambda: socket.open(ctx, query, line))
        except AwsError as error:
            log.debug("a WebSocket was refused: %s", error.message)
            protocol.close(error.status)
            self._open -= 1
            return
        try:
            await _carry(await protocol.accept(), line, conversation, dispatcher)
        finally:
            self._open -= 1
            with contextlib.suppress(Exception):
                protocol.close(None)
            await dispatcher.in_thread(conversation.ended)

    def _authenticated(self, request: HttpRequest, signing_name: str, request_id: str) -> Context:
        found: Credentials | None = None

        def lookup(access_key_id: str) -> tuple[str, str | None] | None:
            nonlocal found
            found = self._keys.find(access_key_id)
            return None if found is None else (found.secret_access_key, found.session_token)

        if not self._settings.require_signatures:
            who = Principal(ANONYMOUS.arn, "", self._settings.account_id)
            return self._context(who.account, self._settings.region, signing_name, request_id, who)
        verified = sigv4.verify(request, lookup, _MACHINE_CLOCK.now(), "rest-json")
        if verified.service != signing_name or found is None:
            raise _Refused(f"Credential should be scoped to correct service: '{signing_name}'.")
        return self._context(found.principal.account, verified.region, signing_name, request_id, found.principal)


class _Refused(AwsError):
    """A signature for something else."""

    code = "InvalidSignatureException"
    status = 403


class _Line:
    """What a conversation says back with: `operation.Line`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.waiting: asyncio.Queue[str | None] = asyncio.Queue()

    def send(self, text: str) -> None:
        """Say a text. One who does not listen is hung up on."""
        self._put(text)

    def hang_up(self) -> None:
        """End the conversation, after what was said."""
        self._put(None)

    def _put(self, text: str | None) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._add, text)

    def _add(self, text: str | None) -> None:
        self.waiting.put_nowait(text if self.waiting.qsize() < TEXTS_WAITING_MAX else None)


async def _carry(transport: Any, line: _Line, conversation: Conversation, dispatcher: Dispatcher) -> None:
    listening = asyncio.create_task(_listen(transport, conversation, dispatcher))
    speaking = asyncio.create_task(_speak(transport, line))
    try:
        async with asyncio.timeout(DURATION_MAX_SECONDS):
            await asyncio.wait({listening, speaking}, return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        log.debug("a WebSocket was open for too long")
    for task in (listening, speaking):
        task.cancel()
    for outcome in await asyncio.gather(listening, speaking, return_exceptions=True):
        if isinstance(outcome, Exception) and not isinstance(outcome, RuntimeError | TimeoutError):
            log.error("a WebSocket failed", exc_info=outcome)


async def _listen(transport: Any, conversation: Conversation, dispatcher: Dispatcher) -> None:
    while True:
        message = await asyncio.wait_for(transport.receive(), SILENCE_MAX_SECONDS)
        if message.kind == _CLOSE:
            return
        data = message.data
        if len(data) > TEXT_SIZE_MAX_BYTES:
            return
        text = data.decode(errors="replace") if message.kind == _BYTES else data
        await dispatcher.in_thread(lambda text=text: conversation.received(text))


async def _speak(transport: Any, line: _Line) -> None:
    while (text := await line.waiting.get()) is not None:
        await transport.send_str(text)
