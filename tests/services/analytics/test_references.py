"""Copies of what reference tables hold: one for each run; what nobody refers to is removed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from headrace.operation import Context
from headrace.services.analytics import limits, references, state
from headrace.services.analytics.state import Application, Flink, Reference
from headrace.store.api import Transaction
from headrace.store.blobs_local import LocalBlobs
from headrace.store.memory import MemoryStore


class Scene:
    """As much of a context as copies need."""

    def __init__(self, folder: Path) -> None:
        self.blobs = LocalBlobs(folder)
        self.store = MemoryStore()
        self.read = 0
        self.ports = SimpleNamespace(objects=self)

    def get(self, ctx: Any, bucket: str, key: str) -> bytes:
        self.read += 1
        return f"{bucket}/{key} {self.read}".encode()

    def _inner(self, tx: Transaction) -> Any:
        return SimpleNamespace(tx=tx)

    def transact(self, body: Any) -> Any:
        return self.store.transact(lambda tx: body(self._inner(tx)))

    snapshot = transact


def application(generation: int) -> Application:
    return Application("app", "id", "arn", 0.0, 0.0, generation=generation)


PART = {"TableName": "NAMES", "S3ReferenceDataSource": {"BucketARN": "arn:aws:s3:::refs", "FileKey": "names"}}


def test_content__is_read_once_for_each_generation(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    ctx = cast(Context, scene)
    assert references.content(ctx, application(1), PART) == b"refs/names 1"
    assert references.content(ctx, application(1), PART) == b"refs/names 1"
    assert references.content(ctx, application(2), PART) == b"refs/names 2"
    assert references.content(ctx, application(2), PART) == b"refs/names 2"


def test_sweep__keeps_what_is_used_and_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)
    ctx = cast(Context, scene)
    space = references.blobs(ctx)
    table, code, before, lost = (space.put(name).id for name in (b"table", b"code", b"before", b"lost"))

    def keep(inner: Any) -> None:
        flink = Flink({}, {}, {}, blob=code)
        older = Flink({}, {}, {}, blob=before)
        state.REFERENCES.put(inner.tx, Reference(1, table), "id", "NAMES")
        state.APPLICATIONS.put(inner.tx, Application("f", "i", "a", 0.0, 0.0, flink=flink), "1", "us-east-1", "f")
        state.VERSIONS.put(inner.tx, Application("f", "i", "a", 0.0, 0.0, flink=older), "1", "us-east-1", "f", 1)

    scene.transact(keep)
    references.sweep(ctx)
    assert space.get(lost) == b"lost"
    monkeypatch.setattr(limits, "SWEEP_AGE_SECONDS", -1.0)
    references.sweep(ctx)
    assert [space.get(one) for one in (table, code, before)] == [b"table", b"code", b"before"]
    with pytest.raises(KeyError):
        space.get(lost)
