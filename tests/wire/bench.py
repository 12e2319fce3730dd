"""What the wire costs, in microseconds: `python -m tests.wire.bench`."""

import timeit
from collections.abc import Callable
from typing import Any

import botocore.auth
import cbor2
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.wire.sampler import lower_headers

from headrace.wire import models, sigv4
from headrace.wire.identify import identify
from headrace.wire.protocols.table import protocol
from headrace.wire.request import HttpRequest
from headrace.wire.validate import validate

ITEM = {"pk": {"S": "abc"}, "sk": {"N": "12"}, "data": {"M": {"a": {"S": "hello world"}, "b": {"BOOL": True}}}}
PUT = b'{"TableName":"orders","Item":{"pk":{"S":"abc"},"sk":{"N":"12"},"data":{"M":{"a":{"S":"hello world"},"b":{"BOOL":true}}}}}'


def microseconds(work: Callable[[], Any], number: int = 5000) -> float:
    """The best of several runs."""
    return min(timeit.repeat(work, number=number, repeat=7)) / number * 1e6


def put_item() -> tuple[HttpRequest, float]:
    """A small PutItem as boto3 sends it, and the time it was signed at."""
    headers = {"X-Amz-Target": "DynamoDB_20120810.PutItem", "Content-Type": "application/x-amz-json-1.0"}
    made = AWSRequest(method="POST", url="http://localhost:4566/", data=PUT, headers=headers)
    botocore.auth.SigV4Auth(Credentials("AKID", "secret"), "dynamodb", "us-east-1").add_auth(made)
    sent = {**lower_headers(made.prepare().headers), "host": "localhost:4566"}
    stamp = sent["x-amz-date"]
    return HttpRequest("POST", "/", "", sent, PUT), float(sigv4._epoch(stamp) or 0)


def main() -> None:
    """Print one line per thing measured."""
    request, now = put_item()
    dynamodb, kinesis, s3 = (models.service(name) for name in ("dynamodb", "kinesis", "s3"))
    json, cbor, xml = protocol("json"), protocol("cbor"), protocol("rest-xml")
    operation = dynamodb.operations["PutItem"]
    parameters = json.parse_request(operation, request)
    records = [{"Data": b"x" * 200, "PartitionKey": "p"}] * 500
    put_records = HttpRequest("POST", "/", body=cbor2.dumps({"StreamName": "s", "Records": records}))
    read = [{**record, "SequenceNumber": "1", "ApproximateArrivalTimestamp": 1.7e9} for record in records]
    get_records = {"Records": read, "MillisBehindLatest": 0}
    listing = {"Contents": [{"Key": f"k{n}", "Size": n, "LastModified": 1.7e9, "ETag": '"x"'} for n in range(1000)]}
    put_object = HttpRequest("PUT", "/bucket/key", "", {"host": "localhost", "content-type": "text/plain"}, b"x")
    lines: list[tuple[str, Callable[[], Any], int]] = [
        ("identify PutItem", lambda: identify(request), 5000),
        ("identify PutObject", lambda: identify(put_object), 2000),
        ("verify PutItem", lambda: sigv4.verify(request, lambda _: ("secret", None), now, "json"), 5000),
        ("parse PutItem", lambda: json.parse_request(operation, request), 5000),
        ("validate PutItem", lambda: validate(operation, parameters), 5000),
        ("answer GetItem", lambda: json.serialise_response(dynamodb.operations["GetItem"], {"Item": ITEM}, "id"), 5000),
        ("parse PutRecords, 500, CBOR", lambda: cbor.parse_request(kinesis.operations["PutRecords"], put_records), 50),
        (
            "answer GetRecords, 500, CBOR",
            lambda: cbor.serialise_response(kinesis.operations["GetRecords"], get_records, "id"),
            50,
        ),
        (
            "answer GetRecords, 500, JSON",
            lambda: json.serialise_response(kinesis.operations["GetRecords"], get_records, "id"),
            50,
        ),
        ("answer ListObjectsV2, 1000", lambda: xml.serialise_response(s3.operations["ListObjectsV2"], listing, "id"), 5),
    ]
    for name, work, number in lines:
        print(f"{name:32} {microseconds(work, number):10.2f} µs")


if __name__ == "__main__":
    main()
