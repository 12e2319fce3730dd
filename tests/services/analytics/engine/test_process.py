"""The engine's process: records in, encoded rows out, state in pieces, and a life after SIGKILL."""

import json
import os
import signal

import pytest

from headrace.services.analytics.engine.client import Engine
from headrace.services.analytics.engine.schema import (
    Column,
    InputSchema,
    Output,
    Raw,
    RecordFormat,
    ReferenceSchema,
    SqlError,
    Step,
)

CODE = """
CREATE OR REPLACE STREAM "D" ("b" VARCHAR(4), N INTEGER);
CREATE OR REPLACE PUMP "P" AS INSERT INTO "D"
SELECT STREAM "b", SUM("a") FROM "S" GROUP BY "b", STEP("S".ROWTIME BY INTERVAL '10' SECOND);
"""
INPUTS = [InputSchema("S", [Column("a", "INTEGER", "$.a"), Column("b", "VARCHAR(4)", "$.x.b")])]


@pytest.fixture
def engine():  # type: ignore[no-untyped-def]
    running = Engine()
    yield running
    running.close()


def raw(value: object, arrival_ms: int) -> Raw:
    return Raw(value if isinstance(value, bytes) else json.dumps(value).encode(), arrival_ms, "key", "1", "shard-0")


def rows(step: Step, stream: str) -> list[object]:
    return [json.loads(one) for one in step.encoded.get(stream, [])]


def test_step__encodes_rows_and_reports_bad_records(engine: Engine) -> None:
    engine.open(CODE, INPUTS)
    records = [raw({"a": number, "x": {"b": f"k{number % 2}"}}, 1000 * number) for number in range(12)]
    bad = [raw(b"{bad", 12_000), raw({"a": "zz"}, 12_000), raw(b'{"a":"7"}\n{"a":8}', 12_000)]
    step = engine.step({"S": [*records, *bad]}, 30_000, [Output("D"), Output("error_stream")], ["D"])
    assert rows(step, "D") == [
        {"b": "k0", "N": 20}, {"b": "k1", "N": 25}, {"b": "k0", "N": 10}, {"b": "k1", "N": 11}, {"b": None, "N": 15},
    ]  # fmt: skip
    errors = rows(step, "error_stream")
    assert [error["ERROR_NAME"] for error in errors] == ["Deserialization error", "In-application error: cast"]  # type: ignore[index]
    assert bytes.fromhex(errors[0]["DATA_ROW"]) == b"{bad"  # type: ignore[index]
    assert errors[1]["MESSAGE"] == "Could not cast 'zz' to INTEGER"  # type: ignore[index]
    assert step.counts == {"S": 14, "D": 5, "error_stream": 2}
    assert step.rows["D"][0] == {"ROWTIME": "1970-01-01T00:00:10", "b": "k0", "N": 20}


def test_pieces__a_killed_process_goes_on_from_them(engine: Engine) -> None:
    engine.open(CODE, INPUTS)
    kept: dict[str, bytes] = {}
    for number in range(5):
        step = engine.step({"S": [raw({"a": number, "x": {"b": "k"}}, 1000 * number)]}, None, [Output("D")])
        kept.update({name: data for name, data in step.pieces.items() if data is not None})
    assert step.next_ms == 10_000
    assert engine.process_id is not None
    os.kill(engine.process_id, signal.SIGKILL)
    with pytest.raises(ConnectionError):
        engine.step({}, 5_000)
    engine.open(CODE, INPUTS, pieces=kept)
    step = engine.step({"S": [raw({"a": 100, "x": {"b": "k"}}, 9_999)]}, 10_000, [Output("D", "CSV")])
    assert list(step.encoded["D"]) == [b"k,110\n"]
    assert {name: data for name, data in step.pieces.items() if data is None} == {
        name: None for name in kept if name.startswith("P/")
    }


def test_csv__with_delimiters_and_reference_table(engine: Engine) -> None:
    inputs = [InputSchema("S", [Column("ID", "INTEGER"), Column("N", "DOUBLE")], RecordFormat("CSV", "$", "\n", "|"))]
    tables = [ReferenceSchema("NAMES", [Column("ID", "INTEGER"), Column("NAME", "VARCHAR(8)")], RecordFormat("CSV"))]
    code = "SELECT STREAM s.N, t.NAME FROM S AS s LEFT JOIN NAMES AS t ON s.ID = t.ID;"
    engine.open(code, inputs, tables)
    assert engine.load_reference("NAMES", b"1,one\n2,two\n") == 2
    step = engine.step({"S": [raw(b"1|1.5\n3|2\n", 1), raw(b"2|", 2)]}, None, [Output("OUTPUT")])
    assert rows(step, "OUTPUT") == [{"N": 1.5, "NAME": "one"}, {"N": 2.0, "NAME": None}, {"N": None, "NAME": "two"}]


def test_json__arrays_are_flattened(engine: Engine) -> None:
    record = {"customerName": "John Doe", "orders": [{"orderId": "1", "price": 2.5}, {"orderId": "2"}], "tags": ["a", "b"]}
    inputs = [
        InputSchema(
            "S",
            [
                Column("NAME", "VARCHAR(16)", "$.customerName"),
                Column("ID", "INTEGER", "$.orders[0:].orderId"),
                Column("TAGS", "VARCHAR(32)", "$.tags[0:]"),
            ],
        )
    ]
    engine.open("SELECT STREAM name, id, tags FROM S;", inputs)
    step = engine.step({"S": [raw(record, 1), raw({"customerName": "Nobody"}, 2)]}, None, [Output("OUTPUT", "CSV")])
    assert list(step.encoded["OUTPUT"]) == [
        b'John Doe,1,"[""a"",""b""]"\n', b'John Doe,2,"[""a"",""b""]"\n', b"Nobody,,\n",
    ]  # fmt: skip


def test_check__errors_have_their_place(engine: Engine) -> None:
    with pytest.raises(SqlError) as caught:
        engine.check('SELECT STREAM "a"\nFROM "S" WHERE nothing > 1;', INPUTS)
    assert caught.value.sentence() == "From line 2, column 16: Column 'NOTHING' not found in any table"


def test_discover__json_and_csv(engine: Engine) -> None:
    found = engine.discover([b'{"id":1,"timestamp":"x","price":2.5,"who":{"name":"Ann"},"ok":true}', b'{"id":3000000000}'])
    assert [(one.name, one.sql_type, one.mapping) for one in found.columns] == [
        ("id", "BIGINT", "$.id"), ("COL_timestamp", "VARCHAR(4)", "$.timestamp"), ("price", "REAL", "$.price"),
        ("name", "VARCHAR(4)", "$.who.name"), ("ok", "BOOLEAN", "$.ok"),
    ]  # fmt: skip
    assert found.rows[0] == ["1", "x", "2.5", "Ann", "true"]
    found = engine.discover([b"1,a,2.5\n", b"2,bcdef,3"])
    assert found.format.kind == "CSV"
    assert [(one.name, one.sql_type) for one in found.columns] == [
        ("COL_A", "INTEGER"), ("COL_B", "VARCHAR(8)"), ("COL_C", "REAL"),
    ]  # fmt: skip
    with pytest.raises(SqlError, match="No column delimiter"):
        engine.discover([b"just a line"])
