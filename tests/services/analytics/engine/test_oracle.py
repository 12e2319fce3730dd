"""The same query, computed in batch by DuckDB over the whole input: the windows' rows are equal, however the input came."""

import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.services.analytics.engine.applications import SOURCE, Application, at, columns

from headrace.services.analytics.engine.instants import EPOCH, instant

INPUT = columns("T VARCHAR(4), E TIMESTAMP, N INTEGER, D DOUBLE")
START = at("10:00:00")
Row = tuple[int, str | None, int, int | None, float | None]

QUERIES: dict[str, tuple[str, str]] = {
    "tumbling": (
        f"""SELECT STREAM t, COUNT(*), COUNT(n), SUM(n), MIN(n), MAX(d), AVG(d), COUNT(DISTINCT n), MIN(t)
            FROM "{SOURCE}" GROUP BY t, STEP("{SOURCE}".ROWTIME BY INTERVAL '10' SECOND);""",
        """select (ts // 10000 + 1) * 10000, t, count(*), count(n), sum(n), min(n), max(d), avg(d), count(distinct n), min(t)
           from s group by t, ts // 10000""",
    ),
    "tumbling, spread": (
        f"""SELECT STREAM t, VAR_POP(d), VAR_SAMP(d), STDDEV_POP(d), STDDEV_SAMP(d)
            FROM "{SOURCE}" WHERE n > 2 GROUP BY t, FLOOR("{SOURCE}".ROWTIME TO MINUTE) HAVING COUNT(*) > 1;""",
        """select (ts // 60000 + 1) * 60000, t, var_pop(d), var_samp(d), stddev_pop(d), stddev_samp(d)
           from s where n > 2 group by t, ts // 60000 having count(*) > 1""",
    ),
    "tumbling, by event": (
        f"""SELECT STREAM EXTRACT(SECOND FROM FLOOR(e TO SECOND)), SUM(CASE WHEN n > 3 THEN n ELSE 0 END) * 2
            FROM "{SOURCE}" GROUP BY FLOOR(e TO SECOND), STEP("{SOURCE}".ROWTIME BY INTERVAL '1' MINUTE);""",
        """select (ts // 60000 + 1) * 60000, (e // 1000) % 60, sum(case when n > 3 then n else 0 end) * 2
           from s group by ts // 60000, e // 1000""",
    ),
    "sliding by time": (
        f"""SELECT STREAM t, COUNT(*) OVER w, SUM(n) OVER w, AVG(d) OVER w, MIN(d) OVER w, MAX(n) OVER w, STDDEV_SAMP(d) OVER w,
                   FIRST_VALUE(n) OVER w, COUNT(DISTINCT n) OVER w
            FROM "{SOURCE}" WINDOW w AS (PARTITION BY t RANGE INTERVAL '7' SECOND PRECEDING);""",
        """select ts, t, count(*) over w, sum(n) over w, avg(d) over w, min(d) over w, max(n) over w, stddev_samp(d) over w,
                  first_value(n) over w, (select count(distinct i.n) from s i where i.t is not distinct from s.t
                                          and i.number <= s.number and i.ts > s.ts - 7000)
           from s window w as (partition by t order by ts * 1000 + number range between 6999999 preceding and current row)""",
    ),
    "sliding by rows": (
        f"""SELECT STREAM t, SUM(n) OVER w, LAG(n, 2) OVER w, LAST_VALUE(d) OVER w, MIN(n) OVER w, COUNT(d) OVER w
            FROM "{SOURCE}" WINDOW w AS (PARTITION BY t ROWS 3 PRECEDING);""",
        """select ts, t, sum(n) over w, lag(n, 2) over (partition by t order by number), last_value(d) over w, min(n) over w,
                  count(d) over w
           from s window w as (partition by t order by number rows between 3 preceding and current row)""",
    ),
    "join": (
        f"""CREATE STREAM a (t VARCHAR(4), n INTEGER); CREATE STREAM b (t VARCHAR(4), n INTEGER);
            CREATE PUMP pa AS INSERT INTO a SELECT STREAM t, n FROM "{SOURCE}" WHERE n < 4;
            CREATE PUMP pb AS INSERT INTO b SELECT STREAM t, n FROM "{SOURCE}" WHERE n >= 4;
            SELECT STREAM a.t, a.n, b.n FROM a OVER (RANGE INTERVAL '5' SECOND PRECEDING)
            JOIN b OVER (RANGE INTERVAL '5' SECOND PRECEDING) ON a.t = b.t AND a.n + b.n <> 9;""",
        """select greatest(a.ts, b.ts), a.t, a.n, b.n from s a join s b on a.t = b.t and a.n + b.n <> 9
           where a.n < 4 and b.n >= 4 and abs(a.ts - b.ts) < 5000""",
    ),
    "left join": (
        f"""CREATE STREAM a (t VARCHAR(4), n INTEGER); CREATE STREAM b (t VARCHAR(4), n INTEGER);
            CREATE PUMP pa AS INSERT INTO a SELECT STREAM t, n FROM "{SOURCE}" WHERE n < 4;
            CREATE PUMP pb AS INSERT INTO b SELECT STREAM t, n FROM "{SOURCE}" WHERE n >= 4;
            SELECT STREAM a.n, b.n FROM a OVER w LEFT JOIN b OVER w ON a.t = b.t
            WINDOW w AS (RANGE INTERVAL '5' SECOND PRECEDING);""",
        """with p as (select a.number, greatest(a.ts, b.ts) ts, a.n, b.n as m from s a join s b on a.t = b.t
                      where a.n < 4 and b.n >= 4 and abs(a.ts - b.ts) < 5000)
           select ts, n, m from p union all
           select ts + 5000, n, null from s where n < 4 and number not in (select number from p)""",
    ),
    "by event time, resorted": (
        f"""CREATE STREAM e (t VARCHAR(4), n INTEGER);
            CREATE PUMP p AS INSERT INTO e SELECT STREAM s.e AS ROWTIME, s.t, s.n FROM "{SOURCE}" AS s
            ORDER BY s.e WITHIN INTERVAL '70' SECOND;
            SELECT STREAM t, COUNT(*), SUM(n) FROM e GROUP BY t, FLOOR(e.ROWTIME TO MINUTE);""",
        "select (e // 60000 + 1) * 60000, t, count(*), sum(n) from s group by t, e // 60000",
    ),
    "distinct": (
        f"""SELECT STREAM DISTINCT EXTRACT(MINUTE FROM m), t FROM (SELECT STREAM FLOOR(ROWTIME TO MINUTE) AS m, t FROM "{SOURCE}")
            AS x;""".replace("DISTINCT EXTRACT(MINUTE FROM m)", "DISTINCT m"),
        "select min(ts), make_timestamp(ts // 60000 * 60000 * 1000), t from s group by ts // 60000, t",
    ),
}  # fmt: skip


def expected(query: str, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """What DuckDB makes of all rows."""
    with duckdb.connect() as connection:
        connection.execute("create table s (number bigint, ts bigint, t varchar, e bigint, n bigint, d double)")
        if rows:
            connection.executemany("insert into s values (?, ?, ?, ?, ?, ?)", [(place, *row) for place, row in enumerate(rows)])
        return connection.execute(query).fetchall()


def stagger(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Stagger windows by hand: no batch query says them."""
    open_: dict[str | None, list[Any]] = {}
    made: list[tuple[Any, ...]] = []
    for time, ticker, _, number, _ in rows:
        for key in [key for key, window in open_.items() if window[0] <= time]:
            close, count, total = open_.pop(key)
            made.append((close, key, count, total))
        window = open_.setdefault(ticker, [time + 10_000, 0, None])
        window[1] += 1
        if number is not None:
            window[2] = (window[2] or 0) + number
    return made + [(close, key, count, total) for key, (close, count, total) in open_.items()]


STAGGER = (
    f"""SELECT STREAM t, COUNT(*), SUM(n) FROM "{SOURCE}" WINDOWED BY STAGGER (PARTITION BY t RANGE INTERVAL '10' SECOND);"""
)


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in one order, floats to nine digits: sums differ in the last ones by the order of adding."""
    made = [tuple(float(f"{value:.9g}") + 0.0 if isinstance(value, float) else value for value in row) for row in rows]
    return sorted(made, key=lambda row: tuple((value is not None, str(value)) for value in row))


def streamed(code: str, rows: Sequence[Row], cuts: Sequence[int], *, restart: str, clock: bool) -> list[tuple[Any, ...]]:
    """The rows of OUTPUT when the input comes in batches, with a restart after each from the whole state or from its pieces."""
    application = Application(code, INPUT)
    kept: dict[str, bytes] = {}
    bounds = [0, *sorted(cuts), len(rows)]
    for start, stop in pairwise(bounds):
        if start < stop:
            application.push([(row[0], row[1], instant(row[2]), *row[3:]) for row in rows[start:stop]])
            if clock:
                application.advance(rows[stop - 1][0])
        if restart == "state":
            application.restarted()
        elif restart == "pieces":
            for name, data in application.program.changes().items():
                if data is None:
                    kept.pop(name)
                else:
                    kept[name] = data
            found = application.rows
            application = Application(code, INPUT)
            application.program.restore(kept)
            application.rows = found
    application.advance(START + 3_600_000)
    assert application.errors() == []
    return [
        (round((row["ROWTIME"].replace(tzinfo=EPOCH.tzinfo) - EPOCH) / timedelta(milliseconds=1)), *list(row.values())[1:])
        for row in application.rows.get("OUTPUT", [])
    ]


def make_rows(chance: random.Random, count: int) -> list[Row]:
    time = START
    rows: list[Row] = []
    for _ in range(count):
        time += chance.choice([0, 0, 1, 500, 999, 1000, 5000, 7000, 30_000])
        late = chance.choice([0, 0, 0, 1000, 65_000])
        rows.append(
            (
                time,
                chance.choice(["A", "B", "C", None]),
                time - late,
                chance.choice([None, *range(8)]),
                chance.choice([None, 0.5, 1.25, -3.0, chance.random()]),
            )
        )
    return rows


@pytest.mark.parametrize("name", QUERIES)
def test_batch_by_duckdb(name: str) -> None:
    code, query = QUERIES[name]
    rows = make_rows(random.Random(11), 600)
    found = streamed(code, rows, range(0, 600, 77), restart="no", clock=True)
    assert rounded(found) == rounded(expected(query, rows))
    assert len(found) > 20


TIMES = st.lists(st.sampled_from([0, 1, 999, 1000, 4999, 5000, 7000, 10_000, 61_000]), max_size=40)
VALUES = st.tuples(
    st.sampled_from(["A", "B", None]),
    st.sampled_from([0, 1000, 65_000]),
    st.none() | st.integers(0, 7),
    st.none() | st.sampled_from([0.5, -3.25]),
)


@pytest.mark.parametrize("name", [*QUERIES, "stagger"])
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_batches_and_restarts_give_the_same(name: str, data: st.DataObject) -> None:
    steps = data.draw(TIMES)
    values = data.draw(st.lists(VALUES, min_size=len(steps), max_size=len(steps)))
    time = START
    rows: list[Row] = []
    for step, (ticker, late, number, decimal) in zip(steps, values, strict=True):
        time += step
        rows.append((time, ticker, time - late, number, decimal))
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=6))
    restart = data.draw(st.sampled_from(["no", "state", "pieces"]))
    clock = data.draw(st.booleans())
    if name == "stagger":
        code, wanted = STAGGER, stagger(rows)
    else:
        code, query = QUERIES[name]
        wanted = expected(query, rows)
    assert rounded(streamed(code, rows, cuts, restart=restart, clock=clock)) == rounded(wanted)
