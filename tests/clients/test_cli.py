"""The AWS CLI."""

import base64
import json
import sys
from collections.abc import Callable
from typing import Any


def test_cli__makes_fills_reads_and_removes_a_stream(run: Callable[..., str]) -> None:
    def aws(*words: str) -> Any:
        printed = run(sys.executable, "-m", "awscli", "kinesis", *words, "--output", "json")
        return json.loads(printed) if printed.strip() else None

    aws("create-stream", "--stream-name", "cli", "--shard-count", "2")
    aws("wait", "stream-exists", "--stream-name", "cli")
    summary = aws("describe-stream-summary", "--stream-name", "cli")["StreamDescriptionSummary"]
    assert (summary["StreamStatus"], summary["OpenShardCount"]) == ("ACTIVE", 2)
    text = "hello"  # as it is: version 1 encodes it by itself
    put = aws("put-record", "--stream-name", "cli", "--partition-key", "k", "--data", text)
    shard = put["ShardId"]
    iterator = aws("get-shard-iterator", "--stream-name", "cli", "--shard-id", shard, "--shard-iterator-type", "TRIM_HORIZON")
    (record,) = aws("get-records", "--shard-iterator", iterator["ShardIterator"])["Records"]
    assert (record["Data"], record["SequenceNumber"]) == (base64.b64encode(text.encode()).decode(), put["SequenceNumber"])
    arn = aws("register-stream-consumer", "--stream-arn", summary["StreamARN"], "--consumer-name", "cli")["Consumer"][
        "ConsumerARN"
    ]
    listed = aws("list-stream-consumers", "--stream-arn", summary["StreamARN"])["Consumers"]
    assert [(one["ConsumerARN"], one["ConsumerStatus"]) for one in listed] == [(arn, "ACTIVE")]
    assert {one["ShardId"] for one in aws("list-shards", "--stream-name", "cli")["Shards"]} >= {shard}
    aws("delete-stream", "--stream-name", "cli", "--enforce-consumer-deletion")
    assert aws("list-streams")["StreamNames"].count("cli") == 0
