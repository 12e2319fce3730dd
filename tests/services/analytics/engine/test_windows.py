"""The windows of the developer guide: records, application, and the rows that the guide shows."""

from tests.services.analytics.engine.applications import STOCKS, Application, columns

EVENTS = [
    ("11:00:20", "2018-08-01T11:00:10", "AMZN"),
    ("11:00:30", "2018-08-01T11:00:20", "AMZN"),
    ("11:01:05", "2018-08-01T11:00:55", "AMZN"),
    ("11:01:15", "2018-08-01T11:01:05", "AMZN"),
]
EVENT = columns("EVENT_TIME TIMESTAMP, TICKER_SYMBOL VARCHAR(4)")


def test_tumbling__partial_results_of_late_events() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "D" (TICKER_SYMBOL VARCHAR(4), EVENT VARCHAR(8), TICKER_COUNT DOUBLE);
        CREATE OR REPLACE PUMP "STREAM_PUMP" AS INSERT INTO "D"
          SELECT STREAM TICKER_SYMBOL,
                 TIMESTAMP_TO_CHAR('HH:mm:ss', FLOOR(EVENT_TIME TO MINUTE)), COUNT(TICKER_SYMBOL) AS TICKER_COUNT
          FROM "SOURCE_SQL_STREAM_001"
          GROUP BY ticker_symbol, FLOOR(EVENT_TIME TO MINUTE), STEP("SOURCE_SQL_STREAM_001".ROWTIME BY INTERVAL '1' MINUTE);
        """,
        EVENT,
    )
    application.push(EVENTS).advance("11:05:00")
    assert application.found("D", rowtime=True) == [
        ("11:01:00", "AMZN", "11:00:00", 2.0),
        ("11:02:00", "AMZN", "11:00:00", 1.0),
        ("11:02:00", "AMZN", "11:01:00", 1.0),
    ]


def test_stagger__complete_results() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "D" (ticker_symbol VARCHAR(4), event VARCHAR(8), ticker_count DOUBLE);
        CREATE OR REPLACE PUMP "STREAM_PUMP" AS INSERT INTO "D"
          SELECT STREAM TICKER_SYMBOL,
                 TIMESTAMP_TO_CHAR('HH:mm:ss', FLOOR(EVENT_TIME TO MINUTE)), COUNT(TICKER_SYMBOL) AS ticker_count
          FROM "SOURCE_SQL_STREAM_001"
          WINDOWED BY STAGGER (PARTITION BY FLOOR(EVENT_TIME TO MINUTE), TICKER_SYMBOL RANGE INTERVAL '1' MINUTE);
        """,
        EVENT,
    )
    application.push(EVENTS[:2]).restarted().push(EVENTS[2:])
    assert application.found("D") == []
    application.advance("11:01:19").advance("11:01:20").restarted().advance("11:05:00")
    assert application.found("D", rowtime=True) == [("11:01:20", "AMZN", "11:00:00", 3.0), ("11:02:15", "AMZN", "11:01:00", 1.0)]


def test_sliding__the_record_at_the_begin_of_the_span_is_out() -> None:
    """Records at t1, t2, t6, t7 and three at t8, a window of five seconds."""
    application = Application(
        """SELECT STREAM COUNT(*) OVER (RANGE INTERVAL '5' SECOND PRECEDING) FROM "SOURCE_SQL_STREAM_001";""",
        columns("A INTEGER"),
    )
    for second in (1, 2, 6, 7):
        application.push([(f"10:00:0{second}", 1)])
    application.restarted().push([("10:00:08", 1)] * 3)
    assert [count for (count,) in application.found()] == [1, 2, 2, 2, 3, 4, 5]


TRADES = [
    ("10:00:00", "IBM", 20), ("10:05:00", "YHOO", 10), ("10:10:00", "IBM", 10), ("11:02:00", "IBM", 30),
    ("11:05:00", "YHOO", 20), ("11:05:00", "IBM", 5),
]  # fmt: skip


def test_sliding__rows_and_ranges_by_ticker_and_not() -> None:
    application = Application(
        """
        SELECT STREAM ticker, SUM(amount) OVER lastHour, COUNT(*) OVER lastHour, SUM(amount) OVER lastThree,
               SUM(amount) OVER lastZeroRows, SUM(amount) OVER lastTwoSameTicker, MIN(amount) OVER lastHourSameTicker
        FROM "SOURCE_SQL_STREAM_001"
        WINDOW lastHour AS (RANGE INTERVAL '1' HOUR PRECEDING),
               lastThree AS (ROWS 3 PRECEDING),
               lastZeroRows AS (ROWS CURRENT ROW),
               lastTwoSameTicker AS (PARTITION BY ticker ROWS 2 PRECEDING),
               lastHourSameTicker AS (PARTITION BY ticker RANGE INTERVAL '1' HOUR PRECEDING);
        """,
        columns("TICKER VARCHAR(4), AMOUNT INTEGER"),
    )
    application.push(TRADES[:3]).restarted().push(TRADES[3:])
    assert application.found() == [
        ("IBM", 20, 1, 20, 20, 20, 20),
        ("YHOO", 30, 2, 30, 10, 10, 10),
        ("IBM", 40, 3, 40, 10, 30, 10),
        ("IBM", 50, 3, 70, 30, 60, 10),
        ("YHOO", 60, 3, 70, 20, 30, 20),
        ("IBM", 65, 4, 65, 5, 45, 5),
    ]


def test_tumbling__old_form_of_a_window_of_two_minutes() -> None:
    application = Application(
        """
        SELECT STREAM ticker_symbol, MAX(price)
        FROM "SOURCE_SQL_STREAM_001"
        GROUP BY ticker_symbol,
                 FLOOR(("SOURCE_SQL_STREAM_001".ROWTIME - TIMESTAMP '1970-01-01 00:00:00') minute / 2 to minute);
        """,
        STOCKS,
    )
    application.push([("10:00:10", "A", "X", 0.1, 3.5), ("10:01:50", "A", "X", 0.1, 7.5), ("10:02:00", "A", "X", 0.1, 1.0)])
    assert application.found(rowtime=True) == [("10:02:00", "A", 7.5)]


def test_tumbling__having_and_ungrouped_window() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "D" ("n" INTEGER, "t" VARCHAR(5));
        CREATE OR REPLACE PUMP "P" AS INSERT INTO "D" ("n")
        SELECT STREAM COUNT(*) FROM "SOURCE_SQL_STREAM_001" GROUP BY FLOOR(ROWTIME TO MINUTE) HAVING COUNT(*) > 1;
        """,
        STOCKS,
    )
    row = ("A", "X", 0.1, 3.5)
    application.push([("10:00:10", *row), ("10:01:50", *row), ("10:01:59", *row)]).advance("10:02:00")
    assert application.found("D", rowtime=True) == [("10:02:00", 2, None)]


def test_windows_of_windows__second_pump_reads_the_first() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "MINUTES" ("t" VARCHAR(4), "n" INTEGER);
        CREATE OR REPLACE STREAM "HOURS" ("t" VARCHAR(4), "n" INTEGER, "most" INTEGER);
        CREATE OR REPLACE PUMP "H" AS INSERT INTO "HOURS"
        SELECT STREAM "t", SUM("n"), MAX("n") FROM "MINUTES" GROUP BY "t", FLOOR("MINUTES".ROWTIME TO HOUR);
        CREATE OR REPLACE PUMP "M" AS INSERT INTO "MINUTES"
        SELECT STREAM ticker_symbol, COUNT(*) FROM "SOURCE_SQL_STREAM_001"
        GROUP BY ticker_symbol, FLOOR("SOURCE_SQL_STREAM_001".ROWTIME TO MINUTE);
        """,
        STOCKS,
    )
    row = ("X", 0.1, 3.5)
    application.push([("10:00:10", "A", *row), ("10:00:11", "A", *row), ("10:30:00", "B", *row), ("10:31:00", "A", *row)])
    application.advance("11:00:00")
    assert application.found("HOURS", rowtime=True) == [("11:00:00", "A", 3, 2), ("11:00:00", "B", 1, 1)]
