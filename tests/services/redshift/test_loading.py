"""COPY, UNLOAD and exactly-once loads against the warehouse process."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.services.redshift.harness import Engine

ROLE = "iam_role 'arn:aws:iam::000000000000:role/loader'"


@pytest.fixture
def table(connection: psycopg.Connection[Any]) -> Iterator[str]:
    connection.execute(
        "create table loaded (id integer, name varchar(10), amount decimal(10,2), at timestamp, ok boolean, more super)"
    )
    yield "loaded"
    connection.execute("drop table loaded")


def test_json_auto(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    engine.objects["s3://json/a.json"] = (
        b'{"id":1,"name":"a","amount":1.239,"at":"2021-01-01 10:00:00","ok":true,"more":{"k":[1,2]},"unknown":5}{"id":2}\n'
        b'{"id":"3","name":null,"amount":"2.5"}\n'
    )
    connection.execute(f"copy loaded from 's3://json/' {ROLE} format as json 'auto'")
    rows = connection.execute("select id, name, amount, at::varchar, ok, more from loaded order by id").fetchall()
    assert rows == [
        (1, "a", Decimal("1.23"), "2021-01-01 10:00:00", True, '{"k":[1,2]}'),
        (2, None, None, None, None, None),
        (3, None, Decimal("2.50"), None, None, None),
    ]
    assert connection.execute("select pg_last_copy_count()").fetchone() == (3,)


def test_json_ignorecase_and_gzip(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    engine.objects["s3://gz/a.gz"] = gzip.compress(b'{"ID":1,"Name":"x"}\n')
    connection.execute(f"copy loaded from 's3://gz/' {ROLE} json 'auto ignorecase' gzip")
    assert connection.execute("select id, name from loaded").fetchall() == [(1, "x")]


def test_json_paths(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    engine.objects["s3://paths/data"] = b'{"a":{"n":5},"l":["x","y"]}'
    engine.objects["s3://jp/jp.json"] = json.dumps({"jsonpaths": ["$.a.n", "$['l'][1]"]}).encode()
    connection.execute(f"copy loaded (id, name) from 's3://paths/' {ROLE} json 's3://jp/jp.json'")
    assert connection.execute("select id, name from loaded").fetchall() == [(5, "y")]


def test_csv_options(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    engine.objects["s3://csv/a"] = b'id,name,amount\n1,"x,""y",1.999\n2,,\n3,NUL,4\n'
    connection.execute(
        f"copy loaded (id,name,amount) from 's3://csv/' {ROLE} csv ignoreheader 1 emptyasnull null as 'NUL' roundec"
    )
    rows = connection.execute("select id, name, amount from loaded order by id").fetchall()
    assert rows == [(1, 'x,"y', Decimal("2.00")), (2, None, None), (3, None, Decimal("4.00"))]


def test_delimited(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    engine.objects["s3://pipe/a"] = b"1|a b|2.5\n2|\\N|\n"
    connection.execute(f"copy loaded (id,name,amount) from 's3://pipe/' {ROLE}")
    assert connection.execute("select id, name, amount from loaded order by id").fetchall() == [
        (1, "a b", Decimal("2.50")),
        (2, None, None),
    ]


@pytest.mark.parametrize(
    ("options", "given", "expected"),
    [
        ("timeformat 'auto'", "2026-01-02T03:04:05Z", "2026-01-02 03:04:05"),
        ("timeformat 'YYYY-MM-DD HH:MI:SS'", "2026-01-02 15:04:05", "2026-01-02 15:04:05"),
        ("timeformat 'YYYY-MM-DDTHH24:MI'", "2026-01-02T15:04", "2026-01-02 15:04:00"),
        ("timeformat 'epochsecs'", "86400", "1970-01-02 00:00:00"),
        ("timeformat 'epochmillisecs'", "86400500", "1970-01-02 00:00:00.5"),
        ("timeformat 'MM/DD/YY HH12:MI AM'", "01/02/26 03:04 PM", "2026-01-02 15:04:00"),
    ],
)
def test_time_formats(
    engine: Engine, connection: psycopg.Connection[Any], table: str, options: str, given: str, expected: str
) -> None:
    engine.objects["s3://times/a"] = json.dumps({"id": 1, "at": given}).encode()
    connection.execute(f"copy loaded from 's3://times/' {ROLE} json 'auto' {options}".encode())
    assert connection.execute("select at::varchar from loaded").fetchone() == (expected,)


def test_manifest(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    engine.objects["s3://m/1"] = b'{"id":1}'
    engine.objects["s3://m/2"] = b'{"id":2}'
    engine.objects["s3://m/list"] = json.dumps({"entries": [{"url": "s3://m/2", "mandatory": True}]}).encode()
    connection.execute(f"copy loaded from 's3://m/list' {ROLE} json 'auto' manifest")
    assert connection.execute("select id from loaded").fetchall() == [(2,)]


def test_unload_and_load_parquet(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    connection.execute("insert into loaded (id, name, amount) values (1, 'it''s', 2.5)")
    connection.execute(
        f"unload ('select id, name, amount from loaded where name = ''it''''s''') to 's3://out/p_' {ROLE} parquet manifest"
    )
    assert json.loads(engine.objects["s3://out/p_manifest"])["entries"][0]["url"] == "s3://out/p_0000_part_00.parquet"
    connection.execute("create temp table back (a integer, b varchar, c decimal(10,2))")
    connection.execute(f"copy back from 's3://out/p_0000' {ROLE} format as parquet")
    assert connection.execute("select * from back").fetchall() == [(1, "it's", Decimal("2.50"))]


def test_unload_csv(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    connection.execute("insert into loaded (id, name) values (1, 'a')")
    connection.execute(f"unload ('select id, name from loaded') to 's3://out/c_' {ROLE} csv header")
    assert engine.objects["s3://out/c_0000_part_00"] == b"id,name\n1,a\n"


def test_a_bad_row_loads_nothing_and_is_told(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    engine.objects["s3://bad/a"] = b'{"id":1}\n{"id":1.5}\n{"id":2,"name":"far too long"}\n'
    with pytest.raises(psycopg.Error, match="sys_load_error_detail"):
        connection.execute(f"copy loaded from 's3://bad/' {ROLE} json 'auto'")
    assert connection.execute("select count(*) from loaded").fetchone() == (0,)
    rows = connection.execute(
        "select line_number, colname, err_code, raw_field_value from stl_load_errors where filename = 's3://bad/a' order by 1"
    ).fetchall()
    assert rows[0] == (2, "id", 1207, "1.5")
    connection.execute(f"copy loaded from 's3://bad/' {ROLE} json 'auto' maxerror 2")
    assert connection.execute("select id from loaded").fetchall() == [(1,)]
    connection.execute(f"copy loaded from 's3://bad/' {ROLE} json 'auto' maxerror 2 truncatecolumns")
    assert connection.execute("select name from loaded where id = 2").fetchall() == [("far too lo",)]


def test_missing_prefix(connection: psycopg.Connection[Any], table: str) -> None:
    with pytest.raises(psycopg.Error, match="does not exist"):
        connection.execute(f"copy loaded from 's3://nothing/' {ROLE} json 'auto'")


def test_copy_belongs_to_the_transaction(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    engine.objects["s3://tx/a"] = b'{"id":1}'
    connection.execute("begin")
    connection.execute(f"copy loaded from 's3://tx/' {ROLE} json 'auto'")
    connection.execute("rollback")
    assert connection.execute("select count(*) from loaded").fetchone() == (0,)


def test_an_unknown_option_is_refused(connection: psycopg.Connection[Any], table: str) -> None:
    for option in ("encrypted", "lzop", "frobnicate", "escape"):
        with pytest.raises(psycopg.Error):
            connection.execute(f"copy loaded from 's3://x/' {ROLE} {option}")


def test_a_manifest_id_loads_once_even_over_a_kill(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    statement = f"copy t from 's3://k/' {ROLE} json 'auto'"
    try:
        with engine.connect() as connection:
            connection.execute("create table t (id integer, part integer)")
        done: set[int] = set()
        for cycle in range(3):
            killer = threading.Timer(0.15 + cycle * 0.1, engine.process.kill)
            killer.start()
            try:
                for number in range(1000):
                    engine.objects["s3://k/a"] = b"".join(b'{"id":%d,"part":%d}\n' % (number, part) for part in range(20))
                    answer = engine.load(statement, f"manifest-{number}")
                    assert answer["repeated"] == (number in done)
                    done.add(number)
            except ConnectionError:
                engine.process.wait(10)
            killer.cancel()
            engine.kill()
            engine.start()
            with engine.connect() as connection:
                counts = connection.execute("select id, count(*) from t group by id order by id").fetchall()
            assert done <= {row[0] for row in counts}
            assert all(count == 20 for _, count in counts)
            done = {row[0] for row in counts}
        assert done
    finally:
        engine.kill()


def test_small_loads_are_quick(engine: Engine, connection: psycopg.Connection[Any], table: str) -> None:
    engine.objects["s3://small/a"] = b"\n".join(b'{"id":%d,"name":"n","amount":1.5}' % n for n in range(100))
    times = []
    for number in range(10):
        started = time.monotonic()
        assert engine.load(f"copy loaded from 's3://small/' {ROLE} json 'auto'", f"small-{number}") == {
            "rows": 100,
            "repeated": False,
        }
        times.append(time.monotonic() - started)
    assert sorted(times)[5] < 0.3
