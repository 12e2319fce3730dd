"""The Python KCL: its Java daemon reads by fan-out, and hands the records to a Python program."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import kcl
from clients.programs import BUILD
from conftest import REGION, eventually

RECORDS = 5_000
PROCESSOR = Path(__file__).parent / "kclpy" / "processor.py"

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("mode", ["POLLING", "FANOUT"])
def test_kclpy__processes_all_in_order(
    mode: str, kinesis: Any, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    stream = f"kclpy-{mode.lower()}"
    kinesis.create_stream(StreamName=stream, ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    python = BUILD / "kclpy" / "bin" / "python"
    properties = tmp_path / "kcl.properties"
    settings = {
        "executableName": f"{python} {PROCESSOR}", "streamName": stream, "applicationName": f"{stream}-app",
        "AwsCredentialsProvider": "DefaultCredentialsProvider", "processingLanguage": "python/3.11",
        "initialPositionInStream": "TRIM_HORIZON", "regionName": REGION, "retrievalMode": mode,
        "idleTimeBetweenReadsInMillis": "200", "failoverTimeMillis": "3000", "shardSyncIntervalMillis": "2000",
    }  # fmt: skip
    properties.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    (jars,) = BUILD.glob("kclpy/lib/python*/site-packages/amazon_kclpy/jars")
    found = shutil.which("java")
    assert found is not None
    daemon = [found, "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*:{tmp_path}"]
    file = tmp_path / "processed"
    start(
        "daemon",
        *daemon,
        "software.amazon.kinesis.multilang.MultiLangDaemon",
        "--properties-file",
        properties,
        PROCESSED=str(file),
    )
    writer = kcl.Writer(kinesis, stream, RECORDS, per_second=5_000)
    writer.go_on_to(1.0)
    writer.wait_for(1.0)
    eventually(lambda: kcl.count([file]) >= RECORDS, 120)
    kcl.check([file], RECORDS)
