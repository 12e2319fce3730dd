"""The same SQL over the same stream on Flink's mini cluster (what PyFlink starts for SQL), beside an application here.

Both read a stream of one shard from its beginning and write rows to another stream of the same server. Start-up is left out by
looking at when the first and the last row arrived, and taken in by looking at when the last one arrived after all was begun.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import analytics
import analytics_stream
from servers import BUILD, KEY, SECRET, headrace

ROOT = BUILD.parent
FLINK = BUILD / "clients" / "flink"
CLASSES = BUILD / "bench-flink"
OPTIONS = ROOT / "tests" / "clients" / "flink" / "java17.options"
TABLES = """
SET 'parallelism.default' = '2';
SET 'execution.checkpointing.interval' = '1s';
SET 'table.exec.source.idle-timeout' = '1s';
CREATE TABLE s (
  ticker STRING, sector STRING, price DOUBLE, `change` DOUBLE, volume INT,
  arrival TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL, WATERMARK FOR arrival AS arrival
) WITH (
  'connector' = 'kinesis', 'stream' = 'single', 'format' = 'json', 'scan.stream.initpos' = 'TRIM_HORIZON',
  'scan.shard.getrecords.intervalmillis' = '0', {connection}
);
"""
FILTER = """
CREATE TABLE d (ticker STRING, price DOUBLE, `percent` DOUBLE) WITH (
  'connector' = 'kinesis', 'stream' = '{out}', 'format' = 'json', 'sink.batch.max-size' = '500', {connection}
);
INSERT INTO d SELECT ticker, price, `change` / price * 100 FROM s WHERE sector = 'TECHNOLOGY' AND price > 20;
"""
TUMBLING = """
CREATE TABLE d (ticker STRING, `N` BIGINT, volume BIGINT, low DOUBLE, mean DOUBLE) WITH (
  'connector' = 'kinesis', 'stream' = '{out}', 'format' = 'json', 'sink.batch.max-size' = '500', {connection}
);
INSERT INTO d SELECT ticker, COUNT(*), SUM(volume), MIN(price), AVG(price)
FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(arrival), INTERVAL '1' SECOND)) GROUP BY ticker, window_start, window_end;
"""
CASES = {"filter and project": FILTER, "tumbling GROUP BY": TUMBLING}
WAIT_SECONDS = 300.0
QUIET_SECONDS = 1.5


class Ran(NamedTuple):
    """How many rows came, when the first and the last of them did, and how long after the beginning the last one did."""

    rows: int
    between_seconds: float
    whole_seconds: float

    def per_second(self, count: int) -> float:
        """Records a second between the first and the last row."""
        return count * (self.rows - 1) / self.rows / max(self.between_seconds, 0.001)


def _install() -> None:
    subprocess.run(["make", "--silent", "build/clients/flink/.ready"], cwd=ROOT, check=True)
    CLASSES.mkdir(exist_ok=True)
    source = Path(__file__).parent / "flink" / "Local.java"
    subprocess.run(["javac", "-cp", f"{FLINK}/pyflink/lib/*", "-d", str(CLASSES), str(source)], check=True)


def _flink(port: int, folder: Path, statements: str, out: str) -> "subprocess.Popen[bytes]":
    connection = {
        "aws.region": "us-east-1", "aws.endpoint": f"http://127.0.0.1:{port}", "aws.credentials.provider": "BASIC",
        "aws.credentials.basic.accesskeyid": KEY, "aws.credentials.basic.secretkey": SECRET,
    }  # fmt: skip
    words = ", ".join(f"'{name}' = '{value}'" for name, value in connection.items())
    file = folder / f"{out}.sql"
    file.write_text((TABLES + statements).replace("{connection}", words).replace("{out}", out))
    classes = f"{CLASSES}:{FLINK}/pyflink/lib/*:{FLINK}/connector/*"
    with (folder / f"{out}.log").open("wb") as said:
        return subprocess.Popen(
            ["java", "-Xmx2g", f"@{OPTIONS}", "-cp", classes, "Local", str(file)], stdout=said, stderr=subprocess.STDOUT
        )


def _wait_until_quiet(setting: analytics_stream._Setting, out: str, began: float) -> None:
    """Return when rows have come and no more do. Reading all of them meanwhile would take a core from what is measured."""
    shard = setting.kinesis.list_shards(StreamName=out)["Shards"][0]["ShardId"]

    def place(where: str) -> str:
        found = setting.kinesis.get_shard_iterator(StreamName=out, ShardId=shard, ShardIteratorType=where)
        return str(found["ShardIterator"])

    seen = place("TRIM_HORIZON")
    quiet_since: float | None = None
    while quiet_since is None or time.time() - quiet_since < QUIET_SECONDS:
        if time.time() - began > WAIT_SECONDS:
            raise SystemExit(f"no rows came into {out}, or they never end")
        page = setting.kinesis.get_records(ShardIterator=seen, Limit=1)
        seen = page["NextShardIterator"]
        if page["Records"]:
            seen, quiet_since = place("LATEST"), time.time()
        time.sleep(0.1)


def _finished(setting: analytics_stream._Setting, case: str, out: str, expected: int, began: float) -> Ran:
    _wait_until_quiet(setting, out, began)
    shard = setting.kinesis.list_shards(StreamName=out)["Shards"][0]["ShardId"]
    place = setting.kinesis.get_shard_iterator(StreamName=out, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    seen, arrived = 0, []
    while seen < expected:
        if time.time() - began > WAIT_SECONDS:
            raise SystemExit(f"{case} into {out}: {seen} of {expected}")
        page = setting.kinesis.get_records(ShardIterator=place)
        place = page["NextShardIterator"]
        for one in page["Records"]:
            row = json.loads(one["Data"])
            seen += 1 if case == "filter and project" else row["N"]
            arrived.append(one["ApproximateArrivalTimestamp"].timestamp())
        if not page["Records"]:
            time.sleep(0.2)
    return Ran(len(arrived), max(arrived) - min(arrived), max(arrived) - began)


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Two jobs, here and there."""
    if shutil.which("javac") is None:
        print("left out: Flink needs a JDK")
        return []
    _install()
    count = 50_000 if quick else 200_000
    results = []
    with headrace(folder / "flink") as port:
        setting = analytics_stream._Setting(port)
        source = setting.stream("single", 1)
        analytics_stream._fill(setting, "single", count)
        time.sleep(1.1)
        # A record of a later second: Flink's windows end when one comes. It is none that the filter lets through.
        closing = json.dumps({**json.loads(analytics.records(1)[0]), "sector": "NONE"}).encode()
        setting.kinesis.put_record(StreamName="single", PartitionKey="a", Data=closing)
        time.sleep(1.1)
        for case, statements in CASES.items():
            name = case.split(maxsplit=1)[0]
            expected = analytics_stream._expected(case, count)
            out = setting.stream(f"{name}-here", 1)
            began = time.time()
            setting.application(name, analytics_stream.CASES[case], source, out)
            setting.start(name, "TRIM_HORIZON")
            here = _finished(setting, case, f"{name}-here", expected, began)
            setting.stop(name)
            setting.stream(f"{name}-flink", 1)
            began = time.time()
            process = _flink(port, folder, statements, f"{name}-flink")
            try:
                there = _finished(setting, case, f"{name}-flink", expected, began)
            finally:
                process.kill()
                process.wait()
            ratio = here.per_second(count) / there.per_second(count)
            results += [
                row(f"SQL application, {case}, between first and last row", here.per_second(count), "records/s"),
                row(f"Flink's mini cluster, {case}, the same", there.per_second(count), "records/s"),
                row(f"SQL application, {case}, against Flink's mini cluster", ratio, "times", 1.0),
                row(
                    f"SQL application, {case}, against it, with start-up",
                    there.whole_seconds / here.whole_seconds, "times", 20.0,
                ),
            ]  # fmt: skip
    return results
