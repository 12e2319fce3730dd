"""The limits of Kinesis Video Streams: AWS's own where it has one."""

# A stream.
RETENTION_MAX_HOURS = 87_600
# Without retention, fragments can be read for so long (AWS's own buffer of a stream that keeps nothing).
UNKEPT_SECONDS = 300
LIST_STREAMS_DEFAULT = 10_000
TAGS_MAX = 50

# A fragment.
FRAGMENT_SIZE_MAX_BYTES = 50 << 20
FRAGMENT_DURATION_MAX_MS = 20_000
TRACKS_MAX = 3
TRACK_HEADERS_SIZE_MAX_BYTES = 1 << 20
FRAGMENT_TAGS_MAX = 10
FRAGMENT_TAG_NAME_MAX_BYTES = 128
FRAGMENT_TAG_VALUE_MAX_BYTES = 256
TAGS_ELEMENT_SIZE_MAX_BYTES = 64 << 10

# Producers and readers: each holds a thread while it is connected.
PRODUCERS_MAX = 128
READERS_MAX = 128
IDLE_ACK_SECONDS = 10.0
SILENCE_MAX_SECONDS = 300.0
STREAMS_REMEMBERED_MAX = 10_000
# How far before and behind the present a producer's clock may be.
PRODUCER_PAST_MAX_MS = RETENTION_MAX_HOURS * 3_600_000
PRODUCER_FUTURE_MAX_MS = 15 * 60_000

# Image generation.
IMAGE_INTERVAL_MIN_MS = 200
IMAGE_INTERVAL_MAX_MS = 20_000

# Archive.
LIST_FRAGMENTS_DEFAULT = 100
# Longer lists are made in a thread.
LIST_FRAGMENTS_AT_ONCE = 100

# Workers.
TRIM_PAUSE_SECONDS = 5.0
TRIM_PER_STEP = 500
SWEEP_PAUSE_SECONDS = 3600.0
# Longer than any fragment takes to arrive.
SWEEP_AGE_SECONDS = 3600.0
