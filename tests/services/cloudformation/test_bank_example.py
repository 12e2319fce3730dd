"""The bank example: its template deploys and goes away, and its function does what its README says."""

import importlib.util
import io
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import eventually

BANK = Path(__file__).parents[3] / "examples" / "bank"


class Recorder:
    """boto3 clients that note what they are asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.broken = ""

    def client(self, service: str) -> Any:
        def call(name: str) -> Callable[..., Any]:
            return lambda **arguments: self._call(name, arguments)

        return types.SimpleNamespace(**{name: call(name) for name in ("batch_get_item", "send_email", "put_record")})

    def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        if name == "batch_get_item":
            account = {"account_id": {"S": "a1"}, "holder": {"S": "Ada"}, "email": {"S": "ada@example.org"}}
            return {"Responses": {"accounts": [{**account, "credit_limit": {"N": "200"}}]}, "UnprocessedKeys": {}}
        if self.broken and self.broken in str(arguments):
            raise RuntimeError("broken")
        self.calls.append((name, arguments))
        return {}


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Recorder]:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "boto3", recorder)
    for name in ("ACCOUNTS", "REPORTS", "SENDER"):
        monkeypatch.setenv(name, name.lower())
    specification = importlib.util.spec_from_file_location("overdraft", BANK / "overdraft.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module, recorder


def event(*balances: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "dynamodb": {
                    "SequenceNumber": str(number),
                    "NewImage": {
                        "transaction_id": {"S": f"t{number}"}, "account_id": {"S": "a1"}, "amount": {"N": "-5"},
                        "balance": {"N": balance}, "made_at": {"S": "2026-01-05 08:00:00"},
                    },
                }
            }
            for number, balance in enumerate(balances)
        ]
    }  # fmt: skip


def test_handler__only_what_is_beyond_the_limit(bank: tuple[Any, Recorder]) -> None:
    module, recorder = bank
    assert module.handler(event("10", "-200", "-200.01"), None) == {"batchItemFailures": []}
    assert [name for name, _ in recorder.calls] == ["send_email", "put_record"]
    assert recorder.calls[1][1] == {
        "DeliveryStreamName": "reports",
        "Record": {
            "Data": '{"transaction_id": "t2", "account_id": "a1", "holder": "Ada", "amount": "-5", "balance": "-200.01", '
            '"overdrawn_by": "0.01", "made_at": "2026-01-05 08:00:00"}\n'
        },
    }


def test_handler__names_the_first_that_failed(bank: tuple[Any, Recorder]) -> None:
    module, recorder = bank
    recorder.broken = "t1"
    assert module.handler(event("-300", "-400", "-500"), None) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert [name for name, _ in recorder.calls] == ["send_email", "put_record"]


def test_template__deploys_and_goes_away(client: Callable[..., Any]) -> None:
    s3, cloudformation = client("s3"), client("cloudformation")
    bucket = f"code-{client('sts').get_caller_identity()['Account']}"
    s3.create_bucket(Bucket=bucket)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.write(BANK / "overdraft.py", "overdraft.py")
    s3.put_object(Bucket=bucket, Key="code.zip", Body=archive.getvalue())
    s3.put_object(
        Bucket=bucket,
        Key="template.yaml",
        Body=(BANK / "template.yaml").read_text().replace("CodeUri: .\n", f"CodeUri: s3://{bucket}/code.zip\n").encode(),
    )
    url = f"https://{bucket}.s3.us-east-1.amazonaws.com/template.yaml"
    given: dict[str, Any] = {
        "StackName": "bank",
        "TemplateURL": url,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [{"ParameterKey": "WarehousePassword", "ParameterValue": "Passw0rdx"}],
    }
    stack_id = cloudformation.create_stack(**given)["StackId"]

    def settled() -> Any:
        stack = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    stack = eventually(settled, 60)
    assert stack["StackStatus"] == "CREATE_COMPLETE", cloudformation.describe_stack_events(StackName=stack_id)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    function = client("lambda").get_function_configuration(FunctionName=outputs["Function"])
    assert function["Environment"]["Variables"]["ACCOUNTS"] == outputs["Accounts"]
    mapping = client("lambda").list_event_source_mappings(FunctionName=outputs["Function"])["EventSourceMappings"][0]
    assert mapping["FilterCriteria"]["Filters"] == [{"Pattern": '{"eventName": ["INSERT"]}'}]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    with pytest.raises(Exception, match="No updates are to be performed"):
        cloudformation.update_stack(**given)
    given["Parameters"].append({"ParameterKey": "Sender", "ParameterValue": "other@example.com"})
    cloudformation.update_stack(**given)
    assert eventually(settled, 60)["StackStatus"] == "UPDATE_COMPLETE"
    function = client("lambda").get_function_configuration(FunctionName=outputs["Function"])
    assert function["Environment"]["Variables"]["SENDER"] == "other@example.com"
    assert client("sesv2").list_email_identities()["EmailIdentities"][0]["IdentityName"] == "other@example.com"
    cloudformation.delete_stack(StackName="bank")
    assert eventually(settled, 60)["StackStatus"] == "DELETE_COMPLETE"
    assert client("dynamodb").list_tables()["TableNames"] == []
    assert client("lambda").list_functions()["Functions"] == []
