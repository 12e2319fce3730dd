"""`headrace stream`: a person's tools for streams."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer, eventually


class Program:
    """The command, on one account of the server."""

    def __init__(self, server: HeadraceServer, account: str) -> None:
        self.account = account
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        self.environment = {
            **kept, "HEADRACE_PORT": str(server.port), "HEADRACE_DATA": str(server.data),
            "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY, "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET, "TZ": "UTC",
        }  # fmt: skip

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "headrace.cli.main", "stream", *arguments, "--account", self.account]

    def run(self, *arguments: str, given: bytes = b"") -> tuple[int, str, str]:
        ran = subprocess.run(
            self.command(*arguments), env=self.environment, input=given, capture_output=True, timeout=60, check=False
        )
        return ran.returncode, ran.stdout.decode(), ran.stderr.decode()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command(*arguments), env=self.environment, stdout=subprocess.PIPE, stdin=subprocess.PIPE)


@pytest.fixture
def stream(server: HeadraceServer, account: str) -> Program:
    return Program(server, account)


@pytest.fixture
def kinesis(client: Callable[..., Any]) -> Any:
    made = client("kinesis")
    made.create_stream(StreamName="s", ShardCount=2)
    return made


def test_list__shows_streams(stream: Program, kinesis: Any) -> None:
    assert stream.run("list")[1] == "s  2 shards, provisioned, kept 24 hours, 0 consumers\n"
    assert json.loads(stream.run("list", "--json")[1])["shards"] == 2


def test_put__each_line_is_a_record(stream: Program, kinesis: Any) -> None:
    lines = [f"line {number}" for number in range(1200)]
    status, _, said = stream.run("put", "s", "--key", "one", given="\n".join(lines).encode())
    assert (status, said) == (0, "1200 records put into s\n")
    status, shown, _ = stream.run("tail", "s", "--from", "trim_horizon", "--no-follow", "--json")
    records = [json.loads(line) for line in shown.splitlines()]
    assert status == 0
    assert [record["data"] for record in records] == lines
    assert {record["partition_key"] for record in records} == {"one"}
    stream.run("put", "s", given=b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n")
    shown = stream.run("tail", "s", "--from", "trim_horizon", "--no-follow", "--json")[1]
    assert len({json.loads(line)["shard"] for line in shown.splitlines()}) == 2


def test_tail__follows_what_comes_and_the_children_of_shards(stream: Program, kinesis: Any) -> None:
    with stream.start("tail", "s", "--from", "-3600") as tail:
        assert tail.stdout is not None
        kinesis.put_record(StreamName="s", Data=b"one", PartitionKey="k")
        assert tail.stdout.readline().decode().split("  ")[2:] == ["k", "one\n"]
        kinesis.update_shard_count(StreamName="s", TargetShardCount=1, ScalingType="UNIFORM_SCALING")
        kinesis.put_record(StreamName="s", Data=b"\xfftwo", PartitionKey="k")
        assert tail.stdout.readline().decode().split("  ")[1:] == ["2", "k", "base64:/3R3bw==\n"]
        kinesis.put_record(StreamName="s", Data=b"a\x1b[2J", PartitionKey="k")
        assert tail.stdout.readline().decode().split("  ")[3] == "a\\x1b[2J\n"
        tail.kill()


def test_put__sends_a_line_as_soon_as_it_is_there(stream: Program, kinesis: Any) -> None:
    with stream.start("put", "s", "--key", "k") as put:
        assert put.stdin is not None
        put.stdin.write(b"now\n")
        put.stdin.flush()
        eventually(lambda: "now" in stream.run("tail", "s", "--from", "trim_horizon", "--no-follow")[1])


def test_tail__says_what_is_wrong(stream: Program, kinesis: Any, account: str) -> None:
    status, _, said = stream.run("tail", "nothere")
    assert (status, said) == (1, f"headrace: Stream nothere under account {account} not found.\n")
    status, _, said = stream.run("tail", "s", "--from", "yesterday")
    assert (status, "is no place to begin" in said) == (1, True)
