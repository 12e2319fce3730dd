"""What is refused of a template's form, the order of its resources, and the SAM transform."""

import json
import subprocess
import sys
from typing import Any

import pytest

from headrace.kit.errors import ValidationError
from headrace.services.cloudformation.engine import check, plan
from headrace.services.cloudformation.engine.evaluate import Environment
from headrace.services.cloudformation.engine.reader import read

TYPES = ("AWS::SQS::Queue", "AWS::SNS::Topic")
ENVIRONMENT = Environment(parameters={"On": "no"}, pseudo={}, conditions=read("C: !Equals [!Ref On, yes]"))


def both_checks(template: dict[str, Any]) -> None:
    check.check_sections(template, transformed=True)
    check.check(template, TYPES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Description: x", "Template format error: At least one Resources member must be defined."),
        ("AWSTemplateFormatVersion: 2012-10-17\nResources: {A: {Type: AWS::SQS::Queue}}",
         "Template format error: 2012-10-17 is not a supported value for AWSTemplateFormatVersion."),
        ("Extra: 1\nResources: {A: {Type: AWS::SQS::Queue}}", "Invalid template property or properties [Extra]"),
        ("Resources: {A_B: {Type: AWS::SQS::Queue}}", "Template format error: Resource name A_B is non alphanumeric."),
        ("Resources: {A: {Properties: {}}}",
         "Template format error: [/Resources/A] Every Resources object must contain a Type member."),
        ("Resources: {A: {Type: AWS::EC2::Instance}}",
         "Template format error: Unrecognized resource types: [AWS::EC2::Instance]"),
        ("Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref X}}}",
         "Template format error: Unresolved resource dependencies [X] in the Resources block of the template"),
        ("Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${X}'}}}",
         "Template format error: Unresolved resource dependencies [X] in the Resources block of the template"),
        ("Resources: {A: {Type: AWS::SQS::Queue, DependsOn: X}}",
         "Template format error: Unresolved resource dependencies [X] in the Resources block of the template"),
        ("Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt X.Arn}}}",
         "Template error: instance of Fn::GetAtt references undefined resource X"),
        ("Resources: {A: {Type: AWS::SQS::Queue}}\nOutputs: {O: {Value: !Ref X}}",
         "Template format error: Unresolved resource dependencies [X] in the Outputs block of the template"),
        ("Resources: {A: {Type: AWS::SQS::Queue}}\nOutputs: {O: {}}",
         "Template format error: Every Outputs member must contain a Value object"),
        ("Conditions: {C: !Equals [!Ref A, x]}\nResources: {A: {Type: AWS::SQS::Queue}}",
         "Template format error: Unresolved dependencies [A]. Cannot reference resources in the Conditions block of the "
         "template"),
        ("Resources: {A: {Type: AWS::SQS::Queue, DeletionPolicy: Keep}}",
         "Template error: Unrecognized DeletionPolicy Keep for resource A"),
        ("Parameters: {P: {Type: Text}}\nResources: {A: {Type: AWS::SQS::Queue}}",
         "Template format error: Unrecognized parameter type: Text"),
        ("Parameters: {P: {Default: x}}\nResources: {A: {Type: AWS::SQS::Queue}}",
         "Template format error: Every Parameters object must contain a Type member."),
        ("Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: '{{resolve:ssm:x}}'}}}",
         "Dynamic references are not supported: {{resolve:ssm:x}}. Use a parameter with NoEcho."),
    ],
)  # fmt: skip
def test_check__refuses(text: str, message: str) -> None:
    template = read(text)
    with pytest.raises(ValidationError) as raised:
        both_checks(template)
    assert raised.value.message == message


def planned(text: str) -> list[str]:
    return [item.name for item in plan.plan(read(text), ENVIRONMENT)]


def test_plan__order_of_needs() -> None:
    text = """
Resources:
  A: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: x, Value: !GetAtt B.Arn}]}}
  B: {Type: AWS::SQS::Queue, DependsOn: [C]}
  C: {Type: AWS::SNS::Topic}
  D: {Type: AWS::SNS::Topic, Properties: {TopicName: !Sub '${A}-x'}}
"""
    assert planned(text) == ["C", "B", "A", "D"]


def test_plan__circle() -> None:
    text = """
Resources:
  A: {Type: AWS::SQS::Queue, Properties: {X: !Ref B}}
  B: {Type: AWS::SQS::Queue, DependsOn: A}
  C: {Type: AWS::SQS::Queue, DependsOn: A}
"""
    with pytest.raises(ValidationError) as raised:
        planned(text)
    assert raised.value.message == "Circular dependency between resources: [A, B]"


def test_plan__conditions_leave_out() -> None:
    text = """
Resources:
  A: {Type: AWS::SQS::Queue, Condition: C}
  B: {Type: AWS::SQS::Queue, Properties: {X: !If [C, !Ref A, none]}}
"""
    assert planned(text) == ["B"]
    with pytest.raises(ValidationError) as raised:
        planned(text.replace("!If [C, !Ref A, none]", "!Ref A"))
    assert raised.value.message == (
        "Template format error: Unresolved resource dependencies [A] in the Resources block of the template"
    )


def translate(text: str) -> dict[str, object]:
    request = {"template": read(text), "parameters": {}, "policies": {}, "region": "us-east-1"}
    done = subprocess.run(
        [sys.executable, "-m", "headrace.services.cloudformation.engine.sam"],
        input=json.dumps(request).encode(), capture_output=True, check=True,
    )  # fmt: skip
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_sam__function_with_stream_event() -> None:
    answer = translate("""
Transform: AWS::Serverless-2016-10-31
Resources:
  Stream: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 1}}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: a.b
      CodeUri: s3://bucket/key
      Policies: [{DynamoDBReadPolicy: {TableName: x}}]
      Events: {New: {Type: Kinesis, Properties: {Stream: !GetAtt Stream.Arn, StartingPosition: LATEST, BatchSize: 7}}}
""")
    resources = answer["template"]["Resources"]  # type: ignore[index]
    assert {name: resource["Type"] for name, resource in resources.items()} == {
        "Stream": "AWS::Kinesis::Stream",
        "Function": "AWS::Lambda::Function",
        "FunctionRole": "AWS::IAM::Role",
        "FunctionNew": "AWS::Lambda::EventSourceMapping",
    }
    assert resources["FunctionNew"]["Properties"]["BatchSize"] == 7
    assert resources["Function"]["Properties"]["Code"] == {"S3Bucket": "bucket", "S3Key": "key"}


def test_sam__error_of_the_template() -> None:
    answer = translate(
        "Transform: AWS::Serverless-2016-10-31\nResources: {F: {Type: AWS::Serverless::Function, Properties: {Handler: a}}}"
    )
    assert "Missing required property 'Runtime'" in str(answer["errors"]) or "'CodeUri'" in str(answer["errors"])
