"""Runs an operation: in a transaction, on a snapshot, or in a thread."""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from headrace.gateway.mailback import Mailback
from headrace.operation import BoundOperation, Context, Longer

# Operations that wait (Invoke, long polls, streams of bytes) each hold a thread while they do.
THREADS_MAX = 512


class Dispatcher:
    """Runs operations for one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._mailback = Mailback(loop)
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="operation")

    async def run(self, operation: BoundOperation, ctx: Context, parameters: Mapping[str, Any]) -> Any:
        """The operation's result; AwsError, StoreUnavailable or an error of ours."""
        mark = operation.mark
        if mark.transaction:
            future: asyncio.Future[Any] = self._loop.create_future()
            ctx.store.submit(partial(operation.call_within, ctx, parameters), partial(self._mailback.deliver, future))
            return await future
        if mark.read_only:
            body = partial(operation.call_within, ctx, parameters)
            try:
                return ctx.store.snapshot(body)
            except Longer:
                return await self.in_thread(lambda: ctx.store.snapshot(body))
        return await self.in_thread(lambda: operation.call(ctx, parameters))

    async def in_thread(self, function: Any) -> Any:
        """Run a function that may block."""
        return await self._loop.run_in_executor(self._threads, function)

    def stop(self) -> None:
        """Begin nothing more, and wait a moment for what runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for thread in threading.enumerate():
            if thread.name.startswith("operation"):
                thread.join(timeout=0.5)
