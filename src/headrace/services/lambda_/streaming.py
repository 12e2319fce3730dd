"""Responses that come while the function still runs."""

import queue
import threading
from collections.abc import Callable, Iterator

from headrace.kit.errors import AwsError, InternalFailure
from headrace.services.lambda_.engine.function import Outcome

_PARTS_HELD_MAX = 16
_PART_BYTES_MAX = 1 << 20
_LOOK_SECONDS = 1.0

Parts = Callable[[str, bytes], None]


class Streaming:
    """An invocation on a thread of its own; its parts are read as they come. A reader who leaves does not stop the function."""

    def __init__(self, run: Callable[[Parts], Outcome]) -> None:
        self._run = run
        self._queue: queue.Queue[bytes | None] = queue.Queue(_PARTS_HELD_MAX)
        self._begun = threading.Event()
        self._left = threading.Event()
        self._error: AwsError | None = None
        self.content_type = ""
        self.outcome: Outcome | None = None
        threading.Thread(target=self._invoke, name="lambda-streaming", daemon=True).start()

    def begin(self) -> None:
        """Wait for the first part, or for the end. AwsError when the function was not run."""
        self._begun.wait()
        if self._error is not None:
            raise self._error

    def parts(self) -> Iterator[bytes]:
        """The response; `outcome` is there when it ends. Of a function that does not stream, its whole payload."""
        try:
            while (part := self._queue.get()) is not None:
                yield part
        finally:
            self._left.set()

    def _invoke(self) -> None:
        streamed = False

        def take(content_type: str, data: bytes) -> None:
            nonlocal streamed
            streamed = True
            self.content_type = content_type
            for start in range(0, len(data), _PART_BYTES_MAX):
                self._put(data[start : start + _PART_BYTES_MAX])
                self._begun.set()

        try:
            outcome = self._run(take)
            if not streamed:
                self.content_type = outcome.content_type
                if outcome.error is None:
                    self._put(outcome.payload)
            self.outcome = outcome
        except AwsError as error:
            self._error = error
        except Exception as error:
            self._error = InternalFailure(str(error))
        finally:
            self._begun.set()
            self._put(None)

    def _put(self, part: bytes | None) -> None:
        while not self._left.is_set():
            try:
                self._queue.put(part, timeout=_LOOK_SECONDS)
                return
            except queue.Full:
                continue
