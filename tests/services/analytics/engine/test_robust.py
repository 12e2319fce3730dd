"""Whatever comes in: code is compiled or refused with a place, rows pass or go to the error stream, the engine goes on."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.services.analytics.engine.applications import Application, columns

from headrace.services.analytics.engine.process import Worker
from headrace.services.analytics.engine.program import compile
from headrace.services.analytics.engine.records import RecordReader
from headrace.services.analytics.engine.schema import Column, InputSchema, RecordFormat, SqlError

TYPES = ["BOOLEAN", "TINYINT", "INTEGER", "BIGINT", "DECIMAL(9,2)", "REAL", "DOUBLE", "VARCHAR(5)", "DATE", "TIME", "TIMESTAMP"]
INPUT = [Column(f"C{place}", kind) for place, kind in enumerate(TYPES)]
EXPRESSIONS = ", ".join(
    [
        "c1 + c2",
        "c1 * c3",
        "c3 / c2",
        "c4 * c4",
        "c5 / c6",
        "MOD(c2, c1)",
        "POWER(c5, c6)",
        "EXP(c6)",
        "LN(c5)",
        "CAST(c3 AS TINYINT)",
        "CAST(c6 AS INTEGER)",
        "CAST(c7 AS DOUBLE)",
        "CAST(c7 AS TIMESTAMP)",
        "CAST(c6 AS DECIMAL(5,1))",
        "c8 + INTERVAL '400' DAY",
        "c10 + INTERVAL '13' MONTH",
        "TO_TIMESTAMP(c3)",
        "FLOOR(c10 TO YEAR)",
        "EXTRACT(WEEK FROM c10)",
        "SUBSTRING(c7 FROM c2)",
        "CASE WHEN c0 THEN c1 / c2 ELSE c3 END",
        "COALESCE(c2, c1) = c3",
        "c9 + INTERVAL '5' HOUR",
        "TIMESTAMP_TO_CHAR('yyyy', c10)",
        "CAST(c10 AS VARCHAR(20)) || c7",
        "c7 LIKE '%a_'",
        "STEP(c6 BY 0.5)",
        "ROUND(c6, 2)",
        "c1 IN (1, c2)",
        "-c3",
        "ABS(c3)",
    ]
)
JSON = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["2018-08-01", "2018-08-01 10:00:00", "10:00", "1e400", "-0", " 7 ", "9999-12-31"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@given(st.lists(st.lists(JSON, min_size=len(TYPES), max_size=len(TYPES)), max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_values__rows_come_out_or_are_reported(rows: list[list[Any]]) -> None:
    code = f"""SELECT STREAM {EXPRESSIONS} FROM S;"""
    worker = Worker()
    worker.open(code, [{"name": "S", "columns": [{"name": one.name, "sql_type": one.sql_type} for one in INPUT]}], [], None)
    data = [json.dumps({f"C{place}": value for place, value in enumerate(row)}).encode() for row in rows]
    count = len(data)
    sent = {"S": [data, [1] * count, [""] * count, [""] * count, [""] * count]}
    encoded, _, _, counts, _ = worker.step(sent, 5, [["OUTPUT", "JSON"], ["error_stream", "CSV"]], ["S", "OUTPUT"])
    assert counts["OUTPUT"] + counts["error_stream"] == count
    assert len(encoded.get("OUTPUT", [])) == counts["OUTPUT"]


WORDS = st.sampled_from(
    [
        "SELECT",
        "STREAM",
        "FROM",
        "WHERE",
        "GROUP",
        "BY",
        "OVER",
        "PARTITION",
        "RANGE",
        "ROWS",
        "PRECEDING",
        "INTERVAL",
        "WINDOW",
        "AS",
        "(",
        ")",
        ",",
        ".",
        ";",
        "*",
        "+",
        "-",
        "/",
        "=",
        "<",
        "'x'",
        "'1'",
        "1",
        "2.5",
        "x",
        "y",
        "COUNT",
        "SUM",
        "FLOOR",
        "STEP",
        "TO",
        "MINUTE",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "CAST",
        "INTEGER",
        "NULL",
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "JOIN",
        "ON",
        "UNION",
        "ALL",
        '"S"',
        "S",
        "CREATE",
        "PUMP",
        "INSERT",
        "INTO",
        "VIEW",
        "WINDOWED",
        "STAGGER",
        "ROWTIME",
        "LIKE",
        "IS",
        "TRIM",
        "EXTRACT",
        "TABLE",
        "CURSOR",
    ]
)


@given(st.lists(WORDS, max_size=25), st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_any_code__is_compiled_or_refused_with_a_place(words: list[str], cut: int) -> None:
    good = """CREATE STREAM d (x INTEGER, n INTEGER); CREATE PUMP p AS INSERT INTO d SELECT STREAM x, COUNT(*) AS n FROM S
              WHERE x BETWEEN 1 AND 9 GROUP BY x, STEP(S.ROWTIME BY INTERVAL '1' MINUTE) HAVING COUNT(*) > 1;
              SELECT STREAM CASE WHEN x > 1 THEN 'a' ELSE 'b' END, LAG(x) OVER (PARTITION BY y ROWS 1 PRECEDING) FROM S;"""
    for code in (" ".join(words), good[:cut] + " ".join(words[:3]) + good[cut:]):
        refused: SqlError | None = None
        try:
            compile(code, [InputSchema("S", columns("X INTEGER, Y VARCHAR(4)"))])
        except SqlError as error:
            refused = error
        assert refused is None or refused.line > 0 or "circle" in refused.message


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, max_size=3), max_size=5))
@settings(max_examples=60, deadline=None)
def test_json__read_fast_and_read_slowly_is_the_same(values: list[dict[str, Any]]) -> None:
    found = [Column("A", "VARCHAR(9)", "$.a"), Column("B", "VARCHAR(9)", "$.b.b"), Column("C", "VARCHAR(9)", "$.c")]
    records = [json.dumps(value).encode() for value in values]
    fast = RecordReader(RecordFormat("JSON"), found).read(records)
    slow = RecordReader(RecordFormat("JSON"), found)
    slow._fast = None
    assert fast.columns == slow.read(records).columns
    assert fast.size == len(records)


def test_other_code__takes_only_the_clock_and_removes_the_pieces() -> None:
    inputs = columns("X INTEGER")
    code = 'SELECT STREAM x, COUNT(*) FROM "SOURCE_SQL_STREAM_001" GROUP BY x, FLOOR(ROWTIME TO MINUTE);'
    first = Application(code, inputs).push([("10:00:30", 1)])
    kept = {name: data for name, data in first.program.changes().items() if data is not None}
    changed = Application(code.replace("COUNT(*)", "SUM(x)"), inputs)
    changed.program.restore(kept)
    assert {name for name, data in changed.program.changes().items() if data is None} == {
        name for name in kept if name.startswith("OUTPUT/")
    }
    changed.push([("10:00:10", 5)]).advance("10:01:00")
    assert changed.found(rowtime=True) == [("10:01:00", 5, 5)]
    assert [row["ROWTIME"].second for row in changed.rows["SOURCE_SQL_STREAM_001"]] == [30]
    again = Application(code, inputs)
    again.program.restore(kept)
    assert again.advance("10:01:00").found() == [(1, 1)]


def test_deep_expressions__are_refused() -> None:
    with pytest.raises(SqlError, match="nested too deep"):
        Application("SELECT STREAM " + "(" * 500 + "1" + ")" * 500 + ' FROM "SOURCE_SQL_STREAM_001";', columns("X INTEGER"))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("INTEGER", True, 1), ("DECIMAL(5,2)", False, "0.00"), ("BOOLEAN", True, True), ("VARCHAR(3)", True, "tru"),
        ("TIMESTAMP", True, None), ("INTEGER", 123.4, None), ("INTEGER", 5.0, 5), ("TINYINT", 200, None),
        ("DECIMAL(5,2)", 84.51, "84.51"),
        ("DECIMAL(5,2)", 84.515, None), ("BOOLEAN", 0, False), ("BOOLEAN", 7.5, True), ("VARCHAR(9)", 67321, "67321"),
        ("TIMESTAMP", 1533150000000, None), ("INTEGER", "42", 42), ("INTEGER", "x", None), ("INTEGER", "", None),
        ("BOOLEAN", "TRUE", True), ("BOOLEAN", "yes", False), ("VARCHAR(4)", "John Doe", "John"),
        ("DATE", "1992-02-14", "1992-02-14"),
        ("TIMESTAMP", "1992-02-14 18:35:44.0", "1992-02-14 18:35:44.000"), ("TIMESTAMP", "soon", None),
        ("VARCHAR(20)", [1, {"a": 2}], '[1,{"a":2}]'), ("DOUBLE", [1], None), ("VARBINARY(4)", "X'3F67'", "3f67"),
        ("VARBINARY(4)", "3F67", None),
    ],
)  # fmt: skip
def test_json_types__become_sql_types_or_a_coercion_error(kind: str, value: Any, expected: Any) -> None:
    worker = Worker()
    worker.open("SELECT STREAM c FROM S;", [{"name": "S", "columns": [{"name": "C", "sql_type": kind}]}], [], None)
    record = [[json.dumps({"C": value}).encode()], [1], [""], [""], [""]]
    encoded, _, _, counts, _ = worker.step({"S": record}, None, [["OUTPUT", "JSON"]], [])
    if expected is None:
        assert counts["error_stream"] == 1
    else:
        (row,) = encoded["OUTPUT"]
        found = json.loads(row)["C"]
        assert (f"{found:.2f}" if kind.startswith("DECIMAL") else found) == expected
