"""The six joins of the SQL reference: orders and shipments, of which order 100 comes late.

The reference's tables of examples 5 and 6 give orders 104 and 100 once more, without a shipment, though they were paired; its
text, example 4 and SQL's outer join say that only orders without one come at the end of the window: so it is here.
"""

import pytest
from tests.services.analytics.engine.applications import Application, columns

CODE = """
CREATE OR REPLACE STREAM "ORDERS_STREAM" ("orderid" int, "orderrowtime" timestamp);
CREATE OR REPLACE PUMP "ORDERS_STREAM_PUMP" AS INSERT INTO "ORDERS_STREAM"
SELECT STREAM "orderid", "ROWTIME" FROM "SOURCE_SQL_STREAM_001" WHERE "orders" = 1;
CREATE OR REPLACE STREAM "SHIPMENTS_STREAM" ("orderid" int, "shipmentrowtime" timestamp);
CREATE OR REPLACE PUMP "SHIPMENTS_STREAM_PUMP" AS INSERT INTO "SHIPMENTS_STREAM"
SELECT STREAM "orderid", "ROWTIME" FROM "SOURCE_SQL_STREAM_001" WHERE "shipments" = 2;
CREATE OR REPLACE STREAM "OUTPUT_STREAM" ("resultrowtime" timestamp, "order" int, "shipment" int, "shipmenttime" timestamp,
                                          "ordertime" timestamp);
CREATE OR REPLACE PUMP "OUTPUT_STREAM_PUMP" AS INSERT INTO "OUTPUT_STREAM"
  SELECT STREAM ROWTIME as "resultrowtime", o."orderid", s."orderid", s.rowtime as "shipmenttime", o.ROWTIME as "ordertime"
  FROM ORDERS_STREAM OVER (RANGE INTERVAL '1' MINUTE PRECEDING) AS o
  {join} JOIN SHIPMENTS_STREAM {window} AS s ON o."orderid" = s."orderid";
"""
WINDOW = "OVER (RANGE INTERVAL '1' MINUTE PRECEDING)"
ROWS = [
    ("10:00:00", 101, 1, None), ("10:00:00", 100, None, 2), ("10:00:20", 102, 1, None), ("10:00:30", 103, 1, None),
    ("10:00:40", 104, 1, None), ("10:00:45", 104, None, 2), ("10:00:45", 100, 1, None), ("10:00:50", 105, None, 2),
]  # fmt: skip
PAIR_104 = ("00:45", 104, 104, "00:45", "00:40")
PAIR_100 = ("00:45", 100, 100, "00:00", "00:45")
LEFT_OVER = [("01:00", 101, None, None, "00:00"), ("01:20", 102, None, None, "00:20"), ("01:30", 103, None, None, "00:30")]


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize(
    ("join", "window", "expected"),
    [
        ("INNER", "", [PAIR_104]),
        ("INNER", WINDOW, [PAIR_104, PAIR_100]),
        ("RIGHT", "", [("00:00", None, 100, "00:00", None), PAIR_104, ("00:50", None, 105, "00:50", None)]),
        ("RIGHT", WINDOW, [PAIR_104, PAIR_100, ("01:50", None, 105, "00:50", None)]),
        ("LEFT", "", [PAIR_104, *LEFT_OVER, ("01:45", 100, None, None, "00:45")]),
        ("LEFT", WINDOW, [PAIR_104, PAIR_100, *LEFT_OVER]),
    ],
    ids=["example 1", "example 2", "example 3", "example 4", "example 5", "example 6"],
)
def test_join_of_the_reference(join: str, window: str, expected: list[tuple[object, ...]], by_row: bool) -> None:
    code = CODE.format(join=join, window=window)
    application = Application(code, columns("orderid INTEGER, orders INTEGER, shipments INTEGER"))
    if by_row:
        for row in ROWS:
            application.push([row]).restarted()
    else:
        application.push(ROWS)
    application.advance("10:05:00")
    found = [
        tuple(f"{value:%M:%S}" if hasattr(value, "minute") else value for value in row)
        for row in application.found("OUTPUT_STREAM")
    ]
    assert found == expected
    assert [row[0] for row in found] == [time[3:] for time, *_ in application.found("OUTPUT_STREAM", rowtime=True)]
