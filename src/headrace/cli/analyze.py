"""`headrace analyze STREAM "SELECT STREAM …"`: rows as they come, of a query over a stream.

The query runs here, in the engine that runs applications, over records that are read as any client reads them: nothing is
created, and nothing is left behind. The stream's name stands for it in the query; its columns are found in a sample.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from headrace.cli.clients import client
from headrace.cli.stream_tail import Tail, start_of
from headrace.cli.telling import told
from headrace.kit.settings import Settings
from headrace.services.analytics.engine.client import Engine
from headrace.services.analytics.engine.schema import ERROR_STREAM, Column, InputSchema, Raw, SqlError

OUTPUT = "OUTPUT"
SAMPLE_RECORDS_MAX = 200
LOOK_AGAIN_SECONDS = 0.1
# As in applications: a record whose commit is under way still falls into its own window.
CLOCK_BEHIND_MS = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The stream, the query, and where to begin."""
    parser.add_argument("stream", help="the stream's name")
    parser.add_argument("query", help='e.g. "SELECT STREAM ticker, price FROM trades WHERE price > 10"')
    parser.add_argument(
        "--from", dest="begin", default="trim_horizon",
        help="trim_horizon, latest, a time (ISO 8601), or so many seconds ago as -90 [trim_horizon]",
    )  # fmt: skip
    parser.add_argument("--count", type=int, metavar="ROWS", help="stop after so many rows")
    parser.add_argument("--no-follow", action="store_true", help="stop at the newest record")
    parser.add_argument("--account", help="the 12 digits of another account than the server's own")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print rows until Ctrl-C; 1 when the query is wrong, or the server refuses or does not answer."""
    return told(lambda: _analyze(arguments, settings))


def _analyze(arguments: argparse.Namespace, settings: Settings) -> int:
    engine = Engine()
    try:
        tail = Tail(client(settings, "kinesis", arguments.account), arguments.stream, start_of(arguments.begin))
        return Analysis(engine, tail, arguments).run()
    except SqlError as error:
        print(f"headrace: {error.sentence()}", file=sys.stderr)
        return 1
    finally:
        engine.close()


class Analysis:
    """One query over one stream."""

    def __init__(self, engine: Engine, tail: Tail, arguments: argparse.Namespace) -> None:
        self._engine = engine
        self._tail = tail
        self._arguments = arguments
        self._input = ""
        self._left: int | None = arguments.count
        self._titled = False

    def run(self) -> int:
        """Read, compute and print, until it is told to stop."""
        next_ms: int | None = None
        while True:
            records = self._read()
            at_tip = self._tail.at_tip() or not self._tail.shards
            ended = at_tip and not records and self._arguments.no_follow
            if records and not self._input:
                self._open(records)
            now_ms = time.time_ns() // 1_000_000 - CLOCK_BEHIND_MS
            due = ended or (next_ms is not None and next_ms <= now_ms)
            if self._input and (records or due):
                # While there is more to read, time is what the records say; then it is the clock's.
                pushed = self.pushed(records)
                # At the end of what is looked at, the windows that are open end, too.
                moment = (next_ms or now_ms) if ended else now_ms if at_tip else None
                step = self._engine.step(pushed, moment, watch=[OUTPUT, ERROR_STREAM])
                next_ms = step.next_ms
                for row in step.rows.get(ERROR_STREAM, ()):
                    print(f"headrace: {row['ERROR_NAME']}: {row['MESSAGE']}", file=sys.stderr)
                for row in step.rows.get(OUTPUT, ()):
                    if not self._show(row):
                        return 0
                sys.stdout.flush()
                if ended and next_ms is not None and step.rows:
                    continue
            if ended:
                return 0
            if not records:
                time.sleep(LOOK_AGAIN_SECONDS)

    def _read(self) -> list[Raw]:
        found = [
            Raw(
                record["Data"],
                round(record["ApproximateArrivalTimestamp"].timestamp() * 1000),
                record["PartitionKey"],
                record["SequenceNumber"],
                shard,
            )
            for shard in list(self._tail.shards)
            for record in self._tail.read(shard)
        ]
        return sorted(found, key=lambda one: one.arrival_ms)

    def pushed(self, records: list[Raw]) -> dict[str, list[Raw]]:
        """The records by the stream of the query that they are for."""
        return {self._input: records} if records else {}

    def _open(self, records: list[Raw]) -> None:
        """Find the columns in the first records, and compile the query. A name is as it is written where it is quoted."""
        query = self._arguments.query
        found = self._engine.discover([record.data for record in records[:SAMPLE_RECORDS_MAX]])
        columns = [Column(_named(column.name, query), column.sql_type, column.mapping) for column in found.columns]
        self._input = _named(self._arguments.stream, query)
        self._engine.open(query, [InputSchema(self._input, columns, found.format)])

    def _show(self, row: Mapping[str, Any]) -> bool:
        """Print a row; False when it was the last that is wanted."""
        if self._arguments.json:
            print(json.dumps(row, ensure_ascii=False, default=str))
        else:
            shown = {name: value for name, value in row.items() if name != "ROWTIME"}
            if not self._titled:
                print("  ".join(["ROWTIME".ljust(23), *(name.ljust(12) for name in shown)]))
                self._titled = True
            print("  ".join([str(row.get("ROWTIME", "")).ljust(23), *(_text(value).ljust(12) for value in shown.values())]))
        if self._left is not None:
            self._left -= 1
        return self._left is None or self._left > 0


def _named(name: str, query: str) -> str:
    return name if f'"{name}"' in query else name.upper()


def _text(value: object) -> str:
    return "NULL" if value is None else str(value)
