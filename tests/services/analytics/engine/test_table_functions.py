"""Top items, ranks, anomalies and hotspots."""

import json
import random

import pytest
from tests.services.analytics.engine.applications import STOCKS, Application, at, columns

from headrace.services.analytics.engine.schema import SqlError


def stock(time: str, ticker: str, price: float = 1.0) -> tuple[str, str, str, float, float]:
    return (time, ticker, "X", 0.5, price)


STOCK_ROWS = [
    stock("10:00:01", "A"), stock("10:00:02", "B"), stock("10:00:03", "A"), stock("10:00:59", "C"), stock("10:01:00", "D"),
    stock("10:01:10", "D"), stock("10:01:20", "B"),
]  # fmt: skip


def test_count_distinct_items() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM DESTINATION_SQL_STREAM (NUMBER_OF_DISTINCT_ITEMS BIGINT);
        CREATE OR REPLACE PUMP "STREAM_PUMP" AS INSERT INTO "DESTINATION_SQL_STREAM"
        SELECT STREAM NUMBER_OF_DISTINCT_ITEMS FROM TABLE(COUNT_DISTINCT_ITEMS_TUMBLING(
          CURSOR(SELECT STREAM TICKER_SYMBOL FROM "SOURCE_SQL_STREAM_001"), 'TICKER_SYMBOL', 60));
        """,
        STOCKS,
    )
    application.push(STOCK_ROWS[:3]).restarted().push(STOCK_ROWS[3:]).advance("10:02:00")
    assert application.found("DESTINATION_SQL_STREAM", rowtime=True) == [("10:01:00", 3), ("10:02:00", 2)]


def test_top_k_items() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM DESTINATION_SQL_STREAM (ITEM VARCHAR(1024), ITEM_COUNT DOUBLE);
        CREATE OR REPLACE PUMP "STREAM_PUMP" AS INSERT INTO "DESTINATION_SQL_STREAM"
        SELECT STREAM ITEM, ITEM_COUNT FROM TABLE(TOP_K_ITEMS_TUMBLING(
          CURSOR(SELECT STREAM * FROM "SOURCE_SQL_STREAM_001"), 'TICKER_SYMBOL', 2, 60));
        """,
        STOCKS,
    )
    application.push(STOCK_ROWS).advance("10:02:00")
    assert application.found("DESTINATION_SQL_STREAM") == [("A", 2.0), ("B", 1.0), ("D", 2.0), ("B", 1.0)]


def test_group_rank__equal_values_share_a_rank() -> None:
    application = Application(
        """
        SELECT STREAM ticker_symbol, "n", "groupRank" FROM TABLE(GROUP_RANK(
          CURSOR(SELECT STREAM ticker_symbol, COUNT(*) AS "n" FROM "SOURCE_SQL_STREAM_001"
                 GROUP BY ticker_symbol, STEP("SOURCE_SQL_STREAM_001".ROWTIME BY INTERVAL '1' MINUTE)),
          'n', 'groupRank', 'desc', 'asc', 10, 2));
        """,
        STOCKS,
    )
    application.push(STOCK_ROWS).advance("10:03:00")
    assert application.found() == [("A", 2, 1), ("B", 1, 2), ("D", 2, 1), ("B", 1, 2)]


PULSE = columns("Systolic INTEGER, Diastolic INTEGER, Level VARCHAR(8)")


def pulses(count: int, seed: int = 1) -> list[tuple[int, int, int, str]]:
    chance = random.Random(seed)
    start = at("10:00:00")
    return [(start + 100 * n, chance.randint(95, 115), chance.randint(62, 72), "NORMAL") for n in range(count)]


ANOMALY = """
CREATE OR REPLACE STREAM "TEMP" ("Systolic" INTEGER, "Diastolic" INTEGER, "Level" VARCHAR(20), "ANOMALY_SCORE" DOUBLE,
                                 "ANOMALY_EXPLANATION" VARCHAR(512));
CREATE OR REPLACE STREAM "D" ("Systolic" INTEGER, "Diastolic" INTEGER, "Level" VARCHAR(20), "ANOMALY_SCORE" DOUBLE,
                              "ANOMALY_EXPLANATION" VARCHAR(512));
CREATE OR REPLACE PUMP "STREAM_PUMP" AS INSERT INTO "TEMP"
  SELECT STREAM "Systolic", "Diastolic", "Level", ANOMALY_SCORE, ANOMALY_EXPLANATION
  FROM TABLE(RANDOM_CUT_FOREST_WITH_EXPLANATION(CURSOR(SELECT STREAM * FROM "SOURCE_SQL_STREAM_001"), 50, 256, 100000, 1, true));
CREATE OR REPLACE PUMP "OUTPUT_PUMP" AS INSERT INTO "D"
  SELECT STREAM * FROM "TEMP" ORDER BY FLOOR("TEMP".ROWTIME TO SECOND), ANOMALY_SCORE DESC;
"""


def test_random_cut_forest_with_explanation__the_planted_anomaly_comes_first_in_its_second() -> None:
    application = Application(ANOMALY, PULSE)
    rows = pulses(600)
    rows[555] = (rows[555][0], 104, 123, "HIGH")
    application.push(rows).advance("11:00:00")
    found = application.found("D")
    assert [row[3] for row in found[:60]] == [0.0] * 60
    highest = max(found, key=lambda row: row[3])
    assert highest[:3] == (104, 123, "HIGH")
    assert found.index(highest) == 550
    assert highest[3] > 2 * sorted(row[3] for row in found)[-5]
    explained = json.loads(highest[4])
    assert explained["Diastolic"]["DIRECTION"] == "HIGH"
    assert float(explained["Diastolic"]["ATTRIBUTION_SCORE"]) > 5 * float(explained["Systolic"]["ATTRIBUTION_SCORE"])


def test_random_cut_forest__goes_on_from_its_pieces_with_the_same_scores() -> None:
    code = """
        SELECT STREAM "Systolic", ANOMALY_SCORE FROM TABLE(RANDOM_CUT_FOREST(
          CURSOR(SELECT STREAM "Systolic", "Diastolic" FROM "SOURCE_SQL_STREAM_001"), 20, 64, 1000, 4));
        """
    rows = pulses(1300)
    whole = Application(code, PULSE).push(rows)
    parts = Application(code, PULSE)
    kept: dict[str, bytes] = {}
    for start in range(0, 1300, 100):
        parts.push(rows[start : start + 100])
        for name, data in parts.program.changes().items():
            assert data is not None
            kept[name] = data
        rows_so_far = parts.rows
        parts = Application(code, PULSE)
        parts.program.restore(kept)
        parts.rows = rows_so_far
        # A new program gives its pieces anew only where they change.
    assert parts.found() == whole.found()
    assert any(score > 0 for _, score in whole.found())


def test_hotspots__dense_points_lie_in_one() -> None:
    chance = random.Random(3)
    start = at("10:00:00")
    rows: list[tuple[int, float, float, str]] = []
    for number in range(1200):
        hot = chance.random() < 0.2
        x = 4 + chance.random() if hot else chance.random() * 10
        y = 6 + chance.random() if hot else chance.random() * 10
        rows.append((start + number, x, y, "Y" if hot else "N"))
    code = """
        SELECT STREAM "x", "y", "is_hot", HOTSPOTS_RESULT FROM TABLE(HOTSPOTS(
          CURSOR(SELECT STREAM * FROM "SOURCE_SQL_STREAM_001"), 1000, 0.2, 17));
        """
    inputs = columns("x DOUBLE, y DOUBLE, is_hot VARCHAR(4)")
    application = Application(code, inputs)
    application.push(rows[:700]).restarted().push(rows[700:])
    last = [(hot, json.loads(result)["hotspots"]) for _, _, hot, result in application.found()[800:]]
    hot = [spots for flag, spots in last if flag == "Y"]
    cold = [spots for flag, spots in last if flag == "N"]
    assert sum(bool(spots) for spots in hot) > 0.8 * len(hot)
    assert sum(bool(spots) for spots in cold) < 0.1 * len(cold)
    spot = next(spots[0] for spots in hot if spots)
    assert 3.7 < spot["minValues"][0] < spot["maxValues"][0] < 5.3
    assert 5.7 < spot["minValues"][1] < spot["maxValues"][1] < 7.3
    assert spot["density"] > 50
    assert Application(code, inputs).push(rows).found() == application.found()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("NOTHING(CURSOR(SELECT STREAM * FROM S), 1)", "No match found for function signature NOTHING"),
        ("TOP_K_ITEMS_TUMBLING(CURSOR(SELECT STREAM * FROM S), 'NOPE', 1, 60)", "Column 'NOPE' not found in the cursor"),
        ("TOP_K_ITEMS_TUMBLING(CURSOR(SELECT STREAM * FROM S), 'A', 'x', 60)", "Argument 3 of"),
        ("RANDOM_CUT_FOREST(CURSOR(SELECT STREAM A FROM S))", "has no numeric column"),
        ("RANDOM_CUT_FOREST(CURSOR(SELECT STREAM B FROM S), 100, 5)", "subSampleSize of .* must be from 10 to 1000"),
    ],
)
def test_errors(function: str, message: str) -> None:
    with pytest.raises(SqlError, match=message):
        Application(f"SELECT STREAM * FROM TABLE({function});", {"S": columns("A VARCHAR(4), B INTEGER")})
