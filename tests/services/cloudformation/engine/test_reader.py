"""Templates as text: JSON, YAML, short forms, and what is refused."""

import time
from typing import Any

import pytest

from headrace.kit.errors import ValidationError
from headrace.services.cloudformation.engine.reader import read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"A": {"Ref": "B"}}', {"A": {"Ref": "B"}}),
        ("A: !Ref B", {"A": {"Ref": "B"}}),
        ("A: !GetAtt B.Arn", {"A": {"Fn::GetAtt": ["B", "Arn"]}}),
        ("A: !GetAtt B.Outputs.C", {"A": {"Fn::GetAtt": ["B", "Outputs.C"]}}),
        ("A: !GetAtt [B, Arn]", {"A": {"Fn::GetAtt": ["B", "Arn"]}}),
        ("A: !Sub '${B}-x'", {"A": {"Fn::Sub": "${B}-x"}}),
        ("A: !Sub ['${B}', {B: !Ref C}]", {"A": {"Fn::Sub": ["${B}", {"B": {"Ref": "C"}}]}}),
        ("A: !Join ['', [a, !Ref B]]", {"A": {"Fn::Join": ["", ["a", {"Ref": "B"}]]}}),
        ("A: !If [C, 1, !Ref AWS::NoValue]", {"A": {"Fn::If": ["C", 1, {"Ref": "AWS::NoValue"}]}}),
        ("A: !Condition C", {"A": {"Condition": "C"}}),
        ("A: !Base64 |\n  line\n", {"A": {"Fn::Base64": "line\n"}}),
        ("A: !Base64\n  Fn::Sub: x", {"A": {"Fn::Base64": {"Fn::Sub": "x"}}}),
        ("A: 2012-10-17", {"A": "2012-10-17"}),
        ("A: 012345678901", {"A": "012345678901"}),
        ("A: [true, no, 1, 1.5, ~, '1', 0x10, 010]", {"A": [True, False, 1, 1.5, None, "1", 16, 8]}),
        ("A: !!str 1", {"A": "1"}),
        ("123456789012: x", {"123456789012": "x"}),
    ],
)
def test_read(text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("just text", "Template format error: unsupported structure."),
        ("", "Template format error: unsupported structure."),
        ("{", "Template format error: JSON not well-formed. (line 1, column 2)"),
        ("{\n 'a': 1}", "Template format error: JSON not well-formed. (line 2, column 2)"),
        ("A: [", "Template format error: YAML not well-formed. (line 2, column 1)"),
        ("A: 1\nA: 2", "Template format error: YAML not well-formed. (line 2, column 1)"),
        ("A: &x 1\nB: *x", "Template format error: YAML aliases are not allowed in CloudFormation templates"),
        ("A: !Foo 1", "Template format error: unsupported tag !Foo."),
        ("A: !!python/object/apply:os.system [ls]", "Template format error: YAML not well-formed. (line 1, column 4)"),
        ('{"A": ' + "[" * 50_000 + "]" * 50_000 + "}", "Template format error: JSON not well-formed."),
        ('{"A": ' + "[" * 100 + "]" * 100 + "}", "Template format error: the template is nested too deeply."),
        ("A: " + "[" * 900 + "]" * 900, "Template format error: the template is nested too deeply."),
    ],
)
def test_read__refuses(text: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        read(text)
    assert raised.value.message == message


def test_read__alias_bomb_is_refused_at_once() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    begun = time.monotonic()
    with pytest.raises(ValidationError):
        read(bomb)
    assert time.monotonic() - begun < 1
