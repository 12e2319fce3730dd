"""The SQL engine on one core: JSON records of 1 KB in, encoded rows out; and the memory of a million groups.

Each case runs in a process of its own, which decodes, computes and encodes; the records lie in memory.
"""

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SRC = Path(__file__).resolve().parents[1] / "src"
sys.path.insert(0, str(SRC))

from headrace.services.analytics.engine.process import Worker  # noqa: E402
from headrace.services.analytics.engine.schema import Column, InputSchema  # noqa: E402

SOURCE = "SOURCE_SQL_STREAM_001"
COLUMNS = [
    Column("TICKER", "VARCHAR(8)", "$.ticker"),
    Column("SECTOR", "VARCHAR(16)", "$.sector"),
    Column("PRICE", "DOUBLE", "$.price"),
    Column("CHANGE", "DOUBLE", "$.change"),
    Column("VOLUME", "INTEGER", "$.volume"),
]
FILTER = f"""
CREATE OR REPLACE STREAM "D" (ticker VARCHAR(8), price DOUBLE, percent DOUBLE);
CREATE OR REPLACE PUMP "P" AS INSERT INTO "D"
SELECT STREAM ticker, price, change / price * 100 FROM "{SOURCE}" WHERE sector = 'TECHNOLOGY' AND price > 20;
"""
TUMBLING = f"""
CREATE OR REPLACE STREAM "D" (ticker VARCHAR(8), n INTEGER, volume BIGINT, low DOUBLE, mean DOUBLE);
CREATE OR REPLACE PUMP "P" AS INSERT INTO "D"
SELECT STREAM ticker, COUNT(*), SUM(volume), MIN(price), AVG(price) FROM "{SOURCE}"
GROUP BY ticker, STEP("{SOURCE}".ROWTIME BY INTERVAL '10' SECOND);
"""
SLIDING = f"""
CREATE OR REPLACE STREAM "D" (ticker VARCHAR(8), n INTEGER, mean DOUBLE);
CREATE OR REPLACE PUMP "P" AS INSERT INTO "D"
SELECT STREAM ticker, COUNT(*) OVER w, AVG(price) OVER w FROM "{SOURCE}"
WINDOW w AS (PARTITION BY ticker RANGE INTERVAL '1' SECOND PRECEDING);
"""
CASES = {"filter and project": FILTER, "tumbling GROUP BY": TUMBLING, "sliding window": SLIDING}
BATCH = 5000
TARGET_PER_SECOND = 80_000
GROUPS = 1_000_000
GROUPS_BYTES_MAX = 1 << 30


def records(count: int) -> list[bytes]:
    """Records of 1 KB: five members that are read, and others that are not."""
    chance = random.Random(7)
    sectors = ["TECHNOLOGY", "ENERGY", "RETAIL", "FINANCIAL"]
    made = []
    for number in range(count):
        one = {
            "id": number, "ticker": f"T{chance.randrange(500)}", "sector": chance.choice(sectors),
            "price": chance.random() * 100 + 1,
            "change": chance.random() - 0.5, "volume": chance.randrange(10_000),
            "note": {"text": "x" * 400, "tags": ["a", "b", "c"] * 20, "flags": {f"f{place}": place for place in range(20)}},
        }  # fmt: skip
        one["pad"] = ""
        one["pad"] = "p" * (1024 - len(json.dumps(one)))
        made.append(json.dumps(one).encode())
    return made


def run(case: str, count: int) -> float:
    """Records a second of processor time: what one core that does nothing else takes."""
    worker = Worker()
    worker.open(CASES[case], [_plain(InputSchema(SOURCE, COLUMNS))], [], None)
    data = records(20_000)
    times = [0.0]
    for start in range(0, count, BATCH):
        batch = data[start % len(data) : start % len(data) + BATCH]
        arrivals = [start // 20 + place // 20 for place in range(len(batch))]
        sent = {SOURCE: [batch, arrivals, ["k"] * len(batch), ["1"] * len(batch), ["s"] * len(batch)]}
        before = time.process_time()
        worker.step(sent, None, [["D", "JSON"]], [])
        times.append(time.process_time() - before)
    return count / sum(times)


def groups(count: int) -> int:
    """Bytes that the process has at most, with so many groups open and their state saved."""
    worker = Worker()
    worker.open(TUMBLING, [_plain(InputSchema(SOURCE, COLUMNS))], [], None)
    for start in range(0, count, BATCH):
        batch = [b'{"ticker":"G%07d","price":2.5,"volume":1}' % number for number in range(start, start + BATCH)]
        sent = {SOURCE: [batch, [1] * BATCH, ["k"] * BATCH, ["1"] * BATCH, ["s"] * BATCH]}
        worker.step(sent, None, [["D", "JSON"]], [])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _plain(schema: InputSchema) -> dict[str, Any]:
    columns = [{"name": one.name, "sql_type": one.sql_type, "mapping": one.mapping} for one in schema.columns]
    return {"name": schema.name, "columns": columns}


def _alone(what: str, count: int) -> float:
    ran = subprocess.run(
        [sys.executable, str(Path(__file__)), what, str(count)], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(SRC), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    return float(ran.stdout)


def measure(row: Callable[..., dict[str, Any]], folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Records a second of each case, and the memory of many groups."""
    count = 100_000 if quick else 500_000
    results = []
    for case in CASES:
        target = None if case == "sliding window" else float(TARGET_PER_SECOND)
        results.append(row(f"SQL, {case}, 1 KB JSON, one core", _alone(case, count), "records/s", target))
    many = GROUPS // 10 if quick else GROUPS
    results.append(
        row(f"SQL, {many:,} groups, memory", _alone("groups", many) / 2**20, "MiB", GROUPS_BYTES_MAX / 2**20, below=True)
    )
    return results


if __name__ == "__main__":
    print(groups(int(sys.argv[2])) if sys.argv[1] == "groups" else run(sys.argv[1], int(sys.argv[2])))
