"""A mapping's own metrics, when its MetricsConfig asks for them: how many events went which way."""

import threading
from collections.abc import Sequence

from headrace.operation import Context
from headrace.ports import Metric, SourceRecord
from headrace.services.lambda_.invocations import RUNTIME
from headrace.services.lambda_.state import Mapping

EVENT_COUNT = "EventCount"


def report(ctx: Context, mapping: Mapping, **counts: int) -> None:
    """Count events: `Polled=3` is PolledEventCount. Zeros are left out, but of DeletedEventCount: deleting failed."""
    if EVENT_COUNT not in mapping.metrics:
        return
    of_mapping = (("EventSourceMappingUUID", mapping.id),)
    values = [
        Metric(f"{name}EventCount", float(count), "Count", of_mapping)
        for name, count in counts.items()
        if count or name == "Deleted"
    ]
    if values:
        RUNTIME.reporter.metrics(ctx, values)


class Polled:
    """Which records of streams were counted already and are handed over again: each is polled once, however often it is tried.

    Kept in memory: after the server's start, what was under way counts again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[tuple[str, str], set[str]] = {}

    def new(self, mapping: Mapping, shard_id: str, records: Sequence[SourceRecord]) -> set[str]:
        """The sequence numbers that were not given before, until `forget`."""
        if EVENT_COUNT not in mapping.metrics:
            return set()
        with self._lock:
            counted = self._counted.setdefault((mapping.id, shard_id), set())
            found = {record.sequence_number for record in records} - counted
            counted |= found
        return found

    def forget(self, mapping: Mapping, shard_id: str, records: Sequence[SourceRecord]) -> None:
        """These were handled, or given up."""
        key = (mapping.id, shard_id)
        with self._lock:
            counted = self._counted.get(key)
            if counted is not None:
                counted.difference_update(record.sequence_number for record in records)
                if not counted:
                    del self._counted[key]
