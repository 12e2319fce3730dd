"""`headrace sql APPLICATION`: a prompt that shows a SELECT over an application's in-application streams, live.

Each SELECT runs here, behind the application's own code, over the records that the application reads: what is running is not
touched, and may be stopped as well. Windows that were open before the SELECT began are seen from then on.
"""

import argparse
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.cli.analyze import Analysis
from headrace.cli.clients import client
from headrace.cli.stream_tail import Tail, start_of
from headrace.cli.telling import told
from headrace.kit.settings import Settings
from headrace.services.analytics.engine.client import Engine
from headrace.services.analytics.engine.schema import Column, InputSchema, Raw, RecordFormat, ReferenceSchema, SqlError

Members = Mapping[str, Any]
PROMPT = "sql> "
FURTHER = "...> "
HELP = "End a SELECT with ; and its rows with Ctrl-C. \\d lists the in-application streams, \\q leaves."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The application, and where a SELECT begins."""
    parser.add_argument("application", help="the application's name")
    parser.add_argument("--execute", "-e", metavar="SELECT", help="run one SELECT instead of asking for it")
    parser.add_argument(
        "--from", dest="begin", default="latest",
        help="latest, trim_horizon, a time (ISO 8601), or so many seconds ago as -90 [latest]",
    )  # fmt: skip
    parser.add_argument("--count", type=int, metavar="ROWS", help="end a SELECT after so many rows")
    parser.add_argument("--no-follow", action="store_true", help="end a SELECT at the newest record")
    parser.add_argument("--account", help="the 12 digits of another account than the server's own")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run what is asked for; 1 when the last SELECT was wrong, or the server refuses or does not answer."""
    start_of(arguments.begin)
    return told(lambda: _run(arguments, settings))


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    found = Application(settings, arguments)
    return _ask(found) if arguments.execute is None else found.show(arguments.execute)


def _ask(application: "Application") -> int:
    status = 0
    if sys.stdin.isatty():
        print(HELP)
    for statement in statements(_lines()):
        if statement == "\\q":
            break
        status = application.streams() if statement == "\\d" else application.show(statement)
    return status


def _lines() -> Iterator[str]:
    """What is typed, or piped in. It is prompted for where somebody sits at a terminal."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    prompt = PROMPT
    while True:
        try:
            line = input(prompt)
        except (EOFError, KeyboardInterrupt):
            print()
            return
        prompt = PROMPT if line.rstrip().endswith(";") or line.startswith("\\") or not line.strip() else FURTHER
        yield line


def statements(lines: Iterator[str]) -> Iterator[str]:
    """Statements without their semicolons, and commands such as \\d."""
    held: list[str] = []
    for line in lines:
        text = line.strip()
        if not held and text.startswith("\\"):
            yield text
        elif text.endswith(";"):
            yield "\n".join([*held, text[:-1]]).strip()
            held = []
        elif text:
            held.append(text)
    if held:
        yield "\n".join(held)


class Application:
    """An application as it is described, and what runs over it."""

    def __init__(self, settings: Settings, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._kinesis = client(settings, "kinesis", arguments.account)
        found = client(settings, "kinesisanalyticsv2", arguments.account).describe_application(
            ApplicationName=arguments.application
        )["ApplicationDetail"]["ApplicationConfigurationDescription"]
        self._code: str = found["ApplicationCodeConfigurationDescription"]["CodeContentDescription"].get("TextContent", "")
        described = found["SqlApplicationConfigurationDescription"]
        self._inputs: Sequence[Members] = described.get("InputDescriptions", ())
        references: Sequence[Members] = described.get("ReferenceDataSourceDescriptions", ())
        self._references = [ReferenceSchema(one["TableName"], *_schema(one["ReferenceSchema"])) for one in references]
        s3 = client(settings, "s3", arguments.account)
        self._objects = {one["TableName"]: _object(s3, one["S3ReferenceDataSourceDescription"]) for one in references}

    def _schemas(self) -> list[InputSchema]:
        return [InputSchema(name, *_schema(one["InputSchema"])) for one in self._inputs for name in one["InAppStreamNames"]]

    def streams(self) -> int:
        """Print the in-application streams and their columns."""
        engine = Engine()
        try:
            for one in engine.check(self._code, self._schemas(), self._references):
                columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in one.columns)
                print(f'"{one.name}" ({columns})')
        except SqlError as error:
            print(f"headrace: {error.sentence()}", file=sys.stderr)
            return 1
        finally:
            engine.close()
        return 0

    def show(self, select: str) -> int:
        """Print a SELECT's rows until Ctrl-C."""
        if not self._inputs:
            print("headrace: the application has no input", file=sys.stderr)
            return 1
        if "KinesisStreamsInputDescription" not in self._inputs[0]:
            print("headrace: the application reads a delivery stream, which only its application can read", file=sys.stderr)
            return 1
        engine = Engine()
        try:
            arn = self._inputs[0]["KinesisStreamsInputDescription"]["ResourceARN"]
            engine.open(f"{self._code}\n;\n{select};", self._schemas(), self._references)
            for table, content in self._objects.items():
                engine.load_reference(table, content)
            tail = Tail(self._kinesis, arn.rpartition("/")[2], start_of(self._arguments.begin))
            return _Live(engine, tail, self._arguments, self._inputs[0]["InAppStreamNames"]).run()
        except SqlError as error:
            # Lines are counted from where the SELECT begins.
            lines_before = self._code.count("\n") + 2
            here = SqlError(error.message, max(0, error.line - lines_before), error.column)
            print(f"headrace: {here.sentence() if here.line else error.sentence()}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            if not sys.stdin.isatty() or self._arguments.execute is not None:
                raise
            print()
            return 0
        finally:
            engine.close()


class _Live(Analysis):
    """One SELECT behind an application's code."""

    def __init__(self, engine: Engine, tail: Tail, arguments: argparse.Namespace, names: Sequence[str]) -> None:
        super().__init__(engine, tail, arguments)
        self._names = names
        self._input = names[0]

    def pushed(self, records: list[Raw]) -> dict[str, list[Raw]]:
        """A shard's records, always in the same of the input's streams."""
        made: dict[str, list[Raw]] = {}
        for one in records:
            digits = one.shard_id.rpartition("-")[2]
            number = int(digits) if digits.isdecimal() else zlib.crc32(digits.encode())
            made.setdefault(self._names[number % len(self._names)], []).append(one)
        return made


def _schema(given: Members) -> tuple[list[Column], RecordFormat]:
    mapping = given["RecordFormat"].get("MappingParameters") or {}
    encoding = given.get("RecordEncoding") or "UTF-8"
    if given["RecordFormat"]["RecordFormatType"] == "JSON":
        path = (mapping.get("JSONMappingParameters") or {}).get("RecordRowPath", "$")
        format_ = RecordFormat("JSON", path, encoding=encoding)
    else:
        csv = mapping["CSVMappingParameters"]
        format_ = RecordFormat("CSV", "$", csv["RecordRowDelimiter"], csv["RecordColumnDelimiter"], encoding)
    return [Column(one["Name"], one["SqlType"], one.get("Mapping")) for one in given["RecordColumns"]], format_


def _object(s3: Any, source: Members) -> bytes:
    bucket = source["BucketARN"].rpartition(":")[2]
    content: bytes = s3.get_object(Bucket=bucket, Key=source["FileKey"])["Body"].read()
    return content
