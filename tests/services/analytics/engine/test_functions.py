"""Expressions and functions: what the SQL reference says of each, as values."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from tests.services.analytics.engine.applications import Application, columns

from headrace.services.analytics.engine.schema import SqlError

ONE = columns(
    "I INTEGER, B BIGINT, D DOUBLE, N DECIMAL(9;2), T VARCHAR(64), OK BOOLEAN, AT TIMESTAMP, NOTHING INTEGER".replace(";", ",")
)
ROW = ("10:00:00.5", 7, 2**40, 2.5, "12.34", "Hello World", True, "2018-08-01 11:02:03.456", None)


def value(expression: str) -> Any:
    application = Application(f'SELECT STREAM {expression} AS V FROM "SOURCE_SQL_STREAM_001";', ONE).push([ROW])
    assert application.errors() == []
    ((found,),) = application.found()
    return found


CASES: list[tuple[str, Any]] = [
    # arithmetic
    ("i + 1", 8),
    ("i / 2", 3),
    ("-i / 2", -3),
    ("i * 2.5", Decimal("17.5")),
    ("d / 2", 1.25),
    ("MOD(i, 4)", 3),
    ("MOD(-i, 4)", -3),
    ("n + 0.66", Decimal("13.00")),
    ("n * 2", Decimal("24.68")),
    ("i + nothing", None),
    ("b * 2", 2**41),
    ("-(i - 10)", 3),
    ("n > 12.3", True),
    ("d = 2.5", True),
    ("i BETWEEN 7 AND 8", True),
    ("ABS(-2.5)", Decimal("2.5")),
    ("POWER(2, 10)", 1024.0),
    ("FLOOR(d)", 2.0),
    ("CEIL(d)", 3.0),
    ("CEILING(n)", Decimal("13")),
    ("EXP(0)", 1.0),
    ("LN(1)", 0.0),
    ("LOG10(100)", 2.0),
    ("STEP(23 BY 5)", 20),
    ("STEP(3.145 BY 0.1)", Decimal("3.1")),
    ("SQRT(16)", 4.0),
    ("ROUND(2.5, 0)", Decimal("3")),
    # three values
    ("nothing = 1", None),
    ("nothing IS NULL", True),
    ("nothing = 1 AND i = 8", False),
    ("nothing = 1 OR i = 7", True),
    ("NOT (nothing = 1)", None),
    ("nothing IN (1, 2)", None),
    ("i IN (1, nothing)", None),
    ("i IN (7, nothing)", True),
    ("i NOT IN (1, 2)", True),
    ("(nothing = 1) IS UNKNOWN", True),
    ("(i = 7) IS TRUE", True),
    ("(nothing = 1) IS NOT TRUE", True),
    ("nothing IS DISTINCT FROM 1", True),
    ("ok AND nothing IS NULL", True),
    ("NULLIF(i, 7)", None),
    ("COALESCE(nothing, i, 1)", 7),
    # CASE: a branch that is not taken is not computed
    ("CASE WHEN i = 0 THEN 1 / (i - 7) WHEN i = 7 THEN 2 END", 2),
    ("CASE i WHEN 7 THEN 'seven' ELSE 'other' END", "seven"),
    ("CASE WHEN i > 100 THEN 1 END", None),
    ("i = 8 AND 1 / (i - 7) > 0", False),
    # text
    ("UPPER(t)", "HELLO WORLD"),
    ("LOWER(t)", "hello world"),
    ("INITCAP('each FIRST lEtTeR')", "Each First Letter"),
    ("CHAR_LENGTH(t)", 11),
    ("SUBSTRING(t FROM 1 FOR 5)", "Hello"),
    ("SUBSTRING(t, 7)", "World"),
    ("SUBSTRING('abc' FROM 0 FOR 2)", "a"),
    ("POSITION('World' IN t)", 7),
    ("POSITION('x' IN t)", 0),
    ("TRIM(BOTH ' ' FROM '  a ')", "a"),
    ("TRIM(LEADING 'x' FROM 'xxax')", "ax"),
    ("TRIM(TRAILING 'x' FROM 'xxax')", "xxa"),
    ("OVERLAY('12345678' PLACING 'ab' FROM 3 FOR 4)", "12ab78"),
    ("t || '!' || i", "Hello World!7"),
    ("OVERLAY('12345678' PLACING 'abc' FROM 2)", "1abc5678"),
    ("REGEX_REPLACE('TestTest', 'Te', 'Sam', 1, 0)", "SamstSamst"),
    ("REGEX_REPLACE('TestTest', 'Te', 'Sam', 1, 2)", "TestSamst"),
    ("REGEX_REPLACE('TestTest', 'Te', 'Sam', 3, 1)", "TestSamst"),
    ("t LIKE 'Hello%'", True),
    ("t LIKE '%World%'", True),
    ("t LIKE 'H_llo%'", True),
    ("t NOT LIKE 'hello%'", True),
    ("'50%' LIKE '50!%' ESCAPE '!'", True),
    ("'505' LIKE '50!%' ESCAPE '!'", False),
    ("'TECH' SIMILAR TO '(TECH|RETAIL)'", True),
    ("JSON_VALUE('{\"a\":{\"b\":[1,2]}}', '$.a.b[1]')", "2"),
    ("JSON_QUERY('{\"a\":{\"b\":1}}', '$.a')", '{"b":1}'),
    ("JSON_VALUE('no json', '$.a')", None),
    ("'a' < 'b'", True),
    # casts
    ("CAST(t AS VARCHAR(5))", "Hello"),
    ("CAST('42' AS INTEGER)", 42),
    ("CAST(d AS INTEGER)", 3),
    ("CAST(-2.5 AS INTEGER)", -3),
    ("CAST(i AS VARCHAR(10))", "7"),
    ("CAST(d AS VARCHAR(10))", "2.5"),
    ("CAST(1.005 AS DECIMAL(5,2))", Decimal("1.01")),
    ("CAST('true' AS BOOLEAN)", True),
    ("CAST(ok AS VARCHAR(5))", "TRUE"),
    ("CAST('2018-08-01' AS DATE)", date(2018, 8, 1)),
    ("CAST(at AS DATE)", date(2018, 8, 1)),
    ("CAST(at AS TIME)", time(11, 2, 3, 456000)),
    ("CAST(nothing AS VARCHAR(3))", None),
    ("CAST(at AS VARCHAR(30))", "2018-08-01 11:02:03.456"),
    ("CAST('7' AS DOUBLE) + 1", 8.0),
    # time
    ("FLOOR(at TO MINUTE)", datetime(2018, 8, 1, 11, 2)),
    ("CEIL(at TO HOUR)", datetime(2018, 8, 1, 12)),
    ("FLOOR(at TO MONTH)", datetime(2018, 8, 1)),
    ("FLOOR(at TO YEAR)", datetime(2018, 1, 1)),
    ("FLOOR(at TO DAY)", datetime(2018, 8, 1)),
    ("STEP(at BY INTERVAL '10' MINUTE)", datetime(2018, 8, 1, 11)),
    ("at + INTERVAL '1' DAY", datetime(2018, 8, 2, 11, 2, 3, 456000)),
    ("at + INTERVAL '1:30' MINUTE TO SECOND", datetime(2018, 8, 1, 11, 3, 33, 456000)),
    ("TIMESTAMP '2018-01-31 00:00:00' + INTERVAL '1' MONTH", datetime(2018, 2, 28)),
    ("at > '2018-07-31 00:00:00'", True),
    ("CAST((at - TIMESTAMP '2018-08-01 11:00:00') SECOND AS INTEGER)", 123),
    ("CAST((at - at) MINUTE AS BIGINT)", 0),
    ("EXTRACT(HOUR FROM at)", 11),
    ("EXTRACT(YEAR FROM at)", 2018),
    ("EXTRACT(DAY FROM at)", 1),
    ("EXTRACT(MONTH FROM at)", 8),
    ("EXTRACT(QUARTER FROM at)", 3),
    ("EXTRACT(DOY FROM at)", 213),
    ("EXTRACT(WEEK FROM at)", 31),
    ("EXTRACT(DOW FROM at)", 4),
    ("UNIX_TIMESTAMP(at)", 1533121323456),
    ("TO_TIMESTAMP(1533121323456)", datetime(2018, 8, 1, 11, 2, 3, 456000)),
    ("TSDIFF(TIMESTAMP '2018-08-01 11:00:00', TIMESTAMP '2018-08-01 11:00:01')", 1000),
    ("TIMESTAMPDIFF(MINUTE, TIMESTAMP '2018-08-01 11:00:00', at)", 2),
    ("DATE '2018-08-01' + INTERVAL '1' DAY", date(2018, 8, 2)),
    ("CHAR_TO_TIMESTAMP('MM/dd/yy HH:mm:ss', '02/19/18 14:05:30')", datetime(2018, 2, 19, 14, 5, 30)),
    ("CHAR_TO_TIMESTAMP('dd/MMM/yyyy:HH:mm:ss Z', '22/Mar/2018:01:05:30 +0100')", datetime(2018, 3, 22, 0, 5, 30)),
    ("CHAR_TO_DATE('yyyy-MM-dd', '2018-08-01')", date(2018, 8, 1)),
    ("CHAR_TO_TIME('HH:mm', '07:30')", time(7, 30)),
    ("TIMESTAMP_TO_CHAR('EEE, d MMM yyyy hh:mm:ss a', at)", "Wed, 1 Aug 2018 11:02:03 AM"),
    ("DATE_TO_CHAR('yy''w''', CAST(at AS DATE))", "18w"),
    ("CURRENT_TIMESTAMP", datetime(2018, 8, 1, 10, 0, 0, 500000)),
    ("ROWTIME", datetime(2018, 8, 1, 10, 0, 0, 500000)),
    ("APPROXIMATE_ARRIVAL_TIME", datetime(2018, 8, 1, 10, 0, 0, 500000)),
    ("CURRENT_DATE", date(2018, 8, 1)),
    # tables of the reference
    ("CEIL(-3.3)", Decimal("-3")),
    ("CEIL(-3 * 3.1)", Decimal("-9")),
    ("CEIL(5.2)", Decimal("6")),
    ("CEIL(-n)", Decimal("-12")),
    ("FLOOR(-3.3)", Decimal("-4")),
    ("FLOOR(-n)", Decimal("-13")),
    ("FLOOR(-3.0)", Decimal("-3")),
    ("CEIL(TIMESTAMP '2004-09-30 13:48:23' TO DAY)", datetime(2004, 10, 1)),
    ("CEIL(TIMESTAMP '2004-09-30 13:48:23' TO MONTH)", datetime(2004, 10, 1)),
    ("CEIL(TIMESTAMP '2004-09-30 13:48:23' TO YEAR)", datetime(2005, 1, 1)),
    ("STEP(-3.145 BY 0.1)", Decimal("-3.2")),
    ("STEP(-23 BY 5)", -25),
    ("STEP(30 BY 10)", 30),
    ("MOD(-4, 3)", -1),
    ("MOD(5, 12)", 5),
    ("POWER(-2, 3)", -8.0),
    ("POWER(4, -2)", 0.0625),
    ("LN(10)", 2.302585092994046),
    ("SUBSTRING('123456789' FROM 3 FOR 4)", "3456"),
    ("SUBSTRING('123456789' FROM 17 FOR 4)", ""),
    ("SUBSTRING('123456789' FROM -1 FOR 4)", "12"),
    ("SUBSTRING('123456789' FROM 6 FOR 0)", ""),
    ("SUBSTRING('123456789' FROM 8 FOR 4)", "89"),
    ("SUBSTRING('Hello World' FROM '[A-Z]or')", "Wor"),
    ("SUBSTRING('123456789' SIMILAR '23#\"456#\"78' ESCAPE '#')", "456"),
    ("SUBSTRING('123456789' SIMILAR '%3#\"[0-5]+#\"%' ESCAPE '#')", "45"),
    ("SUBSTRING('abc' SIMILAR 'x#\"y#\"z' ESCAPE '#')", None),
    ("OVERLAY('12345' PLACING 'foo' FROM 1)", "foo45"),
    ("OVERLAY('12345' PLACING 'foo' FROM 0)", "foo345"),
    ("OVERLAY('12345' PLACING 'foo' FROM -2)", "foo12345"),
    ("OVERLAY('12345' PLACING 'foo' FROM 4)", "123foo"),
    ("OVERLAY('12345' PLACING 'foo' FROM 17)", "12345foo"),
    ("OVERLAY('12345' PLACING 'foo' FROM 2 FOR 0)", "1foo2345"),
    ("OVERLAY('12345' PLACING 'foo' FROM 2 FOR 2)", "1foo45"),
    ("OVERLAY('12345' PLACING 'foo' FROM 2 FOR 9)", "1foo"),
    ("POSITION('findme' IN '1234findmeXXX')", 5),
    ("TRIM(' Trim front and back ')", "Trim front and back"),
    ("TRIM(LEADING FROM ' x ')", "x "),
    ("NULLIF('amy', 'fred')", "amy"),
    ("'abc' || NULL", None),
    ("DATE '2008-07-31' - INTERVAL '7' DAY", date(2008, 7, 24)),
    ("INTERVAL '7' DAY * 3 = INTERVAL '21' DAY", True),
    ("INTERVAL '12' HOUR / 4 = INTERVAL '3' HOUR", True),
    ("INTERVAL '1-2' YEAR TO MONTH = INTERVAL '14' MONTH", True),
    ("EXTRACT(HOUR FROM INTERVAL '2 3:4:5.678' DAY TO SECOND)", 3),
    ("i BETWEEN SYMMETRIC 8 AND 6", True),
    ("i BETWEEN ASYMMETRIC 8 AND 6", False),
    ("i NOT BETWEEN SYMMETRIC 8 AND 6", False),
    ("i BETWEEN SYMMETRIC 9 AND 8", False),
    ("i IS NOT DISTINCT FROM 7", True),
    ("U&'d\\0061t\\+000061'", "data"),
    ("u&'can''t'", "can't"),
    ("u&'back\\\\slash'", "back\\slash"),
    ("u&'!0009!!' uescape '!'", "\t!"),
    ("TIMESTAMPADD(HOUR, 1, at)", datetime(2018, 8, 1, 12, 2, 3, 456000)),
]

TEN, ELEVEN, TWELVE = (f"TIMESTAMP '2018-08-01 {hour}:00:00'" for hour in (10, 11, 12))


@pytest.mark.parametrize(
    ("first", "predicate", "second", "expected"),
    [
        (f"({TEN}, {TWELVE})", "CONTAINS", f"({TEN}, {ELEVEN})", True),
        (f"({TEN}, {TWELVE})", "STRICTLY CONTAINS", f"({TEN}, {ELEVEN})", False),
        (f"({TEN}, {TWELVE})", "STRICTLY CONTAINS", "(at, INTERVAL '1' MINUTE)", True),
        (f"({TEN}, {ELEVEN})", "CONTAINS", f"({TEN}, {TWELVE})", False),
        (f"({TEN}, {ELEVEN})", "OVERLAPS", f"({ELEVEN}, {TWELVE})", True),
        (f"({TEN}, {ELEVEN})", "OVERLAPS", "(at, INTERVAL '1' HOUR)", False),
        (f"({TWELVE}, {TEN})", "EQUALS", f"({TEN}, INTERVAL '2' HOUR)", True),
        (f"({TEN}, {ELEVEN})", "EQUALS", f"({TEN}, {TWELVE})", False),
        (f"({TEN}, {ELEVEN})", "PRECEDES", f"({ELEVEN}, {TWELVE})", True),
        (f"({TEN}, {ELEVEN})", "STRICTLY PRECEDES", f"({ELEVEN}, {TWELVE})", False),
        (f"({TEN}, {ELEVEN})", "IMMEDIATELY PRECEDES", f"({ELEVEN}, {TWELVE})", True),
        (f"({TEN}, {ELEVEN})", "IMMEDIATELY PRECEDES", "(at, at)", False),
        (f"({ELEVEN}, {TWELVE})", "SUCCEEDS", f"({TEN}, {ELEVEN})", True),
        (f"({ELEVEN}, {TWELVE})", "STRICTLY SUCCEEDS", f"({TEN}, {ELEVEN})", False),
        ("(at, at)", "STRICTLY SUCCEEDS", f"({TEN}, {ELEVEN})", True),
        (f"({ELEVEN}, {TWELVE})", "IMMEDIATELY SUCCEEDS", f"({TEN}, {ELEVEN})", True),
        (f"({ELEVEN}, {TWELVE})", "PRECEDES", "(at, CAST(NULL AS TIMESTAMP))", None),
    ],
)
def test_periods(first: str, predicate: str, second: str, expected: bool | None) -> None:
    assert value(f"{first} {predicate} {second}") is expected


@pytest.mark.parametrize(("expression", "expected"), CASES, ids=[expression for expression, _ in CASES])
def test_expression(expression: str, expected: Any) -> None:
    if expression in ("ROWTIME",):
        expression = "CAST(ROWTIME AS TIMESTAMP)"
    found = value(expression)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 / (i - 7)", "Division by zero"),
        ("MOD(i, i - 7)", "Division by zero"),
        ("CAST(t AS INTEGER)", "Could not cast 'Hello World' to INTEGER"),
        ("CAST(b AS INTEGER)", "Value 1099511627776 out of range for INTEGER"),
        ("b * b", "Arithmetic overflow"),
        ("LN(i - 7)", "LN of a number that is not above zero"),
        ("CHAR_TO_TIMESTAMP('yyyy', t)", "Unparseable date: 'Hello World'"),
        ("n / (n - n)", "Division by zero"),
        ("CAST(12345.6 AS DECIMAL(4,1)) + i", "Could not cast '12345.6' to DECIMAL(4,1)"),
    ],
)
def test_row_errors__go_to_the_error_stream_and_the_other_rows_pass(expression: str, message: str) -> None:
    fine = (ROW[0], 8, 4, 1.0, "1.00", "17", True, None, None)
    application = Application(f'SELECT STREAM {expression} AS V FROM "SOURCE_SQL_STREAM_001";', ONE).push([ROW, fine])
    assert application.errors()[0] == message
    error = application.rows["error_stream"][0]
    assert (error["ERROR_LEVEL"], error["PUMP_NAME"]) == ("ERROR", "OUTPUT")
    assert bytes.fromhex(error["DATA_ROW"]).startswith(b"7,1099511627776,2.5,12.34,Hello World,")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('SELECT STREAM nope FROM "SOURCE_SQL_STREAM_001";', "From line 1, column 15: Column 'NOPE' not found in any table"),
        ("SELECT STREAM i FROM nowhere;", "From line 1, column 22: Table 'NOWHERE' not found"),
        ('SELECT STREAM i FROM "SOURCE_SQL_STREAM_001" WHERE i;', "From line 1, column 52: WHERE clause must be a condition"),
        ('SELECT STREAM i + t\nFROM "SOURCE_SQL_STREAM_001";', "From line 1, column 17: Cannot apply '+' to arguments of type"),
        (
            'SELECT STREAM GREATEST(i, 1) FROM "SOURCE_SQL_STREAM_001";',
            "No match found for function signature GREATEST(<INTEGER>, <INTEGER>)",
        ),
        (
            'SELECT STREAM COUNT(*) FROM "SOURCE_SQL_STREAM_001";',
            "must have at least one monotonic expression in GROUP BY clause",
        ),
        ('SELECT STREAM t, COUNT(*) FROM "SOURCE_SQL_STREAM_001" GROUP BY t;', "must have at least one monotonic expression"),
        (
            'SELECT STREAM t, i FROM "SOURCE_SQL_STREAM_001" GROUP BY t, FLOOR(ROWTIME TO MINUTE);',
            "Expression 'i' is not being grouped",
        ),
        ('SELECT STREAM i FROM "SOURCE_SQL_STREAM_001" WHERE COUNT(*) > 1;', "Aggregate expression is illegal in WHERE clause"),
        ('SELECT STREAM SUM(i) OVER w FROM "SOURCE_SQL_STREAM_001";', "Window 'W' not found"),
        ("SELECT STREAM i FROM FROM;", 'Encountered "FROM"'),
        ("CREATE STREAM s (a NUMBERLIKE);", "Unknown datatype name 'NUMBERLIKE'"),
        ("CREATE STREAM s (a INTEGER) §", 'Lexical error: unexpected character "§"'),
        (
            'CREATE STREAM s (a INTEGER); CREATE PUMP p AS INSERT INTO s SELECT STREAM i, b FROM "SOURCE_SQL_STREAM_001";',
            "Number of INSERT target columns (1) does not equal number of source items (2)",
        ),
        (
            'CREATE STREAM s (a INTEGER); CREATE PUMP p AS INSERT INTO s SELECT STREAM t FROM "SOURCE_SQL_STREAM_001";',
            "Cannot assign to target field 'A' of type INTEGER from source field of type VARCHAR(64)",
        ),
        (
            "CREATE STREAM a (x INTEGER); CREATE STREAM b (x INTEGER); CREATE PUMP p AS INSERT INTO a SELECT STREAM x FROM b;"
            "CREATE PUMP q AS INSERT INTO b SELECT STREAM x FROM a;",
            "in a circle: P, Q",
        ),
        ('SELECT STREAM DISTINCT t FROM "SOURCE_SQL_STREAM_001";', "must have a monotonic expression"),
        (
            'SELECT STREAM t FROM "SOURCE_SQL_STREAM_001" ORDER BY t;',
            "ORDER BY over a stream must begin with a monotonic expression",
        ),
        ('SELECT STREAM i FROM "SOURCE_SQL_STREAM_001" UNION SELECT STREAM i FROM "SOURCE_SQL_STREAM_001";', "UNION without ALL"),
        (
            'SELECT STREAM SUM(i) OVER (ROWS UNBOUNDED PRECEDING) FROM "SOURCE_SQL_STREAM_001";',
            "UNBOUNDED windows are not supported",
        ),
        ('SELECT STREAM i FROM "SOURCE_SQL_STREAM_001" LIMIT 5;', "LIMIT is not supported"),
        (
            'SELECT STREAM i FROM "SOURCE_SQL_STREAM_001" WHERE (at, at) IMMEDIATELY LEADS (at, at);',
            'Temporal predicate "IMMEDIATELY LEADS" is not supported',
        ),
        ('SELECT STREAM (i, b) FROM "SOURCE_SQL_STREAM_001";', 'Encountered "FROM". Was expecting a temporal predicate.'),
        ("CREATE VIEW v AS SELECT STREAM U&'\\00' FROM s;", "Invalid Unicode escape"),
        (
            "SELECT STREAM SUBSTRING(t SIMILAR 'x' ESCAPE '#') FROM \"SOURCE_SQL_STREAM_001\";",
            'it has three parts, with #" between them',
        ),
    ],
)
def test_code_errors__have_place_and_reason(code: str, message: str) -> None:
    with pytest.raises(SqlError) as caught:
        Application(code, ONE)
    assert message in caught.value.sentence()
    assert caught.value.line or "circle" in message


def test_views_functions_and_stopped_pumps() -> None:
    application = Application(
        """
        CREATE OR REPLACE FUNCTION percent(a DOUBLE, b DOUBLE) RETURNS DOUBLE LANGUAGE SQL CONTAINS SQL RETURN a / b * 100;
        CREATE OR REPLACE VIEW big (name, share) AS SELECT STREAM t, percent(i, d) FROM "SOURCE_SQL_STREAM_001" WHERE i > 1;
        CREATE OR REPLACE STREAM a (name VARCHAR(3), share INTEGER);
        CREATE OR REPLACE STREAM b (name VARCHAR(3));
        CREATE OR REPLACE PUMP pa AS INSERT INTO a SELECT STREAM * FROM big;
        CREATE OR REPLACE PUMP pb STOPPED AS INSERT INTO b SELECT STREAM name FROM big;
        CREATE OR REPLACE PUMP pc STOPPED AS INSERT INTO b SELECT STREAM UPPER(name) FROM big;
        ALTER PUMP pc START;
        """,
        ONE,
    )
    application.push([ROW, ("10:00:01", 1, 1, 1.0, "1", "one", True, None, None)])
    assert application.found("A") == [("Hel", 280)]
    assert application.found("B") == [("HEL",)]


LINE = '192.168.254.30 - John [24/May/2018:22:01:02 -0700] "GET /icons/apache_pb.gif HTTP/1.1" 304 0'


@pytest.mark.parametrize(
    ("call", "fields", "expected"),
    [
        ("REGEX_LOG_PARSE('TECHNOLOGY', '.*([E].).*([R].*)')", "r.COLUMN1, r.COLUMN2", (None, None)),
        ("REGEX_LOG_PARSE('HEALTHCARE', '.*([E].).*([R].*)')", "r.COLUMN1, r.COLUMN2", ("EA", "RE")),
        (
            f"W3C_LOG_PARSE('{LINE}', 'COMMON')",
            "r.COLUMN1, r.COLUMN5, r.COLUMN7",
            ("192.168.254.30", "GET /icons/apache_pb.gif HTTP/1.1", "0"),
        ),
        ("VARIABLE_COLUMN_LOG_PARSE('a|b', 'x, y TYPE INTEGER, z', '|')", "r.x, r.y, r.z", ("a", None, None)),
        ("VARIABLE_COLUMN_LOG_PARSE('1,\"2,3\",4', 3, ',', '', '\"')", "r.COLUMN1, r.COLUMN2, r.COLUMN3", ("1", "2,3", "4")),
        (
            "FIXED_COLUMN_LOG_PARSE('abc0042tail', 'a TYPE VARCHAR(3) START 0 FOR 3, n TYPE INTEGER START 3 FOR 4, "
            '"rest" TYPE VARCHAR(9) START 7\')',
            'r.a, r.n, r."rest"',
            ("abc", 42, "tail"),
        ),
        (
            "SYS_LOG_PARSE('<34>Oct 11 22:14:15 mymachine su: failed')",
            "r.COLUMN1, r.COLUMN2, r.COLUMN4, r.COLUMN5",
            ("security", "Critical", "mymachine", "su: failed"),
        ),
        ("FAST_REGEX_LOG_PARSER('key=value', '(\\w+)=(\\w+)')", "t.r.COLUMN1, t.r.COLUMN2", ("key", "value")),
    ],
)
def test_log_parsing(call: str, fields: str, expected: tuple[Any, ...]) -> None:
    code = f'SELECT STREAM {fields} FROM (SELECT STREAM {call} AS r FROM "SOURCE_SQL_STREAM_001") AS t;'
    application = Application(code, ONE).push([ROW])
    assert application.found() == [expected]
