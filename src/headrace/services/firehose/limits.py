"""The numbers that bound Firehose here: AWS's own, where it has one."""

MIB = 1024 * 1024

RECORD_SIZE_MAX_BYTES = 1_024_000
# In so many entries of the buffer's log a record can be cut up, with room to spare.
PIECES_PER_RECORD_MAX = 64
PUT_BATCH_SIZE_MAX_BYTES = 4 * MIB
TAGS_PER_STREAM_MAX = 50
LIST_TAGS_DEFAULT = 50
LIST_STREAMS_DEFAULT = 10

BUFFER_SIZE_DEFAULT_MIB = 5
BUFFER_INTERVAL_DEFAULT_SECONDS = 300
# A stream whose backlog is this large takes no more records until some are delivered.
BACKLOG_SIZE_MAX_BYTES = 4 * 1024 * MIB
# So many log entries may form one batch, whatever its size.
BATCH_ENTRIES_MAX = 100_000
# How much of a batch is read from the store in one look.
READ_ENTRIES_PER_LOOK = 2_000
READ_SIZE_PER_LOOK_BYTES = 4 * MIB

TRANSFORM_SIZE_DEFAULT_MIB = 1.0
TRANSFORM_SIZE_MAX_MIB = 3.0
TRANSFORM_SIZE_MIN_MIB = 0.2
TRANSFORM_RETRIES_DEFAULT = 3
TRANSFORM_RETRIES_MAX = 300
TRANSFORM_RETRY_FIRST_SECONDS = 0.1
TRANSFORM_RETRY_MAX_SECONDS = 2.0
TRANSFORM_RECORDS_MAX = 10_000
TRANSFORM_ANSWER_SIZE_MAX_BYTES = 6 * MIB

REDSHIFT_RETRY_DEFAULT_SECONDS = 3_600
RETRY_FIRST_SECONDS = 1.0
RETRY_MAX_SECONDS = 60.0

# So long a batch waits whose process died on another machine. A longer delivery renews its lease.
LEASE_SECONDS = 10.0
# The dispatcher looks by itself this often: another process may have written.
LOOK_AGAIN_SECONDS = 5.0
# So long a delivered record is kept for who reads the buffer, too.
HELD_SECONDS_MAX = 24 * 3600.0
# Entries removed from the buffer in one transaction; a larger batch is trimmed in several.
TRIM_ENTRIES_PER_TRANSACTION = 5_000

SOURCE_RECORDS_PER_READ = 1_000
SOURCE_SIZE_PER_READ_BYTES = 4 * MIB
