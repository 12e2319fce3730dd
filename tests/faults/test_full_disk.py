"""A full disk: errors while it is full, nothing acknowledged is lost, and all is well when there is room again."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer

SIZE_MIB = 24


def mounts() -> bool:
    """Whether this user may mount a small file system in a name space of its own."""
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode == 0


class SmallDisk(HeadraceServer):
    """A server whose data folder is a file system of its own, seen by nobody else."""

    def command(self) -> list[str]:
        mount = f'mount -t tmpfs -o size={SIZE_MIB}m tmpfs "$HEADRACE_DATA" && exec "$@"'
        return ["unshare", "-rm", "sh", "-c", mount, "sh", *super().command()]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HeadraceServer]:
    data = tmp_path / "data"
    data.mkdir()
    running = SmallDisk(data).start()
    yield running
    running.stop()


@pytest.mark.skipif(not mounts(), reason="needs user name spaces to mount a small disk")
def test_full_disk__refuses_and_recovers(server: HeadraceServer) -> None:
    assert server.process is not None
    # The disk as the server sees it.
    other_file = Path(f"/proc/{server.process.pid}/root{server.data}/somebody-elses-file")
    other_file.write_bytes(b"x" * ((SIZE_MIB - 6) << 20))
    kinesis = server.client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=1)

    def put() -> bool:
        try:
            kinesis.put_record(StreamName="s", PartitionKey="k", Data=b"x" * 20_000)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
                raise
            return False
        return True

    acknowledged = 0
    while put():
        acknowledged += 1
        assert acknowledged < 2000
    assert acknowledged > 20
    assert not any(put() for _ in range(20))
    # Reading goes on while nothing can be written.
    assert count_records(kinesis) == acknowledged
    other_file.unlink()
    assert all(put() for _ in range(20))
    assert count_records(kinesis) == acknowledged + 20


def count_records(kinesis: Any) -> int:
    shard = kinesis.list_shards(StreamName="s")["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(StreamName="s", ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    found = 0
    while records := (answer := kinesis.get_records(ShardIterator=iterator, Limit=100))["Records"]:
        assert all(record["Data"] == b"x" * 20_000 for record in records)
        found += len(records)
        iterator = answer["NextShardIterator"]
    return found
