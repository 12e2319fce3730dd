"""AWS's published prices of Lambda, as they were on the day below (us-east-1, x86, on demand; without the free tier)."""

AS_OF = "2025-11-01"
REQUEST_DOLLARS = 0.20 / 1_000_000
# Gibibyte-seconds of a month: up to so many at this price.
GIB_SECOND_DOLLARS = ((6e9, 0.0000166667), (15e9, 0.000015), (float("inf"), 0.0000133334))


# Provisioned concurrency: what is kept, and what runs in it.
PROVISIONED_GIB_SECOND_DOLLARS = 0.0000041667
PROVISIONED_RUN_GIB_SECOND_DOLLARS = 0.0000097222


def provisioned_dollars(kept_gib_seconds: float, run_gib_seconds: float) -> float:
    """What provisioned concurrency costs, beside the requests."""
    return kept_gib_seconds * PROVISIONED_GIB_SECOND_DOLLARS + run_gib_seconds * PROVISIONED_RUN_GIB_SECOND_DOLLARS


def dollars(requests: int, gib_seconds: float) -> float:
    """What a month with so much use costs."""
    total, below = requests * REQUEST_DOLLARS, 0.0
    for bound, price in GIB_SECOND_DOLLARS:
        if gib_seconds > below:
            total += (min(gib_seconds, bound) - below) * price
        below = bound
    return total
