"""A stack of a stream, an application in SQL, a function and a warehouse: each closed window is seen by both."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from conftest import eventually

TEMPLATE = """
Resources:
  Trades: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 2}}
  Seen:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: window, AttributeType: S}]
      KeySchema: [{AttributeName: window, KeyType: HASH}]
  Staging: {Type: AWS::S3::Bucket}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Service: [kinesisanalytics.amazonaws.com, lambda.amazonaws.com, firehose.amazonaws.com]}
            Action: sts:AssumeRole
      Policies:
        - PolicyName: flow
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: ["kinesis:*", "firehose:*", "lambda:InvokeFunction", "s3:*", "dynamodb:*", "logs:*"]
                Resource: "*"
  Notice:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.11
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Environment: {Variables: {TABLE: !Ref Seen}}
      Code:
        ZipFile: |
          import base64, json, os
          import boto3
          table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
          def handler(event, context):
              for one in event["records"]:
                  row = json.loads(base64.b64decode(one["data"]))
                  table.put_item(Item={"window": f"{row['ticker']} {row['closed']}", "n": row["n"], "total": row["total"]})
              return {"records": [{"recordId": one["recordId"], "result": "Ok"} for one in event["records"]]}
  Warehouse:
    Type: AWS::Redshift::Cluster
    Properties:
      ClusterType: single-node
      NodeType: ra3.large
      DBName: dev
      MasterUsername: loader
      MasterUserPassword: Loader-secret-1
  Reports:
    Type: AWS::KinesisFirehose::DeliveryStream
    Properties:
      RedshiftDestinationConfiguration:
        ClusterJDBCURL: !Sub "jdbc:redshift://${Warehouse.Endpoint.Address}:${Warehouse.Endpoint.Port}/dev"
        Username: loader
        Password: Loader-secret-1
        RoleARN: !GetAtt Role.Arn
        CopyCommand: {DataTableName: totals, CopyOptions: "JSON 'auto'"}
        S3Configuration:
          BucketARN: !GetAtt Staging.Arn
          RoleARN: !GetAtt Role.Arn
          BufferingHints: {IntervalInSeconds: 0, SizeInMBs: 1}
  Totals:
    Type: AWS::KinesisAnalyticsV2::Application
    Properties:
      RuntimeEnvironment: SQL-1_0
      ServiceExecutionRole: !GetAtt Role.Arn
      ApplicationConfiguration:
        ApplicationCodeConfiguration:
          CodeContentType: PLAINTEXT
          CodeContent:
            TextContent: |
              CREATE OR REPLACE STREAM "TOTALS" ("ticker" VARCHAR(8), "closed" TIMESTAMP, "n" INTEGER, "total" INTEGER);
              CREATE OR REPLACE PUMP "P" AS INSERT INTO "TOTALS"
              SELECT STREAM "ticker", STEP("TRADES_001".ROWTIME BY INTERVAL '1' SECOND), COUNT(*), SUM("price")
              FROM "TRADES_001"
              GROUP BY "ticker", STEP("TRADES_001".ROWTIME BY INTERVAL '1' SECOND);
        SqlApplicationConfiguration:
          Inputs:
            - NamePrefix: TRADES
              KinesisStreamsInput: {ResourceARN: !GetAtt Trades.Arn}
              InputSchema:
                RecordFormat: {RecordFormatType: JSON, MappingParameters: {JSONMappingParameters: {RecordRowPath: $}}}
                RecordColumns:
                  - {Name: ticker, SqlType: VARCHAR(8), Mapping: $.ticker}
                  - {Name: price, SqlType: INTEGER, Mapping: $.price}
  ToFunction:
    Type: AWS::KinesisAnalyticsV2::ApplicationOutput
    Properties:
      ApplicationName: !Ref Totals
      Output:
        Name: TOTALS
        LambdaOutput: {ResourceARN: !GetAtt Notice.Arn}
        DestinationSchema: {RecordFormatType: JSON}
  ToWarehouse:
    Type: AWS::KinesisAnalyticsV2::ApplicationOutput
    Properties:
      ApplicationName: !Ref Totals
      Output:
        Name: TOTALS
        KinesisFirehoseOutput: {ResourceARN: !GetAtt Reports.Arn}
        DestinationSchema: {RecordFormatType: JSON}
Outputs:
  Trades: {Value: !Ref Trades}
  Seen: {Value: !Ref Seen}
  Warehouse: {Value: !Ref Warehouse}
  Totals: {Value: !Ref Totals}
"""


class Warehouse:
    """SQL on the stack's cluster."""

    def __init__(self, data: Any, cluster: str) -> None:
        self._data = data
        self._where = {"ClusterIdentifier": cluster, "Database": "dev", "DbUser": "loader"}

    def run(self, sql: str) -> list[list[Any]]:
        statement = self._data.execute_statement(Sql=sql, **self._where)["Id"]

        def ended() -> Any:
            found = self._data.describe_statement(Id=statement)
            return found if found["Status"] in ("FINISHED", "FAILED", "ABORTED") else None

        found = eventually(ended)
        assert found["Status"] == "FINISHED", found.get("Error")
        if not found["HasResultSet"]:
            return []
        rows = self._data.get_statement_result(Id=statement)["Records"]
        return [[next(iter(field.values())) for field in row] for row in rows]


@pytest.mark.timeout(240)
def test_stack__windows_reach_the_function_and_the_warehouse(client: Callable[..., Any]) -> None:
    cloudformation = client("cloudformation")
    stack_id = cloudformation.create_stack(StackName="flow", TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_IAM"])["StackId"]

    def made() -> Any:
        found = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]
        return None if found["StackStatus"].endswith("IN_PROGRESS") else found

    stack = eventually(made, 90)
    events = cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", [e.get("ResourceStatusReason") for e in events]
    out = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    warehouse = Warehouse(client("redshift-data"), out["Warehouse"])
    warehouse.run("create table totals (ticker varchar(8), closed timestamp, n int, total int)")
    analytics, kinesis = client("kinesisanalyticsv2"), client("kinesis")
    start = {"InputId": "1.1", "InputStartingPositionConfiguration": {"InputStartingPosition": "TRIM_HORIZON"}}
    analytics.start_application(ApplicationName=out["Totals"], RunConfiguration={"SqlRunConfigurations": [start]})
    for second in range(3):
        rows = [{"ticker": f"T{number % 4}", "price": second * 100 + number} for number in range(100)]
        records = [{"Data": json.dumps(row).encode(), "PartitionKey": row["ticker"]} for row in rows]
        kinesis.put_records(StreamName=out["Trades"], Records=records)
    expected = sum(second * 100 + number for second in range(3) for number in range(100))
    totals = eventually(
        lambda: (found := warehouse.run("select count(*), sum(n), sum(total) from totals")) and found[0][1] == 300 and found, 60
    )
    assert totals[0][2] == expected
    table = client("dynamodb")
    items = eventually(
        lambda: (
            (found := table.scan(TableName=out["Seen"])["Items"]) and sum(int(one["n"]["N"]) for one in found) == 300 and found
        )
    )
    assert sum(int(one["total"]["N"]) for one in items) == expected
    assert len(items) == totals[0][0]
    summary = warehouse.run("select ticker, sum(n) from totals group by ticker order by ticker")
    assert summary == [[f"T{number}", 75] for number in range(4)]
