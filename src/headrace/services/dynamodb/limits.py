"""The limits of DynamoDB, as AWS sets them, and our own bounds on background work."""

NUMBER_DIGITS_MAX = 38
NUMBER_EXPONENT_MIN = -130
NUMBER_EXPONENT_MAX = 125

ITEM_SIZE_MAX_BYTES = 400 << 10
PARTITION_KEY_SIZE_MAX_BYTES = 2048
SORT_KEY_SIZE_MAX_BYTES = 1024
NESTING_DEPTH_MAX = 32
# An attribute name counts up to 64 KB; as a key 255 bytes.
ATTRIBUTE_NAME_SIZE_MAX_BYTES = 65535
KEY_NAME_SIZE_MAX_BYTES = 255

EXPRESSION_SIZE_MAX_BYTES = 4096
EXPRESSION_OPERATORS_MAX = 300
EXPRESSION_DEPTH_MAX = 60
EXPRESSIONS_CACHED_MAX = 2048
IN_OPERANDS_MAX = 100
STATEMENT_SIZE_MAX_BYTES = 8192
STATEMENTS_CACHED_MAX = 1024
STATEMENTS_PER_BATCH_MAX = 25

PAGE_SIZE_MAX_BYTES = 1 << 20
# So much of a page is read while the event loop waits; a longer one is read in a thread.
QUICK_ITEMS_MAX = 400
QUICK_SIZE_MAX_BYTES = 128 << 10
QUICK_RECORDS_MAX = 100
BATCH_GET_ITEMS_MAX = 100
BATCH_GET_SIZE_MAX_BYTES = 16 << 20
BATCH_WRITE_ITEMS_MAX = 25
TRANSACTION_ITEMS_MAX = 100
TRANSACTION_SIZE_MAX_BYTES = 4 << 20
CLIENT_TOKEN_SECONDS = 600

# How often provisioned throughput may be lowered in a day of UTC: so often, and then once after each pause.
DECREASES_AT_ONCE = 4
DECREASE_PAUSE_SECONDS = 3600
DAY_SECONDS = 24 * 3600
# Throughput that was not used is kept for so long.
BURST_SECONDS = 300

TABLES_PAGE_MAX = 100
TABLES_MAX = 2500
GLOBAL_INDEXES_MAX = 20
LOCAL_INDEXES_MAX = 5
VECTOR_INDEXES_MAX = 5
VECTOR_DIMENSIONS_MAX = 4096
VECTOR_RESULTS_MAX = 100
# What vectors are metered by.
VECTOR_UNIT_BYTES = 1024
# Attributes of each kind in the key of a global index.
INDEX_KEY_ATTRIBUTES_MAX = 4
PROJECTED_ATTRIBUTES_MAX = 100
TAGS_PER_TABLE_MAX = 50
TAGS_PAGE = 10
POLICY_SIZE_MAX_BYTES = 20 << 10

STREAM_SHARDS = 4
# Kinesis streams that get the changes of one table.
DESTINATIONS_MAX = 2
STREAM_RETENTION_SECONDS = 24 * 3600
STREAM_SHARD_SECONDS = 4 * 3600
STREAM_RECORDS_MAX = 1000
STREAM_READ_SIZE_MAX_BYTES = 1 << 20
STREAM_ITERATOR_SECONDS = 15 * 60
STREAM_SHARDS_PAGE = 100

# Items whose time to live ended longer ago than this stay, as in AWS.
TTL_AGE_MAX_SECONDS = 5 * 365 * 24 * 3600
TTL_ITEMS_PER_STEP = 50

FILL_ITEMS_PER_STEP = 200
REMOVE_KEYS_PER_STEP = 2000
TRIM_RECORDS_PER_STEP = 2000
TOKENS_PER_STEP = 500
TRIM_PAUSE_SECONDS = 60.0
TABLES_CACHED_MAX = 4096

RECOVERY_DAYS_MAX = 35
JOB_ITEMS_PER_STEP = 250
JOB_SIZE_PER_STEP_BYTES = 2 << 20
JOB_LEASE_SECONDS = 30.0
HISTORY_RECORDS_PER_STEP = 250
EXPORT_FILE_ITEMS = 50_000
EXPORT_FILE_SIZE_BYTES = 16 << 20
EXPORT_WINDOW_MIN_SECONDS = 15 * 60
EXPORT_WINDOW_MAX_SECONDS = 24 * 3600
IMPORT_ITEMS_PER_STEP = 200
IMPORT_LINE_SIZE_MAX_BYTES = 2 << 20
IMPORT_ERRORS_LOGGED_MAX = 10_000
IMPORT_STEP_SECONDS = 1.0
BACKUPS_PAGE = 100
# What a table on demand, or an index of it, is warm for at least.
WARM_READ_UNITS = 12_000
WARM_WRITE_UNITS = 4_000
INSIGHTS_PAGE = 100
# How many sums of capacity units wait to be handed to CloudWatch.
METER_PENDING_MAX = 8192
# How many uses wait to be summed up.
METER_USES_MAX = 1024
# Of one rule in one minute. How many rules count at one time (they are kept every few seconds); for how long they are kept.
INSIGHTS_KEYS_MAX = 500
INSIGHTS_PENDING_MAX = 128
INSIGHTS_MINUTES_MAX = 24 * 60
# A rule's name has 128 characters at most, with the rest of it around.
INSIGHTS_RESOURCE_NAME_MAX = 80
JOBS_PAGE = 25
# Of bulk puts: AWS's page, AWS's days and hours, AWS's objects; how many may be going on in a region is ours.
BULK_PAGE = 10
BULK_KEPT_SECONDS = 90 * 24 * 3600
BULK_TOKEN_SECONDS = 8 * 3600
BULK_OBJECTS_MAX = 50_000
BULK_GOING_ON_MAX = 50
BULK_STEP_SIZE_BYTES = 1 << 20
# What is reported is written to the bucket once there is so much of it, in files of this size, and at the end.
BULK_REPORT_SIZE_BYTES = 4 << 20
# How long a bulk put waits when the table's throughput is used up.
BULK_THROTTLED_SECONDS = 1.0
