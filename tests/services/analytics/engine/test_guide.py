"""Applications of the developer guide and the SQL reference: records, code, and the rows that they give."""

from datetime import datetime
from typing import Any

import pytest
from tests.services.analytics.engine.applications import STOCKS, Application, columns


def test_variable_column_log_parse__splits_strings_into_fields() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "DESTINATION_SQL_STREAM"("column_A" VARCHAR(16), "column_B" VARCHAR(16), "column_C" VARCHAR(16),
            "COL_1" VARCHAR(16), "COL_2" VARCHAR(16), "COL_3" VARCHAR(16));
        CREATE OR REPLACE PUMP "SECOND_STREAM_PUMP" AS
        INSERT INTO "DESTINATION_SQL_STREAM"
           SELECT STREAM  t."Col_A", t."Col_B", t."Col_C", t.r."COL_1", t.r."COL_2", t.r."COL_3"
           FROM (SELECT STREAM "Col_A", "Col_B", "Col_C",
                   VARIABLE_COLUMN_LOG_PARSE ("Col_E_Unstructured",
                                             'COL_1 TYPE VARCHAR(16), COL_2 TYPE VARCHAR(16), COL_3 TYPE VARCHAR(16)',
                                             ',') AS r
                 FROM "SOURCE_SQL_STREAM_001") as t;
        """,
        columns("Col_A VARCHAR(4), Col_B VARCHAR(4), Col_C VARCHAR(4), Col_E_Unstructured VARCHAR(16)"),
    )
    application.push([("10:00:00", "a", "b", "c", "x,y,z")])
    assert application.found("DESTINATION_SQL_STREAM") == [("a", "b", "c", "x", "y", "z")]


def test_regex_replace__with_the_arrival_time() -> None:
    application = Application(
        """
        -- CREATE OR REPLACE STREAM for cleaned up referrer
        CREATE OR REPLACE STREAM "DESTINATION_SQL_STREAM" ("ingest_time" TIMESTAMP, "referrer" VARCHAR(32));
        CREATE OR REPLACE PUMP "myPUMP" AS INSERT INTO "DESTINATION_SQL_STREAM"
        SELECT STREAM "APPROXIMATE_ARRIVAL_TIME", REGEX_REPLACE("REFERRER", 'http://', 'https://', 1, 0)
        FROM "SOURCE_SQL_STREAM_001";
        """,
        columns("REFERRER VARCHAR(64)"),
    )
    application.push([("10:00:00", "http://www.amazon.com")])
    assert application.found("DESTINATION_SQL_STREAM") == [(datetime(2018, 8, 1, 10), "https://www.amazon.com")]


def test_transforming_dates() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "DESTINATION_SQL_STREAM" (TICKER VARCHAR(4), event_time TIMESTAMP, five_minutes_before TIMESTAMP,
            event_unix_timestamp BIGINT, event_timestamp_as_char VARCHAR(50), event_second INTEGER);
        CREATE OR REPLACE PUMP "STREAM_PUMP" AS INSERT INTO "DESTINATION_SQL_STREAM"
        SELECT STREAM TICKER, EVENT_TIME, EVENT_TIME - INTERVAL '5' MINUTE, UNIX_TIMESTAMP(EVENT_TIME),
            TIMESTAMP_TO_CHAR('yyyy-MM-dd hh:mm:ss', EVENT_TIME), EXTRACT(SECOND FROM EVENT_TIME)
        FROM "SOURCE_SQL_STREAM_001"
        """,
        columns("EVENT_TIME TIMESTAMP, TICKER VARCHAR(4)"),
    )
    application.push([("10:00:00", "2018-05-09T12:50:41.337510", "AAPL")])
    event = datetime(2018, 5, 9, 12, 50, 41, 337000)
    assert application.found("DESTINATION_SQL_STREAM") == [
        ("AAPL", event, event.replace(minute=45), 1525870241337, "2018-05-09 12:50:41", 41),
    ]


def test_throttled_alerts() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "CHANGE_STREAM" (
            ticker_symbol VARCHAR(4), sector VARCHAR(12), change DOUBLE, price DOUBLE);
        CREATE OR REPLACE PUMP "change_pump" AS INSERT INTO "CHANGE_STREAM"
           SELECT STREAM ticker_symbol, sector, change, price FROM "SOURCE_SQL_STREAM_001"
           WHERE (ABS(Change / (Price - Change)) * 100) > 1;
        CREATE OR REPLACE STREAM TRIGGER_COUNT_STREAM (ticker_symbol VARCHAR(4), change REAL, trigger_count INTEGER);
        CREATE OR REPLACE PUMP trigger_count_pump AS INSERT INTO TRIGGER_COUNT_STREAM
        SELECT STREAM ticker_symbol, change, trigger_count
        FROM (
            SELECT STREAM ticker_symbol, change, COUNT(*) OVER W1 as trigger_count
            FROM "CHANGE_STREAM"
            --window to perform aggregations over last minute to keep track of triggers
            WINDOW W1 AS (PARTITION BY ticker_symbol RANGE INTERVAL '1' MINUTE PRECEDING)
        )
        WHERE trigger_count >= 1;
        """,
        STOCKS,
    )
    application.push(
        [
            ("10:00:00", "AAPL", "TECH", 2.0, 102.0),
            ("10:00:10", "AAPL", "TECH", 0.5, 100.5), ("10:00:20", "AAPL", "TECH", -3.0, 97.0),
            ("10:01:10", "AAPL", "TECH", 5.0, 105.0), ("10:01:10", "MSFT", "TECH", 5.0, 105.0),
        ]
    )  # fmt: skip
    assert application.found("TRIGGER_COUNT_STREAM") == [
        ("AAPL", 2.0, 1), ("AAPL", -3.0, 2), ("AAPL", 5.0, 2), ("MSFT", 5.0, 1),
    ]  # fmt: skip


def test_partial_results_are_aggregated_by_a_second_pump() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "CALC_COUNT_SQL_STREAM" (TICKER VARCHAR(4), TRADETIME TIMESTAMP, TICKERCOUNT DOUBLE);
        CREATE OR REPLACE STREAM "DESTINATION_SQL_STREAM" (TICKER VARCHAR(4), TRADETIME TIMESTAMP, TICKERCOUNT DOUBLE);
        CREATE PUMP "CALC_COUNT_SQL_PUMP_001" AS INSERT INTO "CALC_COUNT_SQL_STREAM" ("TICKER","TRADETIME", "TICKERCOUNT")
            SELECT STREAM "TICKER_SYMBOL", STEP("SOURCE_SQL_STREAM_001"."ROWTIME" BY INTERVAL '1' MINUTE) as "TradeTime",
                COUNT(*) AS "TickerCount"
            FROM "SOURCE_SQL_STREAM_001"
            GROUP BY STEP("SOURCE_SQL_STREAM_001".ROWTIME BY INTERVAL '1' MINUTE),
                STEP("SOURCE_SQL_STREAM_001"."APPROXIMATE_ARRIVAL_TIME" BY INTERVAL '1' MINUTE), TICKER_SYMBOL;
        CREATE PUMP "AGGREGATED_SQL_PUMP" AS INSERT INTO "DESTINATION_SQL_STREAM" ("TICKER","TRADETIME", "TICKERCOUNT")
            SELECT STREAM "TICKER", "TRADETIME", SUM("TICKERCOUNT") OVER W1 AS "TICKERCOUNT" FROM "CALC_COUNT_SQL_STREAM"
            WINDOW W1 AS (PARTITION BY "TRADETIME" RANGE INTERVAL '10' MINUTE PRECEDING);
        """,
        STOCKS,
    )
    row = ("X", 0.1, 3.5)
    application.push([("10:00:10", "A", *row), ("10:00:20", "A", *row), ("10:00:30", "B", *row), ("10:01:30", "A", *row)])
    application.advance("10:02:00")
    minute = datetime(2018, 8, 1, 10)
    assert application.found("DESTINATION_SQL_STREAM", rowtime=True) == [
        ("10:01:00", "A", minute, 2.0), ("10:01:00", "B", minute, 3.0), ("10:02:00", "A", minute.replace(minute=1), 1.0),
    ]  # fmt: skip


def test_tumbling_window_by_event_time() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "DESTINATION_SQL_STREAM" (
            EVENT_TIME timestamp, TICKER VARCHAR(4), min_price REAL, max_price REAL);
        CREATE OR REPLACE PUMP "STREAM_PUMP" AS INSERT INTO "DESTINATION_SQL_STREAM"
            SELECT STREAM STEP("SOURCE_SQL_STREAM_001".EVENT_TIME BY INTERVAL '60' SECOND), TICKER,
                 MIN(PRICE) AS MIN_PRICE, MAX(PRICE) AS MAX_PRICE
            FROM    "SOURCE_SQL_STREAM_001"
            GROUP BY TICKER, STEP("SOURCE_SQL_STREAM_001".ROWTIME BY INTERVAL '60' SECOND),
                     STEP("SOURCE_SQL_STREAM_001".EVENT_TIME BY INTERVAL '60' SECOND);
        """,
        columns("EVENT_TIME TIMESTAMP, TICKER VARCHAR(4), PRICE REAL"),
    )
    application.push(
        [
            ("14:11:10", "2018-08-01T14:10:59.9", "TBV", 43.65), ("14:11:11", "2018-08-01T14:11:05.8", "AMZN", 35.61),
            ("14:11:11", "2018-08-01T14:11:06.0", "AMZN", 18.64), ("14:11:20", "2018-08-01T14:11:07.0", "TBV", 7.5),
        ]
    ).advance("14:12:00")  # fmt: skip
    minute = datetime(2018, 8, 1, 14, 11)
    assert sorted(application.found("DESTINATION_SQL_STREAM")) == [
        (minute.replace(minute=10), "TBV", 43.65, 43.65), (minute, "AMZN", 18.64, 35.61), (minute, "TBV", 7.5, 7.5),
    ]  # fmt: skip


def over(call: str, window: str, values: list[Any]) -> list[Any]:
    """The values of a function over a window, one row a second."""
    application = Application(
        f'SELECT STREAM {call} OVER w FROM "SOURCE_SQL_STREAM_001" WINDOW w AS ({window});', columns("X INTEGER, D DOUBLE")
    )
    for second, value in enumerate(values):
        application.push([(f"10:00:{second:02d}", value, value)]).restarted()
    return [row[0] for row in application.found()]


@pytest.mark.parametrize(
    ("call", "window", "values", "expected"),
    [
        ("LAG(x, 1)", "ROWS 2 PRECEDING", [1, 2, None, 4], [None, 1, 2, None]),
        ("LAG(x, 2, 0)", "ROWS 3 PRECEDING", [1, 2, 3], [0, 0, 1]),
        ("LAG(x, 1) IGNORE NULLS", "ROWS 4 PRECEDING", [1, None, 3, 4], [None, 1, 1, 3]),
        ("FIRST_VALUE(x)", "ROWS 1 PRECEDING", [None, 2, 3], [None, None, 2]),
        ("FIRST_VALUE(x) IGNORE NULLS", "ROWS 1 PRECEDING", [None, 2, 3], [None, 2, 2]),
        ("LAST_VALUE(x) IGNORE NULLS", "ROWS 2 PRECEDING", [1, None, None, None], [1, 1, 1, None]),
        ("NTH_VALUE(x, 2)", "ROWS 9 PRECEDING", [5, 6, 7], [None, 6, 6]),
        ("NTH_VALUE(x, 2) FROM LAST", "ROWS 9 PRECEDING", [5, 6, 7], [None, 5, 6]),
        # The last ten seconds weigh twice as much as the ten before them, as in the reference.
        ("EXP_AVG(d, INTERVAL '10' SECOND)", "RANGE INTERVAL '30' SECOND PRECEDING", [4] * 10 + [1] * 10, None),
        ("ANY(x > 2)", "ROWS 1 PRECEDING", [1, 3, 1, 1], [False, True, True, False]),
        ("EVERY(x > 2)", "ROWS 1 PRECEDING", [3, 3, 1, None], [True, True, False, False]),
        ("COUNT(DISTINCT x)", "RANGE INTERVAL '3' SECOND PRECEDING", [1, 1, 2, 3, 3, 3], [1, 1, 2, 3, 2, 1]),
        ("SUM(DISTINCT x)", "ROWS 2 PRECEDING", [1, 1, 2, None], [1, 1, 3, 3]),
        ("AVG(x)", "ROWS 1 PRECEDING", [1, 2, -4, None], [1, 1, -1, -4]),
        ("AVG(d)", "ROWS 1 PRECEDING", [1, 2, -4, None], [1.0, 1.5, -1.0, -4.0]),
    ],
)
def test_functions_over_windows(call: str, window: str, values: list[Any], expected: list[Any] | None) -> None:
    found = over(call, window, values)
    if expected is None:
        assert found[:11] == [4.0] * 10 + [pytest.approx((1 + 9 * 4 + 0.5 * 4) / 10.5)]
        assert found[19] == pytest.approx((10 * 1 + 10 * 0.5 * 4) / 15)
    else:
        assert found == expected


def test_aggregates_of_groups() -> None:
    application = Application(
        """
        SELECT STREAM FIRST_VALUE(x), LAST_VALUE(x), ANY(x > 2), EVERY(x > 2), SUM(DISTINCT x), AVG(x), AVG(CAST(x AS DOUBLE)),
               SUM(CAST(x AS DECIMAL(5,2))), AVG(CAST(x AS DECIMAL(5,1))), COUNT(*) FROM "SOURCE_SQL_STREAM_001"
        GROUP BY FLOOR(ROWTIME TO MINUTE);
        """,
        columns("X INTEGER"),
    )
    application.push([("10:00:00", 4), ("10:00:01", None), ("10:00:02", 1)]).restarted().push([("10:00:03", 4), ("10:00:04", 2)])
    application.push([("10:01:00", None)]).advance("10:02:00")
    (first, second) = application.found()
    assert first[:7] == (4, 2, True, False, 7, 2, 2.75)
    assert [str(value) for value in first[7:]] == ["11.00", "2.75", "5"]
    assert second == (None, None, None, None, None, None, None, None, None, 1)


def test_monotonic__a_window_closes_when_a_higher_value_comes() -> None:
    application = Application(
        'SELECT STREAM x, COUNT(*) FROM "SOURCE_SQL_STREAM_001" GROUP BY MONOTONIC(x);'.replace(
            "x, COUNT", "MONOTONIC(x), COUNT"
        ),
        columns("X INTEGER"),
    )
    application.push([("10:00:00", 1), ("10:00:01", 1), ("10:00:02", 2)]).restarted()
    application.push([("10:00:03", 2), ("10:00:04", 4), ("10:00:05", 5)])
    assert application.found(rowtime=True) == [("10:00:02", 1, 2), ("10:00:04", 2, 2), ("10:00:05", 4, 1)]


def test_group_by_a_window_of_a_subquery() -> None:
    application = Application(
        """
        SELECT STREAM m, MAX(n), SUM(n) FROM (
            SELECT STREAM FLOOR(s.ROWTIME TO MINUTE) AS m, x, COUNT(*) AS n FROM "SOURCE_SQL_STREAM_001" AS s
            GROUP BY FLOOR(s.ROWTIME TO MINUTE), x) AS inner_query
        GROUP BY m;
        """,
        columns("X INTEGER"),
    )
    application.push([("10:00:00", 1), ("10:00:01", 1), ("10:00:02", 2), ("10:01:00", 3)]).advance("10:02:00")
    assert application.found(rowtime=True) == [
        ("10:01:00", datetime(2018, 8, 1, 10), 2, 3), ("10:02:00", datetime(2018, 8, 1, 10, 1), 1, 1),
    ]  # fmt: skip


def test_error_stream__is_read_by_a_pump() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "NOTES" ("what" VARCHAR(20), "where" VARCHAR(20));
        CREATE OR REPLACE STREAM "D" (x INTEGER);
        CREATE OR REPLACE PUMP "N" AS INSERT INTO "NOTES" SELECT STREAM MESSAGE, PUMP_NAME FROM "error_stream";
        CREATE OR REPLACE PUMP "P" AS INSERT INTO "D" SELECT STREAM 10 / x FROM "SOURCE_SQL_STREAM_001";
        """,
        columns("X INTEGER"),
    )
    application.push([("10:00:00", 1), ("10:00:01", 0), ("10:00:02", "none"), ("10:00:03", 5)])
    assert application.found("D") == [(10,), (2,)]
    assert application.found("NOTES") == [("Division by zero", "P"), ("Could not cast 'none", "")]


def test_star__leaves_out_what_the_service_adds() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "D" (x INTEGER, y VARCHAR(3));
        CREATE OR REPLACE PUMP "P" AS INSERT INTO "D" SELECT STREAM * FROM source_sql_stream_001;
        SELECT STREAM s.*, s.PARTITION_KEY FROM source_sql_stream_001 AS s;
        """,
        columns("X INTEGER, Y VARCHAR(3)"),
    )
    application.program.push("SOURCE_SQL_STREAM_001", {"X": [1], "Y": ["one"], "PARTITION_KEY": ["k"]}, [0])
    taken = application.program.take()
    assert [list(row.values())[1:] for row in taken["D"]] == [[1, "one"]]
    assert [list(row.values())[1:] for row in taken["OUTPUT"]] == [[1, "one", "k"]]


def test_a_window_over_groups() -> None:
    application = Application(
        """
        SELECT STREAM x, COUNT(*), SUM(COUNT(*)) OVER w, COUNT(*) - LAG(COUNT(*), 1, 0) OVER w FROM "SOURCE_SQL_STREAM_001"
        GROUP BY x, FLOOR(ROWTIME TO MINUTE) WINDOW w AS (PARTITION BY x ROWS 1 PRECEDING);
        """,
        columns("X INTEGER"),
    )
    application.push([("10:00:00", 1), ("10:00:01", 1), ("10:00:02", 2), ("10:01:00", 1), ("10:02:00", 1), ("10:02:30", 1)])
    application.advance("10:03:00")
    assert application.found(rowtime=True) == [
        ("10:01:00", 1, 2, 2, 2), ("10:01:00", 2, 1, 1, 1), ("10:02:00", 1, 1, 3, -1), ("10:03:00", 1, 2, 3, 1),
    ]  # fmt: skip


def test_with__names_queries_for_the_one_after_them() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM d (x INTEGER, y INTEGER);
        CREATE OR REPLACE PUMP p AS INSERT INTO d
        WITH big (v) AS (SELECT STREAM x FROM "SOURCE_SQL_STREAM_001" WHERE x > 1), bigger AS (SELECT STREAM v * 10 AS w FROM big)
        SELECT STREAM w, w + 1 FROM bigger WHERE w > 20;
        """,
        columns("X INTEGER"),
    )
    application.push([("10:00:00", 1), ("10:00:01", 2), ("10:00:02", 3)])
    assert application.found("D") == [(30, 31)]
