"""AWS's published prices of Lambda, as they were on the day below (us-east-1, x86, on demand; without the free tier)."""

AS_OF = "2025-11-01"
REQUEST_DOLLARS = 0.20 / 1_000_000
# Gibibyte-seconds of a month: up to so many at this price.
GIB_SECOND_DOLLARS = ((6e9, 0.0000166667), (15e9, 0.000015), (float("inf"), 0.0000133334))


def dollars(requests: int, gib_seconds: float) -> float:
    """What a month with so much use costs."""
    total, below = requests * REQUEST_DOLLARS, 0.0
    for bound, price in GIB_SECOND_DOLLARS:
        if gib_seconds > below:
            total += (min(gib_seconds, bound) - below) * price
        below = bound
    return total
