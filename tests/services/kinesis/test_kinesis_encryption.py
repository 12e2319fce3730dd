"""Encrypted streams: what is shown of them, and what lies on the disk."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually

OWN = "alias/aws/kinesis"
KEY = "12345678-1234-1234-1234-123456789012"
SECRET = b"nobody-may-read-this"


@pytest.fixture
def kinesis(client: Callable[..., Any]) -> Any:
    made = client("kinesis")
    made.create_stream(StreamName="s", ShardCount=1)
    return made


def start(kinesis: Any, key: str = OWN) -> None:
    kinesis.start_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId=key)


def stop(kinesis: Any, key: str = OWN) -> None:
    kinesis.stop_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId=key)


def records(kinesis: Any, **arguments: Any) -> list[dict[str, Any]]:
    place = {"ShardIteratorType": "TRIM_HORIZON", **arguments}
    at = kinesis.get_shard_iterator(StreamName="s", ShardId="shardId-000000000000", **place)["ShardIterator"]
    found: list[dict[str, Any]] = []
    while True:
        answer = kinesis.get_records(ShardIterator=at)
        found += answer["Records"]
        if answer["MillisBehindLatest"] == 0:
            return found
        at = answer["NextShardIterator"]


def refusal(call: Callable[..., Any], *arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*arguments)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def shown(kinesis: Any) -> list[tuple[str, str | None]]:
    whole = kinesis.describe_stream(StreamName="s")["StreamDescription"]
    summary = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]
    return [(one["EncryptionType"], one.get("KeyId")) for one in (whole, summary)]


def test_encryption__is_shown_of_the_stream_its_answers_and_its_records(kinesis: Any) -> None:
    assert shown(kinesis) == [("NONE", None)] * 2
    put = [kinesis.put_record(StreamName="s", Data=b"0", PartitionKey="k")]
    start(kinesis)
    assert shown(kinesis) == [("KMS", OWN)] * 2
    put.append(kinesis.put_record(StreamName="s", Data=b"1", PartitionKey="k"))
    large = b"2" * 200_000
    batch = [{"Data": data, "PartitionKey": f"key {number}"} for number, data in enumerate((b"a", large, b"b", b"c"))]
    put.append(kinesis.put_records(StreamName="s", Records=batch))
    stop(kinesis)
    assert shown(kinesis) == [("NONE", None)] * 2
    put.append(kinesis.put_record(StreamName="s", Data=b"3", PartitionKey="k"))
    assert [one["EncryptionType"] for one in put] == ["NONE", "KMS", "KMS", "NONE"]
    found = [(one["Data"], one["PartitionKey"], one.get("EncryptionType")) for one in records(kinesis)]
    sealed = [(one["Data"], one["PartitionKey"], "KMS") for one in batch]
    assert found == [(b"0", "k", None), (b"1", "k", "KMS"), *sealed, (b"3", "k", None)]
    second = put[2]["Records"][2]["SequenceNumber"]
    after = records(kinesis, ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=second)
    assert [one["Data"] for one in after] == [b"c", b"3"]


def test_encryption__a_new_start_replaces_the_key_and_old_records_stay_readable(kinesis: Any, account: str) -> None:
    keys = [OWN, KEY, f"arn:aws:kms:us-east-1:{account}:key/{KEY}", f"arn:aws:kms:us-east-1:{account}:alias/mine", "alias/mine"]
    for key in keys:
        start(kinesis, key)
        assert shown(kinesis) == [("KMS", key)] * 2
        kinesis.put_record(StreamName="s", Data=key.encode(), PartitionKey="k")
    assert [one["Data"].decode() for one in records(kinesis)] == keys


def test_encryption__records_are_pushed_to_consumers_as_they_were(kinesis: Any) -> None:
    start(kinesis)
    arn = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]["ConsumerARN"]
    kinesis.put_record(StreamName="s", Data=SECRET, PartitionKey="k")
    events = kinesis.subscribe_to_shard(
        ConsumerARN=consumer, ShardId="shardId-000000000000", StartingPosition={"Type": "TRIM_HORIZON"}
    )["EventStream"]
    (record,) = next(iter(events))["SubscribeToShardEvent"]["Records"]
    events.close()
    assert (record["Data"], record["EncryptionType"]) == (SECRET, "KMS")


@pytest.mark.parametrize(
    "key", ["mine", "alias/", "key/12345678-1234-1234-1234-123456789012", "arn:aws:kms:us-east-1:1:key/x", "arn:aws:s3:::b"]
)
def test_encryption__what_is_no_key_is_refused(kinesis: Any, key: str) -> None:
    assert refusal(start, kinesis, key) == ("KMSNotFoundException", f"Invalid keyId {key}")
    assert shown(kinesis) == [("NONE", None)] * 2


def test_encryption__other_refusals(kinesis: Any) -> None:
    elsewhere = f"arn:aws:kms:eu-west-1:123456789012:key/{KEY}"
    assert refusal(start, kinesis, elsewhere) == ("KMSNotFoundException", "Invalid arn eu-west-1")
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.start_stream_encryption(StreamName="nothere", EncryptionType="KMS", KeyId=OWN)
    for _ in range(25):
        start(kinesis)
    assert refusal(stop, kinesis)[0] == "LimitExceededException"


def loaded(server: HeadraceServer) -> bool:
    assert server.process is not None
    return "cryptography" in Path(f"/proc/{server.process.pid}/maps").read_text()


def on_disk(server: HeadraceServer) -> bytes:
    return b"".join(path.read_bytes() for path in (server.data / "store").rglob("*") if path.is_file())


def test_encryption__the_disk_holds_nothing_of_a_record_and_all_is_lost_with_the_key(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        kinesis = server.client("kinesis")
        kinesis.create_stream(StreamName="s", ShardCount=1)
        kinesis.put_record(StreamName="s", Data=b"anybody-may-read-this", PartitionKey="plain")
        assert not loaded(server)
        start(kinesis)
        assert loaded(server)
        key_file = server.data / "master.key"
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        kinesis.put_record(StreamName="s", Data=SECRET, PartitionKey="secret-key")
        kinesis.put_record(StreamName="s", Data=SECRET * 10_000, PartitionKey="secret-key")
        server.kill()
        bytes_kept = on_disk(server)
        assert b"anybody-may-read-this" in bytes_kept
        assert SECRET not in bytes_kept
        assert b"secret-key" not in bytes_kept
        assert key_file.read_bytes() not in bytes_kept
        server.start()
        assert not loaded(server)
        assert [one["Data"] for one in records(kinesis)] == [b"anybody-may-read-this", SECRET, SECRET * 10_000]
        server.stop()
        right = key_file.read_bytes()
        key_file.write_bytes(bytes(32))
        server.start()
        assert refusal(records, kinesis)[0] == "KMSAccessDeniedException"
        server.stop()
        key_file.unlink()
        server.start()
        assert refusal(records, kinesis)[0] == "KMSNotFoundException"
        with pytest.raises(kinesis.exceptions.KMSNotFoundException):
            kinesis.put_record(StreamName="s", Data=SECRET, PartitionKey="k")
        key_file.write_bytes(right)
        assert len(records(kinesis)) == 3
    finally:
        server.stop()


def test_stack__starts_changes_and_stops_encryption(client: Callable[..., Any]) -> None:
    formation, kinesis = client("cloudformation"), client("kinesis")

    def template(**properties: Any) -> str:
        resource = {"Type": "AWS::Kinesis::Stream", "Properties": {"Name": "s", "ShardCount": 1, **properties}}
        return json.dumps({"Resources": {"Stream": resource}})

    def status() -> str:
        return str(formation.describe_stacks(StackName="st")["Stacks"][0]["StackStatus"])

    body = template(StreamEncryption={"EncryptionType": "KMS", "KeyId": OWN})
    formation.create_stack(StackName="st", TemplateBody=body)
    eventually(lambda: status() == "CREATE_COMPLETE", 40)
    assert shown(kinesis) == [("KMS", OWN)] * 2
    formation.update_stack(StackName="st", TemplateBody=template(StreamEncryption={"EncryptionType": "KMS", "KeyId": KEY}))
    eventually(lambda: status() == "UPDATE_COMPLETE", 40)
    assert shown(kinesis) == [("KMS", KEY)] * 2
    formation.update_stack(StackName="st", TemplateBody=template())
    eventually(lambda: shown(kinesis) == [("NONE", None)] * 2, 40)
