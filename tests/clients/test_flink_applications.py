"""Flink applications on clusters that the server starts: a Java program counts one stream into another, exactly.

`make clients-flink` installs Flink first; without it these tests are left out.
"""

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.programs import BUILD
from clients.test_flink import Cluster, counted
from conftest import REGION, ROOT_KEY, ROOT_SECRET, HeadraceServer, eventually

FLINK = BUILD / "flink"
SOURCE = Path(__file__).parent / "flink" / "Counts.java"
PYTHON = BUILD / "pyflink" / "bin" / "python"
KEYS = 50
ACCOUNT = "000000000000"

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not (FLINK / ".ready").exists(), reason="Flink is large: make clients-flink installs it"),
]


class World:
    """A server of its own with a role, two streams, and the program in a bucket."""

    def __init__(self, server: HeadraceServer, jar: Path) -> None:
        self.server = server
        self.role = f"arn:aws:iam::{ACCOUNT}:role/flink"
        trust = {"Effect": "Allow", "Principal": {"Service": "kinesisanalytics.amazonaws.com"}, "Action": "sts:AssumeRole"}
        iam = server.client("iam")
        iam.create_role(RoleName="flink", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        allowed = {"Effect": "Allow", "Action": ["kinesis:*", "s3:GetObject"], "Resource": "*"}
        iam.put_role_policy(
            RoleName="flink", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        )
        for name in ("in", "out"):
            self.kinesis.create_stream(StreamName=name, ShardCount=2)
            self.kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
        server.client("s3").create_bucket(Bucket="code")
        server.client("s3").upload_file(str(jar), "code", "counts.jar")
        self.put_until = 0

    @property
    def kinesis(self) -> Any:
        return self.server.client("kinesis")

    @property
    def analytics(self) -> Any:
        return self.server.client("kinesisanalyticsv2")

    def create(self, key: str = "counts.jar", options: dict[str, str] | None = None) -> None:
        given = {"in": "in", "out": "out", "endpoint": self.server.url}
        groups = [{"PropertyGroupId": "counts", "PropertyMap": given}]
        if options:
            groups.append({"PropertyGroupId": "kinesis.analytics.flink.run.options", "PropertyMap": options})
        self.analytics.create_application(
            ApplicationName="counts",
            RuntimeEnvironment="FLINK-1_20",
            ServiceExecutionRole=self.role,
            CloudWatchLoggingOptions=[{"LogStreamARN": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:flink:log-stream:counts"}],
            ApplicationConfiguration={
                "ApplicationCodeConfiguration": {
                    "CodeContentType": "ZIPFILE",
                    "CodeContent": {"S3ContentLocation": {"BucketARN": "arn:aws:s3:::code", "FileKey": key}},
                },
                "EnvironmentProperties": {"PropertyGroups": groups},
                "FlinkApplicationConfiguration": {
                    "CheckpointConfiguration": {
                        "ConfigurationType": "CUSTOM",
                        "CheckpointingEnabled": True,
                        "CheckpointInterval": 1000,
                        "MinPauseBetweenCheckpoints": 100,
                    }
                },
            },
        )

    def start(self, **restore: str) -> Any:
        run = {"ApplicationRestoreConfiguration": restore} if restore else {}
        return self.analytics.start_application(ApplicationName="counts", RunConfiguration=run)["OperationId"]

    def detail(self) -> Any:
        return self.analytics.describe_application(ApplicationName="counts")["ApplicationDetail"]

    def until(self, status: str, seconds: float = 120) -> None:
        eventually(lambda: self.detail()["ApplicationStatus"] in (status, "READY"), seconds)
        assert self.detail()["ApplicationStatus"] == status, self.logged()[-5000:]

    def operation(self, operation_id: str) -> Any:
        asked = {"ApplicationName": "counts", "OperationId": operation_id}
        return self.analytics.describe_application_operation(**asked)["ApplicationOperationInfoDetails"]

    def put(self, count: int) -> None:
        """Put so many records more; each key's numbers are 0, 1, 2, …"""
        for start in range(self.put_until, self.put_until + count, 500):
            records = [
                {"PartitionKey": str(n), "Data": json.dumps({"k": f"key-{n % KEYS}", "n": n // KEYS}).encode()}
                for n in range(start, start + 500)
            ]
            assert self.kinesis.put_records(StreamName="in", Records=records)["FailedRecordCount"] == 0
        self.put_until += count

    def exact(self, stream: str = "out", seconds: float = 120) -> None:
        """The counts come to be those of all records that were put, none more, none less."""
        each = self.put_until // KEYS
        expected = {f"key-{key}": (each, sum(range(each))) for key in range(KEYS)}
        eventually(lambda: counted(self.kinesis, stream) == expected, seconds)

    def logged(self) -> str:
        logs = self.server.client("logs")
        found = logs.get_paginator("filter_log_events").paginate(logGroupName="flink", logStreamNames=["counts"])
        return "\n".join(event["message"] for page in found for event in page["events"])


@pytest.fixture(scope="module")
def jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with what it needs: Flink takes jars from a jar's lib/."""
    folder = tmp_path_factory.mktemp("jar")
    assert shutil.which("javac") is not None
    libraries = f"{FLINK}/pyflink/lib/*:{FLINK}/connector/*"
    subprocess.run(["javac", "-cp", libraries, "-d", str(folder), str(SOURCE)], check=True)
    with zipfile.ZipFile(folder / "counts.jar", "w") as made:
        made.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: Counts\r\n\r\n")
        made.write(folder / "Counts.class", "Counts.class")
        for library in (FLINK / "connector").glob("*.jar"):
            made.write(library, f"lib/{library.name}")
    return folder / "counts.jar"


@pytest.fixture
def world(tmp_path: Path, jar: Path) -> Iterator[World]:
    flags = ["--flink-home", str(FLINK / "pyflink")]
    if PYTHON.exists():
        flags += ["--flink-python", str(PYTHON), "--flink-memory-mib", "1400"]
    server = HeadraceServer(tmp_path / "data", *flags).start()
    made = World(server, jar)
    yield made
    server.stop()


def test_application__runs_stops_and_goes_on_from_its_snapshot(world: World) -> None:
    world.create()
    assert world.detail()["ApplicationStatus"] == "READY"
    begun = world.start()
    assert world.detail()["ApplicationStatus"] == "STARTING"
    world.until("RUNNING")
    assert world.operation(begun)["OperationStatus"] == "SUCCESSFUL"
    world.put(5_000)
    world.exact()
    stopped = world.analytics.stop_application(ApplicationName="counts")["OperationId"]
    world.until("READY")
    assert world.operation(stopped)["OperationStatus"] == "SUCCESSFUL"
    (snapshot,) = world.analytics.list_application_snapshots(ApplicationName="counts")["SnapshotSummaries"]
    assert (snapshot["SnapshotStatus"], snapshot["ApplicationVersionId"]) == ("READY", 1)
    world.put(5_000)
    world.start()
    world.until("RUNNING")
    world.exact()
    # Counting anew from the stream's beginning would be as exact: the log says that it was not.
    assert "Restoring job" in world.logged()


def java_processes(folder: Path) -> list[int]:
    """The processes whose command names a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes() and b"java" in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_application__is_exact_through_a_kill_an_update_and_an_older_snapshot(world: World) -> None:
    world.create()
    world.start()
    world.until("RUNNING")
    world.put(5_000)
    world.exact()
    world.analytics.create_application_snapshot(ApplicationName="counts", SnapshotName="early")

    def snapshot() -> Any:
        asked = {"ApplicationName": "counts", "SnapshotName": "early"}
        return world.analytics.describe_application_snapshot(**asked)["SnapshotDetails"]

    eventually(lambda: snapshot()["SnapshotStatus"] == "READY", 60)
    world.put(5_000)
    world.server.kill()
    eventually(lambda: java_processes(world.server.data / "flink") == [], 30)
    world.server.start()
    world.put(5_000)
    assert world.detail()["ApplicationStatus"] == "RUNNING"
    world.exact()

    parallel = {"ConfigurationTypeUpdate": "CUSTOM", "ParallelismUpdate": 2}
    world.analytics.update_application(
        ApplicationName="counts",
        CurrentApplicationVersionId=1,
        ApplicationConfigurationUpdate={
            "FlinkApplicationConfigurationUpdate": {"ParallelismConfigurationUpdate": parallel},
            "ApplicationSystemRollbackConfigurationUpdate": {"RollbackEnabledUpdate": True},
        },
    )
    assert world.detail()["ApplicationStatus"] == "UPDATING"
    world.until("RUNNING")
    assert world.detail()["ApplicationVersionId"] == 2
    world.put(5_000)
    world.exact()

    world.analytics.stop_application(ApplicationName="counts", Force=True)
    world.until("READY")
    assert java_processes(world.server.data / "flink") == []
    world.start(ApplicationRestoreType="RESTORE_FROM_CUSTOM_SNAPSHOT", SnapshotName="early")
    world.until("RUNNING")
    world.put(5_000)
    world.exact()

    failing = {"in": "in", "out": "out", "endpoint": world.server.url, "fails": "yes"}
    updated = world.analytics.update_application(
        ApplicationName="counts",
        CurrentApplicationVersionId=2,
        ApplicationConfigurationUpdate={
            "EnvironmentPropertyUpdates": {"PropertyGroups": [{"PropertyGroupId": "counts", "PropertyMap": failing}]}
        },
    )
    eventually(lambda: world.operation(updated["OperationId"])["OperationStatus"] == "FAILED", 120)
    failure = world.operation(updated["OperationId"])["OperationFailureDetails"]["ErrorInfo"]["ErrorString"]
    assert "asks for a failure" in failure
    world.until("RUNNING")
    rolled_back = world.detail()
    assert (rolled_back["ApplicationVersionId"], rolled_back["ApplicationVersionRolledBackTo"]) == (4, 2)
    world.put(5_000)
    world.exact()

    world.analytics.delete_application(ApplicationName="counts", CreateTimestamp=rolled_back["CreateTimestamp"])
    eventually(lambda: world.analytics.list_applications()["ApplicationSummaries"] == [], 30)
    assert list((world.server.data / "flink").iterdir()) == []
    assert java_processes(world.server.data / "flink") == []


@pytest.mark.skipif(not PYTHON.exists(), reason="PyFlink is large: make clients-flink installs it")
def test_application__in_python(world: World, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "counts.zip", "w") as made:
        for name in ("counts.py", "words.py"):
            made.write(SOURCE.parent / name, name)
        for library in (FLINK / "connector").glob("flink-sql-connector-kinesis-*.jar"):
            made.write(library, "lib/connector.jar")
    world.server.client("s3").upload_file(str(tmp_path / "counts.zip"), "code", "counts.zip")
    world.create("counts.zip", {"python": "counts.py", "jarfile": "lib/connector.jar"})
    world.start()
    world.until("RUNNING", 240)
    world.put(2_000)
    world.exact(seconds=240)
    world.analytics.stop_application(ApplicationName="counts")
    world.until("READY")
    world.put(2_000)
    world.start()
    world.until("RUNNING", 240)
    world.exact(seconds=240)
    assert "Restoring job" in world.logged()


def test_application__on_a_cluster_of_ones_own(
    tmp_path: Path, jar: Path, start: Callable[..., "subprocess.Popen[bytes]"], run: Callable[..., str]
) -> None:
    (tmp_path / "cluster").mkdir()
    keys = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_SECRET}
    cluster = Cluster(start, run, tmp_path / "cluster", **keys)
    cluster.task_manager("one")
    server = HeadraceServer(tmp_path / "data", "--flink-url", cluster.rest).start()
    try:
        world = World(server, jar)
        world.create()
        world.start()
        world.until("RUNNING")
        world.put(5_000)
        world.exact()
        (job,) = [one["id"] for one in cluster.ask("/jobs")["jobs"] if one["status"] == "RUNNING"]

        # The job goes on without the server, and is found again.
        server.kill()
        server.start()
        world.put(5_000)
        world.exact()
        assert world.detail()["ApplicationStatus"] == "RUNNING"
        assert [one["id"] for one in cluster.ask("/jobs")["jobs"]] == [job]

        world.analytics.stop_application(ApplicationName="counts")
        world.until("READY")
        # A cluster shows for some seconds how things were.
        eventually(lambda: cluster.ask(f"/jobs/{job}")["state"] == "FINISHED")
        (savepoint,) = (tmp_path / "cluster" / "savepoints").iterdir()
        world.put(5_000)
        world.start()
        world.until("RUNNING")
        world.exact()
        (again,) = [one["id"] for one in cluster.ask("/jobs")["jobs"] if one["id"] != job]
        restored = cluster.ask(f"/jobs/{again}/checkpoints")["latest"]["restored"]
        assert (restored["is_savepoint"], restored["external_path"]) == (True, f"file:{savepoint}")

        # A program that fails is told as it is here.
        world.analytics.stop_application(ApplicationName="counts", Force=True)
        world.until("READY")
        failing = {"in": "in", "out": "out", "endpoint": server.url, "fails": "yes"}
        changed = [{"PropertyGroupId": "counts", "PropertyMap": failing}]
        world.analytics.update_application(
            ApplicationName="counts", CurrentApplicationVersionId=world.detail()["ApplicationVersionId"],
            ApplicationConfigurationUpdate={"EnvironmentPropertyUpdates": {"PropertyGroups": changed}},
        )  # fmt: skip
        begun = world.start()
        eventually(lambda: world.operation(begun)["OperationStatus"] == "FAILED", 120)
        failure = world.operation(begun)["OperationFailureDetails"]["ErrorInfo"]["ErrorString"]
        assert "asks for a failure" in failure
        assert java_processes(server.data) == []
    finally:
        server.stop()
