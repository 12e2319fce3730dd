"""Flink applications' API, and what becomes of them when the cluster goes wrong. A real cluster: tests/clients."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually, free_port
from services.analytics.flink.fake_cluster import FakeCluster

STACK = (
    "<Exception on server side:\njava.util.E: outer\n\tat x.Y\nCaused by: java.lang.IllegalStateException: no such stream\n\tat z"
)


class World:
    """An account with a role, a bucket with code, and an application's name."""

    def __init__(self, server: HeadraceServer, account: str) -> None:
        self.server = server
        self.account = account
        self.role = f"arn:aws:iam::{account}:role/flink"
        self.bucket = f"code-{account}"
        trust = {"Effect": "Allow", "Principal": {"Service": "kinesisanalytics.amazonaws.com"}, "Action": "sts:AssumeRole"}
        self.iam = server.client("iam", account)
        self.iam.create_role(RoleName="flink", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        self.allow("s3:GetObject")
        server.client("s3", account).create_bucket(Bucket=self.bucket)
        self.upload("one")
        self.v2 = server.client("kinesisanalyticsv2", account)

    def allow(self, action: str) -> None:
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
        self.iam.put_role_policy(RoleName="flink", PolicyName="p", PolicyDocument=json.dumps(policy))

    def upload(self, text: str) -> None:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as jar:
            jar.writestr("Main.class", text)
        self.server.client("s3", self.account).put_object(Bucket=self.bucket, Key="a.jar", Body=made.getvalue())

    def code(self, suffix: str = "", key: str = "a.jar") -> dict[str, Any]:
        location = {f"BucketARN{suffix}": f"arn:aws:s3:::{self.bucket}", f"FileKey{suffix}": key}
        found: dict[str, Any] = {f"CodeContent{suffix}": {f"S3ContentLocation{suffix}": location}}
        return found if suffix else {"CodeContentType": "ZIPFILE", **found}

    def create(self, runtime: str = "FLINK-1_20", **configuration: Any) -> Any:
        given = {"ApplicationCodeConfiguration": self.code(), **configuration}
        return self.v2.create_application(
            ApplicationName="app",
            RuntimeEnvironment=runtime,
            ServiceExecutionRole=self.role,
            CloudWatchLoggingOptions=[{"LogStreamARN": f"arn:aws:logs:us-east-1:{self.account}:log-group:g:log-stream:s"}],
            ApplicationConfiguration=given,
        )["ApplicationDetail"]

    def detail(self) -> Any:
        return self.v2.describe_application(ApplicationName="app")["ApplicationDetail"]

    def status(self) -> str:
        return str(self.detail()["ApplicationStatus"])

    def until(self, status: str) -> None:
        eventually(lambda: self.status() == status)

    def start(self, **run: Any) -> str:
        return str(self.v2.start_application(ApplicationName="app", RunConfiguration=run)["OperationId"])

    def stop(self, force: bool = False) -> str:
        return str(self.v2.stop_application(ApplicationName="app", Force=force)["OperationId"])

    def update(self, version: int, **configuration: Any) -> Any:
        return self.v2.update_application(
            ApplicationName="app", CurrentApplicationVersionId=version, ApplicationConfigurationUpdate=configuration
        )

    def operation(self, operation_id: str) -> Any:
        found = self.v2.describe_application_operation(ApplicationName="app", OperationId=operation_id)
        return found["ApplicationOperationInfoDetails"]

    def snapshots(self) -> list[Any]:
        return list(self.v2.list_application_snapshots(ApplicationName="app")["SnapshotSummaries"])

    def logged(self) -> list[dict[str, Any]]:
        events = self.server.client("logs", self.account).get_log_events(logGroupName="g", logStreamName="s")["events"]
        return [json.loads(event["message"]) for event in events]


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def world(server: HeadraceServer, account: str) -> World:
    return World(server, account)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeCluster]:
    made = FakeCluster()
    yield made
    made.close()


@pytest.fixture(scope="module")
def with_cluster(fake: FakeCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadraceServer]:
    running = HeadraceServer(tmp_path_factory.mktemp("flink") / "data", "--flink-url", fake.url).start()
    yield running
    running.stop()


@pytest.fixture
def there(with_cluster: HeadraceServer, account: str) -> World:
    return World(with_cluster, account)


def test_server__reads_nothing_of_it_before_there_is_an_application() -> None:
    script = "import sys, headrace.services.analytics.service; print([name for name in sys.modules if '.flink' in name])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_create__fills_in_what_aws_does(world: World) -> None:
    made = world.create()
    found = made["ApplicationConfigurationDescription"]
    assert (made["ApplicationStatus"], made["ApplicationMode"], made["ApplicationVersionId"]) == ("READY", "STREAMING", 1)
    assert found["FlinkApplicationConfigurationDescription"] == {
        "CheckpointConfigurationDescription": {
            "ConfigurationType": "DEFAULT",
            "CheckpointingEnabled": True,
            "CheckpointInterval": 60_000,
            "MinPauseBetweenCheckpoints": 5_000,
        },
        "MonitoringConfigurationDescription": {
            "ConfigurationType": "DEFAULT",
            "MetricsLevel": "APPLICATION",
            "LogLevel": "INFO",
        },
        "ParallelismConfigurationDescription": {
            "ConfigurationType": "DEFAULT",
            "Parallelism": 1,
            "ParallelismPerKPU": 1,
            "CurrentParallelism": 1,
            "AutoScalingEnabled": True,
        },
    }
    assert found["ApplicationSnapshotConfigurationDescription"] == {"SnapshotsEnabled": True}
    code = found["ApplicationCodeConfigurationDescription"]["CodeContentDescription"]
    assert code["S3ApplicationCodeLocationDescription"] == {
        "BucketARN": f"arn:aws:s3:::{world.bucket}",
        "FileKey": "a.jar",
    }
    head = world.server.client("s3", world.account).head_object(Bucket=world.bucket, Key="a.jar")
    assert (code["CodeSize"], code["CodeMD5"]) == (head["ContentLength"], head["ETag"].strip('"'))
    assert "RunConfigurationDescription" not in found
    assert world.v2.list_applications()["ApplicationSummaries"][0]["RuntimeEnvironment"] == "FLINK-1_20"


def test_create__refused_where_it_cannot_be(world: World) -> None:
    missing = {"ApplicationCodeConfiguration": world.code(key="none.jar")}
    with pytest.raises(ClientError, match=r"unable to get the specified fileKey: none\.jar"):
        world.create(**missing)
    world.allow("kinesis:*")
    with pytest.raises(ClientError, match="Please check the role"):
        world.create()
    plain = {"CodeContentType": "PLAINTEXT", "CodeContent": {"TextContent": "SELECT"}}
    assert code_of(lambda: world.create(ApplicationCodeConfiguration=plain)) == "InvalidArgumentException"
    assert code_of(lambda: world.create(SqlApplicationConfiguration={})) == "InvalidArgumentException"
    assert code_of(lambda: world.create(runtime="ZEPPELIN-FLINK-3_0")) == "UnsupportedOperationException"
    assert world.v2.list_applications()["ApplicationSummaries"] == []


def test_start__says_what_to_do_where_there_is_no_flink(world: World) -> None:
    world.create()
    with pytest.raises(ClientError, match=r"pip install 'headrace\[flink\]'") as refused:
        world.start()
    assert refused.value.response["Error"]["Code"] == "InvalidApplicationConfigurationException"
    assert world.status() == "READY"


def test_states__held(world: World) -> None:
    world.create()
    v1 = world.server.client("kinesisanalytics", world.account)
    assert code_of(world.stop) == "ResourceInUseException"
    assert code_of(lambda: world.v2.create_application_snapshot(ApplicationName="app", SnapshotName="s")) == (
        "ResourceInUseException"
    )
    assert code_of(lambda: world.update(7)) == "ConcurrentModificationException"
    assert code_of(lambda: v1.stop_application(ApplicationName="app")) == "UnsupportedOperationException"
    assert code_of(lambda: world.v2.rollback_application(ApplicationName="app", CurrentApplicationVersionId=1)) == (
        "ResourceInUseException"
    )
    asked = {"ApplicationName": "app", "SnapshotName": "none"}
    assert code_of(lambda: world.v2.describe_application_snapshot(**asked)) == "ResourceNotFoundException"
    assert code_of(lambda: world.operation("none")) == "ResourceNotFoundException"


def test_update__of_one_that_rests_is_a_version(world: World) -> None:
    world.create()
    before = world.detail()["ApplicationConfigurationDescription"]["ApplicationCodeConfigurationDescription"]
    world.upload("two")
    group = {"PropertyGroupId": "g", "PropertyMap": {"a": "b"}}
    checkpoint = {"ConfigurationTypeUpdate": "CUSTOM", "CheckpointIntervalUpdate": 1000}
    answer = world.update(
        1,
        ApplicationCodeConfigurationUpdate=world.code("Update"),
        EnvironmentPropertyUpdates={"PropertyGroups": [group]},
        FlinkApplicationConfigurationUpdate={"CheckpointConfigurationUpdate": checkpoint},
    )
    found = answer["ApplicationDetail"]["ApplicationConfigurationDescription"]
    assert answer["ApplicationDetail"]["ApplicationVersionId"] == 2
    assert found["ApplicationCodeConfigurationDescription"] != before
    assert found["EnvironmentPropertyDescriptions"]["PropertyGroupDescriptions"] == [group]
    assert found["FlinkApplicationConfigurationDescription"]["CheckpointConfigurationDescription"] == {
        "ConfigurationType": "CUSTOM",
        "CheckpointingEnabled": True,
        "CheckpointInterval": 1000,
        "MinPauseBetweenCheckpoints": 5000,
    }
    operation = world.operation(answer["OperationId"])
    assert (operation["Operation"], operation["OperationStatus"]) == ("UpdateApplication", "SUCCESSFUL")
    assert operation["ApplicationVersionChangeDetails"] == {
        "ApplicationVersionUpdatedFrom": 1,
        "ApplicationVersionUpdatedTo": 2,
    }
    old = world.v2.describe_application_version(ApplicationName="app", ApplicationVersionId=1)["ApplicationVersionDetail"]
    assert old["ApplicationConfigurationDescription"]["ApplicationCodeConfigurationDescription"] == before


def test_start__gives_the_job_what_the_configuration_says(there: World, fake: FakeCluster) -> None:
    parallel = {"ConfigurationType": "CUSTOM", "Parallelism": 3, "ParallelismPerKPU": 2}
    group = {"PropertyGroupId": "g", "PropertyMap": {"a": "b c"}}
    there.create(
        FlinkApplicationConfiguration={"ParallelismConfiguration": parallel},
        EnvironmentProperties={"PropertyGroups": [group]},
    )
    begun = there.start(FlinkRunConfiguration={"AllowNonRestoredState": True})
    there.until("RUNNING")
    run = fake.runs[-1]
    assert (run["parallelism"], run["programArgsList"]) == (3, ["--g.a", "b c"])
    assert run["flinkConfiguration"]["execution.checkpointing.interval"] == "60000 ms"
    assert "savepointPath" not in run
    assert there.operation(begun)["OperationStatus"] == "SUCCESSFUL"
    assert fake.jars == set()
    there.stop()
    there.until("READY")
    (snapshot,) = there.snapshots()
    there.start(FlinkRunConfiguration={"AllowNonRestoredState": True})
    there.until("RUNNING")
    assert fake.runs[-1]["savepointPath"] == f"file:/savepoints/{run['jobId']}"
    assert fake.runs[-1]["allowNonRestoredState"] is True
    there.stop(force=True)
    there.until("READY")
    assert fake.runs[-1]["jobId"] in fake.cancelled
    assert there.snapshots() == [snapshot]
    asked = {"ApplicationName": "app", "SnapshotName": snapshot["SnapshotName"]}
    there.v2.delete_application_snapshot(**asked, SnapshotCreationTimestamp=snapshot["SnapshotCreationTimestamp"])
    assert fake.disposed[-1] == f"file:/savepoints/{run['jobId']}"
    assert there.snapshots() == []


def test_start__that_fails_says_why(there: World, fake: FakeCluster) -> None:
    there.create()
    with fake.breaking("refuses", STACK):
        begun = there.start()
        eventually(lambda: there.operation(begun)["OperationStatus"] == "FAILED")
    failure = "java.lang.IllegalStateException: no such stream"
    assert there.operation(begun)["OperationFailureDetails"]["ErrorInfo"]["ErrorString"] == failure
    assert there.status() == "READY"
    assert [one["message"] for one in there.logged() if one.get("errorCode") == "StartFailed"] == [failure]
    there.start()
    there.until("RUNNING")
    there.stop()
    there.until("READY")
    listed = there.v2.list_application_operations(ApplicationName="app")["ApplicationOperationInfoList"]
    assert [(one["Operation"], one["OperationStatus"]) for one in listed] == [
        ("StopApplication", "SUCCESSFUL"),
        ("StartApplication", "SUCCESSFUL"),
        ("StartApplication", "FAILED"),
    ]


def test_job__that_fails_for_good_goes_on_from_its_checkpoint(there: World, fake: FakeCluster) -> None:
    there.create()
    with fake.breaking("checkpoint", "file:/checkpoints/chk-7"):
        there.start()
        there.until("RUNNING")
        first = fake.runs[-1]["jobId"]
        eventually(lambda: "lastCheckpointSize" in metrics(there))
        with fake.breaking("failures", [STACK]):
            fake.jobs[first]["state"] = "FAILED"
            eventually(lambda: fake.runs[-1]["jobId"] != first)
    assert fake.runs[-1]["savepointPath"] == "file:/checkpoints/chk-7"
    assert there.status() == "RUNNING"
    assert [one["errorCode"] for one in there.logged() if one["messageType"] == "ERROR"] == ["JobFailed"]
    fake.jobs[fake.runs[-1]["jobId"]]["state"] = "FINISHED"
    there.until("READY")


def metrics(world: World) -> set[str]:
    found = world.server.client("cloudwatch", world.account).list_metrics(Namespace="AWS/KinesisAnalytics")["Metrics"]
    return {one["MetricName"] for one in found}


def test_stop__that_cannot_save_leaves_it_running(there: World, fake: FakeCluster) -> None:
    there.create()
    there.start()
    there.until("RUNNING")
    with fake.breaking("savepoint_fails", "java.io.IOException: disk full"):
        stopped = there.stop()
        eventually(lambda: there.operation(stopped)["OperationStatus"] == "FAILED")
        assert there.status() == "RUNNING"
        there.v2.create_application_snapshot(ApplicationName="app", SnapshotName="s")
        eventually(lambda: there.snapshots()[0]["SnapshotStatus"] == "FAILED")
    assert "disk full" in there.operation(stopped)["OperationFailureDetails"]["ErrorInfo"]["ErrorString"]
    there.stop()
    there.until("READY")
    assert sorted(one["SnapshotStatus"] for one in there.snapshots()) == ["FAILED", "READY"]


def test_stop__of_a_job_that_comes_to_run_waits_for_it(there: World, fake: FakeCluster) -> None:
    there.create()
    there.start()
    there.until("RUNNING")
    job = fake.jobs[fake.runs[-1]["jobId"]]
    job["status-counts"] = {"RUNNING": 0, "SCHEDULED": 1}
    with fake.breaking("savepoint_fails", "not all tasks run"):
        there.stop()
        eventually(lambda: fake.asked.count("job") > 5)
        fake.asked.clear()
        eventually(lambda: fake.asked.count("job") > 5)
    assert there.status() == "STOPPING"
    job["status-counts"] = {"RUNNING": 1}
    there.until("READY")
    assert len(there.snapshots()) == 1


def test_update__that_fails_rests_or_rolls_back(there: World, fake: FakeCluster) -> None:
    there.create()
    there.start()
    there.until("RUNNING")
    first = fake.runs[-1]["jobId"]
    group = {"PropertyGroupId": "g", "PropertyMap": {"bad": "yes"}}
    rollback = {"RollbackEnabledUpdate": True}
    there.update(1, ApplicationSystemRollbackConfigurationUpdate=rollback)
    assert (there.status(), fake.runs[-1]["jobId"]) == ("RUNNING", first)  # nothing that runs has changed
    with fake.breaking("refuses", STACK), fake.breaking("refuses_only", "--g.bad"):
        updated = there.update(2, EnvironmentPropertyUpdates={"PropertyGroups": [group]})
        assert updated["ApplicationDetail"]["ApplicationStatus"] == "UPDATING"
        there.until("RUNNING")
        assert there.operation(updated["OperationId"])["OperationStatus"] == "FAILED"
        found = there.detail()
        assert (found["ApplicationVersionId"], found["ApplicationVersionUpdatedFrom"]) == (4, 3)
        assert (found["ApplicationVersionRolledBackFrom"], found["ApplicationVersionRolledBackTo"]) == (3, 2)
        assert "EnvironmentPropertyDescriptions" not in found["ApplicationConfigurationDescription"]
        assert fake.runs[-1]["savepointPath"] == f"file:/savepoints/{first}"
        off = {"RollbackEnabledUpdate": False}
        there.update(4, ApplicationSystemRollbackConfigurationUpdate=off)
        updated = there.update(5, EnvironmentPropertyUpdates={"PropertyGroups": [group]})
        there.until("READY")
        assert there.operation(updated["OperationId"])["OperationStatus"] == "FAILED"
        assert there.detail()["ApplicationVersionId"] == 6


def test_rollback__goes_back_to_what_ran(there: World, fake: FakeCluster) -> None:
    there.create()
    there.start()
    there.until("RUNNING")
    first = fake.runs[-1]["jobId"]
    assert code_of(lambda: there.v2.rollback_application(ApplicationName="app", CurrentApplicationVersionId=1)) == (
        "InvalidRequestException"
    )
    group = {"PropertyGroupId": "g", "PropertyMap": {"a": "b"}}
    there.update(1, EnvironmentPropertyUpdates={"PropertyGroups": [group]})
    there.until("RUNNING")
    second = fake.runs[-1]["jobId"]
    assert fake.runs[-1]["savepointPath"] == f"file:/savepoints/{first}"
    answer = there.v2.rollback_application(ApplicationName="app", CurrentApplicationVersionId=2)
    assert answer["ApplicationDetail"]["ApplicationStatus"] == "ROLLING_BACK"
    there.until("RUNNING")
    assert second in fake.cancelled
    assert fake.runs[-1]["savepointPath"] == f"file:/savepoints/{first}"
    assert "programArgsList" not in fake.runs[-1]
    assert there.operation(answer["OperationId"])["OperationStatus"] == "SUCCESSFUL"
    there.stop(force=True)
    there.until("READY")


def test_start__is_given_up_where_the_cluster_does_not_answer(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data", "--flink-url", f"http://127.0.0.1:{free_port()}").start()
    try:
        there = World(server, "000000000043")
        there.create()
        begun = there.start()
        eventually(lambda: [one for one in there.logged() if one.get("errorCode") == "ClusterUnreachable"])
        assert there.status() == "STARTING"
        server.advance(301)
        eventually(lambda: there.operation(begun)["OperationStatus"] == "FAILED")
        assert "does not answer" in there.operation(begun)["OperationFailureDetails"]["ErrorInfo"]["ErrorString"]
        assert there.status() == "READY"
    finally:
        server.stop()


def test_server__that_was_killed_finds_the_job(fake: FakeCluster, tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data", "--flink-url", fake.url).start()
    try:
        there = World(server, "000000000042")
        there.create()
        there.start()
        there.until("RUNNING")
        runs = len(fake.runs)
        server.kill()
        server.start()
        there.v2 = server.client("kinesisanalyticsv2", "000000000042")
        there.v2.create_application_snapshot(ApplicationName="app", SnapshotName="s")
        eventually(lambda: there.snapshots()[0]["SnapshotStatus"] == "READY")
        assert len(fake.runs) == runs
        job = fake.runs[-1]["jobId"]
        created = there.detail()["CreateTimestamp"]
        there.v2.delete_application(ApplicationName="app", CreateTimestamp=created)
        eventually(lambda: there.v2.list_applications()["ApplicationSummaries"] == [])
        assert job in fake.cancelled
    finally:
        server.stop()
