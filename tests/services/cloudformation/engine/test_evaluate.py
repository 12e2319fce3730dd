"""Intrinsic functions, conditions and parameters by tables of cases."""

from typing import Any

import pytest

from headrace.kit.errors import ValidationError
from headrace.services.cloudformation import limits
from headrace.services.cloudformation.engine import parameters
from headrace.services.cloudformation.engine.evaluate import Environment, evaluate
from headrace.services.cloudformation.engine.language import unroll
from headrace.services.cloudformation.engine.reader import read

RESOURCES = {("Queue", None): "https://queue", ("Queue", "Arn"): "arn:queue", ("Table", "StreamArn"): "arn:stream"}


def environment(**changes: Any) -> Environment:
    def resource(name: str, attribute: str | None) -> Any:
        if (name, attribute) not in RESOURCES:
            raise ValidationError(f"no {name}.{attribute}")
        return RESOURCES[name, attribute]

    return Environment(
        parameters={"Stage": "prod", "Subnets": ["a", "b"], "Count": "3"},
        pseudo={"AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws"},
        mappings={"Regions": {"eu-west-1": {"Name": "Dublin", "Zones": ["x", "y"]}}},
        conditions=read(
            "IsProd: !Equals [!Ref Stage, prod]\nNotProd: !Not [!Condition IsProd]\n"
            "Both: !And [!Condition IsProd, !Equals [1, '1']]\nEither: !Or [!Condition NotProd, !Equals [a, b]]\n"
            "Loop: !Not [!Condition Loop]\nOne: !And [!Condition IsProd]"
        ),
        resource=resource,
        export={"Shared": "exported"}.__getitem__,
        **changes,
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!Ref Stage", "prod"),
        ("!Ref AWS::Region", "eu-west-1"),
        ("!Ref Queue", "https://queue"),
        ("!Ref Subnets", ["a", "b"]),
        ("!GetAtt Queue.Arn", "arn:queue"),
        ("!Sub 'x-${Stage}-${AWS::Region}-${Queue.Arn}-${!Kept}-${Queue}'", "x-prod-eu-west-1-arn:queue-${Kept}-https://queue"),
        ("!Sub ['${A}/${Stage}', {A: !GetAtt Table.StreamArn}]", "arn:stream/prod"),
        ("!Join ['-', [a, !Ref Stage, 1, true]]", "a-prod-1-true"),
        ("!Join [',', !Ref Subnets]", "a,b"),
        ("!Split ['|', 'a|b|']", ["a", "b", ""]),
        ("!Select [1, !Split ['|', 'a|b']]", "b"),
        ("!Select ['0', !Ref Subnets]", "a"),
        ("!FindInMap [Regions, !Ref AWS::Region, Name]", "Dublin"),
        ("!FindInMap [Regions, nowhere, Name, {DefaultValue: none}]", "none"),
        ("!If [IsProd, big, small]", "big"),
        ("!If [NotProd, big, small]", "small"),
        ("!If [Both, 1, 2]", 1),
        ("!If [Either, 1, 2]", 2),
        ("{a: 1, b: !If [NotProd, 2, !Ref AWS::NoValue]}", {"a": 1}),
        ("[1, !Ref AWS::NoValue, 2]", [1, 2]),
        ("!ImportValue Shared", "exported"),
        ("!Base64 hi", "aGk="),
        ("!Cidr [10.0.0.0/24, 2, 5]", ["10.0.0.0/27", "10.0.0.32/27"]),
        ("!GetAZs ''", ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        ("{Fn::Length: !Ref Subnets}", 2),
        ("{Fn::ToJsonString: {a: !Ref Count}}", '{"a":"3"}'),
    ],
)
def test_evaluate(text: str, value: Any) -> None:
    assert evaluate(read("value: " + text)["value"], environment(extensions=True)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!Select [5, [a]]", "Template error: Fn::Select cannot select nonexistent value at index 5"),
        ("!FindInMap [Regions, nowhere, Name]", "Template error: Unable to get mapping for Regions::nowhere::Name"),
        (
            "!FindInMap [Other, a, b]",
            "Template error: Mapping named 'Other' is not present in the 'Mappings' section of template.",
        ),
        ("!If [IsProd, 1]", "Template error: Fn::If requires a list argument with three parameters"),
        ("!If [Loop, 1, 2]", "Template format error: Circular dependency between conditions: [Loop]"),
        (
            "!If [One, 1, 2]",
            "Template error: every Fn::And object requires a list of at least 2 and at most 10 boolean parameters.",
        ),
        ("{Fn::Foo: 1}", "Template format error: unsupported function: Fn::Foo"),
        ("{Fn::Length: []}", "Template format error: unsupported function: Fn::Length"),
        ("{Ref: [a]}", "Template format error: every Ref object must have a single String value."),
    ],
)
def test_evaluate__refuses(text: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        evaluate(read("value: " + text)["value"], environment())
    assert raised.value.message == message


@pytest.mark.parametrize("function", ["Join", "Split", "Sub", "GetAtt", "Cidr", "Select", "Base64"])
@pytest.mark.parametrize("argument", ["[]", "[1]", "{a: b}", "[[a], [b]]", "[a, [{b: c}], 3, 4]"])
def test_evaluate__malformed_arguments_are_the_callers_error(function: str, argument: str) -> None:
    with pytest.raises(ValidationError):
        evaluate(read(f"value: !{function} {argument}")["value"], environment())


DECLARED = read("""
Stage: {Type: String, AllowedValues: [dev, prod], Default: dev}
Name: {Type: String, MinLength: 2, MaxLength: 5, AllowedPattern: '[a-z]+', Default: abc}
Size: {Type: Number, MinValue: 1, MaxValue: 10, Default: 5}
Zones: {Type: CommaDelimitedList, Default: 'a, b'}
Secret: {Type: String, NoEcho: true}
Odd: {Type: String, AllowedPattern: '[0-9]+', ConstraintDescription: digits only, Default: '1'}
""")


def test_parameters() -> None:
    parameters.check(DECLARED)
    values = parameters.values(DECLARED, {"Secret": "x", "Stage": "prod"})
    assert values == {"Stage": "prod", "Name": "abc", "Size": "5", "Zones": "a, b", "Secret": "x", "Odd": "1"}
    assert parameters.typed(DECLARED, values)["Zones"] == ["a", "b"]
    assert [name for name, declared in DECLARED.items() if parameters.no_echo(declared)] == ["Secret"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Parameters: [Secret] must have values"),
        ({"Secret": "x", "Nope": "1"}, "Parameters: [Nope] do not exist in the template"),
        ({"Secret": "x", "Stage": "test"}, "Parameter 'Stage' must be one of AllowedValues: [dev, prod]"),
        ({"Secret": "x", "Name": "ABC"}, "Parameter 'Name' must match pattern [a-z]+"),
        ({"Secret": "x", "Name": "a"}, "Parameter 'Name' must contain at least 2 characters"),
        ({"Secret": "x", "Name": "abcdef"}, "Parameter 'Name' must contain at most 5 characters"),
        ({"Secret": "x", "Size": "many"}, "Parameter 'Size' must be a number."),
        ({"Secret": "x", "Size": "0"}, "Parameter 'Size' must be a number not less than 1"),
        ({"Secret": "x", "Size": "11"}, "Parameter 'Size' must be a number not greater than 10"),
        ({"Secret": "x", "Odd": "a"}, "Parameter 'Odd' failed to satisfy constraint: digits only"),
    ],
)
def test_parameters__refuses(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parameters.values(DECLARED, given)
    assert raised.value.message == message


def test_parameters__a_pattern_that_takes_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATTERN_SECONDS_MAX", 0.5)
    declared = {"P": {"Type": "String", "AllowedPattern": "(a+)+b"}}
    with pytest.raises(ValidationError, match="takes too long"):
        parameters.values(declared, {"P": "a" * 4000})
    assert parameters.values(declared, {"P": "aaab"}) == {"P": "aaab"}
    with pytest.raises(ValidationError, match="no regular expression"):
        parameters.check({"P": {"Type": "String", "AllowedPattern": "(", "Default": "x"}})


def test_unroll__ends() -> None:
    loop: dict[str, Any] = {"Fn::ForEach::A": ["A", ["x"] * 1000, {"${A}": {"Value": "y" * 100}}]}
    for name in "BC":
        loop = {f"Fn::ForEach::{name}": [name, ["x"] * 1000, loop]}
    with pytest.raises(ValidationError, match=r"more than 200000 values|twice"):
        unroll({"Resources": loop}, environment(extensions=True))


def test_unroll() -> None:
    template = read("""
Resources:
  Fn::ForEach::Topics:
    - Name
    - !Ref Subnets
    - Topic${Name}: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Name, DisplayName: !Sub 'x-${Name}-${Stage}'}}
""")
    resources = unroll(template, environment(extensions=True))["Resources"]
    assert sorted(resources) == ["Topica", "Topicb"]
    assert resources["Topica"]["Properties"] == {"TopicName": "a", "DisplayName": {"Fn::Sub": "x-a-${Stage}"}}
