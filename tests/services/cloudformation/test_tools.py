"""The AWS CLI as people use it, and a server that is killed while it makes a stack."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT_SECRET, HeadraceServer, eventually
from headrace.kit.accounts import account_credentials
from headrace.services.cloudformation import limits

FUNCTION = """
Transform: AWS::Serverless-2016-10-31
Parameters: {Size: {Type: Number, Default: 128}}
Resources:
  Accounts: {Type: AWS::Serverless::SimpleTable}
  Stream: {Type: AWS::Kinesis::Stream}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: code.handler
      CodeUri: .
      MemorySize: !Ref Size
      Policies: [{DynamoDBCrudPolicy: {TableName: !Ref Accounts}}]
      Events: {New: {Type: Kinesis, Properties: {Stream: !GetAtt Stream.Arn, StartingPosition: LATEST}}}
"""


def test_cli__package_and_deploy(server: HeadraceServer, account: str, tmp_path: Path) -> None:
    key, secret = account_credentials(ROOT_SECRET, account)
    environment = {
        **os.environ, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.url,
    }  # fmt: skip

    def aws(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, str(Path(sys.executable).with_name("aws")), *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
        return done.returncode, done.stdout + done.stderr

    (tmp_path / "template.yaml").write_text(FUNCTION)
    (tmp_path / "code.py").write_text("def handler(event, context):\n    return len(event['Records'])\n")
    bucket = f"code-{account}"
    server.client("s3", account).create_bucket(Bucket=bucket)
    package = ("--template-file", "template.yaml", "--s3-bucket", bucket, "--output-template-file", "packaged.yaml")
    assert aws("cloudformation", "package", *package)[0] == 0
    deploy = ("cloudformation", "deploy", "--template-file", "packaged.yaml", "--stack-name", "cli")
    status, text = aws(*deploy, "--capabilities", "CAPABILITY_IAM")
    assert (status, "Successfully created/updated stack - cli" in text) == (0, True), text
    status, text = aws(*deploy, "--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset")
    assert (status, "No changes to deploy. Stack cli is up to date" in text) == (0, True), text
    given = ("--parameter-overrides", "Size=256", "--s3-bucket", bucket, "--force-upload")
    status, text = aws(*deploy, "--capabilities", "CAPABILITY_IAM", *given)
    assert (status, "Successfully created/updated stack - cli" in text) == (0, True), text
    function = server.client("lambda", account).list_functions()["Functions"][0]
    assert (function["MemorySize"], function["FunctionName"][:13]) == (256, "cli-Function-")
    status, text = aws(*deploy)
    assert (status, "Requires capabilities : [CAPABILITY_IAM]" in text) == (255, True), text


def test_kill__the_stack_goes_on(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        names = [f"Q{number}" for number in range(60)]
        template = "Resources:\n" + "".join(f"  {name}: {{Type: AWS::SQS::Queue}}\n" for name in names)
        cloudformation = server.client("cloudformation")
        cloudformation.create_stack(StackName="killed", TemplateBody=template)
        eventually(lambda: len(cloudformation.describe_stack_resources(StackName="killed")["StackResources"]) > 5)
        server.kill()
        server.start()
        assert cloudformation.describe_stacks(StackName="killed")["Stacks"][0]["StackStatus"] == "CREATE_IN_PROGRESS"
        server.advance(limits.LEASE_SECONDS + 1)

        def complete() -> bool:
            status = cloudformation.describe_stacks(StackName="killed")["Stacks"][0]["StackStatus"]
            return bool(status == "CREATE_COMPLETE")

        eventually(complete, 30)
        assert len(server.client("sqs").list_queues(MaxResults=1000)["QueueUrls"]) == len(names)
    finally:
        server.stop()
