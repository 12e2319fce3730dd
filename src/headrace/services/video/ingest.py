"""One producer's PutMedia: its bytes become fragments on disk, and each step of a fragment an acknowledgement.

A fragment's bytes go to its blob as they come, so what is held of a producer is what one read brought. The blob is durable first;
then one transaction adds the fragment to the index; then it is acknowledged. A fragment that its producer did not end is lost
alone: its blob was never named.
"""

import logging
import threading
from collections.abc import Iterator

from headrace.kit.errors import AwsError
from headrace.operation import Context, EndlessReader
from headrace.services.video import errors, limits, rules, state
from headrace.services.video.engine.splitter import Begin, Blocks, End, Event, Refused, Splitter
from headrace.store.api import StoreUnavailable
from headrace.store.blobs import BlobRef

log = logging.getLogger(__name__)

# Pieces of a fragment are joined up to this size before they are written.
_WRITE_SIZE_BYTES = 256 << 10
_RECEIVE_SECONDS = 1.0


class Slots:
    """Counts who is connected, up to a limit."""

    def __init__(self, count_max: int, whom: str) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._count_max = count_max
        self._whom = whom

    def take(self) -> None:
        """Take a place; ClientLimitExceededException when there is none."""
        with self._lock:
            if self._count >= self._count_max:
                raise errors.ClientLimitExceededException(f"{self._count_max} {self._whom} are connected: no more fit.")
            self._count += 1

    def free(self) -> None:
        """Give a place back."""
        with self._lock:
            self._count -= 1


class _Ordinals:
    """Gives ordinals that grow from one fragment of a stream to the next, whichever connection it comes by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, int] = {}

    def next(self, stream_id: str, committed: int, now_ms: int) -> int:
        """The ordinal of a fragment that begins now."""
        with self._lock:
            last = max(self._last.get(stream_id, 0), committed)
            if len(self._last) > limits.STREAMS_REMEMBERED_MAX:
                self._last.clear()
            self._last[stream_id] = ordinal = rules.next_ordinal(last, now_ms)
            return ordinal


PRODUCERS = Slots(limits.PRODUCERS_MAX, "producers")
_ORDINALS = _Ordinals()


class Session:
    """The acknowledgements of one connection, as an iterator that reads what the producer sends."""

    def __init__(self, ctx: Context, stream: state.Stream, body: EndlessReader, relative: bool, start_ms: int | None) -> None:
        PRODUCERS.take()
        self._held = True
        self._ctx = ctx
        self._stream = stream
        self._body = body
        self._relative = relative
        self._start_ms = start_ms
        self._connection = ctx.ids.hex(16)
        self._acknowledgements = self._run()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._acknowledgements)

    def close(self) -> None:
        """End: a fragment that is open is lost."""
        self._acknowledgements.close()  # type: ignore[attr-defined]
        if self._held:
            self._held = False
            PRODUCERS.free()

    def _run(self) -> Iterator[bytes]:
        splitter = Splitter()
        number = ""
        try:
            for event in (events := self._events(splitter)):
                if event is None:
                    yield rules.acknowledgement("IDLE")
                    continue
                assert isinstance(event, Begin)
                fragment = self._fragment(event)
                number = fragment.number
                timecode_ms = rules.to_ms(event.timecode, event.timecode_scale_ns)
                yield rules.acknowledgement("BUFFERING", timecode_ms, number)
                content = _Content(events)
                blob = state.blobs(self._ctx).put(content)
                fragment.duration_ms = content.duration_ms
                yield rules.acknowledgement("RECEIVED", timecode_ms, number)
                kept = self._commit(fragment, event, blob)
                if kept:
                    yield rules.acknowledgement("PERSISTED", timecode_ms, number)
                number = ""
        except Refused as refused:
            log.info("a producer of %s is refused: %s", self._stream.name, refused)
            yield rules.acknowledgement("ERROR", splitter.timecode_ms, number, (refused.error_id, refused.code))
        except ConnectionError:
            log.debug("a producer of %s went away", self._stream.name)
        except (OSError, StoreUnavailable) as error:
            log.warning("a fragment of %s can't be kept: %s", self._stream.name, error)
            yield rules.acknowledgement("ERROR", splitter.timecode_ms, number, (5001, "ARCHIVAL_ERROR"))
        except AwsError as error:
            # The body's framing is wrong.
            log.info("a producer of %s is refused: %s", self._stream.name, error)
            yield rules.acknowledgement("ERROR", splitter.timecode_ms, number, (4000, "STREAM_READ_ERROR"))

    def _events(self, splitter: Splitter) -> Iterator[Event | None]:
        """What the producer sends, taken apart; None at each while of silence between fragments."""
        silent_seconds = 0.0
        while True:
            data = self._body.receive(_RECEIVE_SECONDS)
            if data is None:
                silent_seconds += _RECEIVE_SECONDS
                if silent_seconds >= limits.SILENCE_MAX_SECONDS:
                    raise Refused(4000, "STREAM_READ_ERROR", "the producer fell silent")
                if silent_seconds % limits.IDLE_ACK_SECONDS == 0 and not splitter.in_fragment:
                    yield None
                continue
            silent_seconds = 0.0
            if not data:
                yield from splitter.finish()
                return
            yield from splitter.feed(data)

    def _fragment(self, begin: Begin) -> state.Fragment:
        """The fragment that begins now."""
        now_ms = self._ctx.clock.now_ms()
        timecode_ms = rules.to_ms(begin.timecode, begin.timecode_scale_ns)
        if self._relative and self._start_ms is None:
            self._start_ms = now_ms - timecode_ms
        producer_ms = timecode_ms + (self._start_ms or 0) if self._relative else timecode_ms
        if not rules.is_plausible(producer_ms, now_ms):
            raise Refused(4007, "INVALID_PRODUCER_TIMESTAMP", f"a fragment is of {producer_ms} ms since 1970")
        counter = self._ctx.snapshot(lambda inner: state.COUNTERS.get(inner.tx, self._stream.id))
        ordinal = _ORDINALS.next(self._stream.id, counter.ordinal if counter else 0, now_ms)
        return state.Fragment(
            place=0, ordinal=ordinal, producer_ms=producer_ms, server_ms=now_ms, duration_ms=0, size_bytes=0,
            timecode=begin.timecode, generation=0, blob="", connection=self._connection, tags=begin.tags,
        )  # fmt: skip

    def _commit(self, fragment: state.Fragment, begin: Begin, blob: BlobRef) -> bool:
        """Add the fragment to the index; whether its stream keeps it for longer than its readers need."""
        tracks = state.Tracks(begin.timecode_scale_ns, begin.raw_tracks, begin.tracks)

        def body(inner: Context) -> bool:
            stream = state.add_fragment(inner.tx, self._stream, fragment, tracks, blob)
            return stream.retention_hours > 0

        try:
            return self._ctx.transact(body)
        except errors.ResourceNotFoundException:
            state.blobs(self._ctx).delete(blob.id)
            raise Refused(4008, "STREAM_NOT_ACTIVE", "the stream was deleted") from None
        except LookupError:
            state.blobs(self._ctx).delete(blob.id)
            raise Refused(5001, "ARCHIVAL_ERROR", "the fragment's number is taken") from None


class _Content:
    """The bytes of one fragment, from the events up to its end; then its duration."""

    def __init__(self, events: Iterator[Event | None]) -> None:
        self._events = events
        self.duration_ms = 0

    def __iter__(self) -> Iterator[bytes]:
        parts: list[bytes] = []
        size_bytes = 0
        for event in self._events:
            if isinstance(event, Blocks):
                parts.append(event.data)
                size_bytes += len(event.data)
                if size_bytes >= _WRITE_SIZE_BYTES:
                    yield b"".join(parts)
                    parts, size_bytes = [], 0
            elif isinstance(event, End):
                self.duration_ms = event.duration_ms
                break
        else:
            raise ConnectionAbortedError("the stream ended in a fragment")
        if parts:
            yield b"".join(parts)
