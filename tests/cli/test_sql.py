"""`headrace sql`: a SELECT over the streams within an application."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer
from headrace.cli.sql import statements

CODE = """
CREATE OR REPLACE STREAM "DOUBLED" ("ticker" VARCHAR(8), "twice" INTEGER);
CREATE OR REPLACE PUMP "P" AS INSERT INTO "DOUBLED" SELECT STREAM "ticker", "price" * 2 FROM "TRADES_001" WHERE "price" > 10;
"""


@pytest.fixture
def application(server: HeadraceServer, account: str) -> str:
    """The account of an application `app` that reads a stream of 30 trades, and does not run."""
    kinesis, iam = server.client("kinesis", account), server.client("iam", account)
    kinesis.create_stream(StreamName="trades", ShardCount=2)
    trust = {"Effect": "Allow", "Principal": {"Service": "kinesisanalytics.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    columns = [
        {"Name": "ticker", "Mapping": "$.ticker", "SqlType": "VARCHAR(8)"},
        {"Name": "price", "Mapping": "$.price", "SqlType": "INTEGER"},
    ]
    source = {
        "NamePrefix": "TRADES",
        "KinesisStreamsInput": {"ResourceARN": f"arn:aws:kinesis:us-east-1:{account}:stream/trades"},
        "InputSchema": {
            "RecordFormat": {"RecordFormatType": "JSON", "MappingParameters": {"JSONMappingParameters": {"RecordRowPath": "$"}}},
            "RecordColumns": columns,
        },
    }
    server.client("kinesisanalyticsv2", account).create_application(
        ApplicationName="app", RuntimeEnvironment="SQL-1_0", ServiceExecutionRole=role,
        ApplicationConfiguration={
            "SqlApplicationConfiguration": {"Inputs": [source]},
            "ApplicationCodeConfiguration": {"CodeContentType": "PLAINTEXT", "CodeContent": {"TextContent": CODE}},
        },
    )  # fmt: skip
    put(server, account, *range(30))
    return account


def put(server: HeadraceServer, account: str, *prices: int) -> None:
    rows = [{"ticker": f"T{price % 3}", "price": price} for price in prices]
    server.client("kinesis", account).put_records(
        StreamName="trades", Records=[{"Data": json.dumps(row).encode(), "PartitionKey": row["ticker"]} for row in rows]
    )


def command(server: HeadraceServer, account: str, *arguments: str) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment = {
        **kept, "HEADRACE_PORT": str(server.port), "HEADRACE_DATA": str(server.data),
        "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY, "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
    }  # fmt: skip
    given = [sys.executable, "-m", "headrace.cli.main", "sql", "app", "--account", account, *arguments]
    return {"args": given, "env": environment}


def sql(server: HeadraceServer, account: str, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    called = command(server, account, *arguments)
    return subprocess.run(**called, input=typed, capture_output=True, text=True, timeout=60, check=False)


def test_execute__rows_of_what_the_code_makes(server: HeadraceServer, application: str) -> None:
    wanted = 'SELECT STREAM "ticker", "twice" FROM "DOUBLED" WHERE "twice" > 54'
    ran = sql(server, application, "-e", wanted, "--from", "trim_horizon", "--no-follow", "--json")
    assert ran.returncode == 0, ran.stderr
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert sorted((row["ticker"], row["twice"]) for row in rows) == [("T1", 56), ("T2", 58)]


def test_prompt__several_statements_and_the_streams(server: HeadraceServer, application: str) -> None:
    typed = '\\d\nSELECT STREAM COUNT(*) AS n FROM "DOUBLED"\nGROUP BY FLOOR("DOUBLED".ROWTIME TO DAY);\n\\q\nnever;\n'
    ran = sql(server, application, "--from", "trim_horizon", "--no-follow", typed=typed)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert [line.split(" ", 1)[0] for line in lines[:3]] == ['"TRADES_001"', '"error_stream"', '"DOUBLED"']
    assert lines[-1].split()[-1] == "19"


def test_wrong_select__said_with_its_place(server: HeadraceServer, application: str) -> None:
    ran = sql(server, application, "-e", 'SELECT STREAM "ticker",\n nothing FROM "DOUBLED"')
    assert ran.returncode == 1
    assert "line 2" in ran.stderr


def test_terminal__rows_come_as_they_come_and_ctrl_c_ends_them(server: HeadraceServer, application: str) -> None:
    controller, terminal = pty.openpty()
    called = command(server, application)
    # A shell that runs the tests in the background has them ignore Ctrl-C, and what they start inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(**called, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    try:
        _until(controller, "sql> ")
        os.write(controller, b'SELECT STREAM "twice" FROM "DOUBLED";\n')
        deadline = time.monotonic() + 30
        shown = ""
        while "200" not in shown and time.monotonic() < deadline:
            put(server, application, 100)
            shown = _read(controller, 0.5)
        assert "200" in shown
        process.send_signal(signal.SIGINT)
        _until(controller, "sql> ")
        os.write(controller, b"\\q\n")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def _read(controller: int, seconds: float) -> str:
    found = b""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([controller], [], [], left)[0]:
            found += os.read(controller, 65536)
    return found.decode(errors="replace")


def _until(controller: int, text: str) -> None:
    shown, deadline = "", time.monotonic() + 30
    while text not in shown:
        assert time.monotonic() < deadline, shown
        shown += _read(controller, 0.2)


def test_delivery_stream__its_streams_are_listed_and_a_select_is_refused(server: HeadraceServer, application: str) -> None:
    found = server.client("kinesisanalyticsv2", application).describe_application(ApplicationName="app")["ApplicationDetail"]
    described = found["ApplicationConfigurationDescription"]["SqlApplicationConfigurationDescription"]["InputDescriptions"][0]
    server.client("s3", application).create_bucket(Bucket=f"sql-{application}")
    iam = server.client("iam", application)
    trust = {"Effect": "Allow", "Principal": {"Service": "firehose.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="f", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    feed = server.client("firehose", application).create_delivery_stream(
        DeliveryStreamName="feed",
        S3DestinationConfiguration={"BucketARN": f"arn:aws:s3:::sql-{application}", "RoleARN": role},
    )["DeliveryStreamARN"]
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="r", PolicyName="all", PolicyDocument=json.dumps(allowed))
    server.client("kinesisanalyticsv2", application).update_application(
        ApplicationName="app", CurrentApplicationVersionId=found["ApplicationVersionId"],
        ApplicationConfigurationUpdate={
            "SqlApplicationConfigurationUpdate": {
                "InputUpdates": [{"InputId": described["InputId"], "KinesisFirehoseInputUpdate": {"ResourceARNUpdate": feed}}]
            }
        },
    )  # fmt: skip
    ran = sql(server, application, typed='\\d\nSELECT STREAM "twice" FROM "DOUBLED";\n')
    assert [line.split(" ", 1)[0] for line in ran.stdout.splitlines()] == ['"TRADES_001"', '"error_stream"', '"DOUBLED"']
    assert (ran.returncode, ran.stderr) == (
        1, "headrace: the application reads a delivery stream, which only its application can read\n",
    )  # fmt: skip


def test_statements__end_with_a_semicolon() -> None:
    lines = iter(["SELECT STREAM a\n", "FROM b;\n", "\n", "\\d\n", "SELECT 1"])
    assert list(statements(lines)) == ["SELECT STREAM a\nFROM b", "\\d", "SELECT 1"]
