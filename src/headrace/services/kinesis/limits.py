"""The numbers that bound Kinesis Data Streams here: AWS's own, where it has one."""

RECORD_SIZE_DEFAULT_KIB = 1024
RECORD_SIZE_MAX_KIB = 10_240
PUT_RECORDS_SIZE_MAX_BYTES = 10 * 1024 * 1024
# One read gives less than AWS's 10,000 records and 10 MiB at most: it runs on the event loop, and a reader simply goes on.
GET_RECORDS_MAX = 2_000
GET_RECORDS_SIZE_MAX_BYTES = 2 * 1024 * 1024

RETENTION_DEFAULT_HOURS = 24
RETENTION_MAX_HOURS = 8_760

ITERATOR_AGE_MAX_MS = 300_000

SHARDS_ON_DEMAND = 4
SHARDS_PER_STREAM_MAX = 10_000
# How often UpdateShardCount may be used, and what it may do to the number of shards at once.
SCALINGS_MAX = 10
SCALINGS_SECONDS = 86_400.0
SCALING_FACTOR_MAX = 2
WARM_THROUGHPUT_MAX_MIBPS = 10_240
COMMITMENT_SECONDS = 86_400.0
# What DescribeLimits says; nothing here bounds an account but its disk.
SHARDS_PER_ACCOUNT_SHOWN = 1_000_000
ON_DEMAND_STREAMS_SHOWN = 1_000_000
DESCRIBE_SHARDS_DEFAULT = 100
LIST_SHARDS_DEFAULT = 1_000
LIST_STREAMS_DEFAULT = 100
TAGS_PER_STREAM_MAX = 50
LIST_TAGS_DEFAULT = 50

# How much one step of a worker may do before it lets others have the store.
# A value of a log has up to 60,000 bytes, so this is 15 MB.
TRIM_ENTRIES_PER_STEP = 250
TRIM_PAUSE_SECONDS = 60.0
POLICY_SIZE_MAX_BYTES = 20 << 10
# Keys of encrypted streams that a process keeps at hand.
DATA_KEYS_CACHED_MAX = 10_000
# How often the encryption of a stream may be changed.
ENCRYPTIONS_MAX = 25
ENCRYPTIONS_SECONDS = 86_400.0
# Cached routing tables of streams; a server with more streams builds some anew.
ROUTES_CACHED_MAX = 10_000

# Enhanced fan-out.
CONSUMERS_PER_STREAM_MAX = 20
LIST_CONSUMERS_DEFAULT = 100
SUBSCRIPTION_SECONDS = 300.0
TAKEOVER_AFTER_SECONDS = 5.0
HEARTBEAT_SECONDS = 4.5
# One look at all who wait, for those whose heartbeat is due.
HEARTBEAT_LOOK_SECONDS = 0.5
# One event on its way is all that a subscriber holds.
EVENT_RECORDS_MAX = 500
EVENT_SIZE_MAX_BYTES = 256 * 1024
# What is kept for other subscribers of a shard to take, for all shards, and how long it may say where the shard's end is.
SHARED_SIZE_MAX_BYTES = 32 * 1024 * 1024
SHARED_BATCH_SECONDS = 1.0

# AWS's limits of one shard in a second, held to where they are asked for.
SHARD_RECORDS_IN = 1_000.0
SHARD_BYTES_IN = 1024.0 * 1024
SHARD_READS = 5.0
SHARD_BYTES_OUT = 2048.0 * 1024
THROTTLED_SHARDS_MAX = 20_000
THROTTLED_SECONDS = 30.0
ENFORCE_TAG = "headrace:enforce-limits"
