"""Joins: of streams within windows, and with reference tables."""

import pytest
from tests.services.analytics.engine.applications import Application, at, columns

from headrace.services.analytics.engine.schema import SqlError

BOTH = columns("KIND VARCHAR(8), ID INTEGER, AMOUNT INTEGER")
STREAMS = """
CREATE OR REPLACE STREAM "OrderStream" (orderId INTEGER, amount INTEGER);
CREATE OR REPLACE STREAM "TradeStream" (orderId INTEGER, amount INTEGER);
CREATE OR REPLACE PUMP "Orders" AS INSERT INTO "OrderStream"
  SELECT STREAM id, amount FROM "SOURCE_SQL_STREAM_001" WHERE kind = 'Order';
CREATE OR REPLACE PUMP "Trades" AS INSERT INTO "TradeStream"
  SELECT STREAM id, amount FROM "SOURCE_SQL_STREAM_001" WHERE kind = 'Trade';
"""
ROWS = [
    ("10:00:00", "Trade", 1, 10),
    ("10:00:10", "Order", 1, 100),
    ("10:00:20", "Order", 2, 200),
    ("10:00:30", "Trade", 2, 20),
    ("10:01:20", "Order", 3, 300),
    ("10:01:25", "Trade", 2, 21),
    ("10:01:30", "Order", 2, 201),
    ("10:05:00", "Trade", 9, 90),
]


def joined(query: str, *, pieces: bool = False) -> Application:
    application = Application(STREAMS + query, BOTH)
    if not pieces:
        return application.push(ROWS).advance("11:00:00")
    for row in ROWS:
        application.push([row]).restarted()
    return application.advance("11:00:00")


@pytest.mark.parametrize("pieces", [False, True])
def test_window_on_one_side__only_the_other_sides_current_row_is_joined(pieces: bool) -> None:
    application = joined(
        """
        SELECT STREAM ROWTIME, o.orderId, o.amount AS orderAmount, t.amount AS tradeAmount
        FROM "OrderStream" AS o
        JOIN "TradeStream" OVER (RANGE INTERVAL '1' MINUTE PRECEDING) AS t ON o.orderId = t.orderId;
        """,
        pieces=pieces,
    )
    assert application.found(rowtime=True) == [
        ("10:00:10", 1, 100, 10),
        ("10:01:30", 2, 201, 21),
    ]


@pytest.mark.parametrize("pieces", [False, True])
def test_windows_on_both_sides__pairs_come_when_the_later_row_does(pieces: bool) -> None:
    application = joined(
        """
        SELECT STREAM o.orderId, o.amount, t.amount
        FROM "OrderStream" OVER w AS o JOIN "TradeStream" OVER w AS t ON o.orderId = t.orderId
        WINDOW w AS (RANGE INTERVAL '1' MINUTE PRECEDING);
        """,
        pieces=pieces,
    )
    assert application.found(rowtime=True) == [
        ("10:00:10", 1, 100, 10), ("10:00:30", 2, 200, 20), ("10:01:30", 2, 201, 21),
    ]  # fmt: skip


@pytest.mark.parametrize("pieces", [False, True])
def test_left_join__rows_without_partner_come_when_they_leave_their_window(pieces: bool) -> None:
    application = joined(
        """
        SELECT STREAM o.orderId, o.amount, t.amount
        FROM "OrderStream" OVER (RANGE INTERVAL '1' MINUTE PRECEDING) AS o
        LEFT OUTER JOIN "TradeStream" AS t ON o.orderId = t.orderId;
        """,
        pieces=pieces,
    )
    assert application.found(rowtime=True) == [
        ("10:00:30", 2, 200, 20),
        ("10:01:10", 1, 100, None),
        ("10:02:20", 3, 300, None),
        ("10:02:30", 2, 201, None),
    ]


def test_left_join__without_a_window_on_the_left_they_come_at_once() -> None:
    application = joined(
        """
        SELECT STREAM o.orderId, o.amount, t.amount
        FROM "OrderStream" AS o
        LEFT JOIN "TradeStream" OVER (RANGE INTERVAL '1' MINUTE PRECEDING) AS t ON o.orderId = t.orderId AND t.amount <> 21;
        """
    )
    assert application.found(rowtime=True) == [
        ("10:00:10", 1, 100, 10),
        ("10:00:20", 2, 200, None),
        ("10:01:20", 3, 300, None),
        ("10:01:30", 2, 201, None),
    ]


def test_full_join_by_rows__and_rowtimes_of_both_sides() -> None:
    application = joined(
        """
        SELECT STREAM TIMESTAMP_TO_CHAR('ss', o.ROWTIME), TIMESTAMP_TO_CHAR('ss', t.ROWTIME), o.orderId, t.orderId
        FROM "OrderStream" OVER (ROWS 1 PRECEDING) AS o
        FULL OUTER JOIN "TradeStream" OVER (ROWS 0 PRECEDING) AS t ON o.orderId = t.orderId;
        """
    )
    assert application.found(rowtime=True) == [
        ("10:00:10", "10", "00", 1, 1),
        ("10:00:30", "20", "30", 2, 2),
        ("10:01:25", "20", "25", 2, 2),
        ("10:01:30", "30", "25", 2, 2),
    ]


NAMES = columns("ID INTEGER, NAME VARCHAR(16)")


def test_reference_table__inner_left_and_conditions() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM a (id INTEGER, name VARCHAR(16));
        CREATE OR REPLACE STREAM b (id INTEGER, name VARCHAR(16));
        CREATE OR REPLACE PUMP pa AS INSERT INTO a
        SELECT STREAM s.id, c.name FROM "SOURCE_SQL_STREAM_001" AS s LEFT JOIN "NAMES" AS c ON s.id = c.id AND c.name <> 'no';
        CREATE OR REPLACE PUMP pb AS INSERT INTO b
        SELECT STREAM id, name FROM "SOURCE_SQL_STREAM_001" JOIN "NAMES" USING (id);
        """.replace("SELECT STREAM id, name FROM", 'SELECT STREAM "SOURCE_SQL_STREAM_001".id, name FROM'),
        BOTH,
        {"NAMES": NAMES},
    )
    application.push([("10:00:00", "x", 1, 1)])
    application.program.load_reference("NAMES", {"ID": [1, 2, 1, 5], "NAME": ["one", "two", "uno", "no"]})
    application.push([("10:00:01", "x", 1, 1), ("10:00:02", "x", 3, 1), ("10:00:03", "x", None, 1), ("10:00:04", "x", 5, 1)])
    assert application.found("A") == [(1, None), (1, "one"), (1, "uno"), (3, None), (None, None), (5, None)]
    assert application.found("B") == [(1, "one"), (1, "uno"), (5, "no")]
    application.program.load_reference("NAMES", {"ID": [3], "NAME": ["three"]})
    application.rows.clear()
    application.push([("10:00:05", "x", 3, 1), ("10:00:05", "x", 1, 1)])
    assert application.found("B") == [(3, "three")]


def test_union_all__rows_in_order_and_sorted() -> None:
    query = """
        SELECT STREAM amount AS x FROM "OrderStream" UNION ALL SELECT STREAM amount / 10 FROM "TradeStream"
        ORDER BY FLOOR(ROWTIME TO MINUTE), x DESC;
        """
    application = joined(query)
    assert application.found(rowtime=True) == [
        ("10:01:00", 200), ("10:01:00", 100), ("10:01:00", 2), ("10:01:00", 1), ("10:02:00", 300), ("10:02:00", 201),
        ("10:02:00", 2), ("10:06:00", 9),
    ]  # fmt: skip
    application = joined(query.split("ORDER BY", maxsplit=1)[0] + ";")
    assert [row[0] for row in application.found()] == [1, 100, 200, 2, 300, 2, 201, 9]


def test_distinct__within_a_monotonic_column() -> None:
    application = joined('SELECT STREAM DISTINCT FLOOR(ROWTIME TO MINUTE) AS m, kind FROM "SOURCE_SQL_STREAM_001";', pieces=True)
    assert [(f"{minute:%M}", kind) for minute, kind in application.found()] == [
        ("00", "Trade"), ("00", "Order"), ("01", "Order"), ("01", "Trade"), ("05", "Trade"),
    ]  # fmt: skip


def test_resorted__rows_go_by_a_time_of_their_own_and_late_ones_are_reported() -> None:
    application = Application(
        """
        CREATE OR REPLACE STREAM "T" (n INTEGER);
        CREATE OR REPLACE PUMP "P" AS INSERT INTO "T"
        SELECT STREAM s.e AS ROWTIME, s.n FROM "SOURCE_SQL_STREAM_001" AS s ORDER BY s.e WITHIN INTERVAL '10' SECOND;
        SELECT STREAM LAG(n) OVER (ROWS 1 PRECEDING), n FROM "T";
        """,
        columns("E TIMESTAMP, N INTEGER"),
    )
    day = "2018-08-01 "
    application.push([("10:00:05", day + "10:00:03", 3), ("10:00:06", day + "10:00:01", 1), ("10:00:07", None, 0)]).restarted()
    assert application.program.next_ms() == at("10:00:11")
    application.push([("10:00:09", day + "10:00:02", 2), ("10:00:12", day + "10:00:01.9", -1), ("10:00:13", day + "10:00:08", 8)])
    application.advance("10:00:30")
    assert application.found(rowtime=True) == [
        ("10:00:01", None, 1), ("10:00:02", 1, 2), ("10:00:03", 2, 3), ("10:00:08", 3, 8),
    ]  # fmt: skip
    assert application.errors() == ["The row is out of order: it came too late"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            'SELECT STREAM 1 FROM "OrderStream" AS a JOIN "TradeStream" OVER (PARTITION BY amount ROWS 1 PRECEDING) AS b'
            " ON a.orderId = b.orderId;",
            "cannot have PARTITION BY",
        ),
        ("SELECT STREAM s.id FROM SOURCE_SQL_STREAM_001 AS s ORDER BY s.id WITHIN INTERVAL '1' MINUTE;", "one TIMESTAMP"),
        (
            "SELECT STREAM SUM(x) OVER (ROWS 1 PRECEDING) FROM (SELECT STREAM s.APPROXIMATE_ARRIVAL_TIME AS ROWTIME, s.id AS x"
            " FROM SOURCE_SQL_STREAM_001 AS s ORDER BY s.APPROXIMATE_ARRIVAL_TIME WITHIN INTERVAL '1' MINUTE) AS i;",
            "must be the last",
        ),
        ('SELECT STREAM 1 FROM "OrderStream" AS a JOIN "TradeStream" AS b ON a.orderId = b.orderId;', "needs a window"),
        ('SELECT STREAM orderId FROM "OrderStream" AS a, "TradeStream" OVER (ROWS 1 PRECEDING) AS b;', "'ORDERID' is ambiguous"),
        (
            'SELECT STREAM 1 FROM "OrderStream" AS a JOIN "TradeStream" OVER w AS b ON a.orderId = b.orderId;',
            "Window 'W' not found",
        ),
    ],
)
def test_errors(query: str, message: str) -> None:
    with pytest.raises(SqlError, match=message):
        joined(query)
