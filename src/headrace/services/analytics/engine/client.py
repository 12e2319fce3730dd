"""The server's end of the engine's process: started when first used, spoken to over a socket, started again when it dies.

A client holds one process, which holds one program: an application that takes all memory takes only its own.
All calls block: use them from threads. ConnectionError means that the process died: open it again with the state that was kept.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from headrace.services.analytics.engine import frames
from headrace.services.analytics.engine.schema import (
    Column,
    Columns,
    Discovered,
    Failure,
    InputSchema,
    Output,
    Raw,
    RecordFormat,
    ReferenceSchema,
    SqlError,
    Step,
    StreamSchema,
    columns_of,
)
from headrace.services.analytics.engine.shared import Laid, Writer

CALL_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 5.0
MEMORY_MIB = 4096
_PROCESS = "headrace.services.analytics.engine.process"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


class EngineError(Exception):
    """The process failed at what it was asked, in a way that is not the code's fault. After a `step`: open the program anew."""


class Engine:
    """A process that compiles, and runs one program. `memory_mib` bounds its address space (0: no bound)."""

    def __init__(self, memory_mib: int = MEMORY_MIB, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._memory_mib = memory_mib
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._writer: Writer | None = None
        self._lock = threading.Lock()

    def check(self, code: str, inputs: Sequence[InputSchema], references: Sequence[ReferenceSchema] = ()) -> list[StreamSchema]:
        """Compile only: the streams that the code makes. SqlError where it is wrong."""
        found = self._call("check", code=code, inputs=list(inputs), references=list(references))
        return msgspec.convert(found, list[StreamSchema])

    def open(
        self,
        code: str,
        inputs: Sequence[InputSchema],
        references: Sequence[ReferenceSchema] = (),
        pieces: Mapping[str, bytes] | None = None,
    ) -> list[StreamSchema]:
        """Compile, and continue from the pieces of a state when there are any. Takes the place of the program that was open."""
        kept = dict(pieces) if pieces else None
        found = self._call("open", code=code, inputs=list(inputs), references=list(references), pieces=kept)
        return msgspec.convert(found, list[StreamSchema])

    def load_reference(self, table: str, content: bytes) -> int:
        """Read a reference table's object anew; how many rows it has. They are not part of the state: load them after `open`."""
        rows: int = self._call("load_reference", table=table, content=content)
        return rows

    def start(self) -> None:
        """Start the process, and do not wait for it: what is asked first finds it ready the sooner."""
        with self._lock:
            self._started()

    def lay(self, records: Mapping[str, Columns | Sequence[Raw]]) -> dict[str, Laid]:
        """Get records ready for the step after the one that is computed; `begin_step` takes them, of this engine alone."""
        with self._lock, self._ending_when_it_fails():
            self._started()
            if self._writer is None:
                raise EOFError("it was closed")
            return self._writer.lay(
                {stream: given if isinstance(given, Columns) else columns_of(given) for stream, given in records.items()}
            )

    def step(
        self,
        records: Mapping[str, Columns | Sequence[Raw]],
        now_ms: int | None,
        outputs: Sequence[Output] = (),
        watch: Sequence[str] = (),
        checkpoint: bool = True,
        failures: Sequence[Failure] = (),
    ) -> Step:
        """Push records of input streams, in their order, then move the clock to `now_ms` if given, and take what came of it.

        `outputs`: streams whose rows are wanted as encoded records. `watch`: streams whose rows are wanted as values (live view).
        Without a `checkpoint` the step has no pieces: what changed is among those of the next step that has one. Many groups that
        are touched at random make pieces costly: then one checkpoint for several steps is cheaper. `failures`: records that could
        not be got ready for the engine; they go to the error stream.
        """
        self.begin_step(self.lay(records), now_ms, outputs, watch, checkpoint, failures)
        return self.end_step()

    def begin_step(
        self,
        records: Mapping[str, Laid],
        now_ms: int | None,
        outputs: Sequence[Output] = (),
        watch: Sequence[str] = (),
        checkpoint: bool = True,
        failures: Sequence[Failure] = (),
    ) -> None:
        """As `step`, but the engine computes while the caller does something else: call nothing but `lay` and `end_step` next."""
        wanted = [[one.stream, one.kind] for one in outputs]
        self._send(
            "step", records=dict(records), now_ms=now_ms, outputs=wanted, watch=list(watch), checkpoint=checkpoint,
            failures=[[one.data, one.arrival_ms, one.name, one.reason] for one in failures],
        )  # fmt: skip

    def end_step(self) -> Step:
        """What came of the step that was begun."""
        encoded, rows, pieces, counts, next_ms = self._receive()
        named = {stream: [dict(zip(names, row, strict=True)) for row in found] for stream, (names, found) in rows.items()}
        return Step(encoded, named, pieces, counts, next_ms)

    def discover(self, records: Sequence[bytes], format: RecordFormat | None = None) -> Discovered:
        """Find format and columns in a sample of records. SqlError when no schema fits."""
        return msgspec.convert(self._call("discover", records=list(records), format=format), Discovered)

    def parse(self, records: Sequence[bytes], format: RecordFormat, columns: Sequence[Column]) -> list[list[str]]:
        """A sample of records as text in a schema's columns."""
        rows: list[list[str]] = self._call("parse", records=list(records), format=format, columns=list(columns))
        return rows

    @property
    def process_id(self) -> int | None:
        """The process, if it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
            self._process.kill()
            self._process.wait()
            self._process = None

    def _started(self) -> socket.socket:
        if self._socket is not None:
            return self._socket
        ours, theirs = socket.socketpair()
        self._writer = Writer()
        with theirs:
            # The library of numbers starts a thread for each core unless it is told not to.
            environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
            self._process = subprocess.Popen(
                [sys.executable, "-m", _PROCESS, str(self._memory_mib), *map(str, (theirs.fileno(), *self._writer.files))],
                pass_fds=[theirs.fileno(), *self._writer.files],
                stdin=subprocess.DEVNULL,
                env={**environment, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
            )
        ours.settimeout(self._timeout_s)
        self._socket = ours
        return ours

    def _call(self, method: str, **arguments: Any) -> Any:
        self._send(method, **arguments)
        return self._receive()

    def _send(self, method: str, **arguments: Any) -> None:
        with self._lock, self._ending_when_it_fails():
            frames.send(self._started(), [method, arguments])

    def _receive(self) -> Any:
        with self._lock, self._ending_when_it_fails():
            if self._socket is None:
                raise EOFError("it was closed")
            failed, result = frames.receive(self._socket)
        if failed is None:
            return result
        kind, message, line, column = failed
        if kind == "SqlError":
            raise SqlError(message, line, column)
        raise EngineError(f"{kind}: {message}")

    @contextlib.contextmanager
    def _ending_when_it_fails(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError) as error:
            # What it still does is of no use: an answer that comes late would be taken for the next one's.
            if self._process is not None:
                self._process.kill()
            self._end()
            raise ConnectionError(f"the SQL engine's process has ended or does not answer: {error}") from error
