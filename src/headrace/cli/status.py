"""`headrace status`: what runs, and how it flows."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from headrace.cli.connection import NotRunning, page
from headrace.cli.pipeline import Link, Node, duration, trees
from headrace.kit.settings import Settings

CALLS_SHOWN_MAX = 4
LINE_MAX = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings, and whether all is shown."""
    parser.add_argument("--workers", action="store_true", help="name what works in the background, too")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the pipelines and the server's counters; 1 when it does not answer."""
    try:
        status = page(settings, "/_headrace/status")
        flowing = page(settings, "/_headrace/flows")
    except NotRunning as error:
        if arguments.json:
            print(json.dumps({"status": "stopped", "reason": str(error)}))
        else:
            print(f"headrace: {error}. Start it with: headrace up", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps({**status, **flowing}))
        return 0
    # What goes to a file or a program is not wrapped.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else LINE_MAX)
    up = duration(status["uptime_seconds"])
    console.print(f"[bold]running[/]  process {status['pid']}, up {up}, data in {status['data']}")
    _show_flows(console, flowing, settings)
    for title, counts in (("requests", status["requests"]), ("errors", status["errors"])):
        _show_counts(console, title, counts)
    if arguments.workers and status["workers"]:
        console.print("\n[bold]workers[/]\n  " + "\n  ".join(status["workers"]), markup=True)
    return 0


def _show_flows(console: Console, flowing: Mapping[str, Any], settings: Settings) -> None:
    found = trees(flowing["flows"], flowing["calls"], (settings.region, settings.account_id))
    if not found:
        return
    console.print("\n[bold]flows[/]")
    for node in found:
        tree = Tree(_said(node), guide_style="dim")
        _grow(tree, node)
        console.print(tree)


def _grow(tree: Tree, node: Node) -> None:
    for link in node.links:
        branch = tree.add(_linked(link))
        if link.problem:
            branch.add(Text(link.problem, style="red"))
        if link.target.calls:
            branch.add(Text(f"calls {_calls(link.target.calls)}", style="dim"))
        _grow(branch, link.target)


def _said(node: Node) -> Text:
    text = Text(f"{node.thing.kind} ").append(node.thing.name, style="bold")
    return text.append(f" ({node.thing.place})", style="dim") if node.thing.place else text


def _linked(link: Link) -> Text:
    text = _said(link.target).append(f"  {link.by}", style="dim")
    for remark in link.remarks:
        text.append(f" · {remark}", style="dim" if remark == "up to date" else "yellow")
    return text.append("  (see above)", style="dim") if link.target.again else text


def _calls(counts: Mapping[str, int]) -> str:
    most: Sequence[tuple[str, int]] = sorted(counts.items(), key=lambda pair: -pair[1])
    named = [f"{name} {count:,}×" for name, count in most[:CALLS_SHOWN_MAX]]
    return ", ".join(named) + (f" and {len(most) - CALLS_SHOWN_MAX} others" if len(most) > CALLS_SHOWN_MAX else "")


def _show_counts(console: Console, title: str, counts: Mapping[str, int]) -> None:
    if not counts:
        return
    console.print(f"\n[bold]{title}[/]")
    for name, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        console.print(f"  {count:>9,}  {name}")
