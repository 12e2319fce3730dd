"""What Kinesis Video Streams keeps.

    ("video", "stream", account, region, name)               → Stream: settings, and its version
    ("video", "counter", stream id)                          → Counter: the last place, the last ordinal, the newest tracks
    ("video", "fragment", stream id, place)                  → Fragment: times, size, tags, and where its bytes are
    ("video", "ordinal", stream id, ordinal)                 → place
    ("video", "producer", stream id, producer ms, place)     → nothing: the index by producer time
    ("video", "server", stream id, server ms, place)         → nothing: the index by server time
    ("video", "tracks", stream id, generation)               → Tracks: what the tracks are, and their decoders' private data
    ("video", "blob", blob id)                               → nothing: the blob belongs to a fragment that is kept
    ("video", "events", stream id)                           → the place of the last fragment whose tags were looked at
    ("video", "doomed", stream id)                           → nothing: a deleted stream, until a worker removed its fragments
    ("video", "swept")                                       → when unreferenced blobs were last looked for

A fragment's bytes are a blob of the space "video": the blocks of one Matroska cluster, without its header and its timecode.
They are on disk before the fragment's rows are committed, all in one transaction.

A *place* counts a stream's fragments in the order in which they were committed: 1, 2, 3, …; whoever follows a stream follows
its places, and misses none. An *ordinal* is what is inside the fragment number; it is given when a fragment begins to arrive.
The id of a stream is made when it is created, so a new stream of an old name never sees the old one's fragments.
"""

from collections.abc import Iterator, Sequence

import msgspec

from headrace.kit import arn as arns
from headrace.layers.records import Records
from headrace.ports import Scope
from headrace.services.video import errors, rules
from headrace.services.video.engine import ebml, matroska
from headrace.store import tuples
from headrace.store.api import ReadTransaction, Transaction
from headrace.store.blobs import BlobRef, Blobs


class Images(msgspec.Struct, omit_defaults=True):
    """A stream's image generation: AWS's ImageGenerationConfiguration."""

    status: str
    selector: str
    uri: str
    region: str
    interval_ms: int
    format: str
    format_config: dict[str, str] = {}
    width: int = 0
    height: int = 0


class Notification(msgspec.Struct):
    """A stream's notifications: AWS's NotificationConfiguration."""

    status: str
    uri: str


class Stream(msgspec.Struct, omit_defaults=True):
    """A stream's settings. Times are seconds since 1970."""

    account: str
    region: str
    name: str
    id: str
    version: str
    created_at: float
    retention_hours: int = 0
    device_name: str = ""
    media_type: str = ""
    kms_key_id: str = ""
    images: Images | None = None
    notification: Notification | None = None

    @property
    def arn(self) -> str:
        """The stream's ARN, which ends with the milliseconds of its creation."""
        return arns.arn("kinesisvideo", self.region, self.account, f"stream/{self.name}/{int(self.created_at * 1000)}")


class Counter(msgspec.Struct, array_like=True):
    """The last place, the last ordinal that was committed, and the newest generation of tracks; 0 where there is none."""

    place: int = 0
    ordinal: int = 0
    generation: int = 0


class Tracks(msgspec.Struct, array_like=True):
    """What the blocks of fragments mean: `raw` are the bytes inside of the Tracks element, as the producer sent them."""

    timecode_scale_ns: int
    raw: bytes
    tracks: list[matroska.Track]


class Fragment(msgspec.Struct, array_like=True):
    """One fragment: one cluster as a producer sent it.

    `timecode` is the cluster's own, in units of its tracks' timecode scale; `producer_ms` is the same instant in milliseconds
    since 1970 (for relative timecodes: counted from the producer's start). `connection` names the PutMedia request it came by.
    """

    place: int
    ordinal: int
    producer_ms: int
    server_ms: int
    duration_ms: int
    size_bytes: int
    timecode: int
    generation: int
    blob: str
    connection: str
    tags: list[tuple[str, str]] = []

    @property
    def number(self) -> str:
        """The fragment number, as AWS writes it."""
        return rules.fragment_number(self.ordinal)


STREAMS = Records(("video", "stream"), Stream)
COUNTERS = Records(("video", "counter"), Counter)
FRAGMENTS = Records(("video", "fragment"), Fragment)
ORDINALS = Records(("video", "ordinal"), int)
PRODUCER_TIMES = Records(("video", "producer"), type(None))
SERVER_TIMES = Records(("video", "server"), type(None))
TRACKS = Records(("video", "tracks"), Tracks)
BLOBS = Records(("video", "blob"), type(None))
DOOMED = Records(("video", "doomed"), type(None))
EVENTS = Records(("video", "events"), int)

SWEPT = Records(("video", "swept"), float)

DOOMED_TOPIC = b"video:doomed"


def blobs(scope: Scope) -> Blobs:
    """Where the bytes of fragments are."""
    return scope.blobs.space("video")


def topic(stream_id: str) -> bytes:
    """The topic that is announced when the stream gets a fragment, and when it is deleted."""
    return b"video:" + stream_id.encode()


# Streams


def find_stream(scope: Scope, name: str | None, arn: str | None = None) -> Stream:
    """The stream of a name or of an ARN, of the scope's account and region. In a transaction or a snapshot.

    ResourceNotFoundException; InvalidArgumentException when neither is given.
    """
    if arn:
        account, region, named = rules.parse_stream_arn(arn)
        stream = STREAMS.get(scope.tx, account, region, named) if account == scope.account else None
        # A name that was given anew has another ARN.
        if stream is None or stream.arn != arn or (name and name != named):
            raise errors.stream_not_found(arn, scope.account)
        return stream
    if not name:
        raise errors.name_or_arn()
    stream = STREAMS.get(scope.tx, scope.account, scope.region, name)
    if stream is None:
        raise errors.stream_not_found(name, scope.account)
    return stream


def save_stream(tx: Transaction, stream: Stream) -> None:
    """Write a stream's row."""
    STREAMS.put(tx, stream, stream.account, stream.region, stream.name)


def is_current(tx: ReadTransaction, stream: Stream) -> bool:
    """Whether the stream is still there."""
    found = STREAMS.get(tx, stream.account, stream.region, stream.name)
    return found is not None and found.id == stream.id


def delete_stream(tx: Transaction, stream: Stream) -> None:
    """Remove a stream; its fragments are removed by a worker."""
    STREAMS.delete(tx, stream.account, stream.region, stream.name)
    DOOMED.put(tx, None, stream.id)
    tx.announce(DOOMED_TOPIC)
    tx.announce(topic(stream.id))


def has_events(stream: Stream) -> bool:
    """Whether images or notifications are to be made of a stream's fragments."""
    return any(one is not None and one.status == "ENABLED" for one in (stream.images, stream.notification))


def mark_events(tx: Transaction, stream: Stream) -> None:
    """A stream was configured: its images and notifications begin with the next fragment."""
    if not has_events(stream):
        EVENTS.delete(tx, stream.id)
    elif EVENTS.get(tx, stream.id) is None:
        EVENTS.put(tx, last_place(tx, stream), stream.id)


def forget_stream(tx: Transaction, stream_id: str) -> None:
    """Remove the last rows of a deleted stream whose fragments are gone."""
    COUNTERS.delete(tx, stream_id)
    TRACKS.delete_all(tx, stream_id)
    EVENTS.delete(tx, stream_id)
    DOOMED.delete(tx, stream_id)


# Fragments: reading. All in a transaction or a snapshot; all cost what they give, however long the stream is.


def oldest_fragment(tx: ReadTransaction, stream: Stream) -> Fragment | None:
    """The fragment that was committed first of those that are kept."""
    return next((found for _, found in FRAGMENTS.scan(tx, stream.id, limit=1)), None)


def newest_fragment(tx: ReadTransaction, stream: Stream) -> Fragment | None:
    """The fragment that was committed last."""
    return next((found for _, found in FRAGMENTS.scan(tx, stream.id, limit=1, reverse=True)), None)


def newest_fragments(tx: ReadTransaction, stream: Stream, count: int) -> list[Fragment]:
    """The last `count` fragments in the order of their commits."""
    return [found for _, found in FRAGMENTS.scan(tx, stream.id, limit=count, reverse=True)][::-1]


def last_place(tx: ReadTransaction, stream: Stream) -> int:
    """The place of the fragment that was committed last, though it may be trimmed; 0 before the first."""
    counter = COUNTERS.get(tx, stream.id)
    return counter.place if counter is not None else 0


def fragments_after(tx: ReadTransaction, stream: Stream, place: int, limit: int) -> list[Fragment]:
    """Up to `limit` fragments behind a place (0: from the oldest), in the order of their commits: what a live reader asks."""
    return [found for _, found in FRAGMENTS.scan(tx, stream.id, after=(stream.id, place), limit=limit)]


def fragment_by_number(tx: ReadTransaction, stream: Stream, number: str) -> Fragment | None:
    """The fragment of a fragment number, or None."""
    ordinal = rules.ordinal_of(number)
    place = None if ordinal is None else ORDINALS.get(tx, stream.id, ordinal)
    return None if place is None else FRAGMENTS.get(tx, stream.id, place)


def fragments_by_producer_time(
    tx: ReadTransaction, stream: Stream, start_ms: int, end_ms: int | None = None, limit: int = 1000,
    after: tuple[int, int] | None = None,
) -> list[Fragment]:  # fmt: skip
    """Fragments with start_ms <= producer_ms < end_ms, by producer time; `after`: (producer_ms, place) of the last one seen."""
    return list(_by_time(tx, PRODUCER_TIMES, "producer", stream, start_ms, end_ms, limit, after))


def fragments_by_server_time(
    tx: ReadTransaction, stream: Stream, start_ms: int, end_ms: int | None = None, limit: int = 1000,
    after: tuple[int, int] | None = None,
) -> list[Fragment]:  # fmt: skip
    """Fragments with start_ms <= server_ms < end_ms, by server time; `after`: (server_ms, place) of the last one seen."""
    return list(_by_time(tx, SERVER_TIMES, "server", stream, start_ms, end_ms, limit, after))


def fragment_covering(tx: ReadTransaction, stream: Stream, at_ms: int, *, by_server: bool = False) -> Fragment | None:
    """The fragment that plays at an instant: the last one that begins at it or before, if it has not ended by then."""
    family, kind = (SERVER_TIMES, "server") if by_server else (PRODUCER_TIMES, "producer")
    begin = tuples.range_of(("video", kind, stream.id))[0]
    for key, _ in tx.range(begin, family.key(stream.id, at_ms + 1), limit=1, reverse=True):
        found = FRAGMENTS.get(tx, stream.id, tuples.unpack(key)[-1])
        if found is not None:
            begun_ms = found.server_ms if by_server else found.producer_ms
            return found if begun_ms + max(found.duration_ms, 1) > at_ms else None
    return None


def tracks_of(tx: ReadTransaction, stream: Stream, generation: int) -> Tracks:
    """What the tracks of a generation are. A generation changes when a producer sends other tracks than the one before."""
    found = TRACKS.get(tx, stream.id, generation)
    assert found is not None, "tracks are kept as long as a fragment needs them"
    return found


def _by_time(
    tx: ReadTransaction, family: Records[None], kind: str, stream: Stream, start_ms: int, end_ms: int | None, limit: int,
    after: tuple[int, int] | None,
) -> Iterator[Fragment]:  # fmt: skip
    begin = family.key(stream.id, start_ms)
    if after is not None:
        begin = max(begin, family.key(stream.id, *after) + b"\x00")
    end = tuples.range_of(("video", kind, stream.id))[1] if end_ms is None else family.key(stream.id, end_ms)
    for key, _ in tx.range(begin, end, limit=limit):
        found = FRAGMENTS.get(tx, stream.id, tuples.unpack(key)[-1])
        if found is not None:
            yield found


# Fragments: their bytes. Outside of a transaction, for they come from a file.


def fragment_bytes(scope: Scope, stream: Stream, fragment: Fragment, timecode: int | None = None) -> bytes:
    """A fragment as a Matroska file of its own: EBML header, segment with info, tracks, and one cluster.

    `timecode` replaces the cluster's own (in units of the tracks' timecode scale). KeyError when it was trimmed meanwhile.
    """
    return b"".join(fragment_parts(scope, stream, fragment, timecode=timecode))


def fragment_parts(
    scope: Scope, stream: Stream, fragment: Fragment, *, timecode: int | None = None,
    before: Sequence[tuple[str, str]] = (), behind: Sequence[tuple[str, str]] = (),
) -> Iterator[bytes]:  # fmt: skip
    """As `fragment_bytes`, piece by piece, with tags before the cluster and behind it. KeyError comes before the first piece.

    With tags the segment is of unknown size: many such documents in a row are read as one stream.
    """
    blob = blobs(scope).open(fragment.blob)
    tracks = scope.snapshot(lambda inner: TRACKS.get(inner.tx, stream.id, fragment.generation))
    if tracks is None:
        raise KeyError(fragment.blob)
    cluster = matroska.cluster_head(fragment.timecode if timecode is None else timecode, fragment.size_bytes)
    first, last = matroska.tags(before), matroska.tags(behind)
    rest_size_bytes = ebml.UNKNOWN if before or behind else len(cluster) + fragment.size_bytes
    yield matroska.head(tracks.timecode_scale_ns, tracks.raw, rest_size_bytes) + first + cluster
    yield from blob
    if last:
        yield last


# Fragments: writing.


def add_fragment(tx: Transaction, stream: Stream, fragment: Fragment, tracks: Tracks, blob: BlobRef) -> Stream:
    """Index a fragment whose bytes are on disk; the stream as it is now. Announces the stream's topic.

    ResourceNotFoundException when the stream was deleted meanwhile; LookupError when the number is taken.
    """
    current = STREAMS.get(tx, stream.account, stream.region, stream.name)
    if current is None or current.id != stream.id:
        raise errors.stream_not_found(stream.name, stream.account)
    if ORDINALS.get(tx, stream.id, fragment.ordinal) is not None:
        raise LookupError(fragment.number)
    counter = COUNTERS.get(tx, stream.id) or Counter()
    newest = TRACKS.get(tx, stream.id, counter.generation) if counter.generation else None
    if newest is None or newest.raw != tracks.raw or newest.timecode_scale_ns != tracks.timecode_scale_ns:
        counter.generation += 1
        TRACKS.put(tx, tracks, stream.id, counter.generation)
    counter.place += 1
    counter.ordinal = max(counter.ordinal, fragment.ordinal)
    COUNTERS.put(tx, counter, stream.id)
    added = msgspec.structs.replace(
        fragment, place=counter.place, generation=counter.generation, blob=blob.id, size_bytes=blob.size_bytes
    )
    FRAGMENTS.put(tx, added, stream.id, added.place)
    ORDINALS.put(tx, added.place, stream.id, added.ordinal)
    PRODUCER_TIMES.put(tx, None, stream.id, added.producer_ms, added.place)
    SERVER_TIMES.put(tx, None, stream.id, added.server_ms, added.place)
    BLOBS.put(tx, None, added.blob)
    tx.announce(topic(stream.id))
    return current


def remove_fragments(tx: Transaction, stream_id: str, before_ms: int | None, limit: int) -> list[str]:
    """Remove the oldest fragments whose server time lies before a time (None: any); the blobs that may be deleted then."""
    removed = []
    generation = None
    end = tuples.range_of(("video", "server", stream_id))[1] if before_ms is None else SERVER_TIMES.key(stream_id, before_ms)
    for key, _ in list(tx.range(tuples.range_of(("video", "server", stream_id))[0], end, limit=limit)):
        place = tuples.unpack(key)[-1]
        tx.clear(key)
        found = FRAGMENTS.get(tx, stream_id, place)
        if found is None:
            continue
        FRAGMENTS.delete(tx, stream_id, place)
        ORDINALS.delete(tx, stream_id, found.ordinal)
        PRODUCER_TIMES.delete(tx, stream_id, found.producer_ms, place)
        BLOBS.delete(tx, found.blob)
        removed.append(found.blob)
        generation = found.generation
    if generation is not None:
        _remove_tracks(tx, stream_id)
    return removed


def _remove_tracks(tx: Transaction, stream_id: str) -> None:
    """Forget tracks that no fragment has any more; the newest stay, for the next fragments."""
    oldest = next((found for _, found in FRAGMENTS.scan(tx, stream_id, limit=1)), None)
    counter = COUNTERS.get(tx, stream_id) or Counter()
    needed = counter.generation if oldest is None else oldest.generation
    for key, _ in list(tx.range(tuples.range_of(("video", "tracks", stream_id))[0], TRACKS.key(stream_id, needed))):
        tx.clear(key)
