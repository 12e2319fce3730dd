"""PartiQL through boto3: statements, batches and transactions, with the answers and sentences of the real service."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[..., Any]
_NOT_WELL_FORMED = "Statement wasn't well formed, can't be processed: "


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def db(client: Client) -> Any:
    """Tables: `h` with a key, `c` with a sort key and indexes, `n` with a number key."""
    made = client("dynamodb")

    def schema(partition: str, sort: str | None = None) -> list[dict[str, str]]:
        parts = [{"AttributeName": partition, "KeyType": "HASH"}]
        return parts + ([] if sort is None else [{"AttributeName": sort, "KeyType": "RANGE"}])

    def define(**kinds: str) -> list[dict[str, str]]:
        return [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()]

    made.create_table(
        TableName="tabh", KeySchema=schema("pk"), AttributeDefinitions=define(pk="S"), BillingMode="PAY_PER_REQUEST"
    )
    made.create_table(
        TableName="tabn", KeySchema=schema("pk"), AttributeDefinitions=define(pk="N"), BillingMode="PAY_PER_REQUEST"
    )
    made.create_table(
        TableName="tabc",
        KeySchema=schema("pk", "sk"),
        AttributeDefinitions=define(pk="S", sk="N", g="S", ls="S"),
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {"IndexName": "gall", "KeySchema": schema("g"), "Projection": {"ProjectionType": "ALL"}},
            {"IndexName": "gkeys", "KeySchema": schema("g"), "Projection": {"ProjectionType": "KEYS_ONLY"}},
        ],
        LocalSecondaryIndexes=[
            {"IndexName": "lkeys", "KeySchema": schema("pk", "ls"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    )
    return made


def run(db: Any, statement: str, *parameters: dict[str, Any], **more: Any) -> Any:
    if parameters:
        more["Parameters"] = list(parameters)
    return db.execute_statement(Statement=statement, **more)


def wrong(db: Any, statement: str, *parameters: dict[str, Any], **more: Any) -> str:
    if parameters:
        more["Parameters"] = list(parameters)
    code, message = refused(db.execute_statement, Statement=statement, **more)
    assert code == "ValidationException", (code, message)
    return message


def test_insert_select_update_delete(db: Any) -> None:
    assert run(db, """INSERT INTO "tabh" VALUE {'pk': 'a', 'n': 1, 'm': {'x': [1, ?]}, 's': <<'q', 'p'>>}""", {"S": "z"})[
        "Items"
    ] == []  # fmt: skip
    assert run(db, "SELECT * FROM tabh WHERE pk = 'a'")["Items"] == [
        {"pk": {"S": "a"}, "n": {"N": "1"}, "m": {"M": {"x": {"L": [{"N": "1"}, {"S": "z"}]}}}, "s": {"SS": ["p", "q"]}}
    ]
    assert run(db, "SELECT m.x, n FROM tabh WHERE pk = ?", {"S": "a"})["Items"] == [
        {"x": {"L": [{"N": "1"}, {"S": "z"}]}, "n": {"N": "1"}}
    ]
    assert refused(db.execute_statement, Statement="INSERT INTO tabh VALUE {'pk': 'a'}") == (
        "DuplicateItemException", "Duplicate primary key exists in table",
    )  # fmt: skip
    updated = run(db, "UPDATE tabh SET n = n + 2 SET k = 'v' REMOVE m WHERE pk = 'a' RETURNING MODIFIED NEW *")
    assert updated["Items"] == [{"n": {"N": "3"}, "k": {"S": "v"}}]
    assert refused(db.execute_statement, Statement="UPDATE tabh SET n = 9 WHERE pk = 'a' AND n = 2")[0] == (
        "ConditionalCheckFailedException"
    )
    assert refused(db.execute_statement, Statement="UPDATE tabh SET n = 9 WHERE pk = 'none'")[0] == (
        "ConditionalCheckFailedException"
    )
    assert run(db, "DELETE FROM tabh WHERE pk = 'a' AND n = 3 RETURNING ALL OLD *")["Items"][0]["n"] == {"N": "3"}
    assert run(db, "DELETE FROM tabh WHERE pk = 'a' AND n = 3")["Items"] == []
    assert "Item" not in db.get_item(TableName="tabh", Key={"pk": {"S": "a"}})


def test_update_from_first_and_set_functions(db: Any) -> None:
    db.put_item(TableName="tabh", Item={"pk": {"S": "a"}, "ss": {"SS": ["a", "b"]}, "l": {"L": [{"N": "1"}]}})
    assert run(db, "from tabh where pk = 'a' set ss = SET_ADD(ss, <<'c'>>) remove nothing returning all new *")["Items"][0][
        "ss"
    ] == {"SS": ["a", "b", "c"]}  # fmt: skip
    run(db, "UPDATE tabh SET ss = set_delete(ss, ?) SET l = list_append(l, [2]) WHERE pk = 'a'", {"SS": ["a", "b", "c"]})
    assert db.get_item(TableName="tabh", Key={"pk": {"S": "a"}})["Item"] == {
        "pk": {"S": "a"}, "l": {"L": [{"N": "1"}, {"N": "2"}]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("attribute_exists(ss)", True), ("ATTRIBUTE_EXISTS(nope)", False), ("NOT attribute_exists(nope)", True),
        ("attribute_exists(ss) = true", True), ("attribute_not_exists(m.sub)", False), ("size(s) = 3", True),
        ("attribute_type(ss, 'SS')", True), ("nul IS NULL", True), ("s IS NOT NULL", True), ("nul IS NOT NULL", False),
        ("flag IS BOOL", True), ("s IS BOOL", False), ("nope IS MISSING", True), ("s IS MISSING", False),
        ("s IS NOT MISSING", True), ("contains(s, 't')", True), ("begins_with(s, 'st')", True), ("s IN ['str', 'x']", True),
        ("s NOT IN ('str')", False), ("n BETWEEN 1 AND 3", True), ("n NOT BETWEEN 1 AND 3", False), ("n != 2", False),
        ("(n = 5 OR (n = 2 AND NOT s = 'x'))", True), ("ss = <<'c', 'b', 'a'>>", True), ("m = {'sub': 'x'}", True),
        ("m.sub = 'x'", True), ("2 <= n", True), ("n = 2.0e0", True), ("n > -1", True), ("s < 5", False),
    ],
)  # fmt: skip
def test_conditions(db: Any, condition: str, holds: bool) -> None:
    item = {
        "pk": {"S": "i"}, "ss": {"SS": ["a", "b", "c"]}, "s": {"S": "str"}, "m": {"M": {"sub": {"S": "x"}}},
        "nul": {"NULL": True}, "flag": {"BOOL": True}, "n": {"N": "2"},
    }  # fmt: skip
    db.put_item(TableName="tabh", Item=item)
    found = run(db, f"SELECT pk FROM tabh WHERE pk = 'i' AND {condition}")["Items"]
    assert found == ([{"pk": {"S": "i"}}] if holds else [])


def test_numbers_comments_and_order(db: Any) -> None:
    run(db, "INSERT INTO tabn VALUE {'pk': 7.31e6}")
    for literal in ("7.31E6", "7.31e+6", "731e4", "73100000e-1"):
        assert run(db, f"-- a note\nSELECT * /* one */ FROM tabn WHERE pk = {literal} -- end")["Items"] == [
            {"pk": {"N": "7310000"}}
        ]
    for number in (3, 1, 2):
        run(db, f"INSERT INTO tabc VALUE {{'pk': 'a', 'sk': {number}, 'g': 'x', 'ls': 'l{number}', 'o': {number}}}")
        run(db, f"INSERT INTO tabc VALUE {{'pk': 'b', 'sk': {number}}}")

    def sorts(text: str, **more: Any) -> list[str]:
        return [item["sk"]["N"] for item in run(db, text, **more)["Items"]]

    assert sorts("SELECT * FROM tabc WHERE pk = 'a'") == ["1", "2", "3"]
    assert sorts("SELECT * FROM tabc WHERE pk = 'a' ORDER BY sk DESC") == ["3", "2", "1"]
    assert sorts("SELECT * FROM tabc WHERE pk = 'a' AND sk > 1 AND sk < 3") == ["2"]
    assert sorts("SELECT * FROM tabc WHERE pk IN ['a', 'b'] AND sk IN [1, 3] ORDER BY pk DESC") == ["1", "3", "1", "3"]
    assert sorts("SELECT * FROM tabc WHERE pk = 'a' AND NOT sk = 1 OR pk = 'a' AND sk = 2") == ["2", "3"]
    assert sorts("SELECT sk FROM tabc.gkeys WHERE g = 'x' AND sk >= 2") == ["2", "3"]
    assert wrong(db, "SELECT * FROM tabc ORDER BY sk") == ("Must have WHERE clause in the statement when using ORDER BY clause.")
    assert wrong(db, "SELECT * FROM tabc WHERE o = 1 ORDER BY sk") == (
        "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."
    )
    assert wrong(db, "SELECT * FROM tabc WHERE pk = 'a' ORDER BY o") == (
        "Variable reference o in ORDER BY clause must be part of the primary key"
    )


def test_pages(db: Any) -> None:
    for number in range(5):
        for partition in "ab":
            db.put_item(TableName="tabc", Item={"pk": {"S": partition}, "sk": {"N": str(number)}, "g": {"S": "x"}})
    for text, count in (
        ("SELECT * FROM tabc", 10), ("SELECT * FROM tabc WHERE pk IN ['a', 'b'] AND sk <> 2", 8),
        ("SELECT * FROM tabc.gall WHERE g = 'x'", 10), ("SELECT * FROM tabc WHERE pk = 'a' ORDER BY sk DESC", 5),
    ):  # fmt: skip
        found: list[Any] = []
        token: dict[str, Any] = {}
        pages = 0
        while True:
            page = run(db, text, Limit=3, **token)
            found += [(item["pk"]["S"], item["sk"]["N"]) for item in page["Items"]]
            pages += 1
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert len(found) == len(set(found)) == count
        assert pages >= count // 3
    token = {"NextToken": run(db, "SELECT * FROM tabc", Limit=1)["NextToken"]}
    assert "NextToken" in wrong(db, "SELECT * FROM tabh", **token)


def test_index_qualifier(db: Any) -> None:
    db.put_item(TableName="tabc", Item={"pk": {"S": "a"}, "sk": {"N": "1"}, "g": {"S": "x"}, "ls": {"S": "l"}, "o": {"S": "u"}})
    db.put_item(TableName="tabc", Item={"pk": {"S": "a"}, "sk": {"N": "2"}})
    assert run(db, "SELECT * FROM tabc.gkeys WHERE g = 'x'")["Items"] == [{"pk": {"S": "a"}, "sk": {"N": "1"}, "g": {"S": "x"}}]
    assert run(db, "SELECT o FROM tabc.lkeys WHERE pk = 'a'")["Items"] == [{"o": {"S": "u"}}]
    assert run(db, "SELECT pk FROM tabc.gkeys WHERE NOT o = 'u'")["Items"] == [{"pk": {"S": "a"}}]
    assert wrong(db, "SELECT pk FROM tabc.gkeys WHERE g = 'x' AND o IS MISSING") == (
        "One or more parameter values were invalid: Secondary index gkeys does not project one or more filter attributes: [o]"
    )
    assert wrong(db, "SELECT o FROM tabc.gkeys WHERE g = 'x'") == (
        "One or more parameter values were invalid: Global secondary index gkeys does not project [o]"
    )
    assert wrong(db, 'SELECT * FROM "tabc"."nope" WHERE pk = \'p\'') == "The table does not have the specified index"
    assert wrong(db, "SELECT * FROM tabc.gall.extra") == "A path may contain at most 2 components in the FROM clause"
    assert wrong(db, 'SELECT * FROM ""') == "Path component cannot be an empty string"
    assert wrong(db, "SELECT * FROM tabc.gall WHERE g = 'x'", ConsistentRead=True) == (
        "Strongly consistent read is not supported on Global Secondary Indexes"
    )


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SLECT * FROM tabh", _NOT_WELL_FORMED + "Expected data manipulation"),
        ("SELECT * FROM tabn WHERE pk = 1 foo", _NOT_WELL_FORMED + "Unexpected token after expression"),
        ("SELECT * FROM tabn WHERE pk = 1 e5", _NOT_WELL_FORMED + "Unexpected token after expression"),
        ("INSERT INTO tabn VALUE {'pk': 1} foo", _NOT_WELL_FORMED + "Unexpected token after expression"),
        ("DELETE FROM tabn WHERE pk = 1 ORDER BY pk", _NOT_WELL_FORMED + "Unexpected token after expression"),
        ("SELECT * FROM tabn ORDER BY pk WHERE pk = 1", _NOT_WELL_FORMED + "Unexpected token after expression"),
        ("INSERT INTO tabn t VALUE {'pk': 1}", _NOT_WELL_FORMED + "Unexpected token after expression"),
        ("SELECT * FROM tabn WHERE pk = 1e2147483648", _NOT_WELL_FORMED),
        ("SELECT * FROM tabn WHERE pk = 1.5e-2147483647", _NOT_WELL_FORMED),
        ("SELECT * FROM tabn WHERE pk = 1 # note", _NOT_WELL_FORMED),
        ("SELECT * FROM tabn WHERE pk = 1 /* note", _NOT_WELL_FORMED),
        ("SELECT * FROM tabh t WHERE pk = 'x'", "Aliasing is not supported"),
        ("SELECT * FROM tabh AS t WHERE pk = 'x'", "Aliasing is not supported"),
        ("UPDATE tabh t SET a = 3 WHERE pk = 'x'", "Aliasing is not supported"),
        ("SELECT * FROM tabn WHERE pk = 1e-131", "Number underflow. Attempting to store a number with magnitude smaller than "
         "supported range under root"),
        ("INSERT INTO tabn VALUE {'pk': 1, 'm': {'x': 1e126}}", "Number overflow. Attempting to store a number with magnitude "
         "larger than supported range under root.x"),
        ("INSERT INTO tabn VALUE {'pk': 1, 'l': [1, 1e126]}", "Number overflow. Attempting to store a number with magnitude "
         "larger than supported range under root[1]"),
        ("DELETE FROM tabh WHERE pk = 'x' RETURNING ALL NEW *", "Invalid returning clause: RETURNING ALL NEW *. Only RETURNING "
         "ALL OLD * is allowed in DELETE statements."),
        ("SELECT * FROM tabh WHERE pk = 'x' AND attribute_exists('ss')", "Operator or function requires a document path; "
         "operator or function: attribute_exists"),
        ("SELECT * FROM tabh WHERE pk = 'x' AND attribute_exists(a, b)", "Incorrect number of operands for operator or function; "
         "operator or function: attribute_exists, number of operands: 2"),
        ("SELECT attribute_exists(ss) FROM tabh", "Unexpected path component at 1:8:16"),
        ("SELECT * FROM tabh WHERE EXISTS(ss)", "Unrecognized function: exists at 1:26:6"),
        ("SELECT * FROM tabh WHERE attribute_exists(m.inner)", _NOT_WELL_FORMED + "Invalid path dot component"),
        ("UPDATE tabh SET t = set_add(ss, <<'x'>>) WHERE pk = 'x'", "The first argument to SET_ADD must equal the assignment "
         "value at 1:21:7"),
        ("UPDATE tabh SET ss = set_add(ss, 'x') WHERE pk = 'x'", "The second argument to SET_ADD must be a value with type SET "
         "at 1:30:2"),
        ("UPDATE tabh SET ss = set_add(ss) WHERE pk = 'x'", "SET_ADD must have exactly two arguments at 1:22:7"),
        ("UPDATE tabh SET ss = set_add(ss, <<'x', 'x'>>) WHERE pk = 'x'", "One or more parameter values were invalid: Input "
         "collection [x, x] contains duplicates."),
        ("UPDATE tabh SET ss = set_add(ss, <<>>) WHERE pk = 'x'", "Empty bags are not supported"),
        ("INSERT INTO tabh VALUE {'pk': 'a', 'ss': set_add(<<'a'>>, <<'b'>>)}", "Unsupported data type: set_add under key root "
         "at 1:42:7"),
        ("DELETE FROM tabc WHERE pk = 'p1'", "Where clause does not contain a mandatory equality on all key attributes"),
        ("SELECT * FROM tabh WHERE pk = ?", "Number of parameters in request and statement don't match."),
    ],
)  # fmt: skip
def test_refusals(db: Any, statement: str, message: str) -> None:
    assert wrong(db, statement) == message


def test_refusals_by_parameter(db: Any) -> None:
    assert wrong(db, "SELECT pk FROM tabh WHERE pk = 'x' AND val < ?", {"BOOL": True}) == (
        "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"
    )
    assert wrong(db, "SELECT * FROM tabh WHERE pk = ?", {"N": "abc"}) == (
        "The parameter cannot be converted to a numeric value: abc"
    )
    assert refused(db.execute_statement, Statement="SELECT * FROM nowhere") == (
        "ResourceNotFoundException", "Requested resource not found",
    )  # fmt: skip


def test_batch_execute_statement(db: Any) -> None:
    wrote = db.batch_execute_statement(
        Statements=[
            {"Statement": "INSERT INTO tabh VALUE {'pk': 'a', 'data': 'one'}"},
            {"Statement": "INSERT INTO tabh VALUE {'pk': 'a', 'data': 'two'}"},
            {"Statement": "SLECT"},
            {"Statement": "UPDATE tabh SET data = 'new' WHERE pk = 'a' RETURNING MODIFIED NEW *"},
            {"Statement": "UPDATE tabh REMOVE data WHERE pk = 'a' RETURNING MODIFIED NEW *"},
            {"Statement": "DELETE FROM tabh WHERE pk = 'a' RETURNING MODIFIED OLD *"},
        ]
    )["Responses"]
    assert wrote[0] == {"TableName": "tabh"}
    assert wrote[1]["Error"] == {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}
    assert wrote[2]["Error"]["Code"] == "ValidationError"
    assert wrote[3] == {"TableName": "tabh", "Item": {"data": {"S": "new"}}}
    assert wrote[4] == {"TableName": "tabh"}
    assert wrote[5]["Error"]["Message"].startswith("Invalid returning clause: RETURNING MODIFIED OLD *.")
    read = db.batch_execute_statement(
        Statements=[
            {"Statement": "SELECT * FROM tabh WHERE pk = 'a'", "ConsistentRead": True},
            {"Statement": "SELECT * FROM tabh WHERE pk = ?", "Parameters": [{"S": "b"}]},
            {"Statement": "SELECT * FROM tabh WHERE val = 'a'"},
            {"Statement": "SELECT * FROM nowhere WHERE pk = 'a'"},
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    assert read["Responses"][0] == {"TableName": "tabh", "Item": {"pk": {"S": "a"}}}
    assert read["Responses"][1] == {"TableName": "tabh"}
    assert read["Responses"][2]["Error"]["Message"] == (
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    )
    assert read["Responses"][3]["Error"]["Code"] == "ResourceNotFound"
    assert read["ConsumedCapacity"] == [{"TableName": "tabh", "CapacityUnits": 1.5}]


def test_execute_transaction(db: Any) -> None:
    db.put_item(TableName="tabh", Item={"pk": {"S": "n"}, "n": {"N": "0"}})
    token = {"ClientRequestToken": "t1", "ReturnConsumedCapacity": "TOTAL"}
    statements = [
        {"Statement": "UPDATE tabh SET n = n + 1 WHERE pk = 'n'"},
        {"Statement": "INSERT INTO tabh VALUE {'pk': 'new'}"},
        {"Statement": "EXISTS(SELECT * FROM tabh WHERE pk = 'other' AND x IS MISSING)"},
    ]
    first = db.execute_transaction(TransactStatements=statements, **token)
    again = db.execute_transaction(TransactStatements=statements, **token)
    assert first["Responses"] == again["Responses"] == []
    assert first["ConsumedCapacity"][0]["WriteCapacityUnits"] == 6
    assert "WriteCapacityUnits" not in again["ConsumedCapacity"][0]
    assert db.get_item(TableName="tabh", Key={"pk": {"S": "n"}})["Item"]["n"] == {"N": "1"}
    read = db.execute_transaction(
        TransactStatements=[{"Statement": f"SELECT n FROM tabh WHERE pk = '{name}'"} for name in ("n", "gone")]
    )
    assert read["Responses"] == [{"Item": {"n": {"N": "1"}}}, {}]


def test_execute_transaction__cancelled(db: Any) -> None:
    db.put_item(TableName="tabh", Item={"pk": {"S": "n"}, "n": {"N": "0"}})
    with pytest.raises(db.exceptions.TransactionCanceledException) as caught:
        db.execute_transaction(
            TransactStatements=[
                {"Statement": "INSERT INTO tabh VALUE {'pk': 'm'}"},
                {"Statement": "INSERT INTO tabh VALUE {'pk': 'n'}"},
                {"Statement": "EXISTS(SELECT * FROM tabh WHERE pk = 'x' AND a = 1)"},
            ]
        )
    assert [reason["Code"] for reason in caught.value.response["CancellationReasons"]] == [
        "None", "DuplicateItem", "ConditionalCheckFailed",
    ]  # fmt: skip
    assert "Item" not in db.get_item(TableName="tabh", Key={"pk": {"S": "m"}})


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["UPDATE tabh SET d = 'v' WHERE pk = 'x' RETURNING ALL NEW *"],
         "Validation failed in TransactStatements[0]: RETURNING clause is not supported in ExecuteTransaction."),
        (["SELECT * FROM tabc.gall WHERE g = 'x'"],
         "Validation failed in TransactStatements[0]: Reads on indices are not supported within transactions."),
        (["SELECT * FROM tabh WHERE pk = 'x' AND attribute_exists(ss)"],
         "Validation failed in TransactStatements[0]: Select statements within ExecuteTransaction must specify the primary key "
         "in the where clause."),
        (["EXISTS(SELECT * FROM tabh WHERE pk = 'x')", "DELETE FROM tabh WHERE pk = 'y'"],
         "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional condition"),
        (["DELETE FROM tabh WHERE pk = 'y'", "DELETE FROM tabh WHERE pk = 'y'"],
         "Transaction request cannot include multiple operations on one item"),
    ],
)  # fmt: skip
def test_execute_transaction__refused(db: Any, statements: list[str], message: str) -> None:
    asked = [{"Statement": text} for text in statements]
    assert refused(db.execute_transaction, TransactStatements=asked) == ("ValidationException", message)
