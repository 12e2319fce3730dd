"""`headrace table load` and `dump`: a table's items from a file and into one."""

import argparse
import gzip
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import Queue
from typing import IO, Any

import boto3

from headrace.cli.clients import client
from headrace.cli.table_items import plain_line, read_line, typed_line
from headrace.kit.settings import Settings

BATCH_ITEMS = 25
BATCHES_AT_ONCE = 16
SEGMENTS = 4
PAGES_WAITING_MAX = 8
ATTEMPTS_MAX = 10
PROGRESS_SECONDS = 0.5


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    """The table and the file."""
    parser.add_argument("name", help="the table")
    parser.add_argument("file", help="lines of items, gzip when it ends with .gz; - is the standard input")
    parser.add_argument("--plain", action="store_true", help='lines are plain JSON, not DynamoDB\'s {"Item": {…}}')
    _add_aws(parser)


def add_dump_arguments(parser: argparse.ArgumentParser) -> None:
    """The table and, if need be, a file."""
    parser.add_argument("name", help="the table")
    parser.add_argument("file", nargs="?", default="-", help="where to, gzip when it ends with .gz; else the standard output")
    parser.add_argument("--plain", action="store_true", help='write plain JSON, not DynamoDB\'s {"Item": {…}}')
    _add_aws(parser)


def _add_aws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--aws", action="store_true", help="the table of the AWS account that the environment names, not a local one"
    )


def _client(arguments: argparse.Namespace, settings: Settings) -> Any:
    return boto3.client("dynamodb") if arguments.aws else client(settings, "dynamodb", arguments.account)


class _Progress:
    """Says on a terminal how far it is."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._shown = sys.stderr.isatty() and not arguments.json
        self._began = self._last = time.monotonic()
        self.count = 0

    def add(self, count: int) -> None:
        """Count some items."""
        self.count += count
        now = time.monotonic()
        if self._shown and now - self._last >= PROGRESS_SECONDS:
            self._last = now
            print(f"\r{self.count:,} items, {self.count / (now - self._began):,.0f}/s", end="", file=sys.stderr)

    def end(self, arguments: argparse.Namespace, verb: str, **more: Any) -> None:
        """Say what was done."""
        seconds = time.monotonic() - self._began
        if arguments.json:
            print(json.dumps({"items": self.count, "seconds": round(seconds, 3), **more}), file=sys.stderr)
        else:
            print(f"{chr(13) if self._shown else ''}{self.count:,} items {verb} in {seconds:.1f} s", file=sys.stderr)


def load(arguments: argparse.Namespace, settings: Settings) -> int:
    """Put each line of a file as an item; 1 when a line is none, with its number."""
    db = _client(arguments, settings)
    progress = _Progress(arguments)
    number = 0
    pending: set[Future[int]] = set()
    batch: list[dict[str, Any]] = []
    with _reading(arguments.file) as file, ThreadPoolExecutor(BATCHES_AT_ONCE) as pool:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                batch.append(read_line(line, plain=arguments.plain))
            except (ValueError, TypeError, AttributeError) as error:
                print(f"headrace: line {number}: {error}", file=sys.stderr)
                return 1
            if len(batch) == BATCH_ITEMS:
                pending.add(pool.submit(_put, db, arguments.name, batch))
                batch = []
            if len(pending) >= 2 * BATCHES_AT_ONCE:
                pending = _settle(pending, progress, FIRST_COMPLETED)
        if batch:
            pending.add(pool.submit(_put, db, arguments.name, batch))
        _settle(pending, progress, "ALL_COMPLETED")
    progress.end(arguments, f"loaded into {arguments.name}", table=arguments.name)
    return 0


def _settle(pending: set[Future[int]], progress: _Progress, until: str) -> set[Future[int]]:
    done, rest = wait(pending, return_when=until)
    for one in done:
        progress.add(one.result())
    return set(rest)


def _put(db: Any, table: str, batch: list[dict[str, Any]]) -> int:
    """Write a batch; what a busy table leaves is tried again after a growing wait."""
    requests = {table: [{"PutRequest": {"Item": item}} for item in batch]}
    for attempt in range(ATTEMPTS_MAX):
        requests = db.batch_write_item(RequestItems=requests)["UnprocessedItems"]
        if not requests:
            return len(batch)
        time.sleep(min(0.05 * 2**attempt, 5.0))
    raise SystemExit(f"headrace: {table} does not take more: {len(requests[table])} items were left again and again")


def _reading(name: str) -> IO[str]:
    if name == "-":
        return sys.stdin
    return gzip.open(name, "rt", encoding="utf-8") if name.endswith(".gz") else open(name, encoding="utf-8")


def dump(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write each item of a table as a line, in no order."""
    db = _client(arguments, settings)
    line_of = plain_line if arguments.plain else typed_line
    progress = _Progress(arguments)
    file = _writing(arguments.file)
    try:
        for page in _pages(db, arguments.name):
            file.write("".join(line_of(item) + "\n" for item in page))
            progress.add(len(page))
    finally:
        if file is sys.stdout:
            file.flush()
        else:
            file.close()
    progress.end(arguments, f"of {arguments.name} written", table=arguments.name)
    return 0


def _pages(db: Any, table: str) -> Iterator[list[dict[str, Any]]]:
    """The pages of a scan by several readers. Few of them wait at a time."""
    found: Queue[list[dict[str, Any]] | BaseException | None] = Queue(PAGES_WAITING_MAX)

    def read(segment: int) -> None:
        try:
            for page in db.get_paginator("scan").paginate(TableName=table, Segment=segment, TotalSegments=SEGMENTS):
                found.put(page["Items"])
            found.put(None)
        except BaseException as error:
            found.put(error)

    for segment in range(SEGMENTS):
        threading.Thread(target=read, args=(segment,), daemon=True).start()
    left = SEGMENTS
    while left:
        page = found.get()
        if page is None:
            left -= 1
        elif isinstance(page, BaseException):
            raise page
        else:
            yield page


def _writing(name: str) -> IO[str]:
    if name == "-":
        return sys.stdout
    return gzip.open(name, "wt", encoding="utf-8") if name.endswith(".gz") else open(name, "w", encoding="utf-8")
