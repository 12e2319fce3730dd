import json
import os

import boto3

kinesis = boto3.client("kinesis")


def handler(event, context):
    for record in event["Records"]:
        change = record["dynamodb"]
        try:
            ship(change["NewImage"])
        except Exception as error:
            # Those before this one are done: only it and those behind it come again.
            print(f"failed: {error!r}")
            return {"batchItemFailures": [{"itemIdentifier": change["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def ship(order):
    shipment = {"order_id": order["order_id"]["S"], "address": order["address"]["S"]}
    kinesis.put_record(
        StreamName=os.environ["SHIPMENTS"], PartitionKey=shipment["order_id"], Data=json.dumps(shipment).encode()
    )
    print(f"shipped {shipment['order_id']}")
