"""`headrace stream tail`: a stream's records as they come, each shard in its order, children after their parents."""

import argparse
import base64
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from headrace.cli.clients import client
from headrace.kit.settings import Settings

LOOK_AGAIN_SECONDS = 0.2
KEY_SHOWN_MAX = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tail` takes."""
    parser.add_argument("name", help="the stream")
    parser.add_argument(
        "--from", dest="begin", default="latest",
        help="latest, trim_horizon, a time (ISO 8601), or so many seconds ago as -90 [latest]",
    )  # fmt: skip
    parser.add_argument("--no-follow", action="store_true", help="stop at the newest record")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print records until it is interrupted, or the stream's end is reached with --no-follow."""
    tail = Tail(client(settings, "kinesis", arguments.account), arguments.name, start_of(arguments.begin))
    show = _json if arguments.json else _line
    while tail.shards:
        seen = False
        for shard in list(tail.shards):
            records = tail.read(shard)
            for record in records:
                print(show(shard, record))
            seen = seen or bool(records)
        sys.stdout.flush()
        if not seen and arguments.no_follow and tail.at_tip():
            return 0
        if not seen:
            time.sleep(LOOK_AGAIN_SECONDS)
    return 0


class Tail:
    """The shards that are read now: where each goes on, and how far it is behind."""

    def __init__(self, kinesis: Any, name: str, start: dict[str, Any]) -> None:
        self._kinesis = kinesis
        self._name = name
        self._last: dict[str, str] = {}
        self._behind_ms: dict[str, int] = {}
        self._done: set[str] = set()
        kind = "AT_TIMESTAMP" if "Timestamp" in start else "AT_" + start["ShardIteratorType"]
        wanted = {"Type": kind, **({"Timestamp": start["Timestamp"]} if "Timestamp" in start else {})}
        found = kinesis.get_paginator("list_shards").paginate(StreamName=name, ShardFilter=wanted)
        self.shards = {shard["ShardId"]: "" for page in found for shard in page["Shards"]}
        self._known = set(self.shards)
        for shard in self.shards:
            self.shards[shard] = self._iterator(shard, start)

    def at_tip(self) -> bool:
        """Whether nothing is left to read."""
        return not any(self._behind_ms.get(shard, 1) for shard in self.shards)

    def read(self, shard: str) -> list[dict[str, Any]]:
        """The next records of a shard. At its end its children are read, if no other parent of theirs still is."""
        try:
            answer = self._kinesis.get_records(ShardIterator=self.shards[shard])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ProvisionedThroughputExceededException":
                return []
            if error.response["Error"]["Code"] != "ExpiredIteratorException":
                raise
            # The machine slept, say. What was not read yet is behind the last record; without one, all is.
            last = self._last.get(shard)
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": last}
            self.shards[shard] = self._iterator(shard, start if last else {"ShardIteratorType": "TRIM_HORIZON"})
            return []
        records: list[dict[str, Any]] = answer["Records"]
        if records:
            self._last[shard] = records[-1]["SequenceNumber"]
        self._behind_ms[shard] = answer["MillisBehindLatest"]
        if answer.get("NextShardIterator"):
            self.shards[shard] = answer["NextShardIterator"]
        else:
            self._end(shard, answer.get("ChildShards", []))
        return records

    def _end(self, shard: str, children: list[dict[str, Any]]) -> None:
        del self.shards[shard]
        self._done.add(shard)
        for child in children:
            others = set(child["ParentShards"]) & self._known
            if child["ShardId"] not in self._known and others <= self._done:
                self._known.add(child["ShardId"])
                self.shards[child["ShardId"]] = self._iterator(child["ShardId"], {"ShardIteratorType": "TRIM_HORIZON"})

    def _iterator(self, shard: str, start: dict[str, Any]) -> str:
        answer = self._kinesis.get_shard_iterator(StreamName=self._name, ShardId=shard, **start)
        return str(answer["ShardIterator"])


def start_of(text: str) -> dict[str, Any]:
    """Where an iterator begins; SystemExit when the text says nothing of the kind."""
    if text.upper() in ("LATEST", "TRIM_HORIZON"):
        return {"ShardIteratorType": text.upper()}
    try:
        if text.startswith("-"):
            found = datetime.now(UTC) - timedelta(seconds=float(text[1:]))
        else:
            found = datetime.fromisoformat(text)
    except ValueError:
        raise SystemExit(
            f"headrace: {text} is no place to begin: latest, trim_horizon, 2026-01-31T12:00:00+00:00, or -90 for 90 seconds ago"
        ) from None
    return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": found if found.tzinfo else found.astimezone()}


def _line(shard: str, record: dict[str, Any]) -> str:
    """A record for a person: when, the shard's number, its key, and what it holds."""
    arrived = record["ApproximateArrivalTimestamp"].astimezone().strftime("%H:%M:%S.%f")[:-3]
    key = record.get("PartitionKey", "")
    shown = key if len(key) <= KEY_SHOWN_MAX else key[: KEY_SHOWN_MAX - 1] + "…"
    return f"{arrived}  {int(shard.rpartition('-')[2])}  {shown}  {_text(record['Data'])}"


def _text(data: bytes) -> str:
    """The bytes as text, if a terminal can show them; else in base64."""
    try:
        text = data.decode().rstrip("\n")
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(data).decode()
    return "".join(one if one.isprintable() or one == "\t" else repr(one)[1:-1] for one in text)


def _json(shard: str, record: dict[str, Any]) -> str:
    """A record for a program: `data` where it is text, else `data_base64`."""
    try:
        data = {"data": record["Data"].decode()}
    except UnicodeDecodeError:
        data = {"data_base64": base64.b64encode(record["Data"]).decode()}
    shown = {
        "shard": shard,
        "sequence_number": record["SequenceNumber"],
        "partition_key": record.get("PartitionKey"),
        "arrived_at": record["ApproximateArrivalTimestamp"].timestamp(),
        **data,
    }
    return json.dumps(shown, ensure_ascii=False)
