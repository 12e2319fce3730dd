"""Named numbers of S3."""

# Objects up to this size lie in the store itself, beside their row: no file, no second flush.
INLINE_SIZE_MAX_BYTES = 8 << 10
# What is answered at once rather than as a stream.
ANSWER_SIZE_MAX_BYTES = 256 << 10
STREAM_PIECE_SIZE_BYTES = 512 << 10

# From this the microseconds of now are taken: later versions sort before earlier ones.
VERSION_ORDER_MAX = (1 << 62) - 1

KEY_SIZE_MAX_BYTES = 1024
METADATA_SIZE_MAX_BYTES = 2048
OBJECT_SIZE_MAX_BYTES = 5 << 40
PUT_SIZE_MAX_BYTES = 5 << 30
COPY_SIZE_MAX_BYTES = 5 << 30
PART_SIZE_MIN_BYTES = 5 << 20
PART_SIZE_MAX_BYTES = 5 << 30
PARTS_MAX = 10_000
PAGE_MAX = 1000
DELETE_KEYS_MAX = 1000
OBJECT_TAGS_MAX = 10
BUCKET_TAGS_MAX = 50
TAG_KEY_CHARACTERS_MAX = 128
TAG_VALUE_CHARACTERS_MAX = 256
BUCKETS_PAGE_MAX = 10_000
POLICY_SIZE_MAX_BYTES = 20 << 10

# Who reads an object while it is replaced reads it to its end: its bytes stay so long.
DOOMED_GRACE_SECONDS = 300.0
DOOMED_PER_STEP = 200
# A blob that nobody refers to after so long belongs to a request that failed.
ORPHAN_AGE_SECONDS = 24 * 3600.0
SWEEP_PAUSE_SECONDS = 6 * 3600.0
LIFECYCLE_PAUSE_SECONDS = 600.0
