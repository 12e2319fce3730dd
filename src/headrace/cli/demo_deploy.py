"""Deploys the example as a person would: package the code, create a change set, execute it."""

import io
import secrets
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from headrace.cli.server_process import ServerProcess

STACK = "bank"
BUCKET = "bank-code"
DEPLOY_SECONDS_MAX = 120.0


@dataclass(frozen=True)
class Stack:
    """What was deployed."""

    outputs: dict[str, str]
    password: str
    resource_count: int

    @property
    def warehouse_port(self) -> int:
        """The warehouse's port."""
        return int(self.outputs["WarehousePort"])


def deploy(server: ServerProcess, example: Path) -> Stack:
    """Create the stack; SystemExit with the reason when it fails."""
    password = f"Bank{secrets.token_hex(8)}"
    template = _package(server, example)
    cloudformation = server.client("cloudformation")
    cloudformation.create_change_set(
        StackName=STACK,
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=template,
        Parameters=[{"ParameterKey": "WarehousePassword", "ParameterValue": password}],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    deadline = time.monotonic() + DEPLOY_SECONDS_MAX
    while (change_set := cloudformation.describe_change_set(StackName=STACK, ChangeSetName="first"))[
        "Status"
    ] != "CREATE_COMPLETE":
        if change_set["Status"] == "FAILED" or time.monotonic() > deadline:
            raise SystemExit(f"headrace: the change set failed: {change_set.get('StatusReason')}")
        time.sleep(0.05)
    cloudformation.execute_change_set(StackName=STACK, ChangeSetName="first")
    while (stack := cloudformation.describe_stacks(StackName=STACK)["Stacks"][0])["StackStatus"] != "CREATE_COMPLETE":
        if "ROLLBACK" in stack["StackStatus"] or "FAILED" in stack["StackStatus"] or time.monotonic() > deadline:
            events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
            reasons = [f"{e['LogicalResourceId']}: {e['ResourceStatusReason']}" for e in events if e.get("ResourceStatusReason")]
            raise SystemExit("headrace: the stack failed:\n  " + "\n  ".join(reasons))
        time.sleep(0.05)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    resources = cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    return Stack(outputs, password, len(resources))


def _package(server: ServerProcess, example: Path) -> str:
    """Upload the code, and name it in the template, as `aws cloudformation package` does."""
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(example.glob("*.py")):
            file.write(path, path.name)
    s3.put_object(Bucket=BUCKET, Key="overdraft.zip", Body=archive.getvalue())
    return (example / "template.yaml").read_text().replace("CodeUri: .\n", f"CodeUri: s3://{BUCKET}/overdraft.zip\n")
