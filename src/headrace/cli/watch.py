"""`headrace watch`, and `headrace up --watch`: deploy a template, and take over what changes in its folder.

A function's code goes straight into the function; a change of the template, or of a layer, updates the stack.
"""

import argparse
import functools
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from headrace.cli import template_code
from headrace.cli.clients import client
from headrace.cli.template_code import Code
from headrace.kit.errors import AwsError
from headrace.kit.settings import Settings
from headrace.services.cloudformation.engine import reader

LOOK_SECONDS = 0.2
SETTLE_SECONDS = 0.05
# Looking may take this share of a processor: large folders are looked at less often.
LOOK_SHARE = 0.1
DEPLOY_LOOK_SECONDS = 0.1
TEMPLATES = ("template.yaml", "template.yml", "template.json")
TEMPLATE_BYTES_MAX = 51_200
PACKAGE_BYTES_MAX = 50 * 1024 * 1024
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]

_Seen = dict[Path, tuple[int, int, int]]


class Failed(Exception):
    """Something that a person can mend; the text says what."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, and how its template is deployed."""
    parser.add_argument("folder", type=Path, help="a folder with a template.yaml, or a template")
    add_stack_arguments(parser)


def add_stack_arguments(parser: argparse.ArgumentParser) -> None:
    """The stack's name and its parameters."""
    parser.add_argument("--stack", help="the stack's name (default: the folder's)")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the template; may be repeated"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Watch until Ctrl-C, or until the server that started this has ended."""
    parent = os.getppid()
    try:
        watcher = Watcher(settings, arguments.folder, arguments.stack, arguments.parameter, as_json=arguments.json)
    except (Failed, OSError) as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 1
    watcher.deploy()
    while os.getppid() == parent:
        watcher.look()
        time.sleep(watcher.pause_seconds)
    return 0


class Watcher:
    """One template, its stack, and the folders of its code."""

    def __init__(
        self, settings: Settings, where: Path, stack: str | None, parameters: list[str], *, as_json: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._template = _template(where)
        self._folder = self._template.parent
        self._stack = stack or re.sub(r"[^A-Za-z0-9-]+", "-", self._folder.name).strip("-") or "watched"
        if wrong := [one for one in parameters if "=" not in one]:
            raise Failed(f"--parameter takes NAME=VALUE, not {wrong[0]}")
        self._parameters = dict(one.split("=", 1) for one in parameters)
        self._json = as_json
        self._tell = tell or functools.partial(print, flush=True)
        # The functions of the stack, by their logical ids.
        self.functions: dict[str, str] = {}
        self._left_out = frozenset({settings.data.resolve(), self._template})
        self._clients = {name: client(settings, name) for name in ("cloudformation", "lambda", "s3")}
        self._bucket = f"headrace-watch-{settings.account_id}"
        self._codes: list[Code] = []
        self._aliases: dict[str, str] = {}
        self._physical: dict[str, str] = {}
        self._seen = self._scan()
        self.pause_seconds = LOOK_SECONDS

    def look(self) -> None:
        """Take over what has changed since the last look; what is wrong is said, and watching goes on."""
        began = time.monotonic()
        found = self._scan()
        self.pause_seconds = max(LOOK_SECONDS, (time.monotonic() - began) / LOOK_SHARE)
        if found == self._seen:
            return
        # An editor writes in several steps.
        while (again := self._settled()) != found:
            found = again
        changed = {path for path in found.keys() | self._seen.keys() if found.get(path) != self._seen.get(path)}
        self._seen = found
        if self._template in changed:
            self.deploy()
            return
        touched = [code for code in self._codes if any(path.is_relative_to(code.path) for path in changed)]
        if any(code.is_layer or code.resource not in self._physical for code in touched):
            self.deploy()
            return
        for code in touched:
            names = sorted(str(path.relative_to(self._folder)) for path in changed if path.is_relative_to(code.path))
            self._guarded(functools.partial(self._reload, code, names))

    def deploy(self) -> None:
        """Make the stack, or change it, as the template says now."""
        self._guarded(self.deploy_once)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ClientError as error:
            self._say("failed", f"failed: {error.response['Error']['Message']}", reason=error.response["Error"]["Message"])
        except (Failed, AwsError, BotoCoreError, OSError, ValueError) as error:
            self._say("failed", f"failed: {error}", reason=str(error))

    def deploy_once(self) -> None:
        """As `deploy`, and what is wrong is raised: Failed, AwsError, and the errors of boto3 and of files."""
        began = time.monotonic()
        template = _read(self._template)
        self._codes = template_code.find(template, self._folder)
        self._seen = self._scan()
        self._aliases = {
            name: one["Properties"]["AutoPublishAlias"]
            for name, one in (template.get("Resources") or {}).items()
            if isinstance(one, dict) and isinstance((one.get("Properties") or {}).get("AutoPublishAlias"), str)
        }
        for code in self._codes:
            template_code.place(template, code, self._bucket, self._upload(template_code.pack(code.path, self._left_out)))
        changed = self._put_stack(template)
        listed = self._clients["cloudformation"].get_paginator("list_stack_resources").paginate(StackName=self._stack)
        resources = [one for page in listed for one in page["StackResourceSummaries"]]
        self._physical = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources if "PhysicalResourceId" in one}
        kinds = {one["LogicalResourceId"]: one["ResourceType"] for one in resources}
        self.functions = {name: given for name, given in self._physical.items() if kinds[name] == "AWS::Lambda::Function"}
        seconds = time.monotonic() - began
        said = "deployed" if changed else "unchanged"
        self._say(said, f"stack {self._stack} {said}: {len(resources)} resources ({seconds:.1f} s)", resources=len(resources))

    def _reload(self, code: Code, names: list[str]) -> None:
        began = time.monotonic()
        package = template_code.pack(code.path, self._left_out)
        function = self._physical[code.resource]
        given: dict[str, Any] = {"ZipFile": package}
        if len(package) > PACKAGE_BYTES_MAX:
            given = {"S3Bucket": self._bucket, "S3Key": self._upload(package)}
        alias = self._aliases.get(code.resource)
        made = self._clients["lambda"].update_function_code(FunctionName=function, Publish=alias is not None, **given)
        if alias is not None:
            self._clients["lambda"].update_alias(FunctionName=function, Name=alias, FunctionVersion=made["Version"])
        what = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        seconds = time.monotonic() - began
        self._say("reloaded", f"{code.resource} reloaded: {what} ({seconds * 1000:.0f} ms)", function=function, files=names)

    def _upload(self, package: bytes) -> str:
        s3, key = self._clients["s3"], f"{template_code.digest(package)}.zip"
        s3.create_bucket(Bucket=self._bucket)
        s3.put_object(Bucket=self._bucket, Key=key, Body=package)
        return key

    def _put_stack(self, template: dict[str, Any]) -> bool:
        """Create or update the stack and wait; whether anything was to be done."""
        cloudformation = self._clients["cloudformation"]
        body = json.dumps(template)
        given: dict[str, Any] = {"TemplateBody": body}
        if len(body.encode()) > TEMPLATE_BYTES_MAX:
            self._clients["s3"].put_object(Bucket=self._bucket, Key="template.json", Body=body.encode())
            given = {"TemplateURL": f"https://s3.amazonaws.com/{self._bucket}/template.json"}
        given |= {"StackName": self._stack, "Capabilities": CAPABILITIES}
        given["Parameters"] = [{"ParameterKey": key, "ParameterValue": value} for key, value in self._parameters.items()]
        status = self._status()
        if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            cloudformation.delete_stack(StackName=self._stack)
            self._wait()
            status = ""
        try:
            getattr(cloudformation, "update_stack" if status else "create_stack")(**given)
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return False
            raise
        status = self._wait()
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise Failed(f"stack {self._stack} is {status}\n  " + "\n  ".join(self._reasons()))
        return True

    def _status(self) -> str:
        """What the stack is in; "" when there is none."""
        try:
            (stack,) = self._clients["cloudformation"].describe_stacks(StackName=self._stack)["Stacks"]
        except ClientError:
            return ""
        return str(stack["StackStatus"])

    def _wait(self) -> str:
        while (status := self._status()).endswith("_IN_PROGRESS"):
            time.sleep(DEPLOY_LOOK_SECONDS)
        return status

    def _reasons(self) -> list[str]:
        """Why the last operation on the stack failed."""
        found = []
        for event in self._clients["cloudformation"].describe_stack_events(StackName=self._stack)["StackEvents"]:
            if event.get("ResourceStatusReason") == "User Initiated":
                break
            if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
                found.append(f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}")
        return found[::-1]

    def _settled(self) -> _Seen:
        time.sleep(SETTLE_SECONDS)
        return self._scan()

    def _scan(self) -> _Seen:
        """All files that matter, and what they look like."""
        seen: _Seen = {}
        for top in {self._template, *(code.path for code in self._codes)}:
            for path in template_code.files(top, self._left_out - {self._template} if top == self._template else self._left_out):
                try:
                    found = path.stat()
                except OSError:
                    continue
                seen[path] = (found.st_mtime_ns, found.st_size, found.st_ino)
        return seen

    def _say(self, event: str, text: str, **values: Any) -> None:
        self._tell(json.dumps({"event": event, "stack": self._stack, **values}) if self._json else f"watch: {text}")


def _template(where: Path) -> Path:
    if where.is_file():
        return where.resolve()
    for name in TEMPLATES:
        if (where / name).is_file():
            return (where / name).resolve()
    raise Failed(f"there is no {TEMPLATES[0]} in {where.absolute()}")


def _read(path: Path) -> dict[str, Any]:
    return reader.read(path.read_text())
