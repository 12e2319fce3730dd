"""Redshift's SQL against known values: a statement that runs is not yet one that is right."""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from tests.services.redshift.harness import Engine

D = Decimal


@pytest.fixture(scope="module")
def shared(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    with engine.connect() as connection:
        connection.execute(
            "create temp table d (i int, b bigint, n decimal(10,2), f float, s varchar(20), t date, ts timestamp, ok boolean)"
        )
        connection.execute(
            "insert into d values (1, 10, 1.25, 1.5, 'abc', '2020-01-31', '2020-01-31 12:34:56', true),"
            " (2, 20, 2.50, 2.5, 'Abd', '2020-02-29', '2020-02-29', false), (4, null, null, null, null, null, null, null)"
        )
        connection.execute("create temp table j (i int, s super)")
        connection.execute(
            """insert into j select 1, json_parse('{"a":"x","n":[1,{"z":true}],"d":1.5,"nul":null,"arr":[{"k":1},{"k":2}]}')"""
        )
        connection.execute("insert into j select 2, json_parse('[10,20]')")
        yield connection


EXPRESSIONS: list[tuple[str, Any]] = [
    # numbers
    ("7/2", 3), ("-7/2", -3), ("7/2.0", 3.5), ("7%3", 1), ("-7%3", -1), ("2^10", 1024), ("5/nullif(0,0)", None),
    ("cast(1.5 as int)", 2), ("1.239::decimal(10,2)", D("1.24")), ("cast(12.6 as decimal)", D(13)), ("trunc(1.27,1)", D("1.2")),
    ("trunc(-1.7)", D(-1)), ("round(-2.5)", D(-3)), ("ceiling(1.2)", D(2)), ("log(100)", 2), ("mod(7,3)", 1), ("sign(-3)", -1),
    ("5 & 3", 1), ("~5", -6), ("strtol('ff',16)", 255), ("strtol('-777',8)", -511), ("to_hex(255)", "ff"),
    # texts
    ("'a' || null", None), ("concat('a', null)", None), ("'n' || 5", "n5"), ("len('é')", 1), ("octet_length('é')", 2),
    ("substring('hello',0,3)", "he"), ("substring('hello',-1,4)", "he"), ("substring('hello' from 2 for 2)", "el"),
    ("left('hello',2)", "he"),
    ("charindex('l','hello')", 3), ("strpos('hello','z')", 0), ("initcap('hello wORLD x-y')", "Hello World X-Y"),
    ("lpad('a',3)", "  a"),
    ("rpad('a',3,'xy')", "axy"), ("btrim('xxaxx','x')", "a"), ("translate('abc','ab','xy')", "xyc"),
    ("split_part('a,b,c',',',2)", "b"),
    ("regexp_replace('aaa','a','b')", "bbb"), ("regexp_substr('abc','[0-9]+')", ""), ("regexp_count('abab','a')", 2),
    ("regexp_instr('xxab','a')", 3), ("'abc' ~ 'b'", True), ("'ABC' ~ 'b'", False), ("'ABC' ~* 'b'", True),
    ("'abc' !~ 'z'", True),
    (r"'a_c' like 'a\\_c'", True), (r"'abc' like 'a\\_c'", False), ("'a%c' like 'a^%c' escape '^'", True),
    ("'ABC' ilike 'a%'", True),
    ("cast('abcdef' as varchar(3))", "abc"), ("'abcdef'::char(2)", "ab"), ("md5('a')", "0cc175b9c0f1b6a831c399e269772661"),
    ("func_sha1('a')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ("sha2('a',256)", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    (r"'a\nb'", "a\nb"), (r"'a\\b'", "a\\b"), (r"E'a\\b'", "a\\b"), ("'it''s'", "it's"), ("'$1,$2'", "$1,$2"),
    ("reverse('abc')", "cba"), ("replicate('ab',2)", "abab"),
    # times
    ("dateadd(month, 1, '2020-01-31'::date)", datetime.datetime(2020, 2, 29)),
    ("add_months('2020-02-29'::date, 1)", datetime.datetime(2020, 3, 31)),
    ("datediff(day, '2020-01-01'::timestamp, '2020-01-02 23:00'::timestamp)", 1),
    ("datediff(month,'2020-01-31'::date,'2020-02-01'::date)", 1),
    ("datediff(hour,'2020-01-01 00:59'::timestamp,'2020-01-01 01:01'::timestamp)", 1),
    ("datediff(year,'2019-12-31'::date,'2020-01-01'::date)", 1),
    ("date_trunc('month','2020-05-17 10:00'::timestamp)", datetime.datetime(2020, 5, 1)),
    ("trunc('2020-05-17 10:00'::timestamp)", datetime.date(2020, 5, 17)),
    ("last_day('2020-02-01'::date)", datetime.date(2020, 2, 29)), ("'2020-01-02'::date - '2020-01-01'::date", 1),
    ("'2020-01-01'::date + 5", datetime.date(2020, 1, 6)),
    ("extract(dow from '2020-05-17'::date)", 0), ("date_part(epoch,'1970-01-02'::timestamp)", 86400),
    ("date_part('quarter','2020-05-17'::date)", 2),
    ("to_char('2020-05-17 13:04:05'::timestamp,'YYYY-MM-DD HH24:MI:SS')", "2020-05-17 13:04:05"),
    ("to_date('17-05-2020','DD-MM-YYYY')", datetime.date(2020, 5, 17)),
    ("convert_timezone('UTC','US/Eastern','2020-01-01 12:00'::timestamp)", datetime.datetime(2020, 1, 1, 7)),
    ("months_between('2020-03-31'::date,'2020-02-29'::date)", 1),
    ("next_day('2020-05-17'::date,'Tue')", datetime.date(2020, 5, 19)),
    ("getdate() between dateadd(day,-1,sysdate) and dateadd(day,1,sysdate)", True),
    ("to_char('2020-05-17'::date,'Mon DD, YYYY')", "May 17, 2020"), ("to_char('2020-05-17'::date,'MONTH')", "MAY      "),
    ("to_char('2020-05-17'::date,'FMDay, DDD')", "Sunday, 138"),
    ("to_char('2020-05-17 13:04'::timestamp,'HH12:MI AM')", "01:04 PM"),
    ("to_char('2020-05-17 13:04:05.123'::timestamp,'YYYY-MM-DDTHH24:MI:SS.MSZ')", "2020-05-17T13:04:05.123Z"),
    ("to_char('2020-01-01'::date,'IYYY-IW')", "2020-01"), ("to_char('2020-05-17'::date,'\"Q\" YY')", "Q 20"),
    ("to_timestamp('2020-05-17 13:04','YYYY-MM-DD HH24:MI')", datetime.datetime(2020, 5, 17, 13, 4, tzinfo=datetime.UTC)),
    ("'2020-01-31'::timestamp + interval '1 month 2 days'", datetime.datetime(2020, 3, 2)),
    ("'2020-01-01'::timestamp - interval '90 minutes'", datetime.datetime(2019, 12, 31, 22, 30)),
    ("'2020-01-01'::timestamp + interval '1 hour 30 minutes'", datetime.datetime(2020, 1, 1, 1, 30)),
    ("date_part(w, '2020-01-08'::date)", 2), ("datediff(s, '2020-01-01'::timestamp, '2020-01-01 00:01'::timestamp)", 60),
    ("dateadd(mi, 30, '2020-01-01'::timestamp)", datetime.datetime(2020, 1, 1, 0, 30)), ("date_part('d', '2020-01-08'::date)", 8),
    ("extract(epoch from '1970-01-01 00:01:00'::timestamp)", 60), ("'2020-01-01'::date < '2020-01-01 00:00:01'::timestamp", True),
    # conditions and JSON
    ("nvl(null,1)", 1), ("nvl2(null,1,2)", 2), ("decode(2,1,'a',2,'b','c')", "b"), ("decode(null,null,'n','x')", "n"),
    ("greatest(1,null,3)", 3),
    ("nullif(1,1)", None), ("json_extract_path_text('{\"a\":{\"b\":\"x\"}}','a','b')", "x"),
    ("json_extract_path_text('{\"a\":1}','z')", None),
    ("json_extract_path_text('bad','a',true)", None), ("json_extract_array_element_text('[10,20]',1)", "20"),
    ("json_array_length('[1,2,3]')", 3),
    ("is_valid_json('{\"a\":1}')", True), ("is_valid_json('[1]')", False), ("is_valid_json_array('[1]')", True),
    ("array(1,'a',null)", '[1,"a",null]'),
    ("object('a',1)", '{"a":1}'), ("current_database()", "dev"), ("current_schema()", "public"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_expression(shared: psycopg.Connection[Any], expression: str, expected: Any) -> None:
    value = shared.execute(f"select {expression}").fetchone()[0]  # type: ignore[index]
    assert value == expected
    assert isinstance(value, bool) == isinstance(expected, bool)


QUERIES: list[tuple[str, list[tuple[Any, ...]]]] = [
    ("select avg(i), avg(b), avg(f), sum(i), sum(n), count(*), count(b), median(i) from d",
     [(2, 15, 2.0, 7, D("3.75"), 3, 2, 2)]),
    ("select avg(i) over (), sum(i) over (order by i) from d order by 2", [(2, 1), (2, 3), (2, 7)]),
    ("select i from d order by b", [(1,), (2,), (4,)]),
    ("select i from d order by b desc", [(4,), (2,), (1,)]),
    ("select listagg(s,',') within group (order by s) from d", [("Abd,abc",)]),
    ("select listagg(distinct ok::varchar, '|') within group (order by ok::varchar) from d", [("false|true",)]),
    ("select i, ratio_to_report(i) over () from d where i < 4 order by i", [(1, 1 / 3), (2, 2 / 3)]),
    ("select approximate count(distinct s), percentile_cont(0.5) within group (order by i), bool_or(ok) from d",
     [(2, 2.0, True)]),
    ("select top 2 i from d order by i desc", [(4,), (2,)]),
    ("select i from d minus select 1 order by 1", [(2,), (4,)]),
    ("select i, row_number() over (order by i) rn from d qualify rn = 2", [(2, 2)]),
    ("with recursive c(n) as (select 1 union all select n+1 from c where n<3) select n from c order by n", [(1,), (2,), (3,)]),
    ("select lag(i) over (order by i), first_value(i) over (order by i rows unbounded preceding) from d order by i",
     [(None, 1), (1, 1), (2, 1)]),
    ("select i from d where d.t = '2020-1-31' and d.i < '10' and d.s in ('abc', 'x')", [(1,)]),
    ("select i from d where d.i > '10'", []),
    ("select 'n: ' || count(*), upper(max(s)) from d", [("n: 3", "ABC")]),
    ("select s.a, s.n[0], s.n[1].z, s.zz from j where i = 1", [('"x"', "1", "true", None)]),
    ("select j.s[1]::int from j where i = 2", [(20,)]),
    ("select s.a::varchar, s.d::float, s.n[0]::int + 1, s.n[1].z::boolean from j where i = 1", [("x", 1.5, 2, True)]),
    ("select i from j where s.a = 'x'", [(1,)]),
    ("select i from j where s.d > 1 and s.n[0] = 1 and s.a in ('x', 'y')", [(1,)]),
    ("select s.nul is null, s.zz is null, s.a is null from j where i = 1", [(True, True, False)]),
    ("select s.a || 'y', upper(s.a), len(s.a), s.a like 'x%' from j where i = 1", [("xy", "X", 1, True)]),
    ("select e.k::int from j, j.s.arr as e where i = 1 order by 1", [(1,), (2,)]),
    ("select json_typeof(s), is_array(s.n), get_array_length(s.n), json_serialize(s.n) from j where i = 1",
     [("object", True, 2, '[1,{"z":true}]')]),
    ("select n from generate_series(1,3) as g(n)", [(1,), (2,), (3,)]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), QUERIES, ids=[text for text, _ in QUERIES])
def test_query(shared: psycopg.Connection[Any], query: str, expected: list[tuple[Any, ...]]) -> None:
    assert shared.execute(query).fetchall() == expected


def test_names_of_columns(shared: psycopg.Connection[Any]) -> None:
    cursor = shared.execute(
        'select i as Foo, "s" as "BAR", count(*), 1, max(i), 5::bigint, upper(\'a\'), true from d group by 1,2 limit 1'
    )
    names = [column.name for column in cursor.description or []]
    assert names == ["foo", "bar", "count", "?column?", "max", "int8", "upper", "bool"]


REFUSED = [
    "select getenv('HOME')", "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'", 'select * from "/etc/passwd"',
    "select * from read_text('/etc/passwd')", "select * from glob('/*')", "attach '/tmp/x.db' as x", "install httpfs",
    "load httpfs",
    "copy (select 1) to '/tmp/x'", "copy d to '/tmp/x'", "export database '/tmp/x'", "import database '/tmp/x'",
    "pragma version",
    "set memory_limit = '1GB'", "set enable_external_access = true", "call pragma_version()", "select * from duckdb_settings()",
    "select * from headrace.loads", "delete from headrace.loads", "insert into headrace.loads values ('x', 1, null)",
    "create table headrace.x (a int)", "drop schema headrace cascade", "select * from duckdb_secrets()",
    "select * from pragma_table_info('d')",
    "select * from query('select 1')", "select * from query_table('d')", "select write_log('x')",
    "select current_setting('memory_limit')",
    "select * from sqlite_master", "select * from main.d", "select * from system.information_schema.tables", "checkpoint",
    "use main",
    "create secret s (type s3)", "create macro m() as 1", "select * from range(3)", "select * from unnest([1,2])",
    "select [1,2]", "select {'a': 1}",
    "select headrace.hr_text(1)", "select headrace_functions.udf_x(1)", "select main.abs(1)", "summarize d", "describe d",
    "from d", "select * from (describe d)", "select 1::hugeint", "select 'a'::json", "select 1 -> 'a'",
    "select x from d tablesample 1", "select * from d for update", "insert into d select 1 returning 1",
    "select distinct on (i) i from d",
    "select 'a' similar to 'b'", "select to_number('1','9')", "select to_char(now(), 'Q')",
    "select to_char(now(), 'J')", "select to_char(now(), 'hh:mi am')",
    "select to_date('1', 'YYYYQ')", "select to_char(now(), version())", "select to_char(1.5,'9D9')",
    "create function f(a int) returns int stable as $$ return 1 $$ language plpythonu",
    "lock d", "declare c cursor for select 1", "revoke select on d from public", "select crc32('a')",
    "create table x (a geometry)", "select 1; attach ':memory:' as x",
    "select count(distinct i, b) from d", "delete from pg_class", "create view pg_catalog.x as select 1",
    "select $$a$$ || getvariable('x')", "select 1::blob",
    "select columns('i') from d", "select * replace (1 as i) from d", "select i from d order by all", "select unnest(1)",
]  # fmt: skip


@pytest.mark.parametrize("statement", REFUSED)
def test_refused(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.execute("create temp table d (i int, b bigint)")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(statement.encode())
        assert caught.value.sqlstate not in ("XX000", None), caught.value
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("statement", ["select 1/0", "select 1.0/0", "select 5 % 0", "select 1::float / (2 - 2)"])
def test_division_by_zero(shared: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        shared.execute(statement)


def test_deep_nesting(shared: psycopg.Connection[Any]) -> None:
    assert shared.execute(f"select {'(' * 200}1{')' * 200}".encode()).fetchone() == (1,)
    with pytest.raises(psycopg.Error) as caught:
        shared.execute(f"select {'(' * 50000}1{')' * 50000}".encode())
    assert caught.value.sqlstate == "54001"
    assert shared.execute("select 1").fetchone() == (1,)


def test_table_options_and_enforcement(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "create table opts (id bigint identity(10,5) not null encode raw, v varchar(5) encode zstd distkey, c char(3),"
        " m decimal default 7,"
        " s super, primary key (id)) diststyle key interleaved sortkey (id, v) backup no".replace(" backup no", "")
    )
    connection.execute("insert into opts (v) values ('abc'), ('x')")
    assert connection.execute("select id, v, m from opts order by id").fetchall() == [(10, "abc", D(7)), (15, "x", D(7))]
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        connection.execute("insert into opts (v) values ('toolong')")
    connection.execute("insert into opts (id, v) values (10, 'dup')")  # a primary key is not enforced
    connection.execute("create temp table #copy (like opts including defaults)")
    connection.execute("insert into #copy (id, v) values (1, 'a')")
    assert connection.execute("select m from #copy").fetchone() == (D(7),)
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        connection.execute("insert into #copy (id, v) values (1, 'toolong')")
    rows = connection.execute(
        'select "column", type, encoding, distkey, sortkey, "notnull" from pg_table_def where tablename = \'opts\''
    ).fetchall()
    assert rows[:2] == [("id", "bigint", "raw", False, 1, True), ("v", "character varying(5)", "zstd", True, 2, False)]
    connection.execute("alter table opts rename column v to w")
    connection.execute("alter table opts add column added varchar(10) default 'z'")
    connection.execute("delete opts where id = 15")
    connection.execute("truncate opts")
    connection.execute("drop table opts cascade")


def test_changes(connection: psycopg.Connection[Any]) -> None:
    connection.execute("create table target as select 1 as id, 'a' as v")
    connection.execute("create temp table source as select 1 as id, 'b' as v union all select 2, 'c'")
    connection.execute(
        "merge into target using source s on target.id = s.id when matched then update set v = s.v"
        " when not matched then insert values (s.id, s.v)"
    )
    assert connection.execute("select id, v from target order by id").fetchall() == [(1, "b"), (2, "c")]
    connection.execute("update target set v = source.v || '!' from source where source.id = target.id and target.id = 2")
    connection.execute("delete from target using source where source.id = target.id and source.v = 'b'")
    assert connection.execute("select id, v from target").fetchall() == [(2, "c!")]
    connection.execute("drop table target")


def test_materialized_view_is_a_copy_until_refreshed(connection: psycopg.Connection[Any]) -> None:
    connection.execute("create table base as select 1 as a")
    connection.execute("create materialized view mv as select a from base")
    connection.execute("insert into base values (2)")
    assert connection.execute("select count(*) from mv").fetchone() == (1,)
    connection.execute("refresh materialized view mv")
    assert connection.execute("select count(*) from mv").fetchone() == (2,)
    connection.execute("drop materialized view mv")
    connection.execute("drop table base")


def test_function_in_sql(connection: psycopg.Connection[Any]) -> None:
    connection.execute("create function add_one(int) returns bigint stable as $$ select $1 + 1 $$ language sql")
    assert connection.execute("select add_one(2), add_one(40) * 2").fetchone() == (3, 82)
    connection.execute("drop function add_one(int)")
    with pytest.raises(psycopg.errors.UndefinedFunction):
        connection.execute("select add_one(2)")


def test_several_statements_are_one_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute("create temp table many (a int)")
        with pytest.raises(psycopg.Error):
            connection.execute("insert into many values (1); select 1/0")
        assert connection.execute("select count(*) from many").fetchone() == (0,)
        connection.execute("insert into many values (1); insert into many values (2)")
        assert connection.execute("select count(*) from many").fetchone() == (2,)
