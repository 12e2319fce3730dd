"""AWS::DynamoDB::GlobalTable: replicas come and go with the stack."""

from typing import Any

from conftest import HeadraceServer, eventually

TEMPLATE = """
Resources:
  World:
    Type: AWS::DynamoDB::GlobalTable
    Properties:
      TableName: world
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      Replicas: REPLICAS
Outputs:
  Arn: {Value: !GetAtt World.Arn}
"""


def test_global_table(server: HeadraceServer, account: str) -> None:
    stacks = server.client("cloudformation", account)
    here, there = (server.client("dynamodb", account, region) for region in ("us-east-1", "eu-west-1"))

    def settled(status: str) -> Any:
        def check() -> bool:
            found = stacks.describe_stacks(StackName="global")["Stacks"][0]
            assert "ROLLBACK" not in found["StackStatus"], stacks.describe_stack_events(StackName="global")["StackEvents"][:5]
            return bool(found["StackStatus"] == status)

        return eventually(check, 60)

    both = "[{Region: us-east-1, PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}}, {Region: eu-west-1}]"
    stacks.create_stack(StackName="global", TemplateBody=TEMPLATE.replace("REPLICAS", both))
    settled("CREATE_COMPLETE")
    here.put_item(TableName="world", Item={"id": {"S": "a"}})
    eventually(lambda: "Item" in there.get_item(TableName="world", Key={"id": {"S": "a"}}))
    recovery = here.describe_continuous_backups(TableName="world")["ContinuousBackupsDescription"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    stacks.update_stack(StackName="global", TemplateBody=TEMPLATE.replace("REPLICAS", "[{Region: us-east-1}]"))
    settled("UPDATE_COMPLETE")
    assert there.list_tables()["TableNames"] == []
    assert "Item" in here.get_item(TableName="world", Key={"id": {"S": "a"}})
    stacks.update_stack(StackName="global", TemplateBody=TEMPLATE.replace("REPLICAS", both))
    settled("UPDATE_COMPLETE")
    eventually(lambda: "Item" in there.get_item(TableName="world", Key={"id": {"S": "a"}}))
    stacks.delete_stack(StackName="global")
    eventually(lambda: here.list_tables()["TableNames"] == there.list_tables()["TableNames"] == [], 60)
