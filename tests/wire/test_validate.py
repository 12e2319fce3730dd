"""Constraints of the model, in AWS's sentences."""

from typing import Any

import pytest

from headrace.kit.errors import AwsError
from headrace.wire import models
from headrace.wire.patterns import compile_pattern
from headrace.wire.validate import validate


def refused(service: str, operation: str, parameters: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(AwsError) as found:
        validate(models.service(service).operations[operation], parameters)
    return type(found.value).code, found.value.message


def test_one_and_many() -> None:
    code, text = refused("kinesis", "DescribeStreamSummary", {"StreamName": "a b"})
    assert code == "ValidationException"
    assert text == (
        "1 validation error detected: Value 'a b' at 'streamName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    )
    assert refused("dynamodb", "PutItem", {})[1] == (
        "2 validation errors detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null; "
        "Value null at 'item' failed to satisfy constraint: Member must not be null"
    )


def test_nested_paths_lengths_and_enums() -> None:
    table = {"TableName": "t", "KeySchema": [{"AttributeName": "", "KeyType": "FOO"}], "AttributeDefinitions": []}
    assert refused("dynamodb", "CreateTable", table)[1] == (
        "2 validation errors detected: Value '' at 'keySchema.1.member.attributeName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1; Value 'FOO' at 'keySchema.1.member.keyType' failed to satisfy "
        "constraint: Member must satisfy enum value set: [HASH, RANGE]"
    )
    assert refused("dynamodb", "ListTables", {"Limit": 101})[1].endswith(
        "Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100"
    )


@pytest.mark.parametrize(
    ("service", "operation", "code", "text"),
    [
        ("sqs", "CreateQueue", "MissingParameter", "The request must contain the parameter QueueName."),
        (
            "iam",
            "GetRole",
            "ValidationError",
            "1 validation error detected: Value null at 'roleName' failed to satisfy constraint: Member must not be null",
        ),
        (
            "logs",
            "CreateLogGroup",
            "InvalidParameterException",
            "1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null",
        ),
    ],
)
def test_each_service_has_its_way(service: str, operation: str, code: str, text: str) -> None:
    found_code, message = refused(service, operation, {})
    assert message == text
    assert found_code in (code, "ValidationException")


def test_sensitive_values_are_not_repeated() -> None:
    secrets = [
        (s, o.name, n, m)
        for s in models.SERVICES
        for o in models.service(s).operations.values()
        if o.input
        for n, m in o.input.members.items()
        if m.sensitive and m.type == "string" and m.max
    ]
    assert secrets
    service, operation, name, member = secrets[0]
    assert "hunter2" not in refused(service, operation, {name: "hunter2" * int(member.max or 1)})[1]


def test_valid_input_passes() -> None:
    validate(
        models.service("dynamodb").operations["PutItem"], {"TableName": "t", "Item": {"a": {"S": "x"}}, "ReturnValues": "NONE"}
    )


def test_patterns__nearly_all_can_be_read() -> None:
    unread = [
        shape.pattern
        for name in models.SERVICES
        for shape in models.service(name).shapes.values()
        if shape.pattern and compile_pattern(shape.pattern) is None
    ]
    assert len(set(unread)) <= 2


def test_patterns__java_properties() -> None:
    tag = compile_pattern(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$")
    assert tag is not None
    assert tag.fullmatch("Größe äöü 日本 1_.:/=+-@")
    assert not tag.fullmatch("no;semicolon")
