"""The program: its commands, for people and for programs."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer, free_port
from headrace.kit.accounts import account_credentials


def headrace(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return subprocess.run(
        [sys.executable, "-m", "headrace.cli.main", *arguments],
        env={**kept, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def where(server: HeadraceServer) -> dict[str, str]:
    return {
        "HEADRACE_PORT": str(server.port),
        "HEADRACE_DATA": str(server.data),
        "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY,
        "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
    }


def test_help__names_every_command() -> None:
    ran = headrace("--help")
    assert ran.returncode == 0
    for command in ("up", "demo", "env", "status", "doctor", "version"):
        assert f"    {command} " in ran.stdout


def test_version() -> None:
    assert json.loads(headrace("version", "--json").stdout)["headrace"]
    assert headrace("version").stdout.startswith("headrace ")


def test_env__exports_for_a_shell(server: HeadraceServer) -> None:
    ran = headrace("env", environment=where(server))
    assert f"export AWS_ENDPOINT_URL={server.url}" in ran.stdout.splitlines()
    assert f"export AWS_SECRET_ACCESS_KEY={ROOT_SECRET}" in ran.stdout.splitlines()


def test_env__of_another_account(server: HeadraceServer) -> None:
    values = json.loads(headrace("env", "--json", "--account", "123456789012", environment=where(server)).stdout)
    assert (values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"]) == account_credentials(ROOT_SECRET, "123456789012")


def test_env__works_with_the_aws_cli(server: HeadraceServer) -> None:
    values = json.loads(headrace("env", "--json", environment=where(server)).stdout)
    aws = Path(sys.executable).parent / "aws"
    ran = subprocess.run(
        [sys.executable, str(aws), "sts", "get-caller-identity"],
        env={**os.environ, **values, "AWS_CONFIG_FILE": "/dev/null", "AWS_PAGER": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout)["Account"] == "000000000000"


def test_env__says_what_to_do_without_a_data_folder(tmp_path: Path) -> None:
    ran = headrace("env", "--data", str(tmp_path / "none"))
    assert ran.returncode == 1
    assert "headrace up" in ran.stderr


def test_status__of_a_running_server(server: HeadraceServer) -> None:
    server.client("kinesis").list_streams()
    status = json.loads(headrace("status", "--json", environment=where(server)).stdout)
    assert status["status"] == "running"
    assert status["requests"]["kinesis.ListStreams"] >= 1
    assert isinstance(status["flows"], list)
    shown = headrace("status", environment=where(server)).stdout
    assert "kinesis.ListStreams" in shown
    assert "\nworkers\n" not in shown
    assert "dynamodb.trim" in headrace("status", "--workers", environment=where(server)).stdout


def test_status__shows_how_things_flow(server: HeadraceServer) -> None:
    sqs = server.client("sqs")
    sqs.create_queue(QueueName="status-dead")
    redrive = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:status-dead", "maxReceiveCount": 4}
    sqs.create_queue(QueueName="status-work", Attributes={"RedrivePolicy": json.dumps(redrive)})
    lines = headrace("status", environment=where(server)).stdout.splitlines()
    place = lines.index("queue status-work")
    assert lines[place + 1] == "└── queue status-dead  after 4 receipts"


def test_status__of_none(tmp_path: Path) -> None:
    environment = {"HEADRACE_PORT": str(free_port()), "HEADRACE_ROOT_ACCESS_KEY_ID": "k", "HEADRACE_ROOT_SECRET_ACCESS_KEY": "s"}
    ran = headrace("status", "--json", environment=environment)
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["status"] == "stopped"


def test_doctor__looks_at_everything(server: HeadraceServer) -> None:
    ran = headrace("doctor", "--json", environment=where(server))
    findings = {finding["subject"]: finding for finding in json.loads(ran.stdout)}
    assert {"python", "data", "disk", "port", "functions", "video", "granian", "duckdb"} <= set(findings)
    assert findings["port"]["level"] == "ok"
    assert "filter of system calls" in findings["video"]["finding"]
    assert "server answers" in findings["port"]["finding"]
    assert ran.returncode == (1 if any(finding["level"] == "error" for finding in findings.values()) else 0)


def test_doctor__data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = headrace("doctor", "--json", "--data", str(tmp_path / "file" / "data"), "--port", str(free_port()))
    assert ran.returncode == 1
    (finding,) = [finding for finding in json.loads(ran.stdout) if finding["subject"] == "data"]
    assert finding["level"] == "error"
    assert "--data" in finding["mend"]


def test_settings__wrong_value_is_named() -> None:
    ran = headrace("up", environment={"HEADRACE_PORT": "many"})
    assert ran.returncode == 2
    assert "HEADRACE_PORT must be a whole number" in ran.stderr


def test_up__port_that_is_taken(server: HeadraceServer, tmp_path: Path) -> None:
    ran = headrace("up", "--data", str(tmp_path), "--port", str(server.port))
    assert ran.returncode == 1
    assert f"can't listen on 127.0.0.1:{server.port}" in ran.stderr


def test_up__makes_credentials_that_only_the_owner_reads(tmp_path: Path) -> None:
    server = HeadraceServer(
        tmp_path / "data", environment={"HEADRACE_ROOT_ACCESS_KEY_ID": "", "HEADRACE_ROOT_SECRET_ACCESS_KEY": ""}
    )
    server.start()
    try:
        kept = tmp_path / "data" / "credentials.json"
        assert kept.stat().st_mode & 0o777 == 0o600
        secret = json.loads(kept.read_text())["secret_access_key"]
        assert len(secret) == 40
        assert secret not in server.log_text()
    finally:
        assert server.stop() == 0


def test_up__stops_gracefully_and_starts_again(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    server.client("kinesis").create_stream(StreamName="kept", ShardCount=1)
    assert server.stop() == 0
    server.start()
    assert server.client("kinesis").list_streams()["StreamNames"] == ["kept"]
    assert server.stop() == 0
