"""CloudWatch Logs's quotas, and bounds of our own."""

EVENT_OVERHEAD_BYTES = 26
EVENT_MAX_BYTES = 1024 * 1024
BATCH_MAX_BYTES = 1024 * 1024
BATCH_SPAN_MAX_MS = 24 * 3600 * 1000
FUTURE_MAX_MS = 2 * 3600 * 1000
PAST_MAX_MS = 14 * 86_400 * 1000
DAY_MS = 86_400 * 1000
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip

PAGE_ITEMS_DEFAULT = 50
READ_EVENTS_MAX = 10_000
READ_MAX_BYTES = 1024 * 1024
# Ours: one call of FilterLogEvents looks at no more events; its token goes on from there.
SCAN_EVENTS_MAX = 20_000

TAGS_MAX = 50
PATTERN_DEPTH_MAX = 20

# Ours: a longer message is kept in pieces.
PIECE_CHARACTERS_MAX = 15_000
TRIM_BATCH = 5000
TRIM_SECONDS = 60.0
