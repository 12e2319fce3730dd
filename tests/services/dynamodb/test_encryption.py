"""The key that tables show: asked for by SSESpecification, and AWS's of the account."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually

Client = Callable[..., Any]
TABLE: dict[str, Any] = {
    "TableName": "safe",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def shown(db: Any, name: str = "safe") -> Any:
    return db.describe_table(TableName=name)["Table"].get("SSEDescription")


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def active(db: Any, name: str) -> None:
    eventually(lambda: db.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE", 40)


def test_a_table__shows_the_key_that_it_was_made_with(client: Client, account: str) -> None:
    db = client("dynamodb")
    made = db.create_table(**TABLE, SSESpecification={"Enabled": True})["TableDescription"]["SSEDescription"]
    assert re.fullmatch(
        rf"arn:aws:kms:us-east-1:{account}:key/[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}", made["KMSMasterKeyArn"]
    )
    assert made == {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": made["KMSMasterKeyArn"]}
    assert shown(db) == made
    # What it has already is no change, as on AWS; the key may be named.
    for key in ("alias/aws/dynamodb", made["KMSMasterKeyArn"]):
        given = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        assert db.update_table(TableName="safe", SSESpecification=given)["TableDescription"]["SSEDescription"] == made
    db.update_table(TableName="safe", SSESpecification={"Enabled": False})
    assert shown(db) is None
    message = "One or more parameter values were invalid: Table is already encrypted by default"
    assert refused(db.update_table, TableName="safe", SSESpecification={"Enabled": False}) == message
    assert refused(db.update_table, TableName="safe", SSESpecification={}) == message
    db.update_table(TableName="safe", SSESpecification={"SSEType": "KMS"})
    assert shown(db) == made


def test_a_table__has_no_key_unless_it_asks_for_one__and_none_of_ones_own(client: Client) -> None:
    db = client("dynamodb")
    db.create_table(**TABLE, SSESpecification={"Enabled": False})
    assert shown(db) is None
    other = {**TABLE, "TableName": "other"}
    own = {"Enabled": True, "KMSMasterKeyId": "arn:aws:kms:us-east-1:111122223333:key/mine"}
    assert "does not support keys of KMS of one's own" in refused(db.create_table, **other, SSESpecification=own)
    assert "KMS" in refused(db.create_table, **other, SSESpecification={"Enabled": True, "SSEType": "AES256"})
    assert "when Enabled is true" in refused(db.create_table, **other, SSESpecification={"Enabled": False, "SSEType": "KMS"})


def test_the_key__goes_with_backups_restores_imports_and_replicas(server: HeadraceServer, client: Client, account: str) -> None:
    db = client("dynamodb")
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    db.create_table(**TABLE, SSESpecification={"Enabled": True}, StreamSpecification=stream)
    arn = db.create_backup(TableName="safe", BackupName="kept")["BackupDetails"]["BackupArn"]
    eventually(lambda: db.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE")
    features = db.describe_backup(BackupArn=arn)["BackupDescription"]["SourceTableFeatureDetails"]
    assert features["SSEDescription"] == shown(db)
    db.restore_table_from_backup(TargetTableName="again", BackupArn=arn)
    db.restore_table_from_backup(TargetTableName="plain", BackupArn=arn, SSESpecificationOverride={"Enabled": False})
    active(db, "again")
    active(db, "plain")
    assert (shown(db, "again"), shown(db, "plain")) == (shown(db), None)
    client("s3").create_bucket(Bucket=f"safe-{account}")
    creation = {**TABLE, "TableName": "imported", "SSESpecification": {"Enabled": True}}
    source = {"S3Bucket": f"safe-{account}"}
    db.import_table(S3BucketSource=source, InputFormat="DYNAMODB_JSON", TableCreationParameters=creation)
    assert shown(db, "imported") == shown(db)
    db.update_table(TableName="safe", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    there = server.client("dynamodb", account, "eu-west-1")
    active(there, "safe")
    assert shown(there)["KMSMasterKeyArn"].startswith(f"arn:aws:kms:eu-west-1:{account}:key/")


def test_a_stack__says_whether_its_table_has_a_key(client: Client) -> None:
    cloudformation, db = client("cloudformation"), client("dynamodb")
    text = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: stacked
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: a, AttributeType: S}]
      KeySchema: [{AttributeName: a, KeyType: HASH}]
      Tags: [{Key: n, Value: NUMBER}]
"""
    key = "      SSESpecification: {SSEEnabled: true, SSEType: KMS}\n"

    def status() -> Any:
        found = cloudformation.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"]
        return None if found.endswith("IN_PROGRESS") else found

    cloudformation.create_stack(StackName="s", TemplateBody=text + key)
    assert eventually(status) == "CREATE_COMPLETE"
    first = shown(db, "stacked")
    assert (first["Status"], first["SSEType"]) == ("ENABLED", "KMS")
    for template, expected in ((text.replace("NUMBER", "2") + key, first), (text, None), (text + key, first)):
        cloudformation.update_stack(StackName="s", TemplateBody=template)
        assert eventually(status) == "UPDATE_COMPLETE"
        assert shown(db, "stacked") == expected
