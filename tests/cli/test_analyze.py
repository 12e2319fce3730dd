"""`headrace analyze`: SQL over a stream, from a shell."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from conftest import ROOT_KEY, ROOT_SECRET, HeadraceServer


@pytest.fixture
def trades(server: HeadraceServer, account: str) -> Any:
    """A stream of 30 trades of three tickers."""
    kinesis = server.client("kinesis", account)
    kinesis.create_stream(StreamName="trades", ShardCount=2)
    rows = [{"ticker": f"T{n % 3}", "price": n + 0.5} for n in range(30)]
    kinesis.put_records(
        StreamName="trades", Records=[{"Data": json.dumps(row).encode(), "PartitionKey": row["ticker"]} for row in rows]
    )
    return account


def analyze(server: HeadraceServer, account: str, query: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment = {
        **kept, "HEADRACE_PORT": str(server.port), "HEADRACE_DATA": str(server.data),
        "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY, "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET,
    }  # fmt: skip
    command = [sys.executable, "-m", "headrace.cli.main", "analyze", "trades", query, "--account", account, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_filter__rows_as_json_lines(server: HeadraceServer, trades: str) -> None:
    ran = analyze(server, trades, "SELECT STREAM ticker, price FROM trades WHERE price > 27", "--json", "--no-follow")
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert sorted((row["TICKER"], row["PRICE"]) for row in rows) == [("T0", 27.5), ("T1", 28.5), ("T2", 29.5)]
    assert ran.returncode == 0


def test_window__closed_at_the_end_of_what_is_looked_at(server: HeadraceServer, trades: str) -> None:
    query = "SELECT STREAM ticker, COUNT(*) AS n FROM trades GROUP BY ticker, FLOOR(trades.ROWTIME TO HOUR)"
    ran = analyze(server, trades, query, "--json", "--no-follow")
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert sorted((row["TICKER"], row["N"]) for row in rows) == [("T0", 10), ("T1", 10), ("T2", 10)]


def test_count__stops_after_so_many_rows_and_titles_the_columns(server: HeadraceServer, trades: str) -> None:
    ran = analyze(server, trades, 'SELECT STREAM "ticker" AS who FROM "trades"', "--count", "2")
    title, *rows = ran.stdout.splitlines()
    assert title.split() == ["ROWTIME", "WHO"]
    assert len(rows) == 2


def test_wrong_query__said_with_its_place(server: HeadraceServer, trades: str) -> None:
    ran = analyze(server, trades, "SELECT STREAM nothing FROM trades", "--no-follow")
    assert ran.returncode == 1
    assert "line 1" in ran.stderr
    assert "NOTHING" in ran.stderr
