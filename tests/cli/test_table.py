"""`headrace table`: a person's tools for tables."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer
from headrace.kit.accounts import account_credentials


class Program:
    """The command, on one account of the server."""

    def __init__(self, server: HeadraceServer, account: str) -> None:
        self.account = account
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        key, secret = account_credentials(ROOT_SECRET, account)
        self.environment = {
            **kept, "HEADRACE_PORT": str(server.port), "HEADRACE_DATA": str(server.data),
            "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY, "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
            "AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip

    def __call__(self, *arguments: str, given: bytes = b"") -> tuple[int, str, str]:
        command = [sys.executable, "-m", "headrace.cli.main", "table", *arguments, "--account", self.account]
        ran = subprocess.run(command, env=self.environment, input=given, capture_output=True, timeout=60, check=False)
        return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


@pytest.fixture
def table(server: HeadraceServer, account: str) -> Program:
    return Program(server, account)


@pytest.fixture
def db(client: Callable[..., Any]) -> Any:
    made = client("dynamodb")
    for name in ("songs", "other"):
        made.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}],
            BillingMode="PAY_PER_REQUEST",
        )
    return made


def test_list_and_show(table: Program, db: Any) -> None:
    db.put_item(TableName="songs", Item={"a": {"S": "x"}, "n": {"N": "1"}})
    assert table("list")[1] == "other  0 items, 0 bytes, 0 indexes, active\nsongs  1 items, 5 bytes, 0 indexes, active\n"
    assert [json.loads(line)["items"] for line in table("list", "--json")[1].splitlines()] == [0, 1]
    shown = table("show", "songs")[1]
    assert "keys      a (S), n (N)\n" in shown
    assert "recovery  disabled\n" in shown
    assert "hottest" not in shown
    assert table("show", "nowhere")[0] == 1


def test_show__has_the_hottest_keys(tmp_path: Path) -> None:
    # A server of its own: the program asks for the last hour by its own clock, and other tests advance the shared server's.
    server = HeadraceServer(tmp_path / "data").start()
    table, db = Program(server, "000000000000"), server.client("dynamodb")
    db.create_table(
        TableName="songs",
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    db.update_contributor_insights(TableName="songs", ContributorInsightsAction="ENABLE")
    for number in range(3):
        db.put_item(TableName="songs", Item={"a": {"S": "x"}, "n": {"N": str(number % 2)}})
    shown = table("show", "songs")[1]
    assert "hottest   a, units: x (3)\n" in shown
    assert "hottest   a n, units: x 0 (2), x 1 (1)\n" in shown
    assert "hottest   a, throttled: none\n" in shown
    server.kill()


def test_get_and_query(table: Program, db: Any) -> None:
    for number in range(300):
        db.put_item(TableName="songs", Item={"a": {"S": "x"}, "n": {"N": str(number)}, "b": {"B": b"\x01"}})
    assert json.loads(table("get", "songs", "x", "7")[1]) == {"a": "x", "b": "AQ==", "n": 7}
    assert json.loads(table("get", "songs", "x", "7", "--json")[1])["Item"]["b"] == {"B": "AQ=="}
    assert table("get", "songs", "x", "1000")[0] == 1
    assert "the key of songs is: a, n" in table("get", "songs", "x")[2]
    found = [json.loads(line)["n"] for line in table("query", "songs", "x", "--from", "10", "--to", "200")[1].splitlines()]
    assert found == list(range(10, 201))
    found = [json.loads(line)["n"] for line in table("query", "songs", "x", "--reverse", "--limit", "2")[1].splitlines()]
    assert found == [299, 298]


def test_query__an_index_whose_key_has_several_attributes(table: Program, db: Any) -> None:
    kinds = {"pk": "S", "city": "S", "day": "N", "hour": "N", "room": "S"}
    keys = [{"AttributeName": name, "KeyType": "HASH"} for name in ("city", "day")]
    keys += [{"AttributeName": name, "KeyType": "RANGE"} for name in ("hour", "room")]
    db.create_table(
        TableName="booked", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()],
        GlobalSecondaryIndexes=[{"IndexName": "by-place", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}],
    )  # fmt: skip
    for number, (city, day, hour, room) in enumerate([("x", 1, 9, "b"), ("x", 1, 9, "a"), ("x", 1, 10, "c"), ("x", 2, 9, "a")]):
        item = {
            "pk": {"S": f"p{number}"},
            "city": {"S": city},
            "day": {"N": str(day)},
            "hour": {"N": str(hour)},
            "room": {"S": room},
        }
        db.put_item(TableName="booked", Item=item)

    def found(*arguments: str) -> list[str]:
        status, lines, problem = table("query", "booked", *arguments, "--index", "by-place")
        assert status == 0, problem
        return [json.loads(line)["pk"] for line in lines.splitlines()]

    assert found("x", "1") == ["p1", "p0", "p2"]
    assert found("x", "1", "--reverse", "--limit", "2") == ["p2", "p0"]
    assert found("x", "1", "9") == ["p1", "p0"]
    assert found("x", "1", "--from", "10") == ["p2"]
    assert found("x", "1", "9", "--begins", "b") == ["p0"]
    assert found("x", "1", "9", "a") == ["p1"]
    assert (
        "the partition key is: city, day; the whole key: city, day, hour, room"
        in table("query", "booked", "x", "--index", "by-place")[2]
    )
    assert "no sort key to look at" in table("query", "booked", "p1", "--from", "a")[2]
    shown = table("show", "booked")[1]
    assert "by-place: city (S), day (N), hour (N), room (S), ALL" in shown


def test_dump_and_load(table: Program, db: Any, tmp_path: Path) -> None:
    for number in range(130):
        item = {
            "a": {"S": f"k{number % 9}"},
            "n": {"N": f"{number}.5"},
            "v": {"M": {"b": {"BS": [b"\x00"]}, "z": {"NULL": True}}},
        }
        db.put_item(TableName="songs", Item=item)
    there = db.scan(TableName="songs")["Items"]
    file = str(tmp_path / "songs.json.gz")
    status, _, said = table("dump", "songs", file)
    assert status == 0
    assert said.startswith("130 items of songs written in ")
    with gzip.open(file, "rt") as lines:
        assert all(line.startswith('{"Item":{"') for line in lines)
    # --aws goes where the environment says: here, to the same server.
    status, _, said = table("load", "other", file, "--aws", "--json")
    assert status == 0, said
    assert json.loads(said)["items"] == 130
    assert sorted(map(str, db.scan(TableName="other")["Items"])) == sorted(map(str, there))
    status, dumped, _ = table("dump", "other", "--plain")
    assert json.loads(dumped.splitlines()[0])["v"] == {"b": ["AA=="], "z": None}


def test_load__plain_and_wrong_lines(table: Program, db: Any) -> None:
    status, _, said = table("load", "songs", "-", "--plain", given=b'{"a": "x", "n": 1.25, "l": [1, "two", null]}\n\n')
    assert status == 0, said
    assert db.scan(TableName="songs")["Items"] == [
        {"a": {"S": "x"}, "n": {"N": "1.25"}, "l": {"L": [{"N": "1"}, {"S": "two"}, {"NULL": True}]}}
    ]
    status, _, said = table("load", "songs", "-", given=b'{"Item": {"a": {"S": "x"}, "n": {"N": "1"}}}\n{"a": 5}\n')
    assert status == 1
    assert "line 2" in said
    status, _, said = table("load", "songs", "-", given=b'{"Item": {"a": {"S": "x"}}}\n')
    assert (status, said) == (1, "headrace: One or more parameter values were invalid: Missing the key n in the item\n")
