"""Wake-ups between threads of one process: a hint that something was committed, never the only way to learn of it.

Whoever waits also looks by itself now and then, because another process may have written.
"""

import threading
from collections.abc import Callable, Iterable


class Signals:
    """Topics that are announced after a commit, and those who listen to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[bytes, list[Callable[[], None]]] = {}

    def listen(self, topic: bytes, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` (quick, from any thread) at each announcement of the topic. Returns what ends this."""
        with self._lock:
            # A new list each time: `announce` reads without the lock.
            self._listeners[topic] = [*self._listeners.get(topic, ()), listener]

        def stop() -> None:
            with self._lock:
                left = [one for one in self._listeners.get(topic, ()) if one is not listener]
                if left:
                    self._listeners[topic] = left
                else:
                    self._listeners.pop(topic, None)

        return stop

    def announce(self, topics: Iterable[bytes]) -> None:
        """Call everybody who listens to one of the topics."""
        listeners = self._listeners
        if not listeners:
            return
        for topic in topics:
            for listener in listeners.get(topic, ()):
                listener()

    def wait(self, topics: Iterable[bytes], timeout_seconds: float, ready: Callable[[], bool]) -> bool:
        """Wait until `ready()` is true: asked first, and again after each announcement. False after the timeout."""
        event = threading.Event()
        stops = [self.listen(topic, event.set) for topic in topics]
        try:
            return ready() or (event.wait(timeout_seconds) and ready())
        finally:
            for stop in stops:
                stop()
