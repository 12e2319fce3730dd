"""The Kinesis Client Library for Java: three workers share a stream; one is killed, and the shards change under load."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import kcl
from clients.programs import java
from conftest import HeadraceServer, eventually

# How many records; `make clients ARGS=--records=200000` takes more.
# `make clients RECORDS=200000` takes more.
RECORDS = int(os.environ.get("HEADRACE_CLIENTS_RECORDS", "20000"))
SHARDS = 4

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("mode", ["polling", "fanout"])
def test_kcl__three_workers_one_killed_resharded_twice(
    mode: str, server: HeadraceServer, kinesis: Any, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    stream, application = f"kcl-{mode}", f"app-{mode}"
    kinesis.create_stream(StreamName=stream, ShardCount=SHARDS)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    files = [tmp_path / f"worker-{number}" for number in range(3)]
    dynamodb = server.client("dynamodb")
    workers = []
    for number, path in enumerate(files):
        workers.append(start(f"worker-{number}", *java("headrace.Worker", mode, application, stream, f"w{number}", str(path))))
        # Workers that make an application's state at the same instant stop each other for good: KCL does not try that again.
        eventually(lambda: "Migration3.0" in rows(dynamodb, application), 60)
    writer = kcl.Writer(kinesis, stream, RECORDS, per_second=max(1_000, RECORDS / 60))
    writer.go_on_to(0.1)
    eventually(lambda: kcl.count(files) >= RECORDS * 0.1, 120)
    eventually(lambda: len(owners(dynamodb, application)) == SHARDS and len(set(owners(dynamodb, application))) > 1, 120)
    writer.go_on_to(0.5)
    writer.wait_for(0.2)
    kcl.scale(kinesis, stream, SHARDS * 2)
    held = eventually(lambda: owners(dynamodb, application), 60)
    victim = max(held, key=held.count)
    writer.go_on_to(1.0)
    workers[int(victim[1:])].send_signal(signal.SIGKILL)
    writer.wait_for(0.6)
    kcl.scale(kinesis, stream, SHARDS)
    writer.wait_for(1.0)
    began = time.monotonic()
    eventually(lambda: kcl.count(files) >= RECORDS, 180)
    print(f"{mode}: {RECORDS} records, all processed {time.monotonic() - began:.1f} s after the last was put")
    kcl.check(files, RECORDS)
    assert [worker.poll() for worker in workers].count(None) == 2
    shards = {one["ShardId"] for one in kinesis.list_shards(StreamName=stream)["Shards"]}
    assert len(shards) > SHARDS * 3
    eventually(lambda: shards <= rows(dynamodb, application).keys(), 60)
    eventually(lambda: victim not in owners(dynamodb, application), 60)


def rows(dynamodb: Any, application: str) -> dict[str, Any]:
    """What KCL keeps in its table, by the key: leases and its own state."""
    return {row["leaseKey"]["S"]: row for row in dynamodb.scan(TableName=application)["Items"]}


def owners(dynamodb: Any, application: str) -> list[str]:
    """The owners of the leases that somebody holds, of shards that are not done."""
    leases = [row for key, row in rows(dynamodb, application).items() if key.startswith("shardId-")]
    return [row["leaseOwner"]["S"] for row in leases if "leaseOwner" in row and row["checkpoint"]["S"] != "SHARD_END"]
