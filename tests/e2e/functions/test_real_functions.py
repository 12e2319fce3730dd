"""Functions on libraries that others wrote, as they are: `make functions` puts those below build/functions."""

import base64
import http.client
import io
import json
import time
import urllib.parse
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import HeadraceServer, eventually

BUILD = Path(__file__).resolve().parents[3] / "build" / "functions"
POWERTOOLS = """
import json, os
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function

logger, tracer, metrics = Logger(service="bank"), Tracer(service="bank"), Metrics(namespace="Bank", service="bank")
store = DynamoDBPersistenceLayer(table_name=os.environ["TABLE"])
config = IdempotencyConfig(event_key_jmespath="id", raise_on_no_idempotency_key=True)
processor = BatchProcessor(event_type=EventType.SQS)
done = []

@idempotent_function(data_keyword_argument="payment", config=config, persistence_store=store)
def pay(payment):
    done.append(payment["id"])
    return {"paid": payment["id"], "count": len(done)}

@tracer.capture_method
def handle(record):
    body = json.loads(record.body)
    if body.get("bad"):
        raise ValueError("a bad record")
    metrics.add_metric(name="Handled", unit=MetricUnit.Count, value=1)
    return pay(payment=body)

@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event, context):
    config.register_lambda_context(context)
    if "Records" not in event:
        logger.info("paying", extra={"payment": event})
        return pay(payment=event)
    return process_partial_response(event=event, record_handler=handle, processor=processor, context=context)
"""
FASTAPI = """
from fastapi import FastAPI, Response
from mangum import Mangum
from pydantic import BaseModel

class Item(BaseModel):
    name: str
    price: float

app = FastAPI()

@app.get("/items/{number}")
def item(number: int, q: str = "none", response: Response = None):
    response.set_cookie("seen", str(number))
    return {"number": number, "q": q}

@app.post("/items", status_code=201)
def create(item: Item):
    return {"name": item.name, "gross": item.price * 2}

handler = Mangum(app, lifespan="off")
"""
MIDDY = """
import middy from "@middy/core";
import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import { Tracer } from "@aws-lambda-powertools/tracer";
import { captureLambdaHandler } from "@aws-lambda-powertools/tracer/middleware";
import { BatchProcessor, EventType, processPartialResponse } from "@aws-lambda-powertools/batch";
import { makeIdempotent } from "@aws-lambda-powertools/idempotency";
import { DynamoDBPersistenceLayer } from "@aws-lambda-powertools/idempotency/dynamodb";

const logger = new Logger({ serviceName: "bank" });
const metrics = new Metrics({ namespace: "Bank", serviceName: "bank" });
const tracer = new Tracer({ serviceName: "bank" });
const processor = new BatchProcessor(EventType.SQS);
const persistenceStore = new DynamoDBPersistenceLayer({ tableName: process.env.TABLE });
let count = 0;
const pay = makeIdempotent(async (payment) => ({ paid: payment.id, count: ++count }), { persistenceStore });

export const handler = middy(async (event, context) => {
  if (event.Records) {
    return processPartialResponse(event, async (record) => {
      if (JSON.parse(record.body).bad) throw new Error("a bad record");
    }, processor, { context, throwOnFullBatchFailure: false });
  }
  logger.info("paying", { payment: event });
  metrics.addMetric("Paid", MetricUnit.Count, 1);
  return pay(event);
}).use(injectLambdaContext(logger)).use(logMetrics(metrics)).use(captureLambdaHandler(tracer));
"""
BATCH = {
    "Records": [
        {"messageId": str(number), "body": json.dumps({"id": f"b{number}", "bad": number == 2}), "eventSource": "aws:sqs"}
        for number in range(4)
    ]
}

DURABLE = """
import { withDurableExecution } from "@aws/durable-execution-sdk-js";

export const handler = withDurableExecution(async (event, context) => {
  const first = await context.step("first", async () => event.a + 1);
  await context.wait("rest", { seconds: 2 });
  const square = async (inner, item, index) => inner.step(`s${index}`, async () => item * item);
  const squares = await context.map("squares", [1, 2, 3], square);
  const ask = async (id) => { console.log("callback " + id); };
  const approval = await context.waitForCallback("approval", ask, { timeout: { minutes: 5 } });
  return { first, squares: squares.getResults(), approval };
});
"""


def zipped(folder: Path | None = None, **files: str) -> bytes:
    """A zip of a folder or of texts."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as package:
        for path in sorted(folder.rglob("*")) if folder is not None else ():
            if path.is_file() and "__pycache__" not in path.parts:
                package.write(path, path.relative_to(folder or path))
        for name, text in files.items():
            package.writestr(name.replace("__", "."), text)
    return data.getvalue()


@pytest.fixture
def make(client: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function with a role that may do everything, and a table for idempotency."""
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    document = json.dumps({"Version": "2012-10-17", **trust})
    role = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    client("iam").put_role_policy(RoleName="r", PolicyName="all", PolicyDocument=json.dumps(policy))
    client("dynamodb").create_table(
        TableName="idempotency", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    functions = client("lambda")

    def made(runtime: str, handler: str, layer: Path | None, code: bytes, **changes: Any) -> Any:
        layers = []
        if layer is not None:
            layers = [functions.publish_layer_version(LayerName="l", Content={"ZipFile": zipped(layer)})["LayerVersionArn"]]
        functions.create_function(
            FunctionName="f", Runtime=runtime, Handler=handler, Role=role, Code={"ZipFile": code}, Layers=layers, Timeout=30,
            MemorySize=512, Environment={"Variables": {"TABLE": "idempotency", "POWERTOOLS_SERVICE_NAME": "bank"}},
            **changes,
        )  # fmt: skip
        return functions

    return made


def call(functions: Any, event: Any) -> Any:
    """The function's answer; its log when it failed."""
    answer = functions.invoke(FunctionName="f", Payload=json.dumps(event).encode(), LogType="Tail")
    payload = json.loads(answer["Payload"].read())
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "FunctionError" not in answer, json.dumps(payload) + log
    return payload


def test_powertools_python(make: Callable[..., Any], client: Callable[..., Any]) -> None:
    functions = make("python3.11", "app.handler", BUILD / "python", zipped(app__py=POWERTOOLS))
    first = call(functions, {"id": "p1"})
    assert first == {"paid": "p1", "count": 1}
    assert call(functions, {"id": "p1"}) == first, "the second is the first one's answer"
    assert call(functions, {"id": "p2"})["count"] == 2
    assert call(functions, BATCH) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    kept = client("dynamodb").scan(TableName="idempotency")["Items"]
    assert {item["status"]["S"] for item in kept} == {"COMPLETED"}
    assert len(kept) == 5
    # The metrics come last, with the batch: the log is written a moment after the answer.
    said = lines_of(client, '"Handled":')
    line = next(json.loads(text) for text in said if '"payment"' in text)
    assert (line["service"], line["function_name"], line["cold_start"]) == ("bank", "f", True)
    assert any('"Handled":' in text for text in said), "metrics are in the log, embedded"


def test_powertools_typescript_and_middy(make: Callable[..., Any], client: Callable[..., Any]) -> None:
    if not (BUILD / "node" / "nodejs" / "node_modules").is_dir():
        pytest.skip("npm was not there")
    # Modules are not found by NODE_PATH: they are in the package itself, as bundlers leave them.
    data = io.BytesIO(zipped(BUILD / "node" / "nodejs"))
    with zipfile.ZipFile(data, "a") as package:
        package.writestr("app.mjs", MIDDY)
    functions = make("nodejs20.x", "app.handler", None, data.getvalue())
    first = call(functions, {"id": "p1"})
    assert first == {"paid": "p1", "count": 1}
    assert call(functions, {"id": "p1"}) == first, "the second is the first one's answer"
    assert call(functions, BATCH) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    said = lines_of(client, '"Paid":')
    line = next(json.loads(text) for text in said if '"payment"' in text)
    assert (line["service"], line["function_name"]) == ("bank", "f")
    assert any('"Paid":' in text for text in said)


def test_durable_execution_sdk_of_javascript(make: Callable[..., Any], client: Callable[..., Any]) -> None:
    if not (BUILD / "node" / "nodejs" / "node_modules").is_dir():
        pytest.skip("npm was not there")
    data = io.BytesIO(zipped(BUILD / "node" / "nodejs"))
    with zipfile.ZipFile(data, "a") as package:
        package.writestr("app.mjs", DURABLE)
    functions = make("nodejs22.x", "app.handler", None, data.getvalue(), DurableConfig={"ExecutionTimeout": 600})
    arn = functions.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"a": 1}')["DurableExecutionArn"]

    def callback() -> str | None:
        events = functions.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=True)["Events"]
        return next((e["CallbackStartedDetails"]["CallbackId"] for e in events if e["EventType"] == "CallbackStarted"), None)

    functions.send_durable_execution_callback_success(CallbackId=eventually(callback), Result=b'"yes"')
    eventually(lambda: functions.get_durable_execution(DurableExecutionArn=arn)["Status"] != "RUNNING")
    found = functions.get_durable_execution(DurableExecutionArn=arn)
    assert found["Status"] == "SUCCEEDED", found.get("Error")
    result = json.loads(found["Result"])
    assert (result["first"], result["squares"]) == (2, [1, 4, 9])
    assert "yes" in result["approval"]
    assert any("callback " in text for text in lines_of(client, "callback "))


def test_fastapi_behind_a_function_url(make: Callable[..., Any], server: HeadraceServer) -> None:
    functions = make("python3.11", "app.handler", BUILD / "python", zipped(app__py=FASTAPI))
    functions.add_permission(
        FunctionName="f", StatementId="all", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    url = urllib.parse.urlsplit(functions.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"])

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request(
            method, path, None if body is None else json.dumps(body), {"Host": url.netloc, "Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        value = json.loads(answer.read())
        connection.close()
        return answer.status, value, answer.getheader("set-cookie")

    status, value, cookie = ask("GET", "/items/7?q=a%20b")
    assert (status, value) == (200, {"number": 7, "q": "a b"})
    assert cookie.startswith("seen=7")
    assert ask("POST", "/items", {"name": "n", "price": 1.5})[:2] == (201, {"name": "n", "gross": 3.0})
    assert ask("POST", "/items", {"name": "n"})[0] == 422
    assert ask("GET", "/nowhere")[0] == 404


def lines_of(client: Callable[..., Any], wanted: str) -> list[str]:
    """The function's log, once it holds what is wanted."""
    since = int((time.time() - 3600) * 1000)

    def look() -> list[str]:
        events = client("logs").filter_log_events(logGroupName="/aws/lambda/f", startTime=since)["events"]
        found = [event["message"] for event in events]
        return found if any(wanted in text for text in found) else []

    found: list[str] = eventually(look)
    return found


def test_java(make: Callable[..., Any], client: Callable[..., Any]) -> None:
    classes = BUILD / "java" / "classes"
    if not classes.is_dir():
        pytest.skip("Maven was not there")
    functions = make("java17", "bank.Payments::handleRequest", None, zipped(classes), SnapStart={"ApplyOn": "PublishedVersions"})
    assert functions.get_function_configuration(FunctionName="f")["SnapStart"] == {
        "ApplyOn": "PublishedVersions",
        "OptimizationStatus": "Off",
    }
    assert call(functions, {"id": "p1", "cents": 250}) == {"id": "p1", "count": 1, "name": "f", "enough": True}
    assert call(functions, {"id": "p2", "cents": 1})["count"] == 2, "the environment is warm"
    kept = client("dynamodb").scan(TableName="idempotency")["Items"]
    assert {item["id"]["S"]: item["cents"]["N"] for item in kept} == {"p1": "250", "p2": "1"}
    assert lines_of(client, "paying p1")
    failed = functions.invoke(FunctionName="f", Payload=json.dumps({"id": "p3", "cents": -1}).encode())
    error = json.loads(failed["Payload"].read())
    assert (failed["FunctionError"], error["errorType"]) == ("Unhandled", "java.lang.IllegalArgumentException")
    assert error["errorMessage"] == "negative: -1"
    assert call(functions, {"id": "p4", "cents": 4})["count"] == 3, "an exception does not end the environment"
    functions.update_function_configuration(FunctionName="f", Handler="bank.Payments::queue", SnapStart={"ApplyOn": "None"})
    assert functions.get_function_configuration(FunctionName="f")["SnapStart"]["ApplyOn"] == "None"
    assert call(functions, {"Records": [{"messageId": "1", "body": "a"}, {"messageId": "2", "body": "b"}]}) == ["a", "b"]
    functions.update_function_configuration(FunctionName="f", Handler="bank.Payments::reversed")
    assert call(functions, 123) == 321
