"""A template makes a Flink application, changes each part of it in place, and removes it."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

from conftest import eventually

TEMPLATE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Principal: {Service: kinesisanalytics.amazonaws.com}, Action: 'sts:AssumeRole'}]
      Policies:
        - PolicyName: p
          PolicyDocument: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: '*'}]}
  Application:
    Type: AWS::KinesisAnalyticsV2::Application
    Properties:
      RuntimeEnvironment: RUNTIME
      ServiceExecutionRole: !GetAtt Role.Arn
      RunConfiguration: {FlinkRunConfiguration: {AllowNonRestoredState: true}}
      ApplicationConfiguration:
        ApplicationCodeConfiguration:
          CodeContentType: ZIPFILE
          CodeContent: {S3ContentLocation: {BucketARN: 'arn:aws:s3:::BUCKET', FileKey: KEY}}
        EnvironmentProperties: {PropertyGroups: [{PropertyGroupId: g, PropertyMap: {a: KEY}}]}
        ApplicationSnapshotConfiguration: {SnapshotsEnabled: SNAPSHOTS}
        FlinkApplicationConfiguration:
          ParallelismConfiguration: {ConfigurationType: CUSTOM, Parallelism: PARALLELISM}
Outputs: {Name: {Value: !Ref Application}}
"""


def template(**values: str) -> str:
    text = TEMPLATE
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def test_application__made_changed_removed(client: Callable[..., Any], account: str) -> None:
    s3, cloudformation, analytics = client("s3"), client("cloudformation"), client("kinesisanalyticsv2")
    bucket = f"flink-{account}"
    s3.create_bucket(Bucket=bucket)
    for key in ("one.jar", "two.jar"):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as jar:
            jar.writestr("Main.class", key)
        s3.put_object(Bucket=bucket, Key=key, Body=made.getvalue())

    def settled() -> Any:
        stacks = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return None if stacks[0]["StackStatus"].endswith("IN_PROGRESS") else stacks[0]

    first = template(RUNTIME="FLINK-1_19", BUCKET=bucket, KEY="one.jar", SNAPSHOTS="true", PARALLELISM="1")
    capable = {"Capabilities": ["CAPABILITY_IAM"]}
    stack = cloudformation.create_stack(StackName="f", TemplateBody=first, **capable)["StackId"]
    found = eventually(settled, 60)
    assert found["StackStatus"] == "CREATE_COMPLETE", found
    name = found["Outputs"][0]["OutputValue"]
    before = analytics.describe_application(ApplicationName=name)["ApplicationDetail"]
    assert (before["RuntimeEnvironment"], before["ApplicationStatus"]) == ("FLINK-1_19", "READY")

    second = template(RUNTIME="FLINK-1_20", BUCKET=bucket, KEY="two.jar", SNAPSHOTS="false", PARALLELISM="4")
    cloudformation.update_stack(StackName="f", TemplateBody=second, **capable)
    found = eventually(settled, 60)
    assert found["StackStatus"] == "UPDATE_COMPLETE", found
    after = analytics.describe_application(ApplicationName=name)["ApplicationDetail"]
    assert (after["RuntimeEnvironment"], after["CreateTimestamp"]) == ("FLINK-1_20", before["CreateTimestamp"])
    configuration = after["ApplicationConfigurationDescription"]
    code = configuration["ApplicationCodeConfigurationDescription"]["CodeContentDescription"]
    assert code["S3ApplicationCodeLocationDescription"]["FileKey"] == "two.jar"
    assert configuration["EnvironmentPropertyDescriptions"]["PropertyGroupDescriptions"][0]["PropertyMap"] == {"a": "two.jar"}
    assert configuration["ApplicationSnapshotConfigurationDescription"]["SnapshotsEnabled"] is False
    parallelism = configuration["FlinkApplicationConfigurationDescription"]["ParallelismConfigurationDescription"]
    assert parallelism["Parallelism"] == 4

    cloudformation.delete_stack(StackName="f")
    assert eventually(settled, 60)["StackStatus"] == "DELETE_COMPLETE"
    assert analytics.list_applications()["ApplicationSummaries"] == []
