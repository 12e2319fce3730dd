"""Apache Flink with its connector for Kinesis: a SQL job counts one stream into another, and a task manager is killed.

`make clients-flink` installs Flink first; without it these tests are left out.
"""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.programs import BUILD
from conftest import REGION, ROOT_KEY, ROOT_SECRET, HeadraceServer, eventually, free_port

FLINK = BUILD / "flink"
RECORDS, KEYS = 20_000, 100
SQL = (Path(__file__).parent / "flink" / "job.sql").read_text()
MEMORY_MIB = {
    "task.heap.size": 256, "task.off-heap.size": 32, "framework.heap.size": 64, "framework.off-heap.size": 64,
    "network.min": 32, "network.max": 32, "managed.size": 32, "jvm-metaspace.size": 192, "jvm-overhead.min": 64,
    "jvm-overhead.max": 64,
}  # fmt: skip

pytestmark = [
    pytest.mark.timeout(420),
    pytest.mark.skipif(not (FLINK / ".ready").exists(), reason="Flink is large: make clients-flink installs it"),
]


class Cluster:
    """A job manager and task managers, each a process."""

    def __init__(
        self, start: Callable[..., subprocess.Popen[bytes]], run: Callable[..., str], folder: Path, **environment: str
    ) -> None:
        self._start, self._run, self._folder, self._environment = start, run, folder, environment
        configuration = {
            "jobmanager.rpc.address": "127.0.0.1", "jobmanager.rpc.port": free_port(), "rest.port": free_port(),
            "rest.address": "127.0.0.1", "jobmanager.memory.process.size": "900m", "heartbeat.interval": "1000",
            "heartbeat.timeout": "6000", "execution.checkpointing.storage": "filesystem", "execution.target": "remote",
            "execution.checkpointing.dir": f"file://{folder}/checkpoints",
            "execution.checkpointing.savepoint-dir": f"file://{folder}/savepoints", "taskmanager.numberOfTaskSlots": 2,
            "taskmanager.cpu.cores": 1, "taskmanager.host": "127.0.0.1",
            **{f"taskmanager.memory.{name}": f"{size}m" for name, size in MEMORY_MIB.items()},
        }  # fmt: skip
        (folder / "conf").mkdir()
        (folder / "conf" / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in configuration.items()))
        self._java("jobs", "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint")
        self.rest = f"http://127.0.0.1:{configuration['rest.port']}"

    def task_manager(self, name: str) -> subprocess.Popen[bytes]:
        return self._java(name, "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", f"-Dtaskmanager.resource-id={name}")

    def submit(self, sql: str) -> None:
        (self._folder / "job.sql").write_text(sql)
        job = self._command(str(Path(__file__).parent / "flink" / "Job.java"))
        said = self._run(*job, str(self._folder / "job.sql"), self.rest.rpartition(":")[2])
        assert said.endswith("submitted\n"), said

    def ask(self, path: str) -> Any:
        return json.loads(self._run(*("curl", "-s", "--fail", self.rest + path)))

    def _java(self, name: str, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [*self._command(main), "--configDir", str(self._folder / "conf"), *arguments]
        return self._start(name, *command, FLINK_CONF_DIR=str(self._folder / "conf"), **self._environment)

    def _command(self, main: str) -> list[str]:
        java = shutil.which("java")
        assert java is not None
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        opened = f"@{Path(__file__).parent / 'flink' / 'java17.options'}"
        return [java, *options, opened, "-cp", f"{FLINK}/pyflink/lib/*:{FLINK}/connector/*", main]


@pytest.mark.parametrize("publisher", ["POLLING", "EFO"])
def test_flink__counts_are_exact_after_a_killed_task_manager(
    publisher: str,
    server: HeadraceServer,
    kinesis: Any,
    start: Callable[..., subprocess.Popen[bytes]],
    run: Callable[..., str],
    tmp_path: Path,
) -> None:
    out = f"flink-out-{publisher.lower()}"
    for stream in ("flink-in", out):
        if stream not in kinesis.list_streams()["StreamNames"]:
            kinesis.create_stream(StreamName=stream, ShardCount=2)
            kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    cluster = Cluster(start, run, tmp_path)
    managers = {name: cluster.task_manager(name) for name in ("one", "two")}
    eventually(lambda: cluster.ask("/overview")["taskmanagers"] == 2, 90)
    connection = {
        "aws.region": REGION, "aws.endpoint": server.url, "aws.credentials.provider": "BASIC",
        "aws.credentials.basic.accesskeyid": ROOT_KEY, "aws.credentials.basic.secretkey": ROOT_SECRET,
    }  # fmt: skip
    words = ", ".join(f"'{name}' = '{value}'" for name, value in connection.items())
    cluster.submit(SQL.replace("{publisher}", publisher).replace("{out}", out).replace("{connection}", words))
    half = RECORDS // 2
    put(kinesis, range(half))
    eventually(lambda: sum(one[0] for one in counted(kinesis, out).values()) > half / 2, 120)
    busy = next(one["id"] for one in cluster.ask("/taskmanagers")["taskmanagers"] if one["freeSlots"] < one["slotsNumber"])
    managers[busy].send_signal(signal.SIGKILL)
    put(kinesis, range(half, RECORDS))
    each = RECORDS // KEYS
    expected = {f"key-{key}": (each, sum(range(each))) for key in range(KEYS)}
    eventually(lambda: counted(kinesis, out) == expected, 180)
    # Nothing comes later that would count more.
    time.sleep(3)
    assert counted(kinesis, out) == expected
    kinesis.delete_stream(StreamName="flink-in", EnforceConsumerDeletion=True)


def put(kinesis: Any, numbers: range) -> None:
    """Put records; each key's numbers are 0, 1, 2, …"""
    for start in range(numbers.start, numbers.stop, 500):
        records = [
            {"PartitionKey": str(n), "Data": json.dumps({"k": f"key-{n % KEYS}", "n": n // KEYS}).encode()}
            for n in range(start, start + 500)
        ]
        assert kinesis.put_records(StreamName="flink-in", Records=records)["FailedRecordCount"] == 0


def counted(kinesis: Any, stream: str) -> dict[str, tuple[int, int]]:
    """The highest count of each key that was written, with its total. What was written twice counts once."""
    found: dict[str, tuple[int, int]] = {}
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        asked = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator, behind = kinesis.get_shard_iterator(**asked)["ShardIterator"], 1
        while behind:
            answer = kinesis.get_records(ShardIterator=iterator)
            iterator, behind = answer["NextShardIterator"], answer["MillisBehindLatest"]
            for record in answer["Records"]:
                row = json.loads(record["Data"])["after"]
                if row is not None:
                    found[row["k"]] = max(found.get(row["k"], (0, 0)), (row["records"], row["total"]))
    return found
