"""AWS's limits of a shard, where they are asked for: what it takes and gives in a second, kept in this process's memory.

Each limit is a bucket that holds a second's worth and fills with time. Writes need what they take; a record larger than a bucket
needs a full one, and leaves a debt. Reads need a bucket that is not in debt: so after 10 MiB at once a shard rests for four
seconds, as AWS's does.
"""

import threading

from headrace.services.kinesis import limits


class Bucket:
    """So much a second."""

    __slots__ = ("at", "held", "size")

    def __init__(self, size: float, now: float) -> None:
        self.size = self.held = size
        self.at = now

    def fill(self, now: float) -> None:
        """Let time pass."""
        if now > self.at:
            self.held = min(self.size, self.held + (now - self.at) * self.size)
        self.at = now

    def has(self, amount: float) -> bool:
        """Whether so much may be taken."""
        return self.held >= min(amount, self.size)


class Throttle:
    """The buckets of the shards that were used lately, by the keys of their logs."""

    def __init__(self) -> None:
        self._writes: dict[bytes, tuple[Bucket, Bucket]] = {}
        self._reads: dict[bytes, tuple[Bucket, Bucket]] = {}
        self._lock = threading.Lock()

    def write(self, shard_log: bytes, size_bytes: int, now: float) -> bool:
        """Take one record in, if the shard may: 1,000 records and 1 MiB a second."""
        with self._lock:
            records, size = _buckets(self._writes, shard_log, (limits.SHARD_RECORDS_IN, limits.SHARD_BYTES_IN), now)
            if not records.has(1) or not size.has(size_bytes):
                return False
            records.held -= 1
            size.held -= size_bytes
            return True

    def may_read(self, shard_log: bytes, now: float) -> bool:
        """Begin one read, if the shard may: five a second, and none while it is in debt."""
        with self._lock:
            reads, size = _buckets(self._reads, shard_log, (limits.SHARD_READS, limits.SHARD_BYTES_OUT), now)
            if not reads.has(1) or size.held <= 0:
                return False
            reads.held -= 1
            return True

    def gave(self, shard_log: bytes, size_bytes: int, now: float) -> None:
        """A read gave so much: 2 MiB a second."""
        with self._lock:
            _buckets(self._reads, shard_log, (limits.SHARD_READS, limits.SHARD_BYTES_OUT), now)[1].held -= size_bytes


def _buckets(
    held: dict[bytes, tuple[Bucket, Bucket]], shard_log: bytes, sizes: tuple[float, float], now: float
) -> tuple[Bucket, Bucket]:
    found = held.get(shard_log)
    if found is None:
        if len(held) >= limits.THROTTLED_SHARDS_MAX:
            # Those that are full say nothing.
            for key in [key for key, pair in held.items() if now - pair[0].at > limits.THROTTLED_SECONDS]:
                del held[key]
        found = held[shard_log] = (Bucket(sizes[0], now), Bucket(sizes[1], now))
    for bucket in found:
        bucket.fill(now)
    return found


THROTTLE = Throttle()
