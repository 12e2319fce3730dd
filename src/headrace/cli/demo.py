"""`headrace demo`: the bank example from end to end, in front of your eyes."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from headrace.cli import demo_bank, demo_report
from headrace.cli.demo_deploy import Stack, deploy
from headrace.cli.demo_play import Player
from headrace.cli.demo_server import Killer
from headrace.cli.demo_watch import Watcher
from headrace.cli.server_process import ServerProcess
from headrace.kit.settings import Settings

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "bank"
SETTLE_SECONDS_MAX = 180.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is played, how fast, and whether the server is killed meanwhile."""
    parser.add_argument("--kill", action="store_true", help="kill the server with SIGKILL at random moments while it plays")
    parser.add_argument("--kills", type=int, default=6, help="how often, with --kill")
    parser.add_argument("--transactions", type=int, default=3000, help="how many transactions")
    parser.add_argument("--accounts", type=int, default=300, help="on how many accounts")
    parser.add_argument("--rate", type=float, default=150.0, help="transactions per second; 0: as fast as it goes")
    parser.add_argument("--seed", type=int, default=1, help="another seed plays other transactions")
    parser.add_argument(
        "--stay", action=argparse.BooleanOptionalAction, default=None, help="stay up afterwards; so on a terminal"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Play the example; 0 only if all counts reconcile."""
    console = Console(stderr=arguments.json, highlight=False)
    if not (EXAMPLE / "template.yaml").exists():
        console.print(f"headrace: the example is not in {EXAMPLE}; run the demo from a clone of the project")
        return 2
    with tempfile.TemporaryDirectory(prefix="headrace-demo-") as folder:
        server = ServerProcess(settings, Path(folder))
        try:
            return _play(arguments, server, console)
        finally:
            server.stop()


def _play(arguments: argparse.Namespace, server: ServerProcess, console: Console) -> int:
    bank = demo_bank.Bank(arguments.seed, arguments.accounts, arguments.transactions)
    console.print("[bold]1[/]  starting Headrace …", end=" ")
    console.print(f"up at {server.url} in {server.start() * 1000:.0f} ms")
    console.print("[bold]2[/]  deploying examples/bank/template.yaml through CloudFormation …", end=" ")
    began = time.monotonic()
    stack = deploy(server, EXAMPLE)
    console.print(f"{stack.resource_count} resources in {time.monotonic() - began:.1f} s")
    player = Player(server, stack, bank)
    player.open_accounts()
    watcher = Watcher(server, stack)
    watcher.prepare((EXAMPLE / "warehouse.sql").read_text())
    console.print(f"[bold]3[/]  playing {len(bank.transactions):,} transactions on {len(bank.accounts):,} accounts")
    killer = Killer(server, arguments.kills, arguments.seed) if arguments.kill else None
    _show_progress(console, player, watcher, bank, arguments.rate, killer)
    watcher.stop()
    outcome = demo_report.reconcile(server, stack, bank, player, watcher, killed=killer.count if killer else 0)
    if arguments.json:
        print(json.dumps(outcome.as_json()))
    else:
        demo_report.show(console, outcome, watcher, (EXAMPLE / "report.sql").read_text())
    stay = sys.stdout.isatty() and not arguments.json if arguments.stay is None else arguments.stay
    if stay:
        _stay(console, server, stack)
    return 0 if outcome.reconciles else 1


def _show_progress(
    console: Console, player: Player, watcher: Watcher, bank: demo_bank.Bank, rate: float, killer: Killer | None
) -> None:
    """Play with a progress bar, then wait until mails and rows have caught up."""
    columns = (TextColumn("   {task.description:<28}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=False) as progress:
        put = progress.add_task("transactions stored", total=len(bank.transactions))
        mails = progress.add_task("mails in the mailbox", total=len(bank.overdrawn))
        rows = progress.add_task("rows in the warehouse", total=len(bank.overdrawn))

        def update(*_: Any) -> None:
            progress.update(put, completed=len(player.acknowledged_at))
            progress.update(mails, completed=len(watcher.mailed_at))
            progress.update(rows, completed=len(watcher.visible_at))

        watcher.start()
        player.start(rate)
        if killer is not None:
            killer.start(lambda: len(player.acknowledged_at) / len(bank.transactions))
        while not player.finished():
            update()
            time.sleep(0.1)
        if killer is not None:
            killer.stop()
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        wanted = set(bank.overdrawn)
        while time.monotonic() < deadline and not (wanted <= watcher.visible_at.keys() and wanted <= watcher.mailed_at.keys()):
            update()
            time.sleep(0.1)
        update()


def _stay(console: Console, server: ServerProcess, stack: Stack) -> None:
    console.print(
        f"\nIt stays up until Ctrl-C. Look around:\n"
        f"  the pipeline   {server.url}/_headrace/pipeline\n"
        f"  the mailbox    {server.url}/_headrace/mailbox\n"
        f"  the warehouse  PGPASSWORD={stack.password} psql -h 127.0.0.1 -p {stack.warehouse_port} -U bank bank\n"
        f'  the AWS CLI    eval "$({sys.argv[0]} env --data {server.data} --port {server.port})"\n'
        f"                 aws dynamodb scan --table-name {stack.outputs['Transactions']} --max-items 3\n"
        f"                 aws logs tail /aws/lambda/{stack.outputs['Function']}\n"
        f"  what flows     {sys.argv[0]} status --data {server.data} --port {server.port}",
        soft_wrap=True,
    )
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("stopped")
