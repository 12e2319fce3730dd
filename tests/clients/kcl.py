"""What a KCL test needs: writes many records while shards split and merge, and checks what workers have written down."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from conftest import eventually

KEYS = 100


class Writer:
    """Puts `count` records, a rising number for each of 100 keys, in requests of 500, on a thread of its own.

    It goes on to a share of all and waits there, so that what is to happen under load happens under load.
    """

    def __init__(self, kinesis: Any, stream: str, count: int, per_second: float) -> None:
        self._kinesis, self._stream, self._count = kinesis, stream, count
        self._seconds_each = 500 / per_second
        self.written = 0
        self.error: BaseException | None = None
        self._allowed = 0
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        try:
            due = time.monotonic()
            for start in range(0, self._count, 500):
                while self._allowed <= start:
                    time.sleep(0.02)
                    due = time.monotonic()
                numbers = range(start, min(start + 500, self._count))
                self._put([{"PartitionKey": f"key-{n % KEYS}", "Data": b"%d" % (n // KEYS)} for n in numbers])
                self.written += len(numbers)
                due += self._seconds_each
                time.sleep(max(0.0, due - time.monotonic()))
        except BaseException as error:
            self.error = error

    def _put(self, records: list[dict[str, Any]]) -> None:
        answer = self._kinesis.put_records(StreamName=self._stream, Records=records)
        assert answer["FailedRecordCount"] == 0

    def go_on_to(self, share: float) -> None:
        """Write up to a share of the records."""
        self._allowed = round(self._count * share)

    def wait_for(self, share: float) -> None:
        """Wait until a share of the records is written."""
        while self.written < round(self._count * share):
            if self.error is not None:
                raise self.error
            time.sleep(0.02)


def scale(kinesis: Any, stream: str, shards: int) -> None:
    """Split and merge shards until there are so many open ones."""
    kinesis.update_shard_count(StreamName=stream, TargetShardCount=shards, ScalingType="UNIFORM_SCALING")

    def settled() -> bool:
        summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        return (summary["StreamStatus"], summary["OpenShardCount"]) == ("ACTIVE", shards)

    eventually(settled, 60)


def processed(files: Iterable[Path]) -> dict[str, list[int]]:
    """The numbers of each key in the order in which workers processed them, first times only."""
    lines: list[tuple[int, int, str, int]] = []
    for path in files:
        whole = path.read_text().rpartition("\n")[0]  # a worker that is killed may leave half a line
        for order, line in enumerate(whole.splitlines()):
            micros, _, key, number = line.split()
            lines.append((int(micros), order, key, int(number)))
    found: dict[str, dict[int, None]] = defaultdict(dict)
    for _, _, key, number in sorted(lines):
        found[key].setdefault(number)
    return {key: list(numbers) for key, numbers in found.items()}


def count(files: Iterable[Path]) -> int:
    """How many different records were processed."""
    return sum(len(numbers) for numbers in processed([path for path in files if path.exists()]).values())


def check(files: Iterable[Path], total: int, *, ordered: bool = True) -> None:
    """Every record at least once, and each key's in order."""
    found = processed(files)
    missing = {key: sorted(set(range(total // KEYS)) - set(numbers))[:5] for key, numbers in found.items()}
    assert {key: some for key, some in missing.items() if some} == {}
    assert len(found) == KEYS
    if not ordered:
        return
    disordered = [key for key, numbers in found.items() if numbers != sorted(numbers)]
    assert disordered == []
