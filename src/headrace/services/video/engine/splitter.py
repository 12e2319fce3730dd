"""Takes a Matroska stream apart while it arrives: tracks, tags, and one fragment for each cluster.

A cluster's bytes are given on as they come, so nothing of it is held but what one `feed` brought; only the small elements
(info, tracks, tags) are collected, each up to a limit. Segments and clusters may be of unknown size: such a cluster ends where
an element begins that can't lie in one.
"""

from collections.abc import Iterator

import msgspec

from headrace.services.video import limits
from headrace.services.video.engine import ebml, matroska
from headrace.services.video.engine.ebml import Malformed


class Refused(Exception):
    """The stream can't be taken any further. The id and the code are those of AWS's error acknowledgements."""

    def __init__(self, error_id: int, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.error_id, self.code = error_id, code


class Begin(msgspec.Struct):
    """A fragment begins: its cluster's timecode (in units of the scale), its tracks, and the tags that stood before it."""

    timecode: int
    timecode_scale_ns: int
    raw_tracks: bytes
    tracks: list[matroska.Track]
    tags: list[tuple[str, str]]


class Blocks(msgspec.Struct):
    """Bytes of the fragment's cluster: what follows its timecode."""

    data: bytes


class End(msgspec.Struct):
    """The fragment is whole. Its duration is that of its longest track, its last frame included."""

    duration_ms: int


Event = Begin | Blocks | End

# Elements that are read whole, and how large they may be.
_COLLECTED = {
    ebml.EBML: 4096,
    ebml.INFO: limits.TRACK_HEADERS_SIZE_MAX_BYTES,
    ebml.TRACKS: limits.TRACK_HEADERS_SIZE_MAX_BYTES,
    ebml.TAGS: limits.TAGS_ELEMENT_SIZE_MAX_BYTES,
}
_SKIPPED_SIZE_MAX_BYTES = 16 << 20
_BLOCK_HEAD_SIZE_MAX_BYTES = 11
# Position and size of the cluster before: wrong wherever the cluster is put, so they are left out.
_LEFT_OUT = frozenset({0xA7, 0xAB, ebml.VOID, ebml.CRC_32})


class _Frames:
    """When a track's frames are: the first, the last, and how many; in timecode units relative to the cluster."""

    __slots__ = ("count", "first", "last")

    def __init__(self, at: int) -> None:
        self.first = self.last = at
        self.count = 1

    def add(self, at: int) -> None:
        self.first, self.last = min(self.first, at), max(self.last, at)
        self.count += 1

    def end_ns(self, scale_ns: int, frame_ns: int) -> int:
        """Where the last frame ends, in nanoseconds from the cluster's beginning."""
        if not frame_ns and self.count > 1:
            frame_ns = (self.last - self.first) * scale_ns // (self.count - 1)
        return self.last * scale_ns + frame_ns


class Splitter:
    """One producer's stream. `feed` gives events; Refused ends it."""

    def __init__(self) -> None:
        self._rest = b""
        # Where `_rest` begins in the stream.
        self._position = 0
        # Bytes of the present element that are still to come, and whether they are given on or skipped.
        self._passing = self._skipping = 0
        self._begun = False
        self._scale_ns = matroska.TIMECODE_SCALE_DEFAULT_NS
        self._raw_tracks = b""
        self._tracks: dict[int, matroska.Track] = {}
        self._tags: list[tuple[str, str]] = []
        self._in_cluster = False
        self._cluster_end: int | None = None
        self._group_end: int | None = None
        self._timecode: int | None = None
        self._last_timecode: int | None = None
        self._size_bytes = 0
        self._frames: dict[int, _Frames] = {}

    @property
    def in_fragment(self) -> bool:
        """Whether a fragment has begun and not ended."""
        return self._in_cluster

    @property
    def held_bytes(self) -> int:
        """How many bytes wait for more of their element."""
        return len(self._rest)

    @property
    def timecode_ms(self) -> int | None:
        """The timecode of the fragment that is open, in milliseconds; None outside of one."""
        if not self._in_cluster or self._timecode is None:
            return None
        return self._timecode * self._scale_ns // 1_000_000

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events in what came. Refused."""
        try:
            yield from self._feed(data)
        except Malformed as error:
            raise Refused(4006, "INVALID_MKV_DATA", str(error)) from None

    def finish(self) -> Iterator[Event]:
        """The events at the end of the stream. Refused when it ends in the middle of something."""
        if self._rest or self._passing or self._skipping or self._group_end is not None or self._cluster_end is not None:
            raise Refused(4000, "STREAM_READ_ERROR", "the stream ends in the middle of an element")
        if self._in_cluster:
            try:
                yield from self._end_cluster()
            except Malformed as error:
                raise Refused(4006, "INVALID_MKV_DATA", str(error)) from None

    def _feed(self, data: bytes) -> Iterator[Event]:
        buffer = self._rest + data if self._rest else data
        at = 0
        while at < len(buffer):
            if self._passing or self._skipping:
                taken = min(self._passing or self._skipping, len(buffer) - at)
                if self._passing:
                    self._passing -= taken
                    yield self._blocks(buffer[at : at + taken])
                else:
                    self._skipping -= taken
                at += taken
            elif self._in_cluster:
                before = at
                at, events = self._child(buffer, at)
                yield from events
                if at == before and self._in_cluster and not events:
                    break
            else:
                before = at
                at = self._top(buffer, at)
                if at == before and not self._in_cluster:
                    break
            if self._in_cluster and not self._passing and not self._skipping:
                yield from self._leave(self._position + at)
        self._rest = buffer[at:]
        self._position += at

    def _top(self, buffer: bytes, at: int) -> int:
        """Take one element outside of clusters; where the next begins, or the same place when more must come first."""
        header = ebml.read_header(buffer, at)
        if header is None:
            return at
        kind, size, begin = header
        if not self._begun and kind != ebml.EBML:
            raise Malformed("the stream does not begin with an EBML header")
        if kind in _COLLECTED:
            if not 0 <= size <= _COLLECTED[kind]:
                raise Malformed(f"element {kind:X} is too large, or of unknown size")
            if begin + size > len(buffer):
                return at
            self._collected(kind, buffer[begin : begin + size])
            return begin + size
        if kind == ebml.SEGMENT:
            return begin
        if kind == ebml.CLUSTER:
            self._begin_cluster(size, self._position + begin)
            return begin
        if not 0 <= size <= _SKIPPED_SIZE_MAX_BYTES:
            raise Malformed(f"element {kind:X} is too large to be skipped, or of unknown size")
        self._skipping = size
        return begin

    def _collected(self, kind: int, data: bytes) -> None:
        if kind == ebml.EBML:
            names = [value for name, value in ebml.children(data) if name == ebml.DOC_TYPE]
            if not names or ebml.text(names[0]) not in ("matroska", "webm"):
                raise Malformed("the document is not Matroska")
            self._begun = True
            self._scale_ns = matroska.TIMECODE_SCALE_DEFAULT_NS
            self._raw_tracks, self._tracks = b"", {}
        elif kind == ebml.INFO:
            self._scale_ns = matroska.parse_scale(data)
        elif kind == ebml.TRACKS:
            tracks = matroska.parse_tracks(data)
            if not tracks or len({track.number for track in tracks}) < len(tracks):
                raise Malformed("there are no tracks, or two of one number")
            if len(tracks) > limits.TRACKS_MAX:
                raise Refused(4005, "MORE_THAN_ALLOWED_TRACKS_FOUND", f"there are {len(tracks)} tracks")
            self._raw_tracks, self._tracks = data, {track.number: track for track in tracks}
        else:
            self._add_tags(matroska.parse_tags(data))

    def _add_tags(self, tags: list[tuple[str, str]]) -> None:
        self._tags += tags
        fitting = all(
            len(name.encode()) <= limits.FRAGMENT_TAG_NAME_MAX_BYTES
            and len(value.encode()) <= limits.FRAGMENT_TAG_VALUE_MAX_BYTES
            for name, value in tags
        )
        if len(self._tags) > limits.FRAGMENT_TAGS_MAX or not fitting:
            raise Refused(4009, "FRAGMENT_METADATA_LIMIT_REACHED", "a fragment has too many tags, or too long ones")

    def _begin_cluster(self, size: int, begin: int) -> None:
        if not self._tracks:
            raise Malformed("a cluster comes before the tracks")
        self._check_size(max(size, 0))
        self._in_cluster = True
        self._cluster_end = None if size == ebml.UNKNOWN else begin + size
        self._timecode = None
        self._size_bytes = 0
        self._frames = {}

    def _child(self, buffer: bytes, at: int) -> tuple[int, list[Event]]:
        """Take one element of the cluster: where the next begins, and what it gives. The same place: more must come first."""
        header = ebml.read_header(buffer, at)
        if header is None:
            return at, []
        kind, size, begin = header
        if self._cluster_end is None and self._group_end is None and (kind in ebml.LEVEL_1 or kind in (ebml.EBML, ebml.SEGMENT)):
            return at, list(self._end_cluster())
        end = self._group_end if self._group_end is not None else self._cluster_end
        if size == ebml.UNKNOWN or (end is not None and self._position + begin + size > end):
            raise Malformed(f"element {kind:X} in a cluster is of unknown size, or larger than what it lies in")
        if kind == ebml.TIMECODE:
            return self._take_timecode(buffer, at, begin, size)
        if kind in _LEFT_OUT and self._group_end is None:
            self._skipping = size
            return begin, []
        if self._timecode is None:
            raise Malformed("a cluster has blocks before its timecode")
        self._check_size(self._size_bytes + begin - at + size)
        if kind in (ebml.SIMPLE_BLOCK, ebml.BLOCK):
            head = buffer[begin : begin + min(size, _BLOCK_HEAD_SIZE_MAX_BYTES)]
            if len(head) < min(size, _BLOCK_HEAD_SIZE_MAX_BYTES):
                return at, []
            self._note_frame(head)
        if kind == ebml.BLOCK_GROUP:
            if self._group_end is not None:
                raise Malformed("a group of blocks lies in another")
            self._group_end = self._position + begin + size
        else:
            self._passing = size
        return begin, [self._blocks(buffer[at:begin])]

    def _take_timecode(self, buffer: bytes, at: int, begin: int, size: int) -> tuple[int, list[Event]]:
        if size > 8:
            raise Malformed("a timecode is longer than eight bytes")
        if begin + size > len(buffer):
            return at, []
        if self._timecode is not None:
            raise Malformed("a cluster has two timecodes")
        timecode = self._timecode = ebml.unsigned(buffer[begin : begin + size])
        if timecode * self._scale_ns // 1_000_000 >= 1 << 53:
            raise Malformed("a timecode is out of range")
        if self._last_timecode is not None and timecode < self._last_timecode:
            raise Refused(4004, "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS", "a fragment begins before the one before it")
        self._last_timecode = timecode
        tags, self._tags = self._tags, []
        return begin + size, [Begin(timecode, self._scale_ns, self._raw_tracks, list(self._tracks.values()), tags)]

    def _note_frame(self, head: bytes) -> None:
        """Read a block's head: its track's number, and its time relative to the cluster."""
        length = ebml.size_length(head[0]) if head else 9
        if len(head) < length + 3:
            raise Malformed("a block has no head")
        track = ebml.decode_size(head[:length])
        if track not in self._tracks:
            raise Refused(4010, "TRACK_NUMBER_MISMATCH", f"a block is of track {track}, which there is not")
        at = int.from_bytes(head[length : length + 2], "big", signed=True)
        if at * self._scale_ns > limits.FRAGMENT_DURATION_MAX_MS * 1_000_000:
            raise Refused(4002, "MAX_FRAGMENT_DURATION_REACHED", "a fragment is too long")
        frames = self._frames.get(track)
        if frames is None:
            self._frames[track] = _Frames(at)
        else:
            frames.add(at)

    def _leave(self, position: int) -> Iterator[Event]:
        """End the group and the cluster that end here."""
        if self._group_end is not None and position >= self._group_end:
            self._group_end = None
        if self._cluster_end is not None and position >= self._cluster_end:
            yield from self._end_cluster()

    def _end_cluster(self) -> Iterator[Event]:
        if self._timecode is None:
            raise Malformed("a cluster has no timecode")
        if len(self._frames) < len(self._tracks):
            raise Refused(4011, "FRAMES_MISSING_FOR_TRACK", "a fragment has no frames of one of its tracks")
        end_ns = max(
            frames.end_ns(self._scale_ns, self._tracks[number].default_duration_ns) for number, frames in self._frames.items()
        )
        self._in_cluster, self._cluster_end = False, None
        yield End(max(0, round(end_ns / 1_000_000)))

    def _blocks(self, data: bytes) -> Blocks:
        self._size_bytes += len(data)
        return Blocks(data)

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > limits.FRAGMENT_SIZE_MAX_BYTES:
            raise Refused(4001, "MAX_FRAGMENT_SIZE_REACHED", "a fragment is too large")
