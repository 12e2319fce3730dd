"""Expressions: what they mean, and AWS's sentences for what is wrong with them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb.engine import conditions, projections, updates, values
from headrace.services.dynamodb.engine.binding import Binding
from headrace.services.dynamodb.engine.values import Item

ITEM: Item = {
    "a": {"S": "hello"},
    "n": {"N": "5"},
    "b": {"B": "AAEC"},
    "t": {"BOOL": True},
    "z": {"NULL": True},
    "l": {"L": [{"S": "x"}, {"N": "1"}, {"M": {"k": {"S": "v"}}}]},
    "m": {"M": {"x": {"N": "1"}, "y": {"M": {"w": {"S": "deep"}}}}},
    "ss": {"SS": ["p", "q"]},
    "ns": {"NS": ["1", "2"]},
}
VALUES: Item = {
    ":a": {"S": "hello"}, ":h": {"S": "he"}, ":n": {"N": "5.0"}, ":one": {"N": "1"}, ":nine": {"N": "9"}, ":b": {"B": "AAEC"},
    ":true": {"BOOL": True}, ":l": {"L": [{"S": "new"}]}, ":ss": {"SS": ["q", "r"]}, ":ns": {"NS": ["2"]}, ":p": {"S": "p"},
    ":S": {"S": "S"}, ":null": {"NULL": True}, ":x": {"S": "x"}, ":big": {"S": "zzz"}, ":bs": {"BS": ["AAEC"]},
    ":m": {"M": {"q": {"S": "r"}}}, ":bad": {"S": "QQ"}, ":b0": {"B": "AA=="},
}  # fmt: skip


def used(text: str) -> Item:
    """The values that the expression's text names, fresh each time: taking them changes them."""
    words = {word.strip("(),") for word in text.replace("(", " ").replace(")", " ").replace(",", " ").split()}
    return {name: {**value} for name, value in VALUES.items() if name in words}


def bound(text: str, names: dict[str, str] | None = None, given: Item | None = None) -> Binding:
    return Binding(names, (given if given is not None else used(text)) or None)


def holds(text: str, names: dict[str, str] | None = None, item: Item = ITEM) -> bool:
    binding = bound(text, names)
    tree = binding.condition("ConditionExpression", text)
    binding.finish()
    return conditions.holds(tree, binding, item)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = :a", True), ("a <> :a", False), ("absent <> :a", True), ("absent = :a", False), ("n = :n", True),
        ("n > :one", True), ("n >= :n", True), ("n < :n", False), ("n <= :n", True), ("a > :n", False), ("a < :big", True),
        ("b = :b", True), ("b > :b0", True), ("t = :true", True), ("z = :null", True), ("n BETWEEN :one AND :nine", True),
        ("n between :one and :nine", True), ("a BETWEEN :one AND :nine", False), ("absent BETWEEN :one AND :nine", False),
        ("a IN (:h, :a)", True), ("a IN (:h)", False), ("absent IN (:h)", False),
        ("attribute_exists(a)", True), ("attribute_exists(l[2].k)", True), ("attribute_exists(l[3])", False),
        ("attribute_not_exists(m.y.w)", False), ("attribute_not_exists(m.y.w.v)", True), ("attribute_not_exists(a[0])", True),
        ("attribute_type(a, :S)", True), ("attribute_type(n, :S)", False), ("begins_with(a, :h)", True),
        ("begins_with(b, :b0)", True), ("begins_with(n, :h)", False), ("contains(a, :h)", True), ("contains(ss, :p)", True),
        ("contains(ns, :one)", True), ("contains(ns, :p)", False), ("contains(l, :x)", True), ("contains(l, :p)", False),
        ("size(a) = :n", True), ("size(ss) > :one", True), ("size(m) > :one", True), ("size(n) > :one", False),
        ("size(b) BETWEEN :one AND :nine", True), (":one < size(l)", True),
        ("NOT a = :a", False), ("NOT NOT a = :a", True), ("a = :a AND n = :n", True), ("a = :h AND n = :n", False),
        ("a = :h OR n = :n", True), ("a = :h AND a = :h OR n = :n", True), ("n = :n OR a = :h AND a = :h", True),
        ("(n = :n OR a = :h) AND a = :h", False), ("NOT (a = :h OR n = :one)", True), ("(a) = (:a)", True),
        ("a IN (:h, :a) AND (n BETWEEN :one AND :nine)", True), ("m.y.w = :a", False), ("l[1] = :one", True),
        ("l [ 1 ] = :one AND m . x = :one", True), ("ss = :ss", False), ("m = :m", False),
    ],
)  # fmt: skip
def test_holds(text: str, expected: bool) -> None:
    assert holds(text) is expected


def test_holds__names_with_dots_and_reserved_words() -> None:
    item: Item = {"a.b": {"S": "hello"}, "name": {"M": {"size": {"S": "hello"}}}}
    assert holds("#d = :a AND #n.#s = :a", {"#d": "a.b", "#n": "name", "#s": "size"}, item)


CONDITION_ERRORS = [
    ("", "The expression can not be empty;"),
    ("   ", "The expression can not be empty;"),
    ("a", 'Syntax error; token: "<EOF>", near: "a"'),
    ("a =", 'Syntax error; token: "<EOF>", near: "="'),
    ("a = = :a", 'Syntax error; token: "=", near: "= = :a"'),
    ("a-b = :a", 'Syntax error; token: "-", near: "a-b"'),
    ("a = :a AND", 'Syntax error; token: "<EOF>", near: "AND"'),
    ("a = :a)", 'Syntax error; token: ")", near: ":a)"'),
    ("(a = :a", 'Syntax error; token: "<EOF>", near: ":a"'),
    ("a = 'x'", 'Syntax error; token: "\'", near: "= \'x"'),
    ("a BETWEEN :a", 'Syntax error; token: "<EOF>", near: ":a"'),
    ("a IN :a", 'Syntax error; token: ":a", near: "IN :a"'),
    ("a AND n = :n", 'Syntax error; token: "AND", near: "a AND n"'),
    ("((a = :a))", "The expression has redundant parentheses;"),
    ("a = ((:a))", "The expression has redundant parentheses;"),
    ("foo(a)", "Invalid function name; function: foo"),
    ("Attribute_exists(a)", "Invalid function name; function: Attribute_exists"),
    ("size(a)", "The function is not allowed to be used this way in an expression; function: size"),
    (
        "attribute_exists(a) = :a",
        "The function is not allowed to be used this way in an expression; function: attribute_exists",
    ),
    ("size(size(a)) = :n", "Incorrect operand type for operator or function; operator or function: size, operand type: N"),
    ("name = :a", "Attribute name is a reserved keyword; reserved keyword: name"),
    ("a.Status = :a", "Attribute name is a reserved keyword; reserved keyword: Status"),
    ("a = :undefined", "An expression attribute value used in expression is not defined; attribute value: :undefined"),
    ("#u = :a", "An expression attribute name used in the document path is not defined; attribute name: #u"),
    (
        "attribute_exists(a, n)",
        "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2",
    ),
    (
        "begins_with(a)",
        "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
    ),
    ("attribute_exists(:a)", "Operator or function requires a document path; operator or function: attribute_exists"),
    (
        "begins_with(a, :n)",
        "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
    ),
    ("size(:n) = :n", "Incorrect operand type for operator or function; operator or function: size, operand type: N"),
    ("a < :true", "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
    ("a >= :ss", "Incorrect operand type for operator or function; operator or function: >=, operand type: SS"),
    (
        "attribute_type(a, :n)",
        "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N",
    ),
    (
        "attribute_type(a, :bad)",
        "Invalid attribute type name found; type: QQ, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
    ),
    (
        "a = a",
        "The first operand must be distinct from the remaining operands for this operator or function; "
        "operator: =, first operand: [a]",
    ),
    (
        "contains(l[0].k, l[0].k)",
        "The first operand must be distinct from the remaining operands for this operator or function; "
        "operator: contains, first operand: [l, [0], k]",
    ),
    (
        "n BETWEEN :nine AND :one",
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
        "lower bound operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {N:1}",
    ),
    (
        "n BETWEEN :nine AND :a",
        "The BETWEEN operator requires same data type for lower and upper bounds; "
        "lower bound operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {S:hello}",
    ),
    ("a = :" + "x" * 4096, "Expression size has exceeded the maximum allowed size; expression size: 4101"),
]


@pytest.mark.parametrize(("text", "sentence"), CONDITION_ERRORS, ids=[case[0][:40] for case in CONDITION_ERRORS])
def test_condition__refuses(text: str, sentence: str) -> None:
    with pytest.raises(ValidationException) as caught:
        holds(text)
    assert caught.value.message == f"Invalid ConditionExpression: {sentence}"


def test_condition__bounds_depth_and_operators() -> None:
    for text in ("(" * 900 + "a = :a" + ")" * 900, "NOT " * 1000 + "a = :a", " AND ".join(["a = :a"] * 301)):
        with pytest.raises(ValidationException):
            holds(text)


@pytest.mark.parametrize(
    ("names", "given", "sentence"),
    [
        ({}, None, "ExpressionAttributeNames must not be empty"),
        (None, {}, "ExpressionAttributeValues must not be empty"),
        ({"x": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "x"'),
        (None, {"x": {"S": "a"}}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: "x"'),
        ({"#x": "a"}, None, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}"),
        (
            None,
            {":x": {"S": "a"}, ":y": {"S": "b"}},
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x, :y}",
        ),
        (
            None,
            {":x": {"N": "q"}},
            "ExpressionAttributeValues contains invalid value: "
            "The parameter cannot be converted to a numeric value: q for key :x",
        ),
    ],
)
def test_binding__refuses(names: Any, given: Any, sentence: str) -> None:
    def bind() -> None:
        binding = Binding(names, given)
        binding.condition("FilterExpression", "attribute_exists(a)")
        binding.finish()

    with pytest.raises(ValidationException) as caught:
        bind()
    assert caught.value.message == sentence


def updated(text: str, item: Item = ITEM, names: dict[str, str] | None = None) -> Item:
    binding = bound(text, names)
    tree = binding.update(text)
    binding.finish()
    return updates.apply(tree, binding, item)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("SET a = :p", {"a": {"S": "p"}}),
        ("set a = :p", {"a": {"S": "p"}}),
        ("SET fresh = a, a = :p", {"fresh": {"S": "hello"}, "a": {"S": "p"}}),
        ("SET n = n + :one", {"n": {"N": "6"}}),
        ("SET n = :nine - n", {"n": {"N": "4"}}),
        ("SET n = (n + :one)", {"n": {"N": "6"}}),
        ("SET fresh = if_not_exists(fresh, :one)", {"fresh": {"N": "1"}}),
        ("SET n = if_not_exists(n, :one) + :nine", {"n": {"N": "14"}}),
        ("SET l = list_append(l, :l)", {"l": {"L": [*ITEM["l"]["L"], {"S": "new"}]}}),
        ("SET l = list_append(:l, l)", {"l": {"L": [{"S": "new"}, *ITEM["l"]["L"]]}}),
        ("SET fresh = list_append(if_not_exists(fresh, :l), :l)", {"fresh": {"L": [{"S": "new"}, {"S": "new"}]}}),
        ("SET l[0] = :p", {"l": {"L": [{"S": "p"}, *ITEM["l"]["L"][1:]]}}),
        ("SET l[9] = :p, l[7] = :h", {"l": {"L": [*ITEM["l"]["L"], {"S": "he"}, {"S": "p"}]}}),
        ("SET m.x = :p", {"m": {"M": {"x": {"S": "p"}, "y": ITEM["m"]["M"]["y"]}}}),
        ("SET m.y.v = :p, m.x = :one", {"m": {"M": {"x": {"N": "1"}, "y": {"M": {"w": {"S": "deep"}, "v": {"S": "p"}}}}}}),
        ("SET l[2].k = :p", {"l": {"L": [*ITEM["l"]["L"][:2], {"M": {"k": {"S": "p"}}}]}}),
        ("REMOVE a, absent", {"a": None}),
        ("REMOVE l[0], l[1]", {"l": {"L": ITEM["l"]["L"][2:]}}),
        ("REMOVE l[1], l[0], l[9]", {"l": {"L": ITEM["l"]["L"][2:]}}),
        ("REMOVE m.y.w", {"m": {"M": {"x": {"N": "1"}, "y": {"M": {}}}}}),
        ("SET l[0] = :p REMOVE l[1]", {"l": {"L": [{"S": "p"}, ITEM["l"]["L"][2]]}}),
        ("ADD n :one", {"n": {"N": "6"}}),
        ("ADD fresh :one", {"fresh": {"N": "1"}}),
        ("ADD ss :ss", {"ss": {"SS": ["p", "q", "r"]}}),
        ("ADD newset :ss", {"newset": {"SS": ["q", "r"]}}),
        ("DELETE ss :ss", {"ss": {"SS": ["p"]}}),
        ("DELETE ns :ns", {"ns": {"NS": ["1"]}}),
        ("DELETE absent :ss", {}),
        ("SET a = :p REMOVE t ADD n :one DELETE ss :ss", {"a": {"S": "p"}, "t": None, "n": {"N": "6"}, "ss": {"SS": ["p"]}}),
    ],
)
def test_update(text: str, changed: dict[str, Any]) -> None:
    before = repr(ITEM)
    expected = {name: value for name, value in {**ITEM, **changed}.items() if value is not None}
    assert updated(text) == expected
    assert repr(ITEM) == before


def test_update__deletes_an_emptied_set() -> None:
    assert updated("DELETE ss :ss", {"ss": {"SS": ["q", "r"]}}) == {}


UPDATE_ERRORS = [
    ("", "Invalid UpdateExpression: The expression can not be empty;"),
    ("PUT a = :p", 'Invalid UpdateExpression: Syntax error; token: "PUT", near: "PUT a"'),
    ("SET a", 'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "a"'),
    ("SET a = :p,", 'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: ","'),
    ("SET a :p", 'Invalid UpdateExpression: Syntax error; token: ":p", near: "a :p"'),
    ("ADD a b", 'Invalid UpdateExpression: Syntax error; token: "b", near: "a b"'),
    ("SET a = :p SET n = :p", 'Invalid UpdateExpression: The "SET" section can only be used once in an update expression;'),
    (
        "SET a.b = :p, a.b.c = :h",
        "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; "
        "path one: [a, b], path two: [a, b, c]",
    ),
    (
        "SET a[0] = :p REMOVE a.b",
        "Invalid UpdateExpression: Two document paths conflict with each other; must remove or rewrite one of these paths; "
        "path one: [a, [0]], path two: [a, b]",
    ),
    ("SET a = size(n)", "Invalid UpdateExpression: Invalid function name; function: size"),
    ("SET size = :p", "Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: size"),
    (
        "SET a = :p + n",
        "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: +, operand type: S",
    ),
    (
        "SET a = list_append(a, :p)",
        "Invalid UpdateExpression: Incorrect operand type for operator or function; "
        "operator or function: list_append, operand type: S",
    ),
    (
        "SET a = if_not_exists(:p, :h)",
        "Invalid UpdateExpression: Operator or function requires a document path; operator or function: if_not_exists",
    ),
    (
        "SET a = if_not_exists(a)",
        "Invalid UpdateExpression: Incorrect number of operands for operator or function; "
        "operator or function: if_not_exists, number of operands: 1",
    ),
    (
        "ADD a :p",
        "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING, "
        "typeSet: ALLOWED_FOR_ADD_OPERAND",
    ),
    (
        "DELETE n :one",
        "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, "
        "typeSet: ALLOWED_FOR_DELETE_OPERAND",
    ),
    ("SET a = absent", "The provided expression refers to an attribute that does not exist in the item"),
    ("SET n = absent + :one", "The provided expression refers to an attribute that does not exist in the item"),
    ("SET n = a + :one", "An operand in the update expression has an incorrect data type"),
    ("SET l = list_append(a, :l)", "An operand in the update expression has an incorrect data type"),
    ("ADD a :one", "An operand in the update expression has an incorrect data type"),
    ("DELETE ns :ss", "An operand in the update expression has an incorrect data type"),
    ("SET absent.x = :p", "The document path provided in the update expression is invalid for update"),
    ("SET a.x = :p", "The document path provided in the update expression is invalid for update"),
    ("SET m[0] = :p", "The document path provided in the update expression is invalid for update"),
    ("REMOVE absent.x", "The document path provided in the update expression is invalid for update"),
]


@pytest.mark.parametrize(("text", "sentence"), UPDATE_ERRORS, ids=[case[0] for case in UPDATE_ERRORS])
def test_update__refuses(text: str, sentence: str) -> None:
    with pytest.raises(ValidationException) as caught:
        updated(text)
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a, n", {"a": ITEM["a"], "n": ITEM["n"]}),
        ("absent", {}),
        ("m.y.w, m.x", {"m": {"M": {"y": {"M": {"w": {"S": "deep"}}}, "x": {"N": "1"}}}}),
        ("l[2], l[0]", {"l": {"L": [{"S": "x"}, {"M": {"k": {"S": "v"}}}]}}),
        ("l[2].k, l[9]", {"l": {"L": [{"M": {"k": {"S": "v"}}}]}}),
        ("m.y.nope", {}),
    ],
)
def test_project(text: str, expected: Item) -> None:
    assert projections.project(Binding(None, None).projection(text), ITEM) == expected


def test_projection__refuses_overlap() -> None:
    with pytest.raises(ValidationException) as caught:
        Binding({"#a": "m"}, None).projection("m.y, #a")
    assert caught.value.message == (
        "Invalid ProjectionExpression: Two document paths overlap with each other; "
        "must remove or rewrite one of these paths; path one: [m, y], path two: [m]"
    )


VALUE_ERRORS: list[tuple[dict[str, Any], str]] = [
    ({}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    (
        {"S": "a", "N": "1"},
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    ),
    ({"SS": []}, "One or more parameter values were invalid: An string set  may not be empty"),
    ({"NS": []}, "One or more parameter values were invalid: An number set  may not be empty"),
    ({"SS": ["a", "a"]}, "One or more parameter values were invalid: Input collection [a, a] contains duplicates."),
    ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
    ({"NULL": False}, "One or more parameter values were invalid: Null attribute value types must have the value of true"),
    ({"L": [{"N": "x"}]}, "The parameter cannot be converted to a numeric value: x"),
]


@pytest.mark.parametrize(("value", "sentence"), VALUE_ERRORS, ids=[str(case[0]) for case in VALUE_ERRORS])
def test_take__refuses(value: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationException) as caught:
        values.take(value)
    assert caught.value.message == sentence


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "x"}
    for _ in range(depth):
        value = {"L": [value]}
    return value


def test_take__bounds_nesting() -> None:
    values.take(nested(32))
    with pytest.raises(ValidationException, match="Nesting Levels have exceeded supported limits"):
        values.take(nested(33))


scalars = st.one_of(
    st.text(max_size=8).map(lambda text: {"S": text}),
    st.integers(-(10**20), 10**20).map(lambda number: {"N": str(number)}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=4).map(lambda members: {"SS": list(members)}),
    st.sets(st.integers(-99, 99), min_size=1, max_size=4).map(lambda members: {"NS": [str(n) for n in members]}),
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(st.text(max_size=4), inner, max_size=3).map(lambda fields: {"M": fields}),
    ),
    max_leaves=8,
)


@given(documents)
def test_value_size__is_what_take_counts(value: dict[str, Any]) -> None:
    assert values.take(value) == values.value_size(value)
    again = repr(value)
    values.take(value)
    assert repr(value) == again


@given(st.text(alphabet="ab:#.[]()=<>,+-01 \tANDORSETnot'", max_size=40))
def test_parse__any_text_is_read_or_refused(text: str) -> None:
    binding = Binding(None, None)
    for read in (
        lambda: binding.condition("FilterExpression", text),
        lambda: binding.update(text),
        lambda: binding.projection(text),
    ):
        refused = ""
        try:
            read()
        except ValidationException as error:
            refused = error.message
        assert refused == "" or refused.startswith("Invalid ")
