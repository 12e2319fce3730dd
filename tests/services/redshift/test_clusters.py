"""Clusters and the Data API through a real server."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

Client = Callable[..., Any]
PASSWORD = "Warehouse123"


@pytest.fixture
def cluster(client: Client) -> Iterator[dict[str, Any]]:
    redshift = client("redshift")
    redshift.create_cluster(
        ClusterIdentifier="House", NodeType="ra3.large", MasterUsername="admin", MasterUserPassword=PASSWORD, DBName="sales",
        Tags=[{"Key": "team", "Value": "a"}],
    )  # fmt: skip
    yield redshift.describe_clusters(ClusterIdentifier="house")["Clusters"][0]
    redshift.delete_cluster(ClusterIdentifier="house", SkipFinalClusterSnapshot=True)


def connect(cluster: dict[str, Any], user: str = "admin", password: str = PASSWORD) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host="127.0.0.1", port=cluster["Endpoint"]["Port"], user=user, password=password, dbname="sales", autocommit=True
    )


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_a_cluster_lives(client: Client, cluster: dict[str, Any], account: str) -> None:
    redshift = client("redshift")
    assert cluster["ClusterStatus"] == "available"
    assert cluster["Tags"] == [{"Key": "team", "Value": "a"}]
    assert cluster["Endpoint"]["Address"] == f"house.{account}.us-east-1.redshift.localhost"
    with pytest.raises(ClientError) as caught:
        redshift.create_cluster(
            ClusterIdentifier="house", NodeType="ra3.large", MasterUsername="admin", MasterUserPassword=PASSWORD
        )
    assert code(caught) == "ClusterAlreadyExists"
    with connect(cluster) as connection:
        connection.execute("create table kept (a int)")
        connection.execute("insert into kept values (7)")
    redshift.modify_cluster(ClusterIdentifier="house", MasterUserPassword="Another123")
    with pytest.raises(psycopg.OperationalError):
        connect(cluster)
    redshift.pause_cluster(ClusterIdentifier="house")
    assert redshift.describe_clusters()["Clusters"][0]["ClusterStatus"] == "paused"
    with pytest.raises(psycopg.OperationalError):
        connect(cluster, password="Another123")
    with pytest.raises(ClientError) as caught:
        redshift.pause_cluster(ClusterIdentifier="house")
    assert code(caught) == "InvalidClusterState"
    redshift.resume_cluster(ClusterIdentifier="house")
    redshift.reboot_cluster(ClusterIdentifier="house")
    with connect(cluster, password="Another123") as connection:
        assert connection.execute("select a from kept").fetchall() == [(7,)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ClusterIdentifier": "1x"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue"),
        ({"Encrypted": True}, "NotImplemented"),
        ({"ClusterType": "multi-node", "NumberOfNodes": 1}, "InvalidParameterCombination"),
        ({"DBName": "select"}, "InvalidParameterValue"),
        ({"KmsKeyId": "k"}, "NotImplemented"),
    ],
)
def test_create_cluster__refuses(client: Client, given: dict[str, Any], expected: str) -> None:
    parameters = {"ClusterIdentifier": "x", "NodeType": "n", "MasterUsername": "admin", "MasterUserPassword": PASSWORD, **given}
    with pytest.raises(ClientError) as caught:
        client("redshift").create_cluster(**parameters)
    assert code(caught) == expected


def test_unknown_cluster(client: Client) -> None:
    with pytest.raises(ClientError) as caught:
        client("redshift").describe_clusters(ClusterIdentifier="nobody")
    assert code(caught) == "ClusterNotFound"


def test_temporary_credentials(client: Client, cluster: dict[str, Any]) -> None:
    given = client("redshift").get_cluster_credentials(ClusterIdentifier="house", DbUser="reporter", DurationSeconds=900)
    assert given["DbUser"] == "IAM:reporter"
    with connect(cluster, given["DbUser"], given["DbPassword"]) as connection:
        assert connection.execute("select current_user").fetchone() == ("IAM:reporter",)
    with pytest.raises(psycopg.OperationalError):
        connect(cluster, "IAM:other", given["DbPassword"])


def test_tags(client: Client, cluster: dict[str, Any], account: str) -> None:
    redshift = client("redshift")
    arn = f"arn:aws:redshift:us-east-1:{account}:cluster:house"
    redshift.create_tags(ResourceName=arn, Tags=[{"Key": "b", "Value": "2"}])
    redshift.delete_tags(ResourceName=arn, TagKeys=["team"])
    found = redshift.describe_tags(ResourceName=arn)["TaggedResources"]
    assert found == [{"Tag": {"Key": "b", "Value": "2"}, "ResourceName": arn, "ResourceType": "cluster"}]


def finished(data: Any, statement_id: str) -> dict[str, Any]:
    def ended() -> Any:
        described = data.describe_statement(Id=statement_id)
        return described if described["Status"] in ("FINISHED", "FAILED", "ABORTED") else None

    return eventually(ended)


def test_data_api(client: Client, cluster: dict[str, Any]) -> None:
    data = client("redshift-data")
    common = {"ClusterIdentifier": "house", "Database": "sales", "DbUser": "admin"}
    made = data.batch_execute_statement(
        Sqls=[
            "create table t (id bigint, name varchar(20), price decimal(10,2), ok boolean)",
            "insert into t values (1,'a',1.5,true)",
        ],
        **common,
    )
    described = finished(data, made["Id"])
    assert described["Status"] == "FINISHED", described
    assert [sub["ResultRows"] for sub in described["SubStatements"]] == [-1, 1]
    query = data.execute_statement(
        Sql="select id, name, price, ok, null::int as nothing from t where name = :name and '::' <> ':x'",
        Parameters=[{"name": "name", "value": "a"}], StatementName="look", **common,
    )  # fmt: skip
    assert finished(data, query["Id"])["ResultRows"] == 1
    result = data.get_statement_result(Id=query["Id"])
    assert result["Records"] == [
        [{"longValue": 1}, {"stringValue": "a"}, {"stringValue": "1.50"}, {"booleanValue": True}, {"isNull": True}]
    ]
    assert [column["typeName"] for column in result["ColumnMetadata"]] == ["int8", "varchar", "numeric", "bool", "int4"]
    assert result["ColumnMetadata"][2]["scale"] == 2
    listed = data.list_statements(StatementName="lo")["Statements"]
    assert [entry["Id"] for entry in listed] == [query["Id"]]
    failed = finished(data, data.execute_statement(Sql="select * from nowhere", **common)["Id"])
    assert failed["Status"] == "FAILED"
    assert "nowhere" in failed["Error"]


def test_a_failing_batch_changes_nothing(client: Client, cluster: dict[str, Any]) -> None:
    data = client("redshift-data")
    common = {"ClusterIdentifier": "house", "Database": "sales", "DbUser": "admin"}
    finished(data, data.execute_statement(Sql="create table b (id int)", **common)["Id"])
    made = data.batch_execute_statement(Sqls=["insert into b values (1)", "insert into nowhere values (1)"], **common)
    assert finished(data, made["Id"])["Status"] == "FAILED"
    count = data.execute_statement(Sql="select count(*) from b", WaitTimeSeconds=10, **common)
    assert count["Status"] == "FINISHED"
    assert data.get_statement_result(Id=count["Id"])["Records"] == [[{"longValue": 0}]]


def test_pages_csv_and_tokens(client: Client, cluster: dict[str, Any]) -> None:
    data = client("redshift-data")
    common = {"ClusterIdentifier": "house", "Database": "sales", "DbUser": "admin", "WaitTimeSeconds": 10}
    made = data.execute_statement(Sql="select n from generate_series(1, 2500) as t(n) order by n", ClientToken="once", **common)
    again = data.execute_statement(Sql="select n from generate_series(1, 2500) as t(n) order by n", ClientToken="once", **common)
    assert made["Id"] == again["Id"]
    pages = list(data.get_paginator("get_statement_result").paginate(Id=made["Id"]))
    assert [len(page["Records"]) for page in pages] == [1000, 1000, 500]
    text = data.execute_statement(Sql="select 1 as a, 'x,y' as b", ResultFormat="CSV", **common)
    assert data.get_statement_result_v2(Id=text["Id"])["Records"] == [{"CSVRecords": 'a,b\n1,"x,y"\n'}]


def test_metadata(client: Client, cluster: dict[str, Any]) -> None:
    data = client("redshift-data")
    common = {"ClusterIdentifier": "house", "Database": "sales", "DbUser": "admin"}
    finished(data, data.execute_statement(Sql="create table m (id bigint not null, v varchar(7))", **common)["Id"])
    assert data.list_databases(**common)["Databases"] == ["sales"]
    assert "public" in data.list_schemas(**common)["Schemas"]
    assert data.list_tables(SchemaPattern="public", **common)["Tables"] == [{"name": "m", "type": "TABLE", "schema": "public"}]
    columns = data.describe_table(Schema="public", Table="m", **common)["ColumnList"]
    assert [(c["name"], c["typeName"], c["nullable"], c["length"]) for c in columns] == [
        ("id", "int8", 0, 0),
        ("v", "varchar", 1, 7),
    ]


def test_cancel(client: Client, cluster: dict[str, Any]) -> None:
    data = client("redshift-data")
    made = data.execute_statement(
        Sql="select count(*) from generate_series(1, 100000000000)", ClusterIdentifier="house", Database="sales", DbUser="admin"
    )
    eventually(lambda: data.describe_statement(Id=made["Id"])["Status"] == "STARTED")
    time.sleep(0.2)
    assert data.cancel_statement(Id=made["Id"])["Status"] is True
    assert finished(data, made["Id"])["Status"] == "ABORTED"


def test_a_killed_server_has_its_clusters_and_statements_again(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        server.client("redshift").create_cluster(
            ClusterIdentifier="house", NodeType="n", MasterUsername="admin", MasterUserPassword=PASSWORD, DBName="sales"
        )
        cluster = server.client("redshift").describe_clusters()["Clusters"][0]
        common = {"ClusterIdentifier": "house", "Database": "sales", "DbUser": "admin"}
        data = server.client("redshift-data")
        done = data.execute_statement(Sql="create table t as select 7 as a", WaitTimeSeconds=10, **common)
        lost = data.execute_statement(Sql="select count(*) from generate_series(1, 100000000000)", **common)
        eventually(lambda: data.describe_statement(Id=lost["Id"])["Status"] == "STARTED")
        server.kill()
        server.start()

        def rows() -> Any:
            with connect(cluster) as connection:
                return connection.execute("select a from t").fetchall()

        assert eventually(rows) == [(7,)]
        data = server.client("redshift-data")
        assert data.describe_statement(Id=done["Id"])["Status"] == "FINISHED"
        assert finished(data, lost["Id"])["Status"] == "FAILED"
    finally:
        server.kill()


def test_a_dead_warehouse_is_started_again(client: Client, cluster: dict[str, Any], server: HeadraceServer) -> None:
    with connect(cluster) as connection:
        connection.execute("create table survived (a int)")
    assert server.process is not None
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = path.read_text().rsplit(") ", 1)[1].split()
        if int(fields[1]) == server.process.pid and b"redshift.engine.warehouse" in path.with_name("cmdline").read_bytes():
            os.kill(int(path.parent.name), signal.SIGKILL)

    def back() -> bool:
        with connect(cluster) as connection:
            return connection.execute("select count(*) from survived").fetchone() == (0,)

    assert eventually(back)
