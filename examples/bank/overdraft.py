
import json
import os
from decimal import Decimal

import boto3

dynamodb = boto3.client("dynamodb")
mail = boto3.client("sesv2")
firehose = boto3.client("firehose")


def handler(event, context):
    changes = [record["dynamodb"] for record in event["Records"]]
    accounts = read_accounts({change["NewImage"]["account_id"]["S"] for change in changes})
    for change in changes:
        try:
            check(change["NewImage"], accounts)
        except Exception as error:
            # Those before this one are done: only it and those behind it come again.
            print(f"failed: {error!r}")
            return {"batchItemFailures": [{"itemIdentifier": change["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def check(transaction, accounts):
    print(f"transaction {transaction['transaction_id']['S']} leaves {transaction['balance']['N']}")
    account = accounts[transaction["account_id"]["S"]]
    overdrawn_by = -Decimal(transaction["balance"]["N"]) - Decimal(account["credit_limit"]["N"])
    if overdrawn_by > 0:
        warn(account, transaction, overdrawn_by)
        report(account, transaction, overdrawn_by)


def read_accounts(ids):
    accounts = {}
    wanted = {os.environ["ACCOUNTS"]: {"Keys": [{"account_id": {"S": id}} for id in sorted(ids)]}}
    while wanted:
        answer = dynamodb.batch_get_item(RequestItems=wanted)
        for account in answer["Responses"][os.environ["ACCOUNTS"]]:
            accounts[account["account_id"]["S"]] = account
        wanted = answer["UnprocessedKeys"]
    return accounts


def warn(account, transaction, overdrawn_by):
    text = (
        f"Dear {account['holder']['S']},\n\n"
        f"your account {account['account_id']['S']} is overdrawn by {overdrawn_by:.2f} since transaction "
        f"{transaction['transaction_id']['S']} of {transaction['amount']['N']}.\nPlease pay in.\n"
    )
    mail.send_email(
        FromEmailAddress=os.environ["SENDER"],
        Destination={"ToAddresses": [account["email"]["S"]]},
        Content={
            "Simple": {
                "Subject": {"Data": f"Your account is overdrawn ({transaction['transaction_id']['S']})"},
                "Body": {"Text": {"Data": text}},
            }
        },
    )


def report(account, transaction, overdrawn_by):
    row = {
        "transaction_id": transaction["transaction_id"]["S"],
        "account_id": account["account_id"]["S"],
        "holder": account["holder"]["S"],
        "amount": transaction["amount"]["N"],
        "balance": transaction["balance"]["N"],
        "overdrawn_by": str(overdrawn_by),
        "made_at": transaction["made_at"]["S"],
    }
    firehose.put_record(DeliveryStreamName=os.environ["REPORTS"], Record={"Data": json.dumps(row) + "\n"})
