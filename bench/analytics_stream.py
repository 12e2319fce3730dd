"""SQL applications that run: from a stream of JSON records of 1 KB to another stream, both durable.

The records are in the stream when the application starts from its beginning. A record's cost is the processor time of all that
works on it, the server and the engine's process: so many records one core takes. Beside it stands what the two get done together.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import analytics
from servers import client, headrace, server_status

SHARDS = 4
BATCH = 500
WINDOWS = 100
QUIET_SECONDS = 1.0
IDLE_SHARE = 0.05
ROLE_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "kinesisanalytics.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
ALLOWED = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
CASES = {"filter and project": analytics.FILTER, "tumbling GROUP BY": analytics.TUMBLING.replace("'10' SECOND", "'1' SECOND")}


class _Setting:
    """A server with a role, and the clients that set applications up."""

    def __init__(self, port: int) -> None:
        self.pid = int(server_status(port)["pid"])
        self.kinesis = client("kinesis", port)
        self.analytics = client("kinesisanalyticsv2", port)
        iam = client("iam", port)
        self.role = iam.create_role(RoleName="sql", AssumeRolePolicyDocument=ROLE_TRUST)["Role"]["Arn"]
        iam.put_role_policy(RoleName="sql", PolicyName="all", PolicyDocument=ALLOWED)

    def stream(self, name: str, shards: int) -> str:
        """The ARN of a new stream that is active."""
        self.kinesis.create_stream(StreamName=name, ShardCount=shards)
        while True:
            found = self.kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
            if found["StreamStatus"] == "ACTIVE":
                return str(found["StreamARN"])
            time.sleep(0.05)

    def application(self, name: str, code: str, source: str, output: str) -> None:
        """A SQL application that is ready to start."""
        columns = [{"Name": one.name, "SqlType": one.sql_type, "Mapping": one.mapping} for one in analytics.COLUMNS]
        schema = {
            "RecordFormat": {
                "RecordFormatType": "JSON", "MappingParameters": {"JSONMappingParameters": {"RecordRowPath": "$"}},
            },
            "RecordColumns": columns,
        }  # fmt: skip
        self.analytics.create_application(
            ApplicationName=name,
            RuntimeEnvironment="SQL-1_0",
            ServiceExecutionRole=self.role,
            ApplicationConfiguration={
                "ApplicationCodeConfiguration": {"CodeContent": {"TextContent": code}, "CodeContentType": "PLAINTEXT"},
                "SqlApplicationConfiguration": {
                    "Inputs": [
                        {
                            "NamePrefix": "SOURCE_SQL_STREAM",
                            "InputSchema": schema,
                            "KinesisStreamsInput": {"ResourceARN": source},
                        }
                    ],
                    "Outputs": [
                        {
                            "Name": "D",
                            "DestinationSchema": {"RecordFormatType": "JSON"},
                            "KinesisStreamsOutput": {"ResourceARN": output},
                        }
                    ],
                },
            },
        )

    def start(self, name: str, where: str) -> None:
        """Start it, and return when it runs."""
        detail = self.analytics.describe_application(ApplicationName=name)["ApplicationDetail"]
        inputs = detail["ApplicationConfigurationDescription"]["SqlApplicationConfigurationDescription"]["InputDescriptions"]
        self.analytics.start_application(
            ApplicationName=name,
            RunConfiguration={
                "SqlRunConfigurations": [
                    {
                        "InputId": inputs[0]["InputId"],
                        "InputStartingPositionConfiguration": {"InputStartingPosition": where},
                    }
                ]
            },
        )
        while self.analytics.describe_application(ApplicationName=name)["ApplicationDetail"]["ApplicationStatus"] != "RUNNING":
            time.sleep(0.02)

    def stop(self, name: str) -> None:
        """Stop it."""
        self.analytics.stop_application(ApplicationName=name)

    def rows(self, name: str) -> Iterator[list[dict[str, Any]]]:
        """The rows that a stream gets, page by page, for ever; an empty page where nothing has come."""
        shard = self.kinesis.list_shards(StreamName=name)["Shards"][0]["ShardId"]
        place = self.kinesis.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while True:
            page = self.kinesis.get_records(ShardIterator=place)
            place = page["NextShardIterator"]
            yield [json.loads(one["Data"]) for one in page["Records"]]

    def processor_seconds(self) -> float:
        """What the server and its children have used."""
        children = [int(one) for task in os.listdir(f"/proc/{self.pid}/task")
                    for one in Path(f"/proc/{self.pid}/task/{task}/children").read_text().split()]  # fmt: skip
        return sum(_used(one) for one in [self.pid, *children])


def _used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fill(setting: _Setting, name: str, count: int) -> None:
    data = analytics.records(min(count, 20_000))
    for begin in range(0, count, BATCH):
        batch = [{"Data": data[place % len(data)], "PartitionKey": str(place)} for place in range(begin, begin + BATCH)]
        answer = setting.kinesis.put_records(StreamName=name, Records=batch)
        if answer["FailedRecordCount"]:
            raise SystemExit(f"records were refused: {answer}")


def _expected(case: str, count: int) -> int:
    """How much of the output must be there at the end: rows of the filter; records that the groups counted."""
    if case != "filter and project":
        return count
    data = [json.loads(one) for one in analytics.records(min(count, 20_000))]
    kept = [one["sector"] == "TECHNOLOGY" and one["price"] > 20 for one in data]
    return sum(kept[place % len(data)] for place in range(count))


def _rate(setting: _Setting, case: str, source: str, count: int) -> tuple[float, float]:
    """Records a second: of one core, and as they went through. Starting the engine is left out of both."""
    name = case.split(maxsplit=1)[0]
    took, used = _run(setting, name, case, source)
    expected, seen = _expected(case, count), 0
    for rows in setting.rows(name):
        seen += len(rows) if case == "filter and project" else sum(row["N"] for row in rows)
        if not rows:
            break
    if seen != expected:
        raise SystemExit(f"{case}: {seen} of {expected}")
    return count / used, count / took


def _run(setting: _Setting, name: str, case: str, source: str) -> tuple[float, float]:
    """Run an application over all that its source holds; how long that took, and the processor time."""
    setting.application(name, CASES[case], source, setting.stream(name, 1))
    # It is RUNNING once the engine's process has started and the code is compiled; then it reads the first records.
    setting.start(name, "TRIM_HORIZON")
    before, began = setting.processor_seconds(), time.perf_counter()
    used, ended = before, began
    # At its end the application does nothing any more; an idle server takes next to nothing.
    while time.perf_counter() - ended < QUIET_SECONDS:
        time.sleep(0.02)
        now = setting.processor_seconds()
        if now - used > IDLE_SHARE * (time.perf_counter() - ended) + 0.011:
            used, ended = now, time.perf_counter()
    setting.stop(name)
    return ended - began, used - before


def _latencies(setting: _Setting, source: str, windows: int) -> list[float]:
    """Milliseconds from the end of each window to its row in the output stream, at a record every fifth of a second."""
    setting.application("windows", CASES["tumbling GROUP BY"], source, setting.stream("windows", 1))
    setting.start("windows", "NOW")
    one = analytics.records(1)[0]
    ends: list[float] = []
    pages = setting.rows("windows")
    until = time.monotonic() + windows
    while time.monotonic() < until:
        setting.kinesis.put_record(StreamName="source", PartitionKey="a", Data=one)
        for _ in range(10):
            rows = next(pages)
            # A window of one second ends with the second; rows are looked for every 20 ms.
            ends += [time.time() % 1 * 1000] * bool(rows)
            time.sleep(0.02)
    setting.stop("windows")
    return sorted(ends)


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Rates of two applications, and how soon a window's result is there."""
    count = 50_000 if quick else 200_000
    results = []
    with headrace(folder / "analytics") as port:
        setting = _Setting(port)
        source = setting.stream("source", SHARDS)
        _fill(setting, "source", count)
        time.sleep(1.1)
        for case in CASES:
            of_core, through = _rate(setting, case, source, count)
            results.append(row(f"SQL application, {case}, stream to stream, one core", of_core, "records/s", 80_000.0))
            results.append(row(f"SQL application, {case}, stream to stream, as it went", through, "records/s"))
        ends = _latencies(setting, source, 10 if quick else WINDOWS)
        results.append(row("SQL application, window's end to row, p50", statistics.median(ends), "ms"))
        results.append(row("SQL application, window's end to row, p99", ends[int(len(ends) * 0.99)], "ms", 200.0, below=True))
    return results
