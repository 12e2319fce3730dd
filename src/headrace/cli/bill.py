"""`headrace bill`: what functions used in a month, and what the same costs at AWS."""

import argparse
import json
import sys
from typing import Any

from headrace.cli import prices
from headrace.cli.connection import NotRunning, page
from headrace.kit.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The month."""
    parser.add_argument("--month", default="", help="such as 2026-11 (default: this one)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print a line for each function and memory size, and the sum; 1 when the server does not answer."""
    try:
        said = page(settings, "/_headrace/lambda/usage" + (f"?month={arguments.month}" if arguments.month else ""))
    except NotRunning as error:
        print(f"headrace: {error}. Start it with: headrace up", file=sys.stderr)
        return 1
    lines = [_line(used) for used in said["functions"]]
    requests = sum(line["requests"] for line in lines)
    gib_seconds = sum(line["gib_seconds"] for line in lines)
    provisioned_dollars = sum(line["provisioned_dollars_at_aws"] for line in lines)
    dollars = prices.dollars(requests, gib_seconds) + provisioned_dollars
    total = {"requests": requests, "gib_seconds": gib_seconds, "dollars_at_aws": dollars}
    if arguments.json:
        answer = {"month": said["month"], "prices_as_of": prices.AS_OF, "functions": lines, "total": total, "dollars_here": 0}
        print(json.dumps(answer))
        return 0
    print(f"{said['month']}: what functions used, and what it costs at AWS (prices of {prices.AS_OF}, us-east-1, no free tier)\n")
    print(f"{'function':<32} {'memory':>8} {'requests':>12} {'billed':>14} {'starts':>8} {'errors':>8} {'at AWS':>12}")
    for line in lines:
        print(
            f"{line['function']:<32} {line['memory_mib']:>4} MiB {line['requests']:>12,} {line['billed_ms']:>11,} ms "
            f"{line['starts']:>8,} {line['errors']:>8,} {line['dollars_at_aws']:>11.6f}$"
        )
        if line["provisioned_seconds"]:
            kept, ran, price = (line[f"provisioned_{name}"] for name in ("gib_seconds", "billed_ms", "dollars_at_aws"))
            print(f"{'  of that, provisioned':<32} {kept:>24,.1f} GiB s {ran:>11,} ms {price:>26.6f}$")
    print(f"\n{'together':<32} {'':>8} {requests:>12,} {gib_seconds:>9,.1f} GiB s {'':>17} {total['dollars_at_aws']:>11.6f}$")
    print("Here: nothing, whether they run or not.")
    return 0


def _line(used: dict[str, Any]) -> dict[str, Any]:
    gib_seconds = used["billed_ms"] / 1000 * used["memory_mib"] / 1024
    gib = used["memory_mib"] / 1024
    kept, ran = used["provisioned_seconds"] * gib, used["provisioned_billed_ms"] / 1000 * gib
    provisioned = prices.provisioned_dollars(kept, ran)
    return {
        **used,
        "gib_seconds": gib_seconds,
        "provisioned_gib_seconds": kept,
        "provisioned_dollars_at_aws": provisioned,
        "dollars_at_aws": prices.dollars(used["requests"], gib_seconds) + provisioned,
    }
