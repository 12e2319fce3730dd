"""Carries bytes between the sockets inside functions' private networks and the server's own port: their only way out."""

import asyncio
import contextlib
import socket
import threading

_CHUNK_BYTES = 64 * 1024
_CONNECTIONS_MAX = 256
# Functions come from a loopback address of their own, not from 127.0.0.1: the server's pages are for the machine's user, and
# show what every account has sent.
FUNCTIONS_ADDRESS = "127.0.0.2"
_IP_BIND_ADDRESS_NO_PORT = 24  # Linux: the port is chosen by connect, so that there are as many as without the bind


class Relay:
    """One thread with an event loop; started with the first environment that needs it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._accepting: dict[socket.socket, asyncio.Task[None]] = {}

    def serve(self, listener: socket.socket) -> None:
        """Accept on the listener until it is closed with `close`."""
        listener.setblocking(False)

        def begin() -> None:
            task = self._accepting[listener] = loop.create_task(self._accept(listener))
            task.add_done_callback(lambda _: listener.close())

        with self._lock:
            if self._stopped:
                listener.close()
                return
            loop = self._running()
            loop.call_soon_threadsafe(begin)

    def close(self, listener: socket.socket) -> None:
        """Stop accepting, and close the listener."""

        def end() -> None:
            task = self._accepting.pop(listener, None)
            if task is not None:
                task.cancel()
            else:
                listener.close()  # it was never served

        with self._lock:
            if self._loop is None:
                listener.close()
            else:
                self._loop.call_soon_threadsafe(end)

    def stop(self) -> None:
        """Close everything and end the thread."""
        with self._lock:
            self._stopped = True
            loop, self._loop = self._loop, None
        if loop is None:
            return

        async def finish() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0)  # what is to be done when they are done
            loop.stop()

        asyncio.run_coroutine_threadsafe(finish(), loop)
        self._thread.join(5)
        loop.close()
        for listener in self._accepting:
            listener.close()
        self._accepting.clear()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="lambda-relay", daemon=True)
            self._thread.start()
        return self._loop

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        bound = asyncio.Semaphore(_CONNECTIONS_MAX)
        tasks: set[asyncio.Task[None]] = set()
        while listener.fileno() >= 0:
            await bound.acquire()
            try:
                accepted, _ = await loop.sock_accept(listener)
            except (OSError, ValueError):
                return
            task = loop.create_task(self._carry(accepted))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: bound.release())

    async def _carry(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        accepted.setblocking(False)
        outward = socket.socket()
        outward.setblocking(False)
        try:
            for side in (accepted, outward):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            outward.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            outward.bind((FUNCTIONS_ADDRESS, 0))
            await loop.sock_connect(outward, ("127.0.0.1", self._port))
            await asyncio.gather(_pump(loop, accepted, outward), _pump(loop, outward, accepted))
        except OSError:
            pass
        finally:
            accepted.close()
            outward.close()


async def _pump(loop: asyncio.AbstractEventLoop, source: socket.socket, target: socket.socket) -> None:
    while data := await loop.sock_recv(source, _CHUNK_BYTES):
        await loop.sock_sendall(target, data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
