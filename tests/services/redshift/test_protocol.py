"""Drivers against the warehouse process: values must come back as they are, in text and in binary."""

import datetime
import os
import subprocess
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import redshift_connector
from tests.services.redshift.harness import Engine

VALUES = """select true as b, 7::smallint as s, -70000 as i, 9007199254740993::bigint as l, 1.5::real as r, -2.25::float8 as f,
  12345.6700::decimal(12,4) as n, '2024-02-29'::date as d, '1999-12-31 23:59:59.123456'::timestamp as ts,
  '2020-01-01 10:00:00+02'::timestamptz as tz, 'naïve'::varchar as v, null::integer as z"""
EXPECTED = (
    True, 7, -70000, 9007199254740993, 1.5, -2.25, Decimal("12345.6700"), datetime.date(2024, 2, 29),
    datetime.datetime(1999, 12, 31, 23, 59, 59, 123456), datetime.datetime(2020, 1, 1, 8, tzinfo=datetime.UTC), "naïve", None,
)  # fmt: skip


@pytest.mark.parametrize("binary", [False, True])
def test_psycopg_reads_every_type(connection: psycopg.Connection[Any], binary: bool) -> None:
    assert connection.execute(VALUES, binary=binary).fetchone() == EXPECTED


@pytest.mark.parametrize(
    "number", ["0", "1", "-1", "0.0001", "10000", "99999999.9999", "-123.4500", "1234567890123456789012345678.1234567890"]
)
def test_numeric_in_binary(connection: psycopg.Connection[Any], number: str) -> None:
    scale = len(number.split(".")[1]) if "." in number else 0
    row = connection.execute(f"select '{number}'::decimal(38,{scale})", binary=True).fetchone()
    assert row == (Decimal(number),)
    assert str(row[0]) == number


def test_redshift_connector_reads_every_type(engine: Engine) -> None:
    with redshift_connector.connect(
        host="127.0.0.1", port=engine.port, user="admin", password="Secret123", database="dev", ssl=False
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(VALUES)
        assert tuple(cursor.fetchone()) == EXPECTED
        cursor.execute("select %s, %s, %s", (5, "x$1,$2", Decimal("1.50")))
        assert cursor.fetchone() == [5, "x$1,$2", Decimal("1.50")]


@pytest.mark.parametrize("binary", [False, True])
def test_parameters_keep_their_values(connection: psycopg.Connection[Any], binary: bool) -> None:
    given = (
        1,
        2**40,
        Decimal("3.25"),
        "o'clock \\n",
        True,
        datetime.date(2020, 1, 2),
        datetime.datetime(2020, 1, 2, 3, 4, 5),
        None,
        1.5,
    )
    mark = "%b" if binary else "%s"
    row = connection.execute(f"select {','.join([mark] * len(given))}", given).fetchone()
    assert row == given


def test_prepared_statement_runs_again(connection: psycopg.Connection[Any]) -> None:
    assert [connection.execute("select %s + 1", (n,), prepare=True).fetchone() for n in range(3)] == [(1,), (2,), (3,)]


def test_failed_transaction_refuses_until_it_ends(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute("create temp table ft (a int)")
        connection.execute("begin")
        connection.execute("insert into ft values (1)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select * from nowhere")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.execute("rollback")
        assert connection.execute("select count(*) from ft").fetchone() == (0,)


def test_syntax_error_has_its_place(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.SyntaxError) as caught:
        connection.execute("select 1 from where x")
    assert caught.value.diag.statement_position == "15"


def test_wrong_password(engine: Engine) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        engine.connect(password="wrong")


def test_temporary_password_of_an_iam_user(engine: Engine) -> None:
    import hashlib

    engine.temporary["IAM:reader"] = [hashlib.md5(b"temporaryIAM:reader").hexdigest()]
    with engine.connect(user="IAM:reader", password="temporary") as connection:
        assert connection.execute("select current_user").fetchone() == ("IAM:reader",)


def test_tls_when_asked_for(engine: Engine) -> None:
    with engine.connect(sslmode="require") as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("select 1").fetchone() == (1,)


def test_cancel_stops_a_statement(engine: Engine) -> None:
    import threading

    with engine.connect() as connection:
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select count(*) from generate_series(1, 100000000000)").fetchall()
        assert connection.execute("select 1").fetchone() == (1,)


def test_statement_timeout(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute("set statement_timeout to 200")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select count(*) from generate_series(1, 100000000000)").fetchall()
        connection.execute("reset statement_timeout")
        assert connection.execute("select 1").fetchone() == (1,)


def test_copy_over_the_connection_is_refused(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.SyntaxError, match="STDIN is not supported"):
        connection.execute("copy t from stdin")


def test_rows_in_pieces(engine: Engine) -> None:
    with redshift_connector.connect(
        host="127.0.0.1", port=engine.port, user="admin", password="Secret123", database="dev", ssl=False
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("select n from generate_series(1, 5000) as t(n) order by n")
        assert [row[0] for row in cursor.fetchmany(10)] == list(range(1, 11))
        other = connection.cursor()
        other.execute("select 1")
        assert len(cursor.fetchall()) == 4990


def test_psql_runs_several_statements(engine: Engine) -> None:
    done = subprocess.run(
        ["psql", "-h", "127.0.0.1", "-p", str(engine.port), "-U", "admin", "-At", "dev",
         "-c", "select 1; select 'a;b' -- x;\n, 2"],
        env={**os.environ, "PGPASSWORD": "Secret123"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "1\na;b|2\n"
