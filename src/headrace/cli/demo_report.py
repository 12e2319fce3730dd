"""What a person wants to see at the end of the demo: do the counts agree, how long did it take, who is overdrawn."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace.cli.demo_bank import Bank
from headrace.cli.demo_deploy import Stack
from headrace.cli.demo_play import Player
from headrace.cli.demo_watch import Watcher
from headrace.cli.server_process import ServerProcess

_LINE = re.compile(r"transaction (\S+) leaves ")


@dataclass(frozen=True)
class Hop:
    """One station: what was found there, and what there should be. `at_least`: more is no error (mails after a kill)."""

    name: str
    found: int
    expected: int
    at_least: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the counts reconcile here."""
        return self.found >= self.expected if self.at_least else self.found == self.expected


@dataclass(frozen=True)
class Outcome:
    """All hops, the latencies in milliseconds (p50, p99), and how it went."""

    hops: list[Hop]
    latencies: Mapping[str, tuple[float, float]]
    per_second: float
    killed: int
    retries: int

    @property
    def reconciles(self) -> bool:
        """Whether every hop agrees."""
        return all(hop.agrees for hop in self.hops)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "reconciles": self.reconciles,
            "killed": self.killed,
            "retries": self.retries,
            "transactions_per_second": round(self.per_second, 1),
            "hops": [{"name": hop.name, "found": hop.found, "expected": hop.expected, "agrees": hop.agrees} for hop in self.hops],
            "latency_ms": {name: {"p50": round(p50, 1), "p99": round(p99, 1)} for name, (p50, p99) in self.latencies.items()},
        }


def reconcile(server: ServerProcess, stack: Stack, bank: Bank, player: Player, watcher: Watcher, *, killed: int) -> Outcome:
    """Count at every hop."""
    dynamodb = server.client("dynamodb", attempts=5)
    pages = dynamodb.get_paginator("scan").paginate(TableName=stack.outputs["Transactions"], Select="COUNT")
    stored = sum(page["Count"] for page in pages)
    invoked_at = _invoked(server, stack)
    with watcher.connect() as session:
        row = session.execute("SELECT COUNT(*), COUNT(DISTINCT transaction_id) FROM overdrafts").fetchone()
        rows, distinct = row if row is not None else (0, 0)
        amounts = dict(session.execute("SELECT transaction_id, balance FROM overdrafts").fetchall())
    right = sum(1 for key, transaction in bank.overdrawn.items() if amounts.get(key) == transaction.balance)
    dead = server.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["Failed"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]["ApproximateNumberOfMessages"]
    due = len(bank.overdrawn)
    hops = [
        Hop("PutItem acknowledged", len(player.acknowledged_at), len(bank.transactions)),
        Hop("items in the table", stored, len(bank.transactions)),
        Hop("transactions seen by the function", len(invoked_at), len(bank.transactions)),
        Hop("overdrawn transactions mailed", len(watcher.mailed_at), due),
        Hop("mails in the mailbox", watcher.mail_count, due, at_least=bool(killed)),
        Hop("rows in the warehouse", rows, due),
        Hop("different transactions among them", distinct, due),
        Hop("rows with the right balance", right, due),
        Hop("batches given up", int(dead), 0),
    ]
    arrivals = {"function invoked": invoked_at, "mail in the mailbox": watcher.mailed_at, "row visible": watcher.visible_at}
    latencies = {name: _latencies(player.acknowledged_at, times) for name, times in arrivals.items()}
    return Outcome(hops, latencies, len(player.acknowledged_at) / max(player.seconds, 1e-9), killed, player.retries)


def _invoked(server: ServerProcess, stack: Stack) -> dict[str, float]:
    """When the function first logged each transaction."""
    logs = server.client("logs", attempts=5)
    found: dict[str, float] = {}
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{stack.outputs['Function']}", filterPattern="transaction"
    )
    for page in pages:
        for event in page["events"]:
            line = _LINE.match(event["message"])
            if line is not None:
                at = event["timestamp"] / 1000
                found[line[1]] = min(at, found.get(line[1], at))
    return found


def _latencies(begins: Mapping[str, float], ends: Mapping[str, float]) -> tuple[float, float]:
    """(p50, p99) in milliseconds. An end can come before its begin: the answer travels while the stream does."""
    waits = sorted(max(0.0, ends[key] - begins[key]) * 1000 for key in ends if key in begins)
    if not waits:
        return 0.0, 0.0
    return waits[len(waits) // 2], waits[int((len(waits) - 1) * 0.99)]


def show(console: Console, outcome: Outcome, watcher: Watcher, report: str) -> None:
    """Print it all for a person."""
    _show_overdue(console, watcher, report)
    console.print(f"\n[bold]5[/]  a few of the {watcher.mail_count:,} mails")
    for mail in watcher.mails:
        console.print(f"   {', '.join(mail['to'])}: {mail['subject']}")
    table = Table(title=None, box=None, pad_edge=False)
    for heading in ("counts at every hop", "found", "expected", ""):
        table.add_column(heading, justify="left" if heading == "counts at every hop" else "right")
    for hop in outcome.hops:
        table.add_row(hop.name, f"{hop.found:,}", f"{hop.expected:,}", "[green]✓[/]" if hop.agrees else "[red]✗[/]")
    console.print("\n[bold]6[/]", table)
    times = Table(box=None, pad_edge=False)
    for heading in ("from PutItem's answer to", "p50 ms", "p99 ms"):
        times.add_column(heading, justify="left" if heading.startswith("from") else "right")
    for name, (p50, p99) in outcome.latencies.items():
        times.add_row(name, f"{p50:.0f}", f"{p99:.0f}")
    console.print("\n[bold]7[/]", times)
    killed = f", the server was killed {outcome.killed} times, {outcome.retries:,} calls were repeated" if outcome.killed else ""
    console.print(f"\n   {outcome.per_second:.0f} transactions per second{killed}", soft_wrap=True)
    console.print("   [green]All counts reconcile.[/]" if outcome.reconciles else "   [red]The counts do not reconcile.[/]")


def _show_overdue(console: Console, watcher: Watcher, report: str) -> None:
    table = Table(box=None, pad_edge=False)
    with watcher.connect() as session:
        cursor = session.execute(report.encode())
        for column in cursor.description or ():
            table.add_column(column.name, justify="right" if column.name in ("overdrafts", "at_worst") else "left")
        for row in cursor.fetchall():
            table.add_row(*(str(value) for value in row))
    console.print("\n[bold]4[/]  overdue accounts, by SQL over the PostgreSQL protocol")
    console.print(table)
