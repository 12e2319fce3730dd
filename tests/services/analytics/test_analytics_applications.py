"""SQL applications through both models, and what they do while they run."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import HeadraceServer, eventually

ROLE = "arn:aws:iam::{account}:role/analytics"
COLUMNS = [
    {"Name": "TICKER", "SqlType": "VARCHAR(8)", "Mapping": "$.ticker"},
    {"Name": "PRICE", "SqlType": "DOUBLE", "Mapping": "$.price"},
]
FORMAT = {"RecordFormatType": "JSON", "MappingParameters": {"JSONMappingParameters": {"RecordRowPath": "$"}}}
SCHEMA = {"RecordFormat": FORMAT, "RecordEncoding": "UTF-8", "RecordColumns": COLUMNS}
FILTER = """
CREATE OR REPLACE STREAM "OUT" (TICKER VARCHAR(8), PRICE DOUBLE);
CREATE OR REPLACE PUMP "P" AS INSERT INTO "OUT"
SELECT STREAM TICKER, PRICE * 2 FROM "SOURCE_SQL_STREAM_001" WHERE PRICE > 10;
"""
WINDOW = """
CREATE OR REPLACE STREAM "OUT" (TICKER VARCHAR(8), N INTEGER, TOTAL DOUBLE);
CREATE OR REPLACE PUMP "P" AS INSERT INTO "OUT"
SELECT STREAM TICKER, COUNT(*) AS N, SUM(PRICE) AS TOTAL FROM "SOURCE_SQL_STREAM_001"
GROUP BY TICKER, STEP("SOURCE_SQL_STREAM_001".ROWTIME BY INTERVAL '2' SECOND);
"""


class World:
    """Streams and clients of one account."""

    def __init__(self, server: HeadraceServer, account: str) -> None:
        self.account = account
        self.kinesis = server.client("kinesis", account)
        self.v1 = server.client("kinesisanalytics", account)
        self.v2 = server.client("kinesisanalyticsv2", account)
        for name in ("in", "out"):
            self.kinesis.create_stream(StreamName=name, ShardCount=2)
        trust = {"Effect": "Allow", "Principal": {"Service": "kinesisanalytics.amazonaws.com"}, "Action": "sts:AssumeRole"}
        self.iam = server.client("iam", account)
        self.iam.create_role(RoleName="analytics", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        self.allow("*")

    def allow(self, action: str) -> None:
        """What the application's role may do."""
        allowed = {"Effect": "Allow", "Action": action, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self.iam.put_role_policy(RoleName="analytics", PolicyName="all", PolicyDocument=policy)

    def arn(self, name: str) -> str:
        return f"arn:aws:kinesis:us-east-1:{self.account}:stream/{name}"

    def role(self) -> str:
        return ROLE.format(account=self.account)

    def create(self, code: str, name: str = "app", **arguments: Any) -> Any:
        return self.v1.create_application(
            ApplicationName=name,
            ApplicationCode=code,
            Inputs=[
                {
                    "NamePrefix": "SOURCE_SQL_STREAM",
                    "KinesisStreamsInput": {"ResourceARN": self.arn("in"), "RoleARN": self.role()},
                    "InputSchema": SCHEMA,
                }
            ],
            Outputs=[
                {
                    "Name": "OUT",
                    "KinesisStreamsOutput": {"ResourceARN": self.arn("out"), "RoleARN": self.role()},
                    "DestinationSchema": {"RecordFormatType": "JSON"},
                }
            ],
            **arguments,
        )

    def start(self, position: str = "TRIM_HORIZON", name: str = "app") -> None:
        found = self.v1.describe_application(ApplicationName=name)["ApplicationDetail"]
        self.v1.start_application(
            ApplicationName=name,
            InputConfigurations=[
                {
                    "Id": found["InputDescriptions"][0]["InputId"],
                    "InputStartingPositionConfiguration": {"InputStartingPosition": position},
                }
            ],
        )

    def status(self, name: str = "app") -> str:
        return str(self.v1.describe_application(ApplicationName=name)["ApplicationDetail"]["ApplicationStatus"])

    def put(self, *rows: dict[str, Any]) -> None:
        self.kinesis.put_records(
            StreamName="in", Records=[{"Data": json.dumps(row).encode(), "PartitionKey": str(n)} for n, row in enumerate(rows)]
        )

    def rows(self, stream: str = "out") -> list[dict[str, Any]]:
        found = []
        for shard in self.kinesis.list_shards(StreamName=stream)["Shards"]:
            iterator = self.kinesis.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while True:
                answer = self.kinesis.get_records(ShardIterator=iterator, Limit=10_000)
                found += [json.loads(record["Data"]) for record in answer["Records"]]
                iterator = answer.get("NextShardIterator")
                if not answer["Records"] or not iterator:
                    break
        return found


@pytest.fixture
def world(server: HeadraceServer, account: str) -> World:
    return World(server, account)


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_filter__every_record_once(world: World) -> None:
    world.create(FILTER)
    world.put(*({"ticker": "A", "price": price} for price in range(20)))
    world.start()
    assert len(eventually(lambda: (rows := world.rows()) and len(rows) >= 9 and rows)) == 9
    world.put({"ticker": "B", "price": 50})
    rows = eventually(lambda: (rows := world.rows()) and len(rows) >= 10 and rows)
    assert {"TICKER": "B", "PRICE": 100.0} in rows
    assert world.status() == "RUNNING"


def test_window__closed_by_the_clock_alone(world: World, server: HeadraceServer) -> None:
    world.create(WINDOW)
    world.start()
    eventually(lambda: world.status() == "RUNNING")
    world.put({"ticker": "A", "price": 1}, {"ticker": "A", "price": 2}, {"ticker": "B", "price": 5})
    rows = eventually(lambda: (rows := world.rows()) and sum(row["N"] for row in rows) == 3 and rows)
    assert {row["TICKER"] for row in rows} == {"A", "B"}
    assert sum(row["TOTAL"] for row in rows) == 8


def test_stopped__goes_on_where_it_was(world: World) -> None:
    world.create(FILTER)
    world.start()
    world.put({"ticker": "A", "price": 11})
    eventually(lambda: len(world.rows()) == 1)
    world.v1.stop_application(ApplicationName="app")
    assert world.status() == "READY"
    world.put({"ticker": "A", "price": 12})
    world.start("LAST_STOPPED_POINT")
    rows = eventually(lambda: (rows := world.rows()) and len(rows) >= 2 and rows)
    assert _sorted(rows) == [{"TICKER": "A", "PRICE": 22.0}, {"TICKER": "A", "PRICE": 24.0}]


def test_wrong_sql__said_with_its_place(world: World) -> None:
    with pytest.raises(ClientError) as caught:
        world.create(FILTER.replace("SELECT STREAM TICKER", "SELECT STREAM NO"))
    assert caught.value.response["Error"]["Code"] == "CodeValidationException"
    assert "line 4" in caught.value.response["Error"]["Message"]
    assert world.v1.list_applications()["ApplicationSummaries"] == []


def test_updated_while_it_runs__the_new_code_goes_on(world: World) -> None:
    world.create(FILTER)
    world.start()
    world.put({"ticker": "A", "price": 11})
    eventually(lambda: len(world.rows()) == 1)
    world.v1.update_application(
        ApplicationName="app", CurrentApplicationVersionId=1,
        ApplicationUpdate={"ApplicationCodeUpdate": FILTER.replace("PRICE * 2", "PRICE * 3")},
    )  # fmt: skip
    eventually(lambda: world.status() == "RUNNING")
    world.put({"ticker": "A", "price": 20})
    rows = eventually(lambda: (rows := world.rows()) and len(rows) >= 2 and rows)
    assert {"TICKER": "A", "PRICE": 60.0} in rows
    detail = world.v1.describe_application(ApplicationName="app")["ApplicationDetail"]
    assert detail["ApplicationVersionId"] == 2
    versions = world.v2.list_application_versions(ApplicationName="app")["ApplicationVersionSummaries"]
    assert [one["ApplicationVersionId"] for one in versions] == [2, 1]
    old = world.v2.describe_application_version(ApplicationName="app", ApplicationVersionId=1)["ApplicationVersionDetail"]
    text = old["ApplicationConfigurationDescription"]["ApplicationCodeConfigurationDescription"]["CodeContentDescription"]
    assert text["TextContent"] == FILTER


def test_versions_and_states__held(world: World) -> None:
    world.create(FILTER)
    assert code_of(lambda: world.create(FILTER)) == "ResourceInUseException"
    assert code_of(lambda: world.v1.stop_application(ApplicationName="app")) == "ResourceInUseException"
    assert (
        code_of(
            lambda: world.v1.update_application(
                ApplicationName="app", CurrentApplicationVersionId=7, ApplicationUpdate={"ApplicationCodeUpdate": FILTER}
            )
        )
        == "ConcurrentModificationException"
    )
    assert code_of(lambda: world.v1.describe_application(ApplicationName="none")) == "ResourceNotFoundException"
    assert code_of(lambda: world.v2.rollback_application(ApplicationName="app", CurrentApplicationVersionId=1)) == (
        "UnsupportedOperationException"
    )
    assert (
        code_of(
            lambda: world.v2.create_application(
                ApplicationName="flink", RuntimeEnvironment="ZEPPELIN-FLINK-3_0", ServiceExecutionRole=world.role()
            )
        )
        == "UnsupportedOperationException"
    )


def test_role__refused_if_it_is_not_there_and_held_while_it_runs(world: World) -> None:
    assert (
        code_of(
            lambda: world.v2.create_application(
                ApplicationName="app",
                RuntimeEnvironment="SQL-1_0",
                ServiceExecutionRole=world.role().replace("analytics", "nobody"),
            )
        )
        == "InvalidArgumentException"
    )
    world.allow("kinesis:GetRecords")
    world.create(FILTER)
    world.start()
    world.put({"ticker": "A", "price": 11})
    world.allow("kinesis:*")
    assert len(eventually(world.rows)) == 1


def test_parts__added_shown_and_removed(world: World) -> None:
    world.v2.create_application(ApplicationName="app", RuntimeEnvironment="SQL-1_0", ServiceExecutionRole=world.role())
    added = world.v2.add_application_input(
        ApplicationName="app",
        CurrentApplicationVersionId=1,
        Input={
            "NamePrefix": "SOURCE_SQL_STREAM",
            "KinesisStreamsInput": {"ResourceARN": world.arn("in")},
            "InputSchema": SCHEMA,
            "InputParallelism": {"Count": 2},
        },
    )
    (described,) = added["InputDescriptions"]
    assert described["InAppStreamNames"] == ["SOURCE_SQL_STREAM_001", "SOURCE_SQL_STREAM_002"]
    assert described["KinesisStreamsInputDescription"] == {"ResourceARN": world.arn("in")}
    assert code_of(world.start) == "InvalidApplicationConfigurationException"
    added = world.v2.add_application_output(
        ApplicationName="app",
        CurrentApplicationVersionId=2,
        Output={
            "Name": "OUT",
            "KinesisStreamsOutput": {"ResourceARN": world.arn("out")},
            "DestinationSchema": {"RecordFormatType": "CSV"},
        },
    )
    output_id = added["OutputDescriptions"][0]["OutputId"]
    world.v2.delete_application_output(ApplicationName="app", CurrentApplicationVersionId=3, OutputId=output_id)
    detail = world.v1.describe_application(ApplicationName="app")["ApplicationDetail"]
    assert (detail["ApplicationVersionId"], detail["OutputDescriptions"]) == (4, [])
    assert code_of(
        lambda: world.v2.delete_application_output(ApplicationName="app", CurrentApplicationVersionId=4, OutputId=output_id)
    ) == "ResourceNotFoundException"  # fmt: skip
    world.v1.tag_resource(ResourceARN=detail["ApplicationARN"], Tags=[{"Key": "team", "Value": "a"}])
    assert world.v2.list_tags_for_resource(ResourceARN=detail["ApplicationARN"])["Tags"] == [{"Key": "team", "Value": "a"}]
    world.v1.delete_application(ApplicationName="app", CreateTimestamp=detail["CreateTimestamp"])
    assert world.v1.list_applications() ["ApplicationSummaries"] == []  # fmt: skip


def test_schema__discovered_from_a_live_stream(world: World) -> None:
    world.put(*({"ticker": "A", "price": price + 0.5, "deep": {"n": price}} for price in range(5)))
    found = world.v1.discover_input_schema(
        ResourceARN=world.arn("in"), RoleARN=world.role(),
        InputStartingPositionConfiguration={"InputStartingPosition": "TRIM_HORIZON"},
    )  # fmt: skip
    columns = {one["Name"]: one["SqlType"] for one in found["InputSchema"]["RecordColumns"]}
    assert columns["price"] == "REAL"
    assert columns["ticker"].startswith("VARCHAR")
    assert len(found["ParsedInputRecords"]) == len(found["RawInputRecords"]) == 5
    world.kinesis.create_stream(StreamName="empty", ShardCount=1)
    assert code_of(
        lambda: world.v1.discover_input_schema(
            ResourceARN=world.arn("empty"), RoleARN=world.role(),
            InputStartingPositionConfiguration={"InputStartingPosition": "TRIM_HORIZON"},
        )
    ) == "UnableToDetectSchemaException"  # fmt: skip


def test_reference_table__joined_from_s3(world: World, server: HeadraceServer) -> None:
    s3 = server.client("s3", world.account)
    s3.create_bucket(Bucket=f"refs-{world.account}")
    s3.put_object(Bucket=f"refs-{world.account}", Key="names.csv", Body=b"A,Alpha\nB,Beta\n")
    world.create(FILTER)
    columns = [{"Name": "TICKER", "SqlType": "VARCHAR(8)"}, {"Name": "COMPANY", "SqlType": "VARCHAR(16)"}]
    csv = {"RecordRowDelimiter": "\n", "RecordColumnDelimiter": ","}
    world.v1.add_application_reference_data_source(
        ApplicationName="app",
        CurrentApplicationVersionId=1,
        ReferenceDataSource={
            "TableName": "NAMES",
            "S3ReferenceDataSource": {
                "BucketARN": f"arn:aws:s3:::refs-{world.account}", "FileKey": "names.csv", "ReferenceRoleARN": world.role(),
            },
            "ReferenceSchema": {
                "RecordFormat": {"RecordFormatType": "CSV", "MappingParameters": {"CSVMappingParameters": csv}},
                "RecordColumns": columns,
            },
        },
    )  # fmt: skip
    world.v1.update_application(
        ApplicationName="app",
        CurrentApplicationVersionId=2,
        ApplicationUpdate={
            "ApplicationCodeUpdate": 'CREATE OR REPLACE STREAM "OUT" (COMPANY VARCHAR(16), PRICE DOUBLE);'
            'CREATE OR REPLACE PUMP "P" AS INSERT INTO "OUT" SELECT STREAM n.COMPANY, s.PRICE '
            'FROM "SOURCE_SQL_STREAM_001" AS s LEFT JOIN NAMES AS n ON s.TICKER = n.TICKER;'
        },
    )
    world.start()
    world.put({"ticker": "A", "price": 1}, {"ticker": "B", "price": 2})
    rows = eventually(lambda: (rows := world.rows()) and len(rows) >= 2 and rows)
    assert _sorted(rows) == [{"COMPANY": "Alpha", "PRICE": 1.0}, {"COMPANY": "Beta", "PRICE": 2.0}]


def test_reference_table__is_the_same_after_a_kill(own_server: HeadraceServer) -> None:
    world = World(own_server, "000000000000")
    s3 = own_server.client("s3")
    s3.create_bucket(Bucket="refs")
    s3.put_object(Bucket="refs", Key="names.csv", Body=b"A,Alpha\n")
    world.create('CREATE OR REPLACE STREAM "OUT" (TICKER VARCHAR(8));')
    world.v1.add_application_reference_data_source(
        ApplicationName="app", CurrentApplicationVersionId=1,
        ReferenceDataSource={
            "TableName": "NAMES",
            "S3ReferenceDataSource": {
                "BucketARN": "arn:aws:s3:::refs", "FileKey": "names.csv", "ReferenceRoleARN": world.role(),
            },
            "ReferenceSchema": {
                "RecordFormat": {
                    "RecordFormatType": "CSV",
                    "MappingParameters": {"CSVMappingParameters": {"RecordRowDelimiter": "\n", "RecordColumnDelimiter": ","}},
                },
                "RecordColumns": [{"Name": "TICKER", "SqlType": "VARCHAR(8)"}, {"Name": "COMPANY", "SqlType": "VARCHAR(16)"}],
            },
        },
    )  # fmt: skip
    world.v1.update_application(
        ApplicationName="app", CurrentApplicationVersionId=2,
        ApplicationUpdate={
            "ApplicationCodeUpdate": 'CREATE OR REPLACE STREAM "OUT" (COMPANY VARCHAR(16), PRICE DOUBLE);'
            'CREATE OR REPLACE PUMP "P" AS INSERT INTO "OUT" SELECT STREAM n.COMPANY, s.PRICE '
            'FROM "SOURCE_SQL_STREAM_001" AS s LEFT JOIN NAMES AS n ON s.TICKER = n.TICKER;'
        },
    )  # fmt: skip
    world.start()
    eventually(lambda: world.status() == "RUNNING")
    world.put({"ticker": "A", "price": 1})
    eventually(lambda: len(world.rows()) == 1)
    s3.put_object(Bucket="refs", Key="names.csv", Body=b"A,Another\n")
    own_server.kill()
    own_server.start()
    world = _again(own_server)
    world.put({"ticker": "A", "price": 2})
    # What the run began with holds until it is started again.
    rows = eventually(lambda: (rows := world.rows()) and len(rows) == 2 and rows, 30)
    assert [row["COMPANY"] for row in rows] == ["Alpha", "Alpha"]
    world.v1.stop_application(ApplicationName="app")
    world.start("LAST_STOPPED_POINT")
    world.put({"ticker": "A", "price": 3})
    rows = eventually(lambda: (rows := world.rows()) and len(rows) == 3 and rows, 30)
    assert {row["PRICE"]: row["COMPANY"] for row in rows} == {1.0: "Alpha", 2.0: "Alpha", 3.0: "Another"}


def test_reference_table_that_comes_later__is_missed_at_the_start(world: World) -> None:
    code = (
        'CREATE OR REPLACE STREAM "OUT" (COMPANY VARCHAR(16)); CREATE OR REPLACE PUMP "P" AS INSERT INTO "OUT" '
        'SELECT STREAM n.COMPANY FROM "SOURCE_SQL_STREAM_001" AS s JOIN NAMES AS n ON s.TICKER = n.TICKER;'
    )
    wrong = FILTER.replace('INTO "OUT"', 'INTO "NOWHERE"')
    assert code_of(lambda: world.create(wrong, "wrong")) == "CodeValidationException"
    world.create(code)
    assert code_of(world.start) == "InvalidApplicationConfigurationException"
    assert world.status() == "READY"


def test_killed_in_the_middle_of_windows__the_same_results(own_server: HeadraceServer) -> None:
    world = World(own_server, "000000000000")
    world.create(WINDOW.replace("'2' SECOND", "'1' SECOND"))
    world.start()
    eventually(lambda: world.status() == "RUNNING")
    count = 0
    for _ in range(3):
        for _ in range(10):
            world.put(*({"ticker": f"T{n % 3}", "price": 1} for n in range(20)))
            count += 20
        own_server.kill()
        own_server.start()
        world = _again(own_server)
    rows = eventually(lambda: (rows := world.rows()) and sum(row["N"] for row in rows) >= count and rows, 40)
    assert sum(row["N"] for row in rows) == count
    assert sum(row["TOTAL"] for row in rows) == count


def _again(server: HeadraceServer) -> World:
    world = World.__new__(World)
    world.account = "000000000000"
    world.kinesis = server.client("kinesis")
    world.v1 = server.client("kinesisanalytics")
    world.v2 = server.client("kinesisanalyticsv2")
    return world
