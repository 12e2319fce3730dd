"""Blobs come back as they were, whole and in parts; damage is noticed; orphans go."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.store.blobs import CorruptBlob
from headrace.store.blobs_format import CHUNK_SIZE_BYTES
from headrace.store.blobs_local import LocalBlobs

sizes = st.sampled_from([0, 1, CHUNK_SIZE_BYTES - 1, CHUNK_SIZE_BYTES, CHUNK_SIZE_BYTES + 1, 3 * CHUNK_SIZE_BYTES + 7])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=sizes, parts=st.integers(1, 5), start=st.integers(0, 4 * CHUNK_SIZE_BYTES), length=st.integers(0, 2 * CHUNK_SIZE_BYTES)
)
def test_open__gives_any_part(tmp_path: Path, size: int, parts: int, start: int, length: int) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    data = bytes(number % 251 for number in range(size))
    step = max(1, size // parts)
    ref = blobs.put(data[at : at + step] for at in range(0, size, step))
    assert ref.size_bytes == size
    assert blobs.get(ref.id) == data
    assert b"".join(blobs.open(ref.id, start, start + length)) == data[start : start + length]
    assert b"".join(blobs.open(ref.id, start)) == data[start:]


def test_get__notices_damage(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    ref = blobs.put(b"x" * 200_000)
    path = tmp_path / ref.id[:2] / ref.id
    raw = bytearray(path.read_bytes())
    raw[100_000] ^= 1
    path.write_bytes(raw)
    assert b"".join(blobs.open(ref.id, 0, 1000)) == b"x" * 1000
    with pytest.raises(CorruptBlob):
        blobs.get(ref.id)


@pytest.mark.parametrize("change", ["cut", "cut_whole_chunk", "swap", "longer"])
def test_open__notices_chunks_that_are_missing_or_elsewhere(tmp_path: Path, change: str) -> None:
    blobs = LocalBlobs(tmp_path)
    data = b"a" * CHUNK_SIZE_BYTES + b"b" * CHUNK_SIZE_BYTES + b"c" * CHUNK_SIZE_BYTES
    ref = blobs.put(data)
    path, stride = tmp_path / ref.id[:2] / ref.id, CHUNK_SIZE_BYTES + 4
    raw = path.read_bytes()
    path.write_bytes(
        {
            "cut": raw[:-1],
            "cut_whole_chunk": raw[:stride] + raw[2 * stride :],
            "swap": raw[stride : 2 * stride] + raw[:stride] + raw[2 * stride :],
            "longer": raw + b"x",
        }[change]
    )
    with pytest.raises(CorruptBlob):
        b"".join(blobs.open(ref.id, 10, 20))


def test_put__from_many_threads(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    with ThreadPoolExecutor(16) as threads:
        refs = list(threads.map(lambda number: blobs.put(b"%d" % number * 1000), range(200)))
    assert [blobs.get(ref.id) for ref in refs] == [b"%d" % number * 1000 for number in range(200)]


def test_space__has_blobs_and_a_sweep_of_its_own(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    outer, inner = blobs.put(b"outer"), blobs.space("s3").put(b"inner")
    assert blobs.space("s3").get(inner.id) == b"inner"
    with pytest.raises(KeyError):
        blobs.get(inner.id)
    assert blobs.space("s3").sweep(lambda _: False, -1) == 1
    assert blobs.get(outer.id) == b"outer"
    with pytest.raises(ValueError, match="no name"):
        blobs.space("../x")


def test_put__a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)

    def parts():  # type: ignore[no-untyped-def]
        yield b"x" * 100_000
        raise ValueError("the sender went away")

    with pytest.raises(ValueError, match="went away"):
        blobs.put(parts())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_sweep__deletes_orphans_alone(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    kept, orphan = blobs.put(b"kept"), blobs.put(b"orphan")
    assert blobs.sweep(lambda blob_id: blob_id == kept.id, older_than_seconds=3600) == 0
    assert blobs.sweep(lambda blob_id: blob_id == kept.id, older_than_seconds=-1) == 1
    assert blobs.get(kept.id) == b"kept"
    with pytest.raises(KeyError):
        blobs.get(orphan.id)


def test_open__no_path_can_be_named(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        LocalBlobs(tmp_path).get("../../../../../../../etc/passwd")
