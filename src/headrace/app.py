"""The composition root: the one place that knows every service, and hands each its ports."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from headrace.gateway.authenticate import Keys, root_principal
from headrace.gateway.counters import Counters
from headrace.gateway.gateway import Gateway
from headrace.gateway.local import LocalApi
from headrace.gateway.pages import OpenPages, Pages, json_answer
from headrace.gateway.pause import LoopPause
from headrace.gateway.pipeline_pages import pipeline_pages
from headrace.gateway.sites import Sites
from headrace.gateway.sockets import Sockets
from headrace.kit.clock import Clock
from headrace.kit.errors import ServiceUnavailable
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.layers import once
from headrace.loading import CARDS, Loader, read
from headrace.operation import Context, PageAnswer, PageRequest, Service
from headrace.ports import Ports, Principal
from headrace.store.api import Store
from headrace.store.blobs import Blobs
from headrace.store.blobs_bucket import BucketBlobs
from headrace.store.blobs_local import LocalBlobs
from headrace.store.bucket import Bucket
from headrace.store.lmdb import LmdbStore
from headrace.store.memory import MemoryStore
from headrace.workers import Runner, Worker

log = logging.getLogger(__name__)

# An idle one holds about 4 KiB.
CONNECTIONS_MAX = 12_288
FORGET_REPEATED_SECONDS = 60.0


def load_services() -> dict[str, Service]:
    """Every service under each of its models' names."""
    return {model: service for service in map(read, CARDS) for model in service.models}


def with_credentials(settings: Settings) -> Settings:
    """The settings with root credentials: those given, or those kept in the data folder, made at the first start."""
    if settings.root_access_key_id and settings.root_secret_access_key:
        return settings
    path = settings.data / "credentials.json"
    if not path.exists():
        settings.data.mkdir(parents=True, exist_ok=True)
        made = {"access_key_id": "HR" + secrets.token_hex(9).upper(), "secret_access_key": secrets.token_urlsafe(30)}
        temporary = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file)
            file.flush()
            os.fsync(file.fileno())
        # A second server that starts at this moment must not get other keys: the first file stays.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    kept = json.loads(path.read_text())
    return replace(settings, root_access_key_id=kept["access_key_id"], root_secret_access_key=kept["secret_access_key"])


class App:
    """A server: the store, the services, the gateway, and what runs by itself."""

    def __init__(self, settings: Settings) -> None:
        self.settings = with_credentials(settings)
        self.store = _open_store(self.settings)
        self.blobs = _open_blobs(self.settings)
        self.clock = Clock()
        self.ids = Ids()
        self.ports = Ports()
        self.counters = Counters()
        self.loader = Loader(self.ports, self._loaded)
        self.ports.api = LocalApi(self.loader.find)
        self.runner = Runner(self._worker_context, self.store.signals)
        keys = Keys(self.settings, self.root_context)
        own = {"/_headrace/status": self._status, "/_headrace/clock": self._clock, **pipeline_pages(self.counters)}
        pages = Pages(own, self.root_context, self.settings)
        open_pages = OpenPages(self.root_context)
        sockets = Sockets(self.context, keys, self.settings)
        sites = Sites(self.root_context, keys)
        self.gateway = Gateway(self.loader, self.context, keys, pages, open_pages, sockets, sites, self.counters, self.settings)
        self._failure: Exception | None = None

    def context(self, account: str, region: str, service: str, request_id: str, principal: Principal) -> Context:
        """A context outside of any transaction."""
        return Context(
            account=account, region=region, service=service, request_id=request_id, principal=principal,
            store=self.store, blobs=self.blobs, clock=self.clock, ids=self.ids, settings=self.settings, ports=self.ports,
        )  # fmt: skip

    def root_context(self) -> Context:
        """A context of the root account."""
        account = self.settings.account_id
        return self.context(account, self.settings.region, "", self.ids.uuid(), root_principal(account))

    def _worker_context(self, name: str) -> Context:
        return self.root_context()

    def _status(self, ctx: Context, request: PageRequest) -> PageAnswer:
        return json_answer(
            {
                "status": "running",
                "pid": os.getpid(),
                "data": str(self.settings.data.absolute()),
                "uptime_seconds": round(time.time() - self.counters.started_at, 1),
                "requests": self.counters.requests(),
                "errors": self.counters.errors(),
                "workers": sorted(self.runner.names()),
            }
        )

    def _clock(self, ctx: Context, request: PageRequest) -> PageAnswer:
        if not self.settings.test_clock:
            return json_answer({"message": "The clock is the machine's. Start with --test-clock to move it."}, 403)
        if request.method == "POST":
            self.clock.advance(float(json.loads(request.body)["advance_seconds"]))
            self.runner.wake_all()
        return json_answer({"now": self.clock.now()})

    async def serve(self, ready: Callable[[], None], whole: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once connections are accepted, `whole` when all services are there."""
        loop = asyncio.get_running_loop()
        self.gateway.start(loop)
        pause = LoopPause(loop)
        if isinstance(self.store, LmdbStore):
            self.store.exclusively = pause.run
        server = _server(self.gateway, self.settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_serving, server)
        self.runner.add(Worker("once.forget", _forget_repeated))
        # Every request needs it.
        self.loader.find("iam")
        announcing = asyncio.create_task(self._announce(ready, partial(self._load_rest, loop, server, whole)))
        try:
            await server.serve()
        finally:
            announcing.cancel()
            pause.end()
            await asyncio.to_thread(self.close)
        if self._failure is not None:
            raise self._failure

    def _stop_serving(self, server: Any) -> None:
        """Take no more requests, and let those that run come to their end."""
        self.gateway.end_pushes()
        server.stop()

    def _load_rest(self, loop: asyncio.AbstractEventLoop, server: Any, whole: Callable[[], None]) -> None:
        """Load the services that nobody asked for yet. A server that lacks one stops, and says why."""

        def load() -> None:
            try:
                self.loader.load_all()
            except ServiceUnavailable:
                return
            except Exception as error:
                self._failure = error
                loop.call_soon_threadsafe(self._stop_serving, server)
                return
            whole()

        threading.Thread(target=load, name="loading", daemon=True).start()

    def _loaded(self, service: Service) -> None:
        """Let a service run."""
        if service.on_start is not None:
            service.on_start(self.root_context(), self.runner)
        for worker in service.workers:
            self.runner.add(worker)
        self.gateway.open(service)

    async def _announce(self, ready: Callable[[], None], go_on: Callable[[], None]) -> None:
        host = "127.0.0.1" if self.settings.host in ("0.0.0.0", "::") else self.settings.host
        while True:
            try:
                _, writer = await asyncio.open_connection(host, self.settings.port)
            except OSError:
                await asyncio.sleep(0.005)
                continue
            writer.close()
            ready()
            go_on()
            return

    def close(self) -> None:
        """Stop what runs, in the reverse order of its start."""
        self.loader.stop()
        services = self.loader.services()
        for service in services:
            if service.on_stopping is not None:
                service.on_stopping()
        self.runner.stop()
        self.gateway.stop()
        for service in services:
            if service.on_stop is not None:
                service.on_stop()
        self.store.close()


def _forget_repeated(ctx: Context) -> float:
    """Forget which appends of repeated invocations were taken, a day later."""
    more = ctx.transact(lambda inner: once.forget(inner.tx, inner.clock.now()))
    return 0.0 if more == once.FORGET_COUNT_MAX else FORGET_REPEATED_SECONDS


def _open_store(settings: Settings) -> Store:
    if settings.store == "memory":
        return MemoryStore()
    if settings.store == "lmdb":
        return LmdbStore(Path(settings.data) / "store", size_max_gib=settings.store_size_max_gib)
    raise ValueError(f"HEADRACE_STORE must be lmdb or memory, not {settings.store!r}")


def _open_blobs(settings: Settings) -> Blobs:
    if settings.blobs_url:
        return BucketBlobs(Bucket(settings.blobs_url))
    return LocalBlobs(Path(settings.data) / "blobs")


def _server(gateway: Gateway, settings: Settings) -> Any:
    tls = settings.tls_certificate
    return Server(
        gateway,
        settings.host,
        settings.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.auto,
        websockets=True,
        backlog=1024,
        backpressure=CONNECTIONS_MAX,
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=30_000),
        http2_settings=HTTP2Settings(max_headers_size=64 * 1024, max_concurrent_streams=256),
        ssl_cert=Path(tls) if tls else None,
        ssl_key=Path(settings.tls_key) if tls else None,
    )
