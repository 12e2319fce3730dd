"""Delivery to Redshift by a running server: from PutRecord to the row, once, though the server is killed."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.services.firehose.conftest import naming, role_for
from tests.services.firehose.fakes import NOW, ROLE

from conftest import HeadraceServer, eventually

USER, PASSWORD = "loader", "Loader-secret-1"


def make_cluster(redshift: Any, name: str) -> None:
    redshift.create_cluster(
        ClusterIdentifier=name, NodeType="ra3.large", MasterUsername=USER, MasterUserPassword=PASSWORD, DBName="dev",
        ClusterType="single-node",
    )  # fmt: skip
    eventually(lambda: redshift.describe_clusters(ClusterIdentifier=name)["Clusters"][0]["ClusterStatus"] == "available")


def destination(cluster: str, bucket: str, **members: Any) -> dict[str, Any]:
    s3 = {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}", "Prefix": "stage/", "BufferingHints": NOW}
    return {
        "RoleARN": ROLE,
        "ClusterJDBCURL": f"jdbc:redshift://{cluster}.x.us-east-1.redshift.amazonaws.com:5439/dev",
        "CopyCommand": {"DataTableName": "overdue", "DataTableColumns": "id, account", "CopyOptions": "json 'auto'"},
        "Username": USER,
        "Password": PASSWORD,
        "S3Configuration": s3,
        **members,
    }


class Reports:
    """SQL on a cluster through the Data API."""

    def __init__(self, data: Any, cluster: str) -> None:
        self._data = data
        self._where = {"ClusterIdentifier": cluster, "Database": "dev", "DbUser": USER}

    def run(self, sql: str) -> list[list[Any]]:
        """The rows of a statement."""
        statement = self._data.execute_statement(Sql=sql, **self._where)["Id"]

        def ended() -> Any:
            found = self._data.describe_statement(Id=statement)
            return found if found["Status"] in ("FINISHED", "FAILED", "ABORTED") else None

        found = eventually(ended)
        assert found["Status"] == "FINISHED", found.get("Error")
        if not found["HasResultSet"]:
            return []
        pages = self._data.get_paginator("get_statement_result").paginate(Id=statement)
        return [[next(iter(field.values())) for field in row] for page in pages for row in page["Records"]]

    def ids(self) -> list[int]:
        """The ids in the table."""
        return sorted(int(row[0]) for row in self.run("select id from overdue"))


def line(number: int) -> dict[str, bytes]:
    return {"Data": json.dumps({"id": number, "account": f"DE{number}"}).encode() + b"\n"}


@pytest.fixture
def reports(client: Callable[..., Any], account: str) -> Reports:
    cluster = f"c{account}"
    client("s3").create_bucket(Bucket=f"bucket-{account}")
    make_cluster(client("redshift"), cluster)
    made = Reports(client("redshift-data"), cluster)
    made.run("create table overdue (id int, account varchar(20))")
    return made


def test_put_record__is_a_row(reports: Reports, firehose: Any, account: str) -> None:
    configuration = destination(f"c{account}", f"bucket-{account}")
    firehose.create_delivery_stream(DeliveryStreamName="d", RedshiftDestinationConfiguration=configuration)
    begun = time.monotonic()
    firehose.put_record(DeliveryStreamName="d", Record=line(1))
    assert eventually(lambda: reports.run("select id, account from overdue")) == [[1, "DE1"]]
    assert time.monotonic() - begun < 10
    for batch in range(10):
        records = [line(batch * 100 + number + 2) for number in range(100)]
        firehose.put_record_batch(DeliveryStreamName="d", Records=records)
    eventually(lambda: len(reports.ids()) >= 1001)
    assert reports.ids() == list(range(1, 1002))


def test_missing_table__is_loaded_once_it_is_there(server: HeadraceServer, reports: Reports, firehose: Any, account: str) -> None:
    reports.run("drop table overdue")
    configuration = destination(f"c{account}", f"bucket-{account}")
    firehose.create_delivery_stream(DeliveryStreamName="d", RedshiftDestinationConfiguration=configuration)
    firehose.put_record(DeliveryStreamName="d", Record=line(1))
    reports.run("create table overdue (id int, account varchar(20))")

    def loaded() -> bool:
        server.advance(60)
        return reports.ids() == [1]

    eventually(loaded)


def test_missing_table__is_given_up_with_a_manifest(
    client: Callable[..., Any], reports: Reports, firehose: Any, account: str
) -> None:
    reports.run("drop table overdue")
    s3, bucket = client("s3"), f"bucket-{account}"
    configuration = destination(f"c{account}", bucket, RetryOptions={"DurationInSeconds": 0})
    firehose.create_delivery_stream(DeliveryStreamName="d", RedshiftDestinationConfiguration=configuration)
    firehose.put_record(DeliveryStreamName="d", Record=line(7))
    listed = eventually(lambda: s3.list_objects_v2(Bucket=bucket, Prefix="stage/errors/manifests/").get("Contents"))
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=listed[0]["Key"])["Body"].read())
    # What was skipped can be loaded by hand, with the manifest that says what it was.
    key = manifest["entries"][0]["url"].removeprefix(f"s3://{bucket}/")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == line(7)["Data"]


def test_kill__each_acknowledged_record_is_one_row(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        firehose = naming(server.client("firehose"), role_for(server.client("iam")))
        server.client("s3").create_bucket(Bucket="kill")
        make_cluster(server.client("redshift"), "reports")
        reports = Reports(server.client("redshift-data"), "reports")
        reports.run("create table overdue (id int, account varchar(20))")
        firehose.create_delivery_stream(DeliveryStreamName="d", RedshiftDestinationConfiguration=destination("reports", "kill"))
        put = 0
        for round_number in range(3):
            for _ in range(15):
                firehose.put_record(DeliveryStreamName="d", Record=line(put))
                put += 1
            time.sleep(0.02 * round_number)  # to die at different moments of a delivery
            server.kill()
            server.start()
        eventually(lambda: len(reports.ids()) >= put, timeout_seconds=60)
        assert reports.ids() == list(range(put))
    finally:
        server.stop()
