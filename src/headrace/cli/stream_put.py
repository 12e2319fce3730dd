"""`headrace stream put`: each line of the input becomes a record."""

import argparse
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

from headrace.cli.clients import client
from headrace.kit.settings import Settings

READ_SIZE_BYTES = 1 << 16
RECORDS_MAX = 500
BATCH_SIZE_MAX_BYTES = 4 << 20
REFUSED_WAIT_SECONDS = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `put` takes."""
    parser.add_argument("name", help="the stream")
    parser.add_argument("--key", help="the partition key of all lines, which keeps their order; else each line has its own")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Put lines as they come; those that are there together go in one request."""
    kinesis = client(settings, "kinesis", arguments.account)
    count = 0
    for lines in _lines(sys.stdin.fileno()):
        for batch in _batches(lines):
            _put(kinesis, arguments.name, [{"Data": line, "PartitionKey": arguments.key or uuid.uuid4().hex} for line in batch])
            count += len(batch)
    if arguments.json:
        print(json.dumps({"stream": arguments.name, "records": count}))
    else:
        print(f"{count} records put into {arguments.name}", file=sys.stderr)
    return 0


def _lines(descriptor: int) -> Iterator[list[bytes]]:
    """The lines of the input, as many at once as have come."""
    rest = b""
    while chunk := os.read(descriptor, READ_SIZE_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield lines
    if rest:
        yield [rest]


def _batches(lines: list[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size_bytes = 0
    for line in lines:
        if len(batch) == RECORDS_MAX or (batch and size_bytes + len(line) > BATCH_SIZE_MAX_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(line.removesuffix(b"\r"))
        size_bytes += len(line)
    if batch:
        yield batch


def _put(kinesis: Any, name: str, records: list[dict[str, Any]]) -> None:
    """Put the records, those that a shard's limit refused again, until all are in."""
    while records:
        answer = kinesis.put_records(StreamName=name, Records=records)
        records = [one for one, put in zip(records, answer["Records"], strict=True) if "ErrorCode" in put]
        if records:
            time.sleep(REFUSED_WAIT_SECONDS)
