"""Functions before an application's SQL and behind it, on a real server; and how soon a window's rows come."""

import io
import json
import time
import zipfile
from typing import Any

import pytest
from tests.services.analytics.test_analytics_applications import FILTER, WINDOW, World

from conftest import HeadraceServer, eventually


@pytest.fixture
def world(server: HeadraceServer, account: str) -> World:
    made = World(server, account)
    trusted = {
        "Effect": "Allow",
        "Principal": {"Service": ["kinesisanalytics.amazonaws.com", "lambda.amazonaws.com"]},
        "Action": "sts:AssumeRole",
    }
    made.iam.update_assume_role_policy(RoleName="analytics", PolicyDocument=json.dumps({"Statement": [trusted]}))
    return made


def function(server: HeadraceServer, world: World, body: str) -> str:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as package:
        package.writestr("app.py", body)
    made = server.client("lambda", world.account).create_function(
        FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=world.role(), Code={"ZipFile": data.getvalue()}
    )
    return str(made["FunctionArn"])


def test_before__changed_dropped_and_failed(world: World, server: HeadraceServer) -> None:
    body = """
import base64, json
def handler(event, context):
    assert event["applicationArn"].endswith("application/app") and event["streamArn"].endswith("stream/in")
    made = []
    for one in event["records"]:
        row = json.loads(base64.b64decode(one["data"]))
        result = {1: "Dropped", 2: "ProcessingFailed"}.get(row["price"], "Ok")
        data = base64.b64encode(json.dumps({**row, "price": row["price"] + 100}).encode()).decode()
        made.append({"recordId": one["recordId"], "result": result, "data": data})
    return {"records": made}
"""
    arn = function(server, world, body)
    world.create(FILTER)
    world.kinesis.create_stream(StreamName="bad", ShardCount=1)
    world.v1.add_application_input_processing_configuration(
        ApplicationName="app", CurrentApplicationVersionId=1, InputId="1.1",
        InputProcessingConfiguration={"InputLambdaProcessor": {"ResourceARN": arn, "RoleARN": world.role()}},
    )  # fmt: skip
    world.v1.add_application_output(
        ApplicationName="app", CurrentApplicationVersionId=2,
        Output={
            "Name": "error_stream",
            "KinesisStreamsOutput": {"ResourceARN": world.arn("bad"), "RoleARN": world.role()},
            "DestinationSchema": {"RecordFormatType": "JSON"},
        },
    )  # fmt: skip
    world.start()
    world.put(*({"ticker": "A", "price": price} for price in (1, 2, 3)))
    assert eventually(world.rows) == [{"TICKER": "A", "PRICE": 206.0}]
    (error,) = eventually(lambda: world.rows("bad"))
    assert error["ERROR_NAME"] == "Lambda.ProcessingFailed"
    assert json.loads(bytes.fromhex(error["DATA_ROW"])) == {"ticker": "A", "price": 2}


def test_behind__what_failed_is_handed_over_again(world: World, server: HeadraceServer) -> None:
    body = """
import base64, json, boto3
def handler(event, context):
    made = []
    for one in event["records"]:
        hint = one["lambdaDeliveryRecordMetadata"]["retryHint"]
        row = json.loads(base64.b64decode(one["data"]))
        failed = row["PRICE"] == 26.0 and hint < 2
        if not failed:
            record = json.dumps({**row, "hint": hint})
            boto3.client("kinesis").put_record(StreamName="out", Data=record, PartitionKey="k")
        made.append({"recordId": one["recordId"], "result": "DeliveryFailed" if failed else "Ok"})
    return {"records": made}
"""
    arn = function(server, world, body)
    world.create(FILTER)
    output = world.v1.describe_application(ApplicationName="app")["ApplicationDetail"]["OutputDescriptions"][0]["OutputId"]
    world.v1.delete_application_output(ApplicationName="app", CurrentApplicationVersionId=1, OutputId=output)
    world.v1.add_application_output(
        ApplicationName="app", CurrentApplicationVersionId=2,
        Output={
            "Name": "OUT",
            "LambdaOutput": {"ResourceARN": arn, "RoleARN": world.role()},
            "DestinationSchema": {"RecordFormatType": "JSON"},
        },
    )  # fmt: skip
    world.start()
    world.put({"ticker": "A", "price": 12})
    eventually(lambda: len(world.rows()) == 1)
    world.put({"ticker": "A", "price": 13})
    rows = eventually(lambda: (rows := world.rows()) and len(rows) == 2 and rows)
    assert {(row["PRICE"], row["hint"]) for row in rows} == {(24.0, 0), (26.0, 2)}


def test_window__its_rows_come_soon_after_its_end(world: World) -> None:
    """A trickle: each window's row is in the stream a moment after the window's end. The bound leaves room for busy machines."""
    world.create(WINDOW.replace("'2' SECOND", "'1' SECOND"))
    world.start()
    eventually(lambda: world.status() == "RUNNING")
    for number in range(5):
        world.put({"ticker": f"T{number}", "price": 1})
        time.sleep(0.6)
    eventually(lambda: len(world.rows()) >= 5)
    late: list[float] = []
    for shard in world.kinesis.list_shards(StreamName="out")["Shards"]:
        iterator = world.kinesis.get_shard_iterator(StreamName="out", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        found: list[Any] = world.kinesis.get_records(ShardIterator=iterator)["Records"]
        late += [record["ApproximateArrivalTimestamp"].timestamp() % 1.0 for record in found]
    late.sort()
    print("seconds after the end of a window:", [round(one, 3) for one in late])
    assert late[len(late) // 2] < 0.3


def test_discovery__of_what_the_function_makes_of_the_sample(world: World, server: HeadraceServer) -> None:
    body = """
import base64, json
def handler(event, context):
    made = []
    for one in event["records"]:
        price, _, ticker = base64.b64decode(one["data"]).decode().partition("#")
        row = base64.b64encode(json.dumps({"ticker": ticker, "price": int(price)}).encode()).decode()
        made.append({"recordId": one["recordId"], "result": "Dropped" if price == "0" else "Ok", "data": row})
    return {"records": made}
"""
    processing = {"InputLambdaProcessor": {"ResourceARN": function(server, world, body), "RoleARN": world.role()}}
    s3 = server.client("s3", world.account)
    s3.create_bucket(Bucket=f"sample-{world.account}")
    s3.put_object(Bucket=f"sample-{world.account}", Key="rows", Body=b"1#A\n0#B\n2#C\n")
    place = {"BucketARN": f"arn:aws:s3:::sample-{world.account}", "FileKey": "rows", "RoleARN": world.role()}
    found = world.v1.discover_input_schema(S3Configuration=place, InputProcessingConfiguration=processing)
    assert found["RawInputRecords"] == ["1#A", "0#B", "2#C"]
    assert [json.loads(one)["ticker"] for one in found["ProcessedInputRecords"]] == ["A", "C"]
    assert found["ParsedInputRecords"] == [["A", "1"], ["C", "2"]]
    assert [one["Name"] for one in found["InputSchema"]["RecordColumns"]] == ["ticker", "price"]
    s3.put_object(Bucket=f"sample-{world.account}", Key="rows", Body=b"0#A\n")
    with pytest.raises(world.v1.exceptions.UnableToDetectSchemaException) as caught:
        world.v1.discover_input_schema(S3Configuration=place, InputProcessingConfiguration=processing)
    assert caught.value.response["RawInputRecords"] == ["0#A"]


def test_discovery__of_what_the_function_makes_of_a_live_stream(world: World, server: HeadraceServer) -> None:
    body = """
import base64, json
def handler(event, context):
    made = []
    for one in event["records"]:
        row = json.loads(base64.b64decode(one["data"]))
        data = f'{row["price"] * 2},{row["ticker"].lower()}'.encode()
        result = "Dropped" if row["price"] == 2 else "Ok"
        made.append({"recordId": one["recordId"], "result": result, "data": base64.b64encode(data).decode()})
    return {"records": made}
"""
    processing = {"InputLambdaProcessor": {"ResourceARN": function(server, world, body), "RoleARN": world.role()}}
    world.put(*({"ticker": "A", "price": price} for price in (1, 2, 3)))
    found = world.v1.discover_input_schema(
        ResourceARN=world.arn("in"), RoleARN=world.role(), InputProcessingConfiguration=processing,
        InputStartingPositionConfiguration={"InputStartingPosition": "TRIM_HORIZON"},
    )  # fmt: skip
    assert sorted(json.loads(one)["price"] for one in found["RawInputRecords"]) == [1, 2, 3]
    assert sorted(found["ProcessedInputRecords"]) == ["2,a", "6,a"]
    assert sorted(found["ParsedInputRecords"]) == [["2", "a"], ["6", "a"]]
    assert found["InputSchema"]["RecordFormat"]["RecordFormatType"] == "CSV"
    other = world.v2.discover_input_schema(
        ResourceARN=world.arn("in"), ServiceExecutionRole=world.role(),
        InputProcessingConfiguration={"InputLambdaProcessor": {"ResourceARN": processing["InputLambdaProcessor"]["ResourceARN"]}},
        InputStartingPositionConfiguration={"InputStartingPosition": "TRIM_HORIZON"},
    )  # fmt: skip
    assert other["InputSchema"] == found["InputSchema"]
