"""The models: as botocore sees them, without botocore, from a cache that may be damaged or absent."""

import subprocess
import sys
from pathlib import Path

import botocore
import pytest
from tests.wire.sampler import botocore_model

from headrace.wire import models


@pytest.mark.parametrize("name", models.SERVICES)
def test_snake__is_botocores_for_every_name(name: str) -> None:
    service = models.service(name)
    names = set(service.operations)
    for shape in service.shapes.values():
        names |= set(shape.members)
    assert {each: models.snake(each) for each in names} == {each: botocore.xform_name(each) for each in names}


@pytest.mark.parametrize("name", models.SERVICES)
def test_shapes__have_botocores_members_and_traits(name: str) -> None:
    ours, theirs = models.service(name), botocore_model(name)
    assert list(ours.operations) == theirs.operation_names
    assert ours.signing_name == theirs.signing_name
    for operation_name, operation in ours.operations.items():
        their_operation = theirs.operation_model(operation_name)
        for shape, their_shape in (
            (operation.input, their_operation.input_shape),
            (operation.output, their_operation.output_shape),
        ):
            assert (shape is None) == (their_shape is None)
            if shape is None:
                continue
            their_members = {key: value for key, value in their_shape.members.items() if key != "ExpiresString"}
            assert list(shape.members) == list(their_members)
            assert shape.required == set(their_shape.required_members)
            for key, member in shape.members.items():
                their_member = their_members[key]
                assert member.location == their_member.serialization.get("location")
                assert member.wire_name(key) == their_member.serialization.get("name", key)
                assert member.name == their_member.name
        # For botocore any blob that is a body is a stream; for us only one that the model calls so.
        streams = their_operation.has_streaming_input and their_operation.get_streaming_input().serialization.get("streaming")
        assert (operation.streaming_input is not None) == bool(streams)


def run(code: str, cache: Path) -> str:
    environment = {"PYTHONPATH": str(Path(models.__file__).parents[2]), "XDG_CACHE_HOME": str(cache), "PATH": "/usr/bin:/bin"}
    return subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True).stdout


def test_cache__is_written_read_and_mended(tmp_path: Path) -> None:
    code = (
        "import sys; from headrace.wire import models; models.warm(); "
        "print(len(models.service('kinesis').operations), models.index()['sns']['endpointPrefix'], 'botocore' in sys.modules)"
    )
    first = run(code, tmp_path)
    assert first.split()[1:] == ["sns", "False"]
    files = sorted(tmp_path.rglob("*.marshal"))
    assert len(files) == len(models.SERVICES) + 1
    for file in files:
        file.write_bytes(file.read_bytes()[:100])
    assert run(code, tmp_path) == first
    assert all(file.stat().st_size > 100 for file in files)


def test_cache__a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    assert run("from headrace.wire import models; print(models.service('sqs').name)", blocker).strip() == "sqs"


def test_service__unknown_names_are_refused() -> None:
    with pytest.raises(KeyError):
        models.service("ec2")
