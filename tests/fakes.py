"""A context without a server, and a stream to read, for tests of what stands on the store alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.kit.clock import Clock
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.operation import Context
from headrace.ports import Ports, Principal, SourceBatch, SourceRecord, SourceShard
from headrace.store.blobs_local import LocalBlobs
from headrace.store.memory import MemoryStore

ARN = "arn:aws:fake:us-east-1:000000000000:stream/one"


def make_context(store: Any = None, blobs: Path | None = None, ports: Ports | None = None, clock: Clock | None = None) -> Context:
    """A context of the root account on a memory store."""
    return Context(
        account="000000000000", region="us-east-1", service="test", request_id="test",
        principal=Principal("arn:aws:iam::000000000000:root", "000000000000", "000000000000"),
        store=MemoryStore() if store is None else store, blobs=LocalBlobs(blobs) if blobs is not None else None,  # type: ignore[arg-type]
        clock=clock or Clock(), ids=Ids(), settings=Settings(), ports=ports or Ports(),
    )  # fmt: skip


class ListSource:
    """A `RecordSource` over lists: shard id → values. Sequence numbers are 1, 2, 3, …"""

    def __init__(self, shards: dict[str, list[bytes]], parents: dict[str, tuple[str, ...]] | None = None) -> None:
        self.values = shards
        self.parents = parents or {}
        self.closed: set[str] = set()

    def shards(self, scope: Any, arn: str) -> Sequence[SourceShard]:
        return [SourceShard(shard_id, self.parents.get(shard_id, ()), shard_id in self.closed) for shard_id in self.values]

    def start(self, scope: Any, arn: str, shard_id: str, where: str | float) -> str:
        return str(len(self.values[shard_id])) if where == "LATEST" else "0"

    def read(self, scope: Any, arn: str, shard_id: str, position: str, limit: int, size_max_bytes: int) -> SourceBatch:
        after = int(position)
        values = self.values[shard_id][after : after + limit]
        records = [
            SourceRecord(str(after + n), value, value.decode()[:1], 0.0, {"data": value.decode()})
            for n, value in enumerate(values, 1)
        ]
        end = after + len(values)
        ended = shard_id in self.closed and end == len(self.values[shard_id])
        return SourceBatch(records, str(end), ended and not records, 0)

    def topic(self, scope: Any, arn: str, shard_id: str) -> bytes:
        return f"topic/{shard_id}".encode()
