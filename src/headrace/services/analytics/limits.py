"""The numbers of Analytics, unit last. Amazon's are from its developer guide."""

APPLICATIONS_PER_REGION_MAX = 50
INPUTS_MAX = 1
OUTPUTS_MAX = 3
REFERENCES_MAX = 1
LOGGING_OPTIONS_MAX = 1
CODE_LENGTH_MAX = 102_400
REFERENCE_SIZE_MAX_BYTES = 1 << 30
TAGS_MAX = 50
VERSIONS_LISTED_MAX = 50

# One step of an application: so much is read, and what comes of it is committed together.
RECORDS_PER_STEP = 8_000
SIZE_PER_STEP_BYTES = 4 << 20
# The clock stays so far behind, so that a record whose commit is under way still falls into its own window.
CLOCK_BEHIND_MS = 50
STATE_PIECE_MAX_BYTES = 60_000

LEASE_SECONDS = 30.0
LOOK_SECONDS = 1.0
OUTPUT_RETRY_SECONDS = 1.0
METRICS_EVERY_SECONDS = 10.0
# How soon an application notices that its roles were changed.
RIGHTS_EVERY_SECONDS = 10.0

SWEEP_EVERY_SECONDS = 3600.0
# Copies of objects that nothing refers to are kept for so long: somebody may be about to.
SWEEP_AGE_SECONDS = 3600.0

LAMBDA_RECORDS_MAX = 500
LAMBDA_SIZE_MAX_BYTES = 3 << 20

SAMPLE_RECORDS_MAX = 100
SAMPLE_SIZE_MAX_BYTES = 512 << 10
SAMPLE_WAIT_SECONDS = 10.0
CHECKER_IDLE_SECONDS = 60.0

# Flink applications.
CODE_SIZE_MAX_BYTES = 512 << 20
CODE_UNPACKED_MAX_BYTES = 2 << 30
SNAPSHOTS_MAX = 1000
PARALLELISM_MAX = 256
OPERATIONS_LISTED_MAX = 50
SNAPSHOTS_LISTED_MAX = 50
FLINK_LOOK_SECONDS = 0.3
FLINK_WATCH_SECONDS = 1.0
# A job that has not come to run by then, or that failed so often before it did, is given up.
FLINK_START_SECONDS_MAX = 300.0
FLINK_START_FAILURES_MAX = 3
FLINK_SAVEPOINT_ATTEMPTS_MAX = 3
FLINK_FAILURE_WAIT_MAX_SECONDS = 60.0
FLINK_CLUSTER_START_SECONDS_MAX = 90.0
FLINK_CALL_SECONDS_MAX = 30.0
# The program's own main method runs within this call.
FLINK_SUBMIT_SECONDS_MAX = 240.0
FLINK_CREDENTIALS_LEFT_MIN_SECONDS = 300.0
