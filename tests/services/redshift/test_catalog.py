"""The questions that psql and drivers ask the system tables."""

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redshift_connector
from tests.services.redshift.harness import Engine


@pytest.fixture(scope="module")
def described(engine: Engine) -> Iterator[Engine]:
    with engine.connect() as connection:
        connection.execute(
            "create table catalogued (id bigint identity(1,1), v varchar(5) default 'x', n decimal(10,2) not null,"
            " s super, primary key (id))"
        )
        connection.execute("create schema side")
        connection.execute("create view side.seen as select v from catalogued")
        connection.execute("create user reader password 'Reader123'")
        yield engine
        connection.execute("drop view side.seen")
        connection.execute("drop schema side")
        connection.execute("drop table catalogued")
        connection.execute("drop user reader")


def psql(engine: Engine, command: str) -> str:
    done = subprocess.run(
        ["psql", "-h", "127.0.0.1", "-p", str(engine.port), "-U", "admin", "-At", "dev", "-c", command],
        env={**os.environ, "PGPASSWORD": "Secret123"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (r"\d", "public|catalogued|table|rdsdb"),
        (r"\dt", "public|catalogued|table|rdsdb"),
        (r"\dv", "side|seen|view|rdsdb"),
        (r"\dn", "side|rdsdb"),
        (r"\l", "dev|rdsdb|UTF8"),
        (r"\du", "reader||"),
        (r"\d catalogued", "v|character varying(5)|||'x'"),
        (r"\d catalogued", "n|numeric(10,2)||not null|"),
        (r"\d side.seen", "v|character varying(65535)"),
        (r"\z", "public|catalogued|table"),
        (r"\df", ""),
        (r"\dn+", "public|rdsdb"),
    ],
)
def test_psql(described: Engine, command: str, expected: str) -> None:
    assert expected in psql(described, command)


def test_redshift_connector_metadata(described: Engine) -> None:
    with redshift_connector.connect(
        host="127.0.0.1", port=described.port, user="admin", password="Secret123", database="dev", ssl=False
    ) as connection:
        cursor = connection.cursor()
        assert ["dev", "public", "catalogued", "TABLE"] in [row[:4] for row in cursor.get_tables()]
        columns = [(row[3], row[5], row[6], row[8]) for row in cursor.get_columns(tablename_pattern="catalogued")]
        assert columns == [("id", "int8", 19, 0), ("v", "varchar", 5, 0), ("n", "numeric", 10, 2), ("s", "super", None, None)]
        assert "side" in [row[0] for row in cursor.get_schemas()]
        assert [row[3] for row in cursor.get_primary_keys(table="catalogued")] == ["id"]


def test_information_schema(described: Engine) -> None:
    with described.connect() as connection:
        rows = connection.execute(
            "select column_name, data_type, is_nullable, character_maximum_length, numeric_precision, numeric_scale"
            " from information_schema.columns where table_name = 'catalogued' order by ordinal_position"
        ).fetchall()
        assert rows == [
            ("id", "bigint", "NO", None, 64, 0),
            ("v", "character varying", "YES", 5, None, None),
            ("n", "numeric", "NO", None, 10, 2),
            ("s", "super", "YES", None, None, None),
        ]
        tables = connection.execute("select table_schema, table_name, table_type from svv_tables order by 1, 2").fetchall()
        assert ("side", "seen", "VIEW") in tables
        assert not [row for row in tables if row[0].startswith("headrace")]


def test_own_tables_stay_hidden(described: Engine) -> None:
    with described.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from headrace.users")
        names = connection.execute("select nspname from pg_namespace").fetchall()
        assert not [name for (name,) in names if name.startswith("headrace")]


def values(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def test_history(described: Engine) -> None:
    with described.connect() as connection:
        connection.execute("select 'find me'")
        with pytest.raises(psycopg.Error):
            connection.execute("select * from not_there")
        connection.execute("create user secretive password 'Hidden123'")
        connection.execute("drop user secretive")
        rows = values(connection, "select query_text, status, username from sys_query_history order by query_id")
    assert ("select 'find me'", "success", "admin") in rows
    assert ("select * from not_there", "failed", "admin") in rows
    assert "create user secretive password '***'" in [row[0] for row in rows]
    assert not [row for row in rows if "Hidden123" in row[0]]


@pytest.mark.parametrize(
    "table",
    ["pg_class", "pg_attribute", "pg_type", "pg_user", "pg_tables", "pg_views", "svv_table_info", "svv_all_columns",
     "svv_mv_info", "svv_redshift_databases", "svv_external_schemas", "stl_load_errors", "sys_load_history",
     "stv_tbl_perm", "pg_constraint", "pg_index"],
)  # fmt: skip
def test_every_system_table_answers(described: Engine, table: str) -> None:
    with described.connect() as connection:
        assert values(connection, f"select count(*) from {table}")[0][0] >= 0
