"""Examples of the developer guide over many records: what they give is what DuckDB makes of the whole input at once."""

import random
from datetime import timedelta
from typing import Any

import duckdb
import pytest
from tests.services.analytics.engine.applications import STOCKS, Application, at

from headrace.services.analytics.engine.instants import EPOCH

NAMES = [["AAPL", "Apple"], ["MSFT", "Microsoft"]]
DESTINATION = """CREATE OR REPLACE STREAM "DESTINATION_SQL_STREAM" ({columns});
CREATE OR REPLACE PUMP "STREAM_PUMP" AS INSERT INTO "DESTINATION_SQL_STREAM" {select};"""

# The columns, the application's SELECT, and the batch query: its first column is the ROWTIME in milliseconds.
EXAMPLES: dict[str, tuple[str, str, str]] = {
    "simple alerts": (
        "ticker_symbol VARCHAR(4), sector VARCHAR(12), change DOUBLE, price DOUBLE",
        """SELECT STREAM ticker_symbol, sector, change, price FROM "SOURCE_SQL_STREAM_001"
           WHERE (ABS(Change / (Price - Change)) * 100) > 1""",
        "select ts, ticker, sector, change, price from s where abs(change / (price - change)) * 100 > 1",
    ),
    "reference data": (
        "ticker_symbol VARCHAR(4), company VARCHAR(20), sector VARCHAR(16), price DOUBLE",
        """SELECT STREAM ticker_symbol, "c"."Company", sector, price FROM "SOURCE_SQL_STREAM_001"
           LEFT JOIN "CompanyName" AS "c" ON "c"."Ticker" = "SOURCE_SQL_STREAM_001".ticker_symbol""",
        "select ts, s.ticker, company, sector, price from s left join names on s.ticker = names.ticker",
    ),
    "tumbling window by ROWTIME": (
        "ticker_symbol VARCHAR(4), lowest DOUBLE, highest DOUBLE, spread DOUBLE",
        """SELECT STREAM ticker_symbol, MIN(price), MAX(price), STDDEV(price) FROM "SOURCE_SQL_STREAM_001"
           GROUP BY ticker_symbol, STEP("SOURCE_SQL_STREAM_001".ROWTIME BY INTERVAL '60' SECOND)""",
        """select (ts // 60000 + 1) * 60000, ticker, min(price), max(price), stddev_samp(price) from s
           group by ticker, ts // 60000""",
    ),
    "tumbling window, most changed sector": (
        "sector VARCHAR(16), n INTEGER, total DOUBLE, variance DOUBLE",
        """SELECT STREAM sector, COUNT(*), SUM(ABS(change)), VARIANCE(price) FROM "SOURCE_SQL_STREAM_001"
           GROUP BY sector, FLOOR("SOURCE_SQL_STREAM_001".ROWTIME TO MINUTE) HAVING COUNT(*) > 3""",
        """select (ts // 60000 + 1) * 60000, sector, count(*), sum(abs(change)), var_samp(price) from s
           group by sector, ts // 60000 having count(*) > 3""",
    ),
    "two sliding windows": (
        "ticker_symbol VARCHAR(4), last10s DOUBLE, last2rows DOUBLE",
        """SELECT STREAM ticker_symbol, AVG(price) OVER last10s, AVG(price) OVER last2rows FROM "SOURCE_SQL_STREAM_001"
           WINDOW last10s AS (PARTITION BY ticker_symbol RANGE INTERVAL '10' SECOND PRECEDING),
                  last2rows AS (PARTITION BY ticker_symbol ROWS 2 PRECEDING)""",
        """select ts, ticker, (select avg(i.price) from s i where i.ticker = s.ticker and i.number <= s.number
                                 and i.ts > s.ts - 10000),
                  avg(price) over (partition by ticker order by number rows between 2 preceding and current row) from s""",
    ),
    "differences from row to row": (
        "ticker_symbol VARCHAR(4), difference DOUBLE, first DOUBLE",
        """SELECT STREAM ticker_symbol, price - LAG(price, 1, price) OVER w, FIRST_VALUE(price) OVER w
           FROM "SOURCE_SQL_STREAM_001" WINDOW w AS (PARTITION BY ticker_symbol ROWS 4 PRECEDING)""",
        """select ts, ticker, price - lag(price, 1, price) over (partition by ticker order by number),
                  first_value(price) over (partition by ticker order by number rows between 4 preceding and current row)
           from s""",
    ),
    "distinct items": (
        "n BIGINT",
        """SELECT STREAM NUMBER_OF_DISTINCT_ITEMS FROM TABLE(COUNT_DISTINCT_ITEMS_TUMBLING(
           CURSOR(SELECT STREAM * FROM "SOURCE_SQL_STREAM_001"), 'TICKER_SYMBOL', 60))""",
        "select (ts // 60000 + 1) * 60000, count(distinct ticker) from s group by ts // 60000",
    ),
    "rows cleaned by patterns": (
        "ticker_symbol VARCHAR(4), kind VARCHAR(16), sector VARCHAR(24)",
        """SELECT STREAM ticker_symbol, CASE WHEN sector LIKE '%CARE' THEN 'care'
             WHEN sector SIMILAR TO '(TECH|FIN)%' THEN 'office'
             ELSE 'other' END, REGEX_REPLACE(sector, '[AEIOU]', '_', 1, 0) FROM "SOURCE_SQL_STREAM_001"
           WHERE price BETWEEN SYMMETRIC 90 AND 20""",
        """select ts, ticker, case when sector like '%CARE' then 'care'
             when regexp_full_match(sector, '(TECH|FIN).*') then 'office'
             else 'other' end, regexp_replace(sector, '[AEIOU]', '_', 'g') from s where price between 20 and 90""",
    ),
    "periods that overlap": (
        "ticker_symbol VARCHAR(4), price DOUBLE",
        """SELECT STREAM ticker_symbol, price FROM "SOURCE_SQL_STREAM_001" AS s
           WHERE (s.ROWTIME, INTERVAL '5' SECOND) OVERLAPS (FLOOR(s.ROWTIME TO MINUTE), INTERVAL '10' SECOND)
              OR (s.ROWTIME, INTERVAL '5' SECOND) CONTAINS (CEIL(s.ROWTIME TO MINUTE), CEIL(s.ROWTIME TO MINUTE))""",
        "select ts, ticker, price from s where ts % 60000 <= 10000 or ts % 60000 >= 55000",
    ),
}  # fmt: skip
Row = tuple[int, str, str, float, float]


def stocks(count: int) -> list[Row]:
    """Rows of the guide's stock ticker."""
    chance = random.Random(5)
    time, made = at("10:00:00"), []
    for _ in range(count):
        time += chance.choice([0, 1, 250, 1000, 4000, 9999])
        ticker = chance.choice(["AAPL", "MSFT", "AMZN", "TBV", "QXZ"])
        sector = chance.choice(["TECHNOLOGY", "HEALTHCARE", "FINANCIAL", "RETAIL"])
        made.append((time, ticker, sector, round(chance.uniform(-4, 4), 2), round(chance.uniform(10, 100), 2)))
    return made


def in_batch(query: str, rows: list[Row]) -> list[tuple[Any, ...]]:
    """What DuckDB makes of all rows."""
    with duckdb.connect() as connection:
        connection.execute("create table s (number int, ts bigint, ticker varchar, sector varchar, change double, price double)")
        connection.execute("create table names (ticker varchar, company varchar)")
        connection.executemany("insert into names values (?, ?)", NAMES)
        connection.executemany("insert into s values (?, ?, ?, ?, ?, ?)", [(place, *row) for place, row in enumerate(rows)])
        return connection.execute(query).fetchall()


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in one order; floats to nine digits."""
    made = [tuple(float(f"{value:.9g}") + 0.0 if isinstance(value, float) else value for value in row) for row in rows]
    return sorted(made, key=str)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example__gives_what_a_batch_query_gives(name: str) -> None:
    columns, select, query = EXAMPLES[name]
    names = {"CompanyName": [type(STOCKS[0])("Ticker", "VARCHAR(4)"), type(STOCKS[0])("Company", "VARCHAR(20)")]}
    application = Application(DESTINATION.format(columns=columns, select=select), STOCKS, names)
    rows = stocks(400)
    for begin in range(0, len(rows), 57):
        application.restarted()
        tickers, companies = zip(*NAMES, strict=True)
        application.program.load_reference("CompanyName", {"Ticker": list(tickers), "Company": list(companies)})
        application.push(rows[begin : begin + 57])
    application.advance("12:00:00")
    assert application.errors() == []
    found = [
        (round((row["ROWTIME"].replace(tzinfo=EPOCH.tzinfo) - EPOCH) / timedelta(milliseconds=1)), *list(row.values())[1:])
        for row in application.rows["DESTINATION_SQL_STREAM"]
    ]
    assert rounded(found) == rounded(in_batch(query, rows))
    assert len(found) > 15
