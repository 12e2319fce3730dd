"""Kinesis under SIGKILL, with large records, and with many connections that say nothing.

`make test ARGS="tests/faults/test_streams.py"` runs a few rounds; HEADRACE_FAULT_ROUNDS=30 and HEADRACE_IDLE_CONNECTIONS=10000
run as many as a release should stand.
"""

import os
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from conftest import HeadraceServer

ROUNDS = int(os.environ.get("HEADRACE_FAULT_ROUNDS", "3"))
IDLE_CONNECTIONS = int(os.environ.get("HEADRACE_IDLE_CONNECTIONS", "2000"))
WRITERS, READERS = 8, 4
BATCH = 25
# What an idle connection may hold, and what four records of 10 MiB, written and read at once, may: each is there as a body,
# as text in base64, and as bytes, for a moment in several copies.
IDLE_CONNECTION_MAX_BYTES = 6 * 1024
LARGE_RECORDS_MAX_BYTES = 512 << 20


class Follower(threading.Thread):
    """A thread whose failure is kept, and which goes on when the server is away."""

    def __init__(self, server: HeadraceServer, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.failure: BaseException | None = None
        self._server = server
        self._stopping = stop

    def run(self) -> None:
        try:
            self.work(self._server.client("kinesis"))
        except BaseException as error:
            self.failure = error

    def work(self, kinesis: Any) -> None:
        raise NotImplementedError


class Writer(Follower):
    """Puts batches under one key, one after another, and notes what was acknowledged: (number, shard, sequence number)."""

    def __init__(self, server: HeadraceServer, stop: threading.Event, number: int) -> None:
        super().__init__(server, stop)
        self.key = f"writer-{number}"
        self.acknowledged: list[tuple[int, str, int]] = []

    def work(self, kinesis: Any) -> None:
        count = 0
        while not self._stopping.is_set():
            batch = range(count, count + BATCH)
            count += BATCH
            records = [{"Data": f"{self.key}/{number}".encode(), "PartitionKey": self.key} for number in batch]
            try:
                answer = kinesis.put_records(StreamName="s", Records=records)
            except BotoCoreError:
                time.sleep(0.01)
                continue
            assert answer["FailedRecordCount"] == 0
            for number, put in zip(batch, answer["Records"], strict=True):
                self.acknowledged.append((number, put["ShardId"], int(put["SequenceNumber"])))


class Reader(Follower):
    """Follows every shard from its beginning with the iterators it is given, and asks for no second one of any shard."""

    def __init__(self, server: HeadraceServer, stop: threading.Event) -> None:
        super().__init__(server, stop)
        self.seen: dict[str, list[tuple[int, str]]] = {}
        self.at_tip: set[str] = set()
        self._iterators: dict[str, str] = {}

    def work(self, kinesis: Any) -> None:
        waiting = [shard["ShardId"] for shard in kinesis.list_shards(StreamName="s")["Shards"]]
        while waiting or self._iterators:
            while waiting:
                self._begin(kinesis, waiting.pop())
            for shard in list(self._iterators):
                waiting += self._read(kinesis, shard)
            if self._stopping.is_set() and not waiting and self.at_tip >= self._iterators.keys():
                return

    def _begin(self, kinesis: Any, shard: str) -> None:
        while True:
            try:
                place = kinesis.get_shard_iterator(StreamName="s", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
            except BotoCoreError:
                time.sleep(0.01)
                continue
            self.seen[shard] = []
            self._iterators[shard] = place["ShardIterator"]
            return

    def _read(self, kinesis: Any, shard: str) -> list[str]:
        try:
            answer = kinesis.get_records(ShardIterator=self._iterators[shard], Limit=500)
        except BotoCoreError:
            time.sleep(0.01)
            return []
        self.seen[shard] += [(int(record["SequenceNumber"]), record["Data"].decode()) for record in answer["Records"]]
        self.at_tip.discard(shard)
        if answer["MillisBehindLatest"] == 0 and self._stopping.is_set():
            self.at_tip.add(shard)
        if answer.get("NextShardIterator"):
            self._iterators[shard] = answer["NextShardIterator"]
            return []
        del self._iterators[shard]
        return [child["ShardId"] for child in answer["ChildShards"] if child["ShardId"] not in self.seen]


@pytest.mark.timeout(600)
def test_kill__no_record_is_lost_or_out_of_order_and_iterators_stay_good(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    server.client("kinesis").create_stream(StreamName="s", ShardCount=2)
    chance, stop, read_on = random.Random(11), threading.Event(), threading.Event()
    writers = [Writer(server, stop, number) for number in range(WRITERS)]
    readers = [Reader(server, read_on) for _ in range(READERS)]
    for one in (*writers, *readers):
        one.start()
    for number in range(ROUNDS):
        time.sleep(chance.uniform(0.3, 0.8))
        if number in (1, 2):
            server.client("kinesis").update_shard_count(
                StreamName="s", TargetShardCount=(3, 4)[number - 1], ScalingType="UNIFORM_SCALING"
            )
        server.kill()
        server.start()
    time.sleep(0.5)
    for threads, event in ((writers, stop), (readers, read_on)):
        event.set()
        for one in threads:
            one.join(120)
            assert not one.is_alive()
            assert one.failure is None, repr(one.failure)
    assert server.stop() == 0
    for writer in writers:
        assert writer.acknowledged
        sequences = [sequence for _, _, sequence in writer.acknowledged]
        assert sequences == sorted(sequences)
    for reader in readers:
        places = {}
        for shard, records in reader.seen.items():
            sequences = [sequence for sequence, _ in records]
            assert sequences == sorted(set(sequences))
            for sequence, data in records:
                assert data not in places
                places[data] = (shard, sequence)
        for writer in writers:
            for number, shard, sequence in writer.acknowledged:
                assert places[f"{writer.key}/{number}"] == (shard, sequence)


def resident_bytes(server: HeadraceServer) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def peak_bytes(server: HeadraceServer) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_large_records__hold_a_bounded_memory(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        kinesis = server.client("kinesis")
        kinesis.create_stream(StreamName="s", ShardCount=1, MaxRecordSizeInKiB=10_240)
        before = resident_bytes(server)
        data = os.urandom((10 << 20) - 1)

        def put_and_read(_: int) -> bool:
            mine = server.client("kinesis")
            put = mine.put_record(StreamName="s", Data=data, PartitionKey="k")
            place = mine.get_shard_iterator(
                StreamName="s", ShardId=put["ShardId"], ShardIteratorType="AT_SEQUENCE_NUMBER",
                StartingSequenceNumber=put["SequenceNumber"],
            )["ShardIterator"]  # fmt: skip
            return bool(mine.get_records(ShardIterator=place, Limit=1)["Records"][0]["Data"] == data)

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(put_and_read, range(12)))
        assert peak_bytes(server) - before < LARGE_RECORDS_MAX_BYTES
    finally:
        server.stop()


def test_idle_connections__hold_little_memory_and_keep_nobody_out(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    idle: list[socket.socket] = []
    try:
        kinesis = server.client("kinesis")
        kinesis.create_stream(StreamName="s", ShardCount=1)
        before = resident_bytes(server)
        for _ in range(IDLE_CONNECTIONS):
            idle.append(socket.create_connection(("127.0.0.1", server.port), timeout=30))
        assert kinesis.put_record(StreamName="s", Data=b"x", PartitionKey="k")["ShardId"]
        assert resident_bytes(server) - before < IDLE_CONNECTIONS * IDLE_CONNECTION_MAX_BYTES + (16 << 20)
        with pytest.raises(ClientError):
            server.client("kinesis").describe_stream(StreamName="nothere")
    finally:
        for one in idle:
            one.close()
        server.stop()
