"""The delivery protocol on the memory store: what arrives where, and that each record arrives once, whoever dies when."""

import gzip
import json
import time
from typing import Any

import pytest
from tests.services.firehose.fakes import NOW, REDSHIFT, ROLE, S3, House

from headrace.kit.errors import AwsError
from headrace.ports import LoadFailed
from headrace.services.firehose import limits
from headrace.store.memory import Crash

LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:f"


@pytest.fixture
def house() -> House:
    return House()


def processing(**parameters: str) -> dict[str, Any]:
    given = [{"ParameterName": name, "ParameterValue": value} for name, value in {"LambdaArn": LAMBDA, **parameters}.items()]
    return {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": given}]}


def appending(delimiter: str = "\\n") -> dict[str, Any]:
    given = [{"ParameterName": "Delimiter", "ParameterValue": delimiter}]
    return {"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord", "Parameters": given}]}


def test_interval__a_record_waits_for_it(house: House) -> None:
    house.create(s3_destination_configuration={**S3, "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60}})
    house.put(b"a", b"b")
    assert 59 < (house.step() or 0) <= 60
    assert not house.objects_below()
    house.clock.advance(60)
    assert house.step() is None
    assert list(house.objects_below().values()) == [b"ab"]
    assert house.step() is None


def test_interval__zero_delivers_at_once(house: House) -> None:
    house.create(s3_destination_configuration={**S3, "BufferingHints": NOW})
    house.put(b"a")
    assert house.step() is None
    house.put(b"b")
    house.step()
    assert sorted(house.objects_below().values()) == [b"a", b"b"]


def test_size__a_full_batch_does_not_wait(house: House) -> None:
    house.create(s3_destination_configuration={**S3, "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 900}})
    house.put(b"a" * 1_000_000, b"b" * 100_000, b"c")
    assert (house.step() or 0) <= 900
    assert list(house.objects_below().values()) == [b"a" * 1_000_000 + b"b" * 100_000]
    house.clock.advance(900)
    house.step()
    assert sorted(map(len, house.objects_below().values())) == [1, 1_100_000]


def test_buffer__keeps_nothing_of_what_was_delivered(house: House) -> None:
    house.create(s3_destination_configuration={**S3, "BufferingHints": NOW})
    house.put(*[b"x" * 200_000] * 20)
    house.step()
    # What stays is the log's counter; log.drop removes it with the stream.
    assert len(house.leftovers()) == 1
    assert b"".join(house.objects_below().values()) == b"x" * 4_000_000


def test_buffer__a_batch_larger_than_one_trim(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRIM_ENTRIES_PER_TRANSACTION", 10)
    house.create(s3_destination_configuration={**S3, "BufferingHints": NOW})
    house.put_batch(*[b"%d," % n for n in range(95)])
    house.step()
    assert list(house.objects_below().values()) == [b"".join(b"%d," % n for n in range(95))]
    assert len(house.leftovers()) == 1


def test_names__follow_aws(house: House) -> None:
    house.clock.advance(1_735_787_045 - house.clock.now())  # 2025-01-02 03:04:05 UTC
    house.create(
        extended_s3_destination_configuration={
            **S3, "Prefix": "in/!{timestamp:yyyy}/", "ErrorOutputPrefix": "err/!{firehose:error-output-type}/",
            "BufferingHints": NOW, "CompressionFormat": "GZIP", "ProcessingConfiguration": appending(),
        }
    )  # fmt: skip
    house.put_batch(b"a", b"b")
    house.step()
    ((key, body),) = house.objects_below().items()
    assert key.startswith("in/2025/d-1-2025-01-02-03-04-0")
    assert key.endswith(".gz")
    assert gzip.decompress(body) == b"a\nb\n"


def test_time_zone__moves_the_folder(house: House) -> None:
    house.clock.advance(1_735_787_045 - house.clock.now())
    house.create(extended_s3_destination_configuration={**S3, "BufferingHints": NOW, "CustomTimeZone": "Asia/Tokyo"})
    house.put(b"a")
    house.step()
    assert next(iter(house.objects_below())).startswith("2025/01/02/12/d-1-2025-01-02-12-04-0")


def test_transform__ok_dropped_and_failed_records(house: House) -> None:
    house.create(extended_s3_destination_configuration={**S3, "BufferingHints": NOW, "ProcessingConfiguration": processing()})
    house.invoker.transform = lambda data: {b"bad": ("ProcessingFailed", data), b"drop": ("Dropped", None)}.get(
        data, ("Ok", data.upper())
    )
    house.put_batch(b"good", b"bad", b"drop", b"fine")
    house.step()
    (failed,) = house.objects_below("processing-failed/").values()
    line = json.loads(failed)
    assert (line["errorCode"], line["rawData"], line["attemptsMade"]) == ("Lambda.ProcessingFailedStatus", "YmFk", 1)
    assert line["lambdaArn"] == LAMBDA
    assert b"GOODFINE" in house.objects_below().values()
    assert house.metrics.sums["SucceedProcessing.Records"] == 3


def test_transform__is_tried_again(house: House) -> None:
    house.create(
        extended_s3_destination_configuration={
            **S3, "BufferingHints": NOW, "ProcessingConfiguration": processing(NumberOfRetries="1")
        }
    )  # fmt: skip
    house.invoker.failures = 1
    house.put(b"a")
    house.step()
    assert list(house.objects_below().values()) == [b"a"]
    house.invoker.failures = 2
    house.put(b"b")
    house.step()
    (failed,) = house.objects_below("processing-failed/").values()
    assert json.loads(failed)["errorCode"] == "Lambda.FunctionError"
    assert json.loads(failed)["attemptsMade"] == 2


def test_transform__all_dropped_writes_no_object(house: House) -> None:
    house.create(redshift_destination_configuration={**REDSHIFT, "ProcessingConfiguration": processing()})
    house.invoker.transform = lambda data: ("Dropped", None)
    house.put(b"a")
    house.step()
    assert not house.objects_below()
    assert not house.warehouse.statements
    assert house.step() is None


def test_backup__keeps_the_source_records(house: House) -> None:
    house.create(
        extended_s3_destination_configuration={
            **S3, "BufferingHints": NOW, "ProcessingConfiguration": processing(), "S3BackupMode": "Enabled",
            "S3BackupConfiguration": {**S3, "BucketARN": "arn:aws:s3:::backup", "Prefix": "raw/"},
        }
    )  # fmt: skip
    house.invoker.transform = lambda data: ("Ok", b"<" + data + b">")
    house.put_batch(b"a", b"b")
    house.step()
    assert list(house.objects_below().values()) == [b"<a><b>"]
    assert list(house.objects_below("raw/", "backup").values()) == [b"ab"]


def test_missing_bucket__pauses_until_it_is_there(house: House) -> None:
    options = {"Enabled": True, "LogGroupName": "/aws/firehose/d", "LogStreamName": "S3Delivery"}
    house.create(s3_destination_configuration={**S3, "BufferingHints": NOW, "CloudWatchLoggingOptions": options})
    bucket = house.objects.buckets.pop("bucket")
    house.put(b"a")
    assert house.step() == limits.RETRY_FIRST_SECONDS
    house.put(b"b")
    assert 0 < (house.step() or 0) <= limits.RETRY_FIRST_SECONDS
    group, stream, line = house.logs.lines[0]
    assert (group, stream, line["errorCode"]) == ("/aws/firehose/d", "S3Delivery", "S3.NoSuchBucket")
    assert house.metrics.sums["DeliveryToS3.Success"] == 0
    house.objects.buckets["bucket"] = bucket
    house.clock.advance(2)
    house.step()
    assert b"".join(bucket.values()) == b"ab"
    assert house.metrics.sums["DeliveryToS3.Records"] == 2


def test_role__that_may_not_write_pauses_the_delivery(house: House) -> None:
    options = {"Enabled": True, "LogGroupName": "g", "LogStreamName": "s"}
    house.create(s3_destination_configuration={**S3, "BufferingHints": NOW, "CloudWatchLoggingOptions": options})
    house.authority.denied.add((ROLE, "s3:PutObject"))
    house.put(b"a")
    assert house.step() == limits.RETRY_FIRST_SECONDS
    ((_, _, line),) = house.logs.lines
    assert line["errorCode"] == "S3.AccessDenied"
    house.authority.denied.clear()
    house.clock.advance(2)
    house.step()
    assert list(house.objects_below().values()) == [b"a"]


def test_role__that_may_not_invoke_fails_the_records(house: House) -> None:
    house.create(
        extended_s3_destination_configuration={
            **S3, "BufferingHints": NOW, "ProcessingConfiguration": processing(NumberOfRetries="0")
        }
    )  # fmt: skip
    house.authority.denied.add((ROLE, "lambda:InvokeFunction"))
    house.put(b"a")
    house.step()
    (failed,) = house.objects_below("processing-failed/").values()
    assert json.loads(failed)["errorCode"] == "Lambda.InvokeAccessDenied"


def test_role__that_cannot_be_assumed_is_refused(house: House) -> None:
    house.authority.unknown.add(ROLE)
    with pytest.raises(AwsError, match="Firehose is unable to assume role"):
        house.create(s3_destination_configuration=S3)


def test_redshift__stages_and_copies(house: House) -> None:
    house.create(redshift_destination_configuration={**REDSHIFT, "ProcessingConfiguration": appending()})
    house.put_batch(b'{"id": 1}', b'{"id": 2}')
    house.step()
    (manifest_key,) = house.objects_below("stage/manifests/")
    assert house.warehouse.statements == [
        f"COPY overdue FROM 's3://bucket/{manifest_key}' CREDENTIALS 'aws_iam_role=arn:aws:iam::123456789012:role/firehose' "
        "MANIFEST json 'auto';"
    ]
    assert house.warehouse.logins == [("reports", "dev", "loader", "secret-password")]
    assert house.warehouse.rows == [b'{"id": 1}', b'{"id": 2}']
    assert house.metrics.sums["DeliveryToRedshift.Success"] == 1
    assert house.metrics.sums["IncomingRecords"] == 2


@pytest.mark.parametrize("failure", [LoadFailed("no such table"), ConnectionError("down"), AwsError("no")])
def test_redshift__a_load_that_fails_is_tried_again(house: House, failure: Exception) -> None:
    house.create(redshift_destination_configuration={**REDSHIFT, "ProcessingConfiguration": appending()})
    house.warehouse.failure = failure
    house.put(b"a")
    assert house.step() == 1
    house.clock.advance(1)
    assert house.step() == 2
    house.warehouse.failure = None
    house.clock.advance(2)
    house.step()
    assert house.warehouse.rows == [b"a"]
    assert not house.objects_below("stage/errors/")


def test_redshift__a_load_is_given_up_after_its_time(house: House) -> None:
    options = {"Enabled": True, "LogGroupName": "g", "LogStreamName": "RedshiftDelivery"}
    house.create(
        redshift_destination_configuration={
            **REDSHIFT, "ProcessingConfiguration": appending(), "RetryOptions": {"DurationInSeconds": 10},
            "CloudWatchLoggingOptions": options,
        }
    )  # fmt: skip
    house.warehouse.failure = LoadFailed("no such table")
    house.put(b"a")
    for _ in range(20):
        house.clock.advance(house.step() or 0)
    (manifest,) = house.objects_below("stage/errors/manifests/").values()
    url = json.loads(manifest)["entries"][0]["url"]
    assert house.objects.buckets["bucket"][url.removeprefix("s3://bucket/")] == b"a\n"
    assert {line["errorCode"] for _, _, line in house.logs.lines} == {"Redshift.CopyCommandFailed"}
    house.warehouse.failure = None
    house.put(b"b")
    house.step()
    assert house.warehouse.rows == [b"b"]


def test_redshift__retry_of_zero_seconds_tries_once(house: House) -> None:
    house.create(redshift_destination_configuration={**REDSHIFT, "RetryOptions": {"DurationInSeconds": 0}})
    house.warehouse.failure = LoadFailed("no such table")
    house.put(b"a")
    assert house.step() == 0
    assert len(house.warehouse.statements) == 1
    assert len(house.objects_below("stage/errors/manifests/")) == 1


def _crash_everywhere(configuration: dict[str, Any]) -> list[House]:
    """The same work, each time killed at another moment of the ports and the commits, and then done by a new process."""
    houses: list[House] = []
    for kill_at in range(1, 60):
        house = House()
        house.create(**configuration)
        house.put_batch(b"1", b"2")
        house.put(b"3")
        _die_at_commits(house)
        house.deaths.countdown = kill_at
        try:
            house.step("first")
            died = False
        except Crash:
            died = True
        house.deaths.countdown = None
        house.store = house.store.reopen()
        house.clock.advance(limits.LEASE_SECONDS + 1)
        house.put(b"4")
        for _ in range(5):
            house.step("second")
        houses.append(house)
        if not died:
            return houses
    raise AssertionError("the work has more moments than expected")


def _die_at_commits(house: House) -> None:
    """Let the moments before and after each commit count as moments to die at, too."""

    class AtCommits:
        def before_commit(self) -> None:
            house.deaths.moment()

        def after_commit(self) -> None:
            house.deaths.moment()

    house.store._faults = AtCommits()  # type: ignore[assignment]


@pytest.mark.parametrize("transforms", [False, True], ids=["plain", "transformed"])
def test_crash__redshift_gets_each_record_once(transforms: bool) -> None:
    processors = appending()["Processors"] + (processing()["Processors"] if transforms else [])
    configuration = {**REDSHIFT, "ProcessingConfiguration": {"Enabled": True, "Processors": processors}}
    houses = _crash_everywhere({"redshift_destination_configuration": configuration})
    assert len(houses) > 10
    for house in houses:
        assert house.warehouse.rows == [b"1", b"2", b"3", b"4"]
        assert len(house.leftovers()) <= 1
    assert any(house.warehouse.repeated for house in houses)


def test_crash__s3_gets_each_record_once() -> None:
    configuration = {**S3, "BufferingHints": NOW, "ProcessingConfiguration": appending()}
    houses = _crash_everywhere({"extended_s3_destination_configuration": configuration})
    assert len(houses) > 6
    for house in houses:
        assert b"".join(body for _, body in sorted(house.objects_below().items(), key=lambda item: item[1])) == b"1\n2\n3\n4\n"
    assert any(len(house.objects.writes) > len(house.objects_below()) for house in houses)


def test_crash__with_a_batch_trimmed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRIM_ENTRIES_PER_TRANSACTION", 1)
    configuration = {**S3, "BufferingHints": NOW, "ProcessingConfiguration": appending()}
    for house in _crash_everywhere({"extended_s3_destination_configuration": configuration}):
        assert sorted(b"".join(house.objects_below().values()).split()) == [b"1", b"2", b"3", b"4"]


def test_lease__a_second_process_waits(house: House) -> None:
    house.create(redshift_destination_configuration={**REDSHIFT, "ProcessingConfiguration": appending()})
    house.warehouse.failure = LoadFailed("later")
    house.put(b"a")
    house.step("first")
    house.clock.advance(5)
    assert house.step("second") is None
    assert len(house.warehouse.statements) == 1
    house.warehouse.failure = None
    house.clock.advance(limits.LEASE_SECONDS)
    house.step("second")
    assert house.warehouse.rows == [b"a"]


def test_lease__who_lost_it_changes_nothing(house: House) -> None:
    house.create(redshift_destination_configuration={**REDSHIFT, "ProcessingConfiguration": appending()})
    house.put(b"a")
    load = house.warehouse.load

    def slow(*arguments: Any) -> Any:
        house.warehouse.load = load  # type: ignore[method-assign]
        outcome = load(*arguments)
        house.clock.advance(limits.LEASE_SECONDS + 1)
        house.step("second")
        house.put(b"b")
        return outcome

    house.warehouse.load = slow  # type: ignore[assignment]
    assert house.step("first") == limits.LOOK_AGAIN_SECONDS
    house.step("second")
    assert house.warehouse.rows == [b"a", b"b"]


def test_lease__is_renewed_while_a_load_takes_long(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEASE_SECONDS", 0.15)
    house.create(redshift_destination_configuration={**REDSHIFT, "ProcessingConfiguration": appending()})
    house.put(b"a")
    load, seconds = house.warehouse.load, []

    def slow(*arguments: Any) -> Any:
        begun = time.monotonic()
        while time.monotonic() < begun + 0.5:
            seconds.append(house.step("second"))
        return load(*arguments)

    house.warehouse.load = slow  # type: ignore[assignment]
    assert house.step("first") is None
    assert set(seconds) == {None}
    assert len(house.warehouse.statements) == 1


def test_finish__of_a_delivery_that_was_finished_already_changes_nothing(house: House) -> None:
    """The same owner twice, as when a worker is started again while its old step still runs."""
    house.create(redshift_destination_configuration={**REDSHIFT, "ProcessingConfiguration": appending()})
    house.put(b"a")
    load = house.warehouse.load

    def twice(*arguments: Any) -> Any:
        house.warehouse.load = load  # type: ignore[method-assign]
        house.step("one")
        house.warehouse.failure = LoadFailed("later")
        house.put(b"b")
        house.step("one")
        house.warehouse.failure = None
        return load(*arguments)

    house.warehouse.load = twice  # type: ignore[assignment]
    house.step("one")
    house.clock.advance(60)
    house.step("one")
    assert house.warehouse.rows == [b"a", b"b"]


def test_backlog__is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKLOG_SIZE_MAX_BYTES", limits.MIB)
    house.create(s3_destination_configuration={**S3, "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}})
    bucket = house.objects.buckets.pop("bucket")
    house.step()
    for _ in range(8):
        house.put(b"x" * 1_000_000, b"y" * 100_000)
    with pytest.raises(AwsError, match="Slow down"):
        house.put(b"z")
    house.objects.buckets["bucket"] = bucket
    for _ in range(10):
        house.clock.advance(60)
        house.step()
    house.put(b"z")
    house.step()
    assert sum(map(len, bucket.values())) == 8 * 1_100_000 + 1


def test_update__a_batch_on_its_way_keeps_its_destination(house: House) -> None:
    from headrace.services.firehose.operations import streams

    house.create(s3_destination_configuration={**S3, "Prefix": "old/", "BufferingHints": NOW})
    bucket = house.objects.buckets.pop("bucket")
    house.put(b"a")
    house.step()
    house.context().transact(
        lambda ctx: streams.update_destination(
            ctx, delivery_stream_name="d", current_delivery_stream_version_id="1",
            destination_id="destinationId-000000000001", extended_s3_destination_update={"Prefix": "new/"},
        )
    )  # fmt: skip
    house.objects.buckets["bucket"] = bucket
    house.put(b"b")
    house.clock.advance(5)
    house.step()
    (old,), (new,) = house.objects_below("old/").items(), house.objects_below("new/").items()
    assert (old[1], new[1]) == (b"a", b"b")
    assert "/d-1-" in old[0]
    assert "/d-2-" in new[0]
