"""SQL applications read delivery streams: all that was acknowledged, once, whatever is delivered, stopped or killed meanwhile."""

import json
import threading
from typing import Any

import pytest
from tests.services.analytics.test_analytics_applications import FILTER, SCHEMA, WINDOW, World, code_of
from tests.services.analytics.test_analytics_functions import function

from conftest import HeadraceServer, eventually


class Fed(World):
    """A world whose application reads a delivery stream."""

    def __init__(self, server: HeadraceServer, account: str) -> None:
        super().__init__(server, account)
        trusted = {
            "Effect": "Allow",
            "Principal": {"Service": [f"{one}.amazonaws.com" for one in ("kinesisanalytics", "lambda", "firehose")]},
            "Action": "sts:AssumeRole",
        }
        self.iam.update_assume_role_policy(RoleName="analytics", PolicyDocument=json.dumps({"Statement": [trusted]}))
        self.s3 = server.client("s3", account)
        self.s3.create_bucket(Bucket=f"fed-{account}")
        self.connect(server)
        self.firehose.create_delivery_stream(
            DeliveryStreamName="feed",
            S3DestinationConfiguration={
                "BucketARN": f"arn:aws:s3:::fed-{account}", "RoleARN": self.role(), "BufferingHints": {"IntervalInSeconds": 0},
            },
        )  # fmt: skip

    def connect(self, server: HeadraceServer) -> None:
        """Clients of a server that was started again."""
        self.kinesis, self.v1, self.v2, self.firehose, self.s3 = (
            server.client(name, self.account) for name in ("kinesis", "kinesisanalytics", "kinesisanalyticsv2", "firehose", "s3")
        )

    def feed(self) -> str:
        return f"arn:aws:firehose:us-east-1:{self.account}:deliverystream/feed"

    def build(self, code: str, **more: Any) -> None:
        """An application of the second model."""
        given = {"KinesisFirehoseInput": {"ResourceARN": self.feed()}, "NamePrefix": "SOURCE_SQL_STREAM", "InputSchema": SCHEMA}
        output = {
            "Name": "OUT",
            "KinesisStreamsOutput": {"ResourceARN": self.arn("out")},
            "DestinationSchema": {"RecordFormatType": "JSON"},
        }
        self.v2.create_application(
            ApplicationName="app", RuntimeEnvironment="SQL-1_0", ServiceExecutionRole=self.role(),
            ApplicationConfiguration={
                "SqlApplicationConfiguration": {"Inputs": [{**given, **more}], "Outputs": [output]},
                "ApplicationCodeConfiguration": {"CodeContent": {"TextContent": code}, "CodeContentType": "PLAINTEXT"},
            },
        )  # fmt: skip

    def go(self, position: str = "NOW") -> None:
        self.start(position)
        eventually(lambda: self.status() == "RUNNING")

    def put(self, *rows: dict[str, Any]) -> None:
        records = [{"Data": json.dumps(row).encode()} for row in rows]
        assert self.firehose.put_record_batch(DeliveryStreamName="feed", Records=records)["FailedPutCount"] == 0

    def objects(self) -> int:
        return int(self.s3.list_objects_v2(Bucket=f"fed-{self.account}")["KeyCount"])


@pytest.fixture
def fed(server: HeadraceServer, account: str) -> Fed:
    return Fed(server, account)


def prices(found: list[dict[str, Any]]) -> list[float]:
    return [row["PRICE"] / 2 for row in found]


def test_both_models__read_what_is_put_after_the_start(fed: Fed) -> None:
    fed.put({"ticker": "OLD", "price": 99})
    fed.v1.create_application(
        ApplicationName="app", ApplicationCode=FILTER,
        Inputs=[{
            "KinesisFirehoseInput": {"ResourceARN": fed.feed(), "RoleARN": fed.role()},
            "NamePrefix": "SOURCE_SQL_STREAM", "InputSchema": SCHEMA,
        }],
        Outputs=[{
            "Name": "OUT", "KinesisStreamsOutput": {"ResourceARN": fed.arn("out"), "RoleARN": fed.role()},
            "DestinationSchema": {"RecordFormatType": "JSON"},
        }],
    )  # fmt: skip
    described = fed.v2.describe_application(ApplicationName="app")["ApplicationDetail"]["ApplicationConfigurationDescription"]
    (shown,) = described["SqlApplicationConfigurationDescription"]["InputDescriptions"]
    assert shown["KinesisFirehoseInputDescription"]["ResourceARN"] == fed.feed()
    assert code_of(lambda: fed.start("TRIM_HORIZON")) == "InvalidArgumentException"
    fed.go()
    fed.put(*({"ticker": "A", "price": n} for n in range(9, 14)))
    assert sorted(prices(eventually(lambda: len(rows := fed.rows()) >= 3 and rows))) == [11.0, 12.0, 13.0]


def test_stopped__finds_what_was_delivered_meanwhile(fed: Fed) -> None:
    fed.build(FILTER)
    fed.go()
    fed.put({"ticker": "A", "price": 11})
    eventually(lambda: len(fed.rows()) == 1)
    fed.v1.stop_application(ApplicationName="app")
    for n in range(12, 15):
        fed.put({"ticker": "A", "price": n})
    eventually(lambda: fed.objects() >= 2)
    fed.go("LAST_STOPPED_POINT")
    assert sorted(prices(eventually(lambda: len(rows := fed.rows()) >= 4 and rows))) == [11.0, 12.0, 13.0, 14.0]


def test_other_input__begins_anew(fed: Fed) -> None:
    fed.build(FILTER)
    fed.go()
    fed.put({"ticker": "A", "price": 11})
    eventually(lambda: len(fed.rows()) == 1)
    fed.v2.update_application(
        ApplicationName="app", CurrentApplicationVersionId=1,
        ApplicationConfigurationUpdate={"SqlApplicationConfigurationUpdate": {"InputUpdates": [
            {"InputId": "1.1", "KinesisStreamsInputUpdate": {"ResourceARNUpdate": fed.arn("in")}}
        ]}},
    )  # fmt: skip
    eventually(lambda: fed.status() == "RUNNING")
    fed.put({"ticker": "A", "price": 12})
    World.put(fed, *({"ticker": "B", "price": 20} for _ in range(3)))
    eventually(lambda: World.put(fed, {"ticker": "C", "price": 30}) or any(row["TICKER"] == "C" for row in fed.rows()))
    assert 24.0 not in [row["PRICE"] for row in fed.rows()]


def test_function__gets_the_metadata_of_delivery_streams(fed: Fed, server: HeadraceServer) -> None:
    body = """
import base64, json
def handler(event, context):
    made = []
    for one in event["records"]:
        told = one["kinesisFirehoseRecordMetadata"]["approximateArrivalTimestamp"]
        row = {"ticker": event["streamArn"].rpartition("/")[2], "price": 100 + (told > 1e12)}
        made.append({"recordId": one["recordId"], "result": "Ok", "data": base64.b64encode(json.dumps(row).encode()).decode()})
    return {"records": made}
"""
    arn = function(server, fed, body)
    fed.build(FILTER, InputProcessingConfiguration={"InputLambdaProcessor": {"ResourceARN": arn}})
    fed.go()
    fed.put({"any": 1})
    assert eventually(fed.rows) == [{"TICKER": "feed", "PRICE": 202.0}]


def test_discovery__of_what_is_put_from_then_on(fed: Fed) -> None:
    fed.put({"TICKER": "OLD"})
    eventually(lambda: fed.objects() == 1)
    found: list[dict[str, Any]] = []
    asked = {"ResourceARN": fed.feed(), "ServiceExecutionRole": fed.role()}

    def discover() -> None:
        found.append(fed.v2.discover_input_schema(**asked))

    asking = threading.Thread(target=discover)
    asking.start()
    number = 0
    while asking.is_alive():
        number += 1
        fed.put({"TICKER": f"T{number}", "PRICE": number})
        asking.join(0.1)
    seen = [json.loads(one)["TICKER"] for one in found[0]["RawInputRecords"]]
    first = int(seen[0].removeprefix("T"))
    assert seen == [f"T{place}" for place in range(first, first + len(seen))]
    assert [one["Name"] for one in found[0]["InputSchema"]["RecordColumns"]] == ["TICKER", "PRICE"]
    position = {"InputStartingPosition": "TRIM_HORIZON"}
    with pytest.raises(fed.v2.exceptions.InvalidArgumentException, match="TRIM_HORIZON is not available"):
        fed.v2.discover_input_schema(**asked, InputStartingPositionConfiguration=position)
    gone = fed.feed().replace("feed", "gone")
    with pytest.raises(fed.v2.exceptions.InvalidArgumentException, match="not found"):
        fed.v2.discover_input_schema(ResourceARN=gone, ServiceExecutionRole=fed.role())


def test_discovery__the_role_must_allow_it(fed: Fed) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "kinesisanalytics.amazonaws.com"}, "Action": "sts:AssumeRole"}
    weak = fed.iam.create_role(RoleName="weak", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    place = {"BucketARN": f"arn:aws:s3:::fed-{fed.account}", "FileKey": "rows"}
    fed.s3.put_object(Bucket=f"fed-{fed.account}", Key="rows", Body=b"1,2\n3,4\n")
    for asked, action in (
        ({"ResourceARN": fed.arn("in")}, "kinesis:GetRecords"),
        ({"ResourceARN": fed.feed()}, "firehose:GetRecords"),
        ({"S3Configuration": place}, "s3:GetObject"),
    ):
        with pytest.raises(fed.v2.exceptions.InvalidArgumentException, match=f"not authorized to perform {action}"):
            fed.v2.discover_input_schema(**asked, ServiceExecutionRole=weak)
    assert fed.v2.discover_input_schema(S3Configuration=place, ServiceExecutionRole=fed.role())["RawInputRecords"] == [
        "1,2",
        "3,4",
    ]
    with pytest.raises(fed.v1.exceptions.InvalidArgumentException, match="needs a role"):
        fed.v1.discover_input_schema(ResourceARN=fed.arn("in"))


def test_right_to_read__is_asked_for(fed: Fed) -> None:
    fed.build(FILTER)
    fed.allow("kinesis:*")
    fed.start("NOW")
    fed.put({"ticker": "A", "price": 11})
    fed.allow("firehose:DescribeDeliveryStream")
    assert fed.status() == "STARTING"
    fed.allow("*")
    eventually(lambda: fed.status() == "RUNNING")


def test_pumped_and_killed__every_acknowledged_record_once(own_server: HeadraceServer) -> None:
    """Records are put all the time, delivered at once, and the server is killed among them."""
    fed = Fed(own_server, "000000000000")
    fed.build(WINDOW.replace("'2' SECOND", "'1' SECOND"))
    fed.go()
    acknowledged: list[int] = []
    unsure: list[int] = []
    for life in range(3):
        over = threading.Event()

        def pump(life: int = life, over: threading.Event = over) -> None:
            number = life * 1_000_000
            client = own_server.client("firehose", fed.account)
            while not over.is_set():
                number += 1
                row = json.dumps({"ticker": f"T{number}", "price": 1}).encode()
                try:
                    client.put_record(DeliveryStreamName="feed", Record={"Data": row})
                    acknowledged.append(number)
                except Exception:  # the server was killed: nobody knows whether it has this one
                    unsure.append(number)
                    return

        thread = threading.Thread(target=pump)
        thread.start()
        wanted = len(acknowledged) + 60
        eventually(lambda wanted=wanted: len(acknowledged) >= wanted)
        own_server.kill()
        over.set()
        thread.join()
        own_server.start()
        fed.connect(own_server)

    def counts() -> dict[str, int]:
        found: dict[str, int] = {}
        for row in fed.rows():
            found[row["TICKER"]] = found.get(row["TICKER"], 0) + row["N"]
        return found

    tickers = {f"T{number}" for number in acknowledged}
    eventually(lambda: tickers <= set(counts()), 40)
    assert set(counts().values()) == {1}
    assert set(counts()) <= tickers | {f"T{number}" for number in unsure}
