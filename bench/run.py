"""Measures Headrace against peers and physical limits, each pair side by side in the same run.

Prints a table and writes build/bench.json: a list of {name, value, unit, target, met}. Loads come from bench/load (Go), so a Go
toolchain is needed; ministack is installed into an environment of its own below build/.

    make bench                 # everything
    make bench ARGS=--quick    # short runs, to see that it works
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
sys.path.insert(0, str(Path(__file__).parent))

import analytics  # noqa: E402
import analytics_flink  # noqa: E402
import analytics_stream  # noqa: E402
import dynamodb  # noqa: E402
import fanout  # noqa: E402
import functions  # noqa: E402
import kinesis  # noqa: E402
import kinesis_readers  # noqa: E402
import kinesis_retained  # noqa: E402
import requests_per_second  # noqa: E402
import startup  # noqa: E402
import store_commits  # noqa: E402
import video  # noqa: E402
import video_playback  # noqa: E402

PARTS = {
    "requests": requests_per_second.measure,
    "dynamodb": dynamodb.measure,
    "kinesis": kinesis.measure,
    "kinesis-readers": kinesis_readers.measure,
    "kinesis-retained": kinesis_retained.measure,
    "store": store_commits.measure,
    "startup": startup.measure,
    "functions": functions.measure,
    "video": video.measure,
    "video-playback": video_playback.measure,
    "analytics": analytics.measure,
    "analytics-stream": analytics_stream.measure,
    "analytics-flink": analytics_flink.measure,
    "fan-out": fanout.measure,
}


def demo(quick: bool) -> list[dict[str, Any]]:
    """The main job's three latencies, and the rate it sustains."""
    results = []
    rates = {"paced": "100", "sustained": "0"}
    for name, rate in rates.items():
        count = "300" if quick else "3000"
        ran = subprocess.run(
            [sys.executable, "-m", "headrace.cli.main", "demo", "--json", "--rate", rate, "--transactions", count],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise SystemExit(f"the demo failed:\n{ran.stdout}\n{ran.stderr}")
        outcome = json.loads(ran.stdout)
        if name == "sustained":
            results.append(row("main job, sustained", outcome["transactions_per_second"], "transactions/s"))
            continue
        for hop, latency in outcome["latency_ms"].items():
            results.append(row(f"main job, {hop}, p50", latency["p50"], "ms"))
            target = 2000.0 if hop == "row visible" else None
            results.append(row(f"main job, {hop}, p99", latency["p99"], "ms", target, below=True))
    return results


def row(name: str, value: float, unit: str, target: float | None = None, *, below: bool = False) -> dict[str, Any]:
    """One line of the result; `met` is None without a target."""
    met = None if target is None else value <= target if below else value >= target
    return {"name": name, "value": round(value, 3), "unit": unit, "target": target, "met": met}


def main() -> int:
    """Run the parts that were asked for; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="Measure Headrace.")
    parser.add_argument("--quick", action="store_true", help="short runs")
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join([*PARTS, 'demo'])}; all without any")
    arguments = parser.parse_args()
    console = Console()
    BUILD.mkdir(exist_ok=True)
    results: list[dict[str, Any]] = []
    for name, measure in {**PARTS, "demo": None}.items():
        if arguments.parts and name not in arguments.parts:
            continue
        console.print(f"measuring {name} …")
        with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
            results += demo(arguments.quick) if measure is None else measure(row, Path(folder), arguments.quick)
    (BUILD / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    table = Table(box=None, pad_edge=False)
    for heading in ("measured", "value", "unit", "target", "met"):
        table.add_column(heading, justify="right" if heading in ("value", "target") else "left")
    for one in results:
        met = {None: "", True: "[green]yes[/]", False: "[red]no[/]"}[one["met"]]
        table.add_row(one["name"], f"{one['value']:,}", one["unit"], "" if one["target"] is None else f"{one['target']:,}", met)
    console.print(table)
    return 1 if any(one["met"] is False for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
