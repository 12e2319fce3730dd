"""Sizes, counts and times of Application Auto Scaling: AWS's, and ours where it names none."""

PAGE_DEFAULT = 50
PAGE_MAX = 50
POLICIES_PER_TARGET_MAX = 50
SCHEDULED_PER_TARGET_MAX = 200
# A rate that is longer than a century is a mistake.
RATE_MAX_SECONDS = 100 * 366 * 86_400
TAGS_MAX = 50
TARGET_PERCENT_MIN = 20.0
TARGET_PERCENT_MAX = 90.0
# AWS's two alarms: out after two minutes above the target, in after fifteen minutes that are this much below it.
OUT_MINUTES = 2
IN_MINUTES = 15
IN_POINTS_BELOW = 20.0
IN_PART_OF_CUSTOM = 0.9
ACTIVITIES_DAYS = 42
ACTIVITIES_PER_TARGET_MAX = 500
# A minute may lack what was used in its last seconds, until this long after its end: then it does not count for scaling in.
LATE_SECONDS = 15.0
# How long nothing is tried at a target after a change of it failed.
FAILED_WAIT_SECONDS = 60.0
# The year 2200: the calendar of schedules goes to 2199.
TIME_MAX_SECONDS = 7_258_118_400
