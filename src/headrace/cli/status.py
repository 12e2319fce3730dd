"""`headrace status`: what runs, and how it flows."""

import argparse
import json
import sys

from headrace.cli.connection import NotRunning, page
from headrace.kit.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes the settings alone."""


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the server's counters; 1 when it does not answer."""
    try:
        status = page(settings, "/_headrace/status")
    except NotRunning as error:
        if arguments.json:
            print(json.dumps({"status": "stopped", "reason": str(error)}))
        else:
            print(f"headrace: {error}. Start it with: headrace up", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(status))
        return 0
    print(f"running  process {status['pid']}, up {status['uptime_seconds']:.0f} s, data in {status['data']}")
    for title, counts in (("requests", status["requests"]), ("errors", status["errors"])):
        if counts:
            print(f"\n{title}")
            for name, count in sorted(counts.items(), key=lambda pair: -pair[1]):
                print(f"  {count:>9,}  {name}")
    if status["workers"]:
        print("\nworkers\n  " + "\n  ".join(status["workers"]))
    return 0
