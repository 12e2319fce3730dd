"""The engine's process: holds one program, and does what the server asks over a socket.

    python -m headrace.services.analytics.engine.process MEMORY_MIB SOCKET RECORDS...

A message (see `frames`) is [method, arguments] one way, [error, result] back; records lie in shared memory (see `shared`). It
reads and writes nothing but these: SQL cannot name a file, and the limits that the process sets itself would not let it
write one.
"""

import gc
import resource
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from headrace.services.analytics.engine import discover, frames
from headrace.services.analytics.engine.program import Program, compile, plain_column
from headrace.services.analytics.engine.records import RecordReader, encode_rows
from headrace.services.analytics.engine.schema import (
    Column,
    InputSchema,
    RecordFormat,
    ReferenceSchema,
    SqlError,
    StreamSchema,
)
from headrace.services.analytics.engine.shared import Laid, Reader
from headrace.services.analytics.engine.sqltypes import TIMESTAMP, Vector

FILES_MAX = 64
GARBAGE_THRESHOLD = 100_000


class Worker:
    """The program that is open, and the readers of its inputs."""

    def __init__(self) -> None:
        self._program: Program | None = None
        self._readers: dict[str, RecordReader] = {}
        self._tables: dict[str, tuple[RecordReader, ReferenceSchema]] = {}

    def check(self, code: str, inputs: Any, references: Any) -> list[StreamSchema]:
        """Compile only."""
        return self._compiled(code, inputs, references)[0].streams()

    def _compiled(
        self, code: str, inputs: Any, references: Any
    ) -> tuple[Program, dict[str, RecordReader], dict[str, tuple[RecordReader, ReferenceSchema]]]:
        streams = msgspec.convert(inputs, list[InputSchema])
        tables = msgspec.convert(references, list[ReferenceSchema])
        program = compile(code, streams, tables)
        readers = {one.name: RecordReader(one.format, one.columns) for one in streams}
        return program, readers, {one.name: (RecordReader(one.format, one.columns), one) for one in tables}

    def open(self, code: str, inputs: Any, references: Any, pieces: dict[str, bytes] | None) -> list[StreamSchema]:
        """Compile, and continue from a state."""
        self._program, self._readers, self._tables = self._compiled(code, inputs, references)
        if pieces:
            self._program.restore(pieces)
        return self._program.streams()

    def _opened(self) -> Program:
        if self._program is None:
            raise SqlError("No program is open")
        return self._program

    def load_reference(self, table: str, content: bytes) -> int:
        """Put a reference table's object in the place of its rows."""
        reader, _ = self._tables[table]
        decoded = reader.read([content])
        if decoded.bad:
            raise SqlError(f"The reference table '{table}' cannot be read: {decoded.bad[0][1]}")
        self._opened().load_reference(table, decoded.columns)
        return decoded.size

    def step(
        self,
        records: Mapping[str, Sequence[Any]],
        now_ms: int | None,
        outputs: list[list[str]],
        watch: list[str],
        checkpoint: bool = True,
        failures: Sequence[tuple[bytes, int, str, str]] = (),
    ) -> list[Any]:
        """Records in, rows and changes out."""
        program = self._opened()
        for data, arrival_ms, name, reason in failures:
            program.error(reason, data, arrival_ms, name)
        self._program = None  # if this fails, what the program holds is of no use
        answer = self._stepped(program, records, now_ms, outputs, watch)
        answer[2] = program.changes() if checkpoint else {}
        self._program = program
        return answer

    def _stepped(
        self,
        program: Program,
        records: Mapping[str, Sequence[Any]],
        now_ms: int | None,
        outputs: list[list[str]],
        watch: list[str],
    ) -> list[Any]:
        pushed: dict[str, Any] = {}
        for stream, (data, arrivals, keys, numbers, shards) in records.items():
            decoded = self._readers[stream].read(data)
            for place, reason in decoded.bad:
                program.error(reason, bytes(data[place]), arrivals[place])
            columns: dict[str, Any] = decoded.columns
            extras = {"PARTITION_KEY": keys, "SEQUENCE_NUMBER": numbers, "SHARD_ID": shards}
            origins = decoded.origins
            for name, values in extras.items():
                columns.setdefault(name, values if origins is None else [values[place] for place in origins])
            pushed[stream] = (columns, arrivals if origins is None else [arrivals[place] for place in origins])
        program.run(pushed, now_ms)
        batches = program.take_batches()
        encoded = {
            stream: encode_rows(batches[stream], program.fields(stream), kind) for stream, kind in outputs if stream in batches
        }
        rows: dict[str, Any] = {}
        for stream in watch:
            if stream in batches:
                fields = [("ROWTIME", TIMESTAMP), *((one.name, one.type) for one in program.fields(stream))]
                columns_of = [Vector(batches[stream].times), *batches[stream].columns]
                lists = [plain_column(column, kind) for column, (_, kind) in zip(columns_of, fields, strict=True)]
                rows[stream] = [[name for name, _ in fields], [list(row) for row in zip(*lists, strict=True)]]
        return [encoded, rows, None, program.counts, program.next_ms()]

    def discover(self, records: list[bytes], format: Any) -> Any:
        """A schema for a sample."""
        return discover.discover(records, None if format is None else msgspec.convert(format, RecordFormat))

    def parse(self, records: list[bytes], format: Any, columns: Any) -> list[list[str]]:
        """A sample in a schema's columns."""
        return discover.parse(records, msgspec.convert(format, RecordFormat), msgspec.convert(columns, list[Column]))


def _limit(memory_mib: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
    if memory_mib:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mib << 20, memory_mib << 20))


def _answer(method: Callable[..., Any], arguments: dict[str, Any]) -> list[Any]:
    try:
        return [None, method(**arguments)]
    except SqlError as error:
        return [["SqlError", error.message, error.line, error.column], None]
    except MemoryError:
        return [["MemoryError", "The application needs more memory than it may have", 0, 0], None]
    except Exception as error:  # the server decides what becomes of the application
        return [[type(error).__name__, str(error), 0, 0], None]


def serve(connection: socket.socket, reader: Reader) -> None:
    """Answer until the server closes its end."""
    worker = Worker()
    methods: dict[str, Callable[..., Any]] = {
        name: getattr(worker, name) for name in ("check", "open", "load_reference", "step", "discover", "parse")
    }
    while True:
        try:
            method, arguments = frames.receive(connection)
        except EOFError:
            return
        if method == "step":
            laid = msgspec.convert(arguments["records"], dict[str, Laid])
            arguments["records"] = {stream: reader.given(one) for stream, one in laid.items()}
        frames.send(connection, _answer(methods[method], arguments))


if __name__ == "__main__":
    _limit(int(sys.argv[1]))
    # A step makes and frees thousands of small things at once, and none of them in circles.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    serve(socket.socket(fileno=int(sys.argv[2])), Reader([int(one) for one in sys.argv[3:]]))
