"""COPY, UNLOAD and delivery streams through a real server: the objects are S3's, the rights are IAM's."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from tests.conftest import eventually

Client = Callable[..., Any]
PASSWORD = "Warehouse123"


def role(client: Client, name: str, service: str, statements: list[dict[str, Any]]) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    }
    iam = client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    policy = {"Version": "2012-10-17", "Statement": statements}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    return str(made["Arn"])


@pytest.fixture
def connection(client: Client) -> Iterator[psycopg.Connection[Any]]:
    redshift = client("redshift")
    redshift.create_cluster(ClusterIdentifier="lake", NodeType="n", MasterUsername="admin", MasterUserPassword=PASSWORD)
    port = redshift.describe_clusters(ClusterIdentifier="lake")["Clusters"][0]["Endpoint"]["Port"]
    with psycopg.connect(
        host="127.0.0.1", port=port, user="admin", password=PASSWORD, dbname="dev", autocommit=True
    ) as connection:
        yield connection
    redshift.delete_cluster(ClusterIdentifier="lake", SkipFinalClusterSnapshot=True)


def test_copy_and_unload_have_the_rights_of_the_role(client: Client, connection: psycopg.Connection[Any], account: str) -> None:
    s3 = client("s3")
    bucket = f"lake-{account}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="in/1.json", Body=b'{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n')
    s3.put_object(Bucket=bucket, Key="secret/1.json", Body=b'{"id":9,"name":"z"}')
    allowed = role(
        client, "loader", "redshift.amazonaws.com",
        [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"],
          "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/in/*", f"arn:aws:s3:::{bucket}/out/*"]}],
    )  # fmt: skip
    connection.execute("create table t (id integer, name varchar(10))")
    connection.execute(f"copy t from 's3://{bucket}/in/' iam_role '{allowed}' json 'auto'".encode())
    assert connection.execute("select id, name from t order by id").fetchall() == [(1, "a"), (2, "b")]
    with pytest.raises(psycopg.Error, match="Access Denied"):
        connection.execute(f"copy t from 's3://{bucket}/secret/' iam_role '{allowed}' json 'auto'".encode())
    with pytest.raises(psycopg.Error, match="Not authorized to assume"):
        connection.execute(f"copy t from 's3://{bucket}/in/' iam_role '{allowed}x' json 'auto'".encode())
    with pytest.raises(psycopg.Error, match="need IAM_ROLE"):
        connection.execute(f"copy t from 's3://{bucket}/in/' json 'auto'".encode())
    connection.execute(
        f"unload ('select id, name from t order by id') to 's3://{bucket}/out/p' iam_role '{allowed}' csv".encode()
    )
    assert s3.get_object(Bucket=bucket, Key="out/p0000_part_00")["Body"].read() == b"1,a\n2,b\n"
    with pytest.raises(psycopg.Error, match="is not empty"):
        connection.execute(f"unload ('select 1 as a') to 's3://{bucket}/out/p' iam_role '{allowed}' csv".encode())
    with pytest.raises(psycopg.Error, match="Access Denied"):
        connection.execute(f"unload ('select 1 as a') to 's3://{bucket}/elsewhere/p' iam_role '{allowed}' csv".encode())
    assert connection.execute("select count(*) from t").fetchone() == (2,)


def test_a_delivery_stream_fills_a_table(client: Client, connection: psycopg.Connection[Any], account: str) -> None:
    bucket = f"staging-{account}"
    client("s3").create_bucket(Bucket=bucket)
    delivery = role(
        client, "delivery", "firehose.amazonaws.com",
        [{"Effect": "Allow", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}],
    )  # fmt: skip
    connection.execute("create table events (id integer, name varchar(20), at timestamp)")
    endpoint = client("redshift").describe_clusters(ClusterIdentifier="lake")["Clusters"][0]["Endpoint"]
    firehose = client("firehose")
    firehose.create_delivery_stream(
        DeliveryStreamName="events",
        RedshiftDestinationConfiguration={
            "RoleARN": delivery,
            "ClusterJDBCURL": f"jdbc:redshift://{endpoint['Address']}:{endpoint['Port']}/dev",
            "CopyCommand": {"DataTableName": "events", "CopyOptions": "JSON 'auto' TIMEFORMAT 'auto'"},
            "Username": "admin",
            "Password": PASSWORD,
            "S3Configuration": {
                "RoleARN": delivery, "BucketARN": f"arn:aws:s3:::{bucket}", "CompressionFormat": "UNCOMPRESSED",
                "BufferingHints": {"IntervalInSeconds": 0, "SizeInMBs": 1},
            },
        },
    )  # fmt: skip
    eventually(
        lambda: (
            firehose.describe_delivery_stream(DeliveryStreamName="events")["DeliveryStreamDescription"]["DeliveryStreamStatus"]
            == "ACTIVE"
        )
    )
    for batch in range(5):
        records = [
            {"Data": json.dumps({"id": batch * 100 + n, "name": "n", "at": "2026-01-02T03:04:05Z"}).encode()} for n in range(100)
        ]
        assert firehose.put_record_batch(DeliveryStreamName="events", Records=records)["FailedPutCount"] == 0
    eventually(lambda: connection.execute("select count(*) from events").fetchone() == (500,), 30)
    rows = connection.execute("select count(distinct id), min(at)::varchar from events").fetchone()
    assert rows == (500, "2026-01-02 03:04:05")
