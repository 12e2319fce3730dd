"""AWS's SAM CLI deploys the bank. `make e2e` installs it first and runs this; `make test` leaves it out."""

import os
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT_SECRET, HeadraceServer
from headrace.kit.accounts import account_credentials

ROOT = Path(__file__).parents[2]
SAM = ROOT / "build" / "sam" / "bin" / "sam"
MANAGED_STACK = "aws-sam-cli-managed-default"
DEPLOY = (
    "deploy", "--resolve-s3", "--stack-name", "bank", "--capabilities", "CAPABILITY_IAM",
    "--parameter-overrides", "WarehousePassword=Secret1234", "--no-confirm-changeset",
)  # fmt: skip

pytestmark = pytest.mark.timeout(280)


def sam(server: HeadraceServer, account: str, home: Path, *arguments: str) -> tuple[int, str]:
    key, secret = account_credentials(ROOT_SECRET, account)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": server.url, "SAM_CLI_TELEMETRY": "0",
    }  # fmt: skip
    command = [os.environ.get("HEADRACE_SAM", str(SAM)), *arguments]
    done = subprocess.run(
        command, env=environment, cwd=ROOT / "examples" / "bank", capture_output=True, text=True, timeout=250, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_deploy__the_bank(server: HeadraceServer, account: str, tmp_path: Path) -> None:
    cloudformation = server.client("cloudformation", account)
    made = cloudformation.create_stack(
        StackName=MANAGED_STACK,
        TemplateBody=(ROOT / "examples" / "sam" / "bucket.yaml").read_text(),
        Tags=[{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=made["StackId"], WaiterConfig={"Delay": 1})
    status, text = sam(server, account, tmp_path, *DEPLOY)
    assert (status, "Successfully created/updated stack - bank" in text) == (0, True), text
    bank = cloudformation.describe_stacks(StackName="bank")["Stacks"][0]
    assert bank["StackStatus"] == "CREATE_COMPLETE"
    outputs = {one["OutputKey"]: one["OutputValue"] for one in bank["Outputs"]}
    function = server.client("lambda", account).get_function(FunctionName=outputs["Function"])["Configuration"]
    assert function["Handler"] == "overdraft.handler"
    status, text = sam(server, account, tmp_path, *DEPLOY, "--no-fail-on-empty-changeset")
    assert (status, "No changes to deploy" in text) == (0, True), text
    s3 = server.client("s3", account)
    bucket = cloudformation.describe_stacks(StackName=MANAGED_STACK)["Stacks"][0]["Outputs"][0]["OutputValue"]
    assert {"Key": "ManagedStackSource", "Value": "AwsSamCli"} in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]


def test_deploy__its_own_bucket_asks_for_kms(server: HeadraceServer, account: str, tmp_path: Path) -> None:
    status, text = sam(server, account, tmp_path, *DEPLOY)
    assert status != 0, text
    events = server.client("cloudformation", account).describe_stack_events(StackName=MANAGED_STACK)["StackEvents"]
    assert any("Headrace has no KMS" in one.get("ResourceStatusReason", "") for one in events), events
