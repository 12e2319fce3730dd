"""The server's end of the engine's process: started when first used, spoken to over a socket, started again when it dies.

A client holds one process, which holds one program: an application that takes all memory takes only its own.
All calls block: use them from threads. ConnectionError means that the process died: open it again with the state that was kept.
"""

from collections.abc import Mapping, Sequence

from headrace.services.analytics.engine.schema import (
    Column,
    Discovered,
    InputSchema,
    Output,
    Raw,
    RecordFormat,
    ReferenceSchema,
    Step,
    StreamSchema,
)


class Engine:
    """A process that compiles, and runs one program."""

    def check(self, code: str, inputs: Sequence[InputSchema], references: Sequence[ReferenceSchema] = ()) -> list[StreamSchema]:
        """Compile only: the streams that the code makes. SqlError where it is wrong."""
        raise NotImplementedError

    def open(
        self,
        code: str,
        inputs: Sequence[InputSchema],
        references: Sequence[ReferenceSchema] = (),
        pieces: Mapping[str, bytes] | None = None,
    ) -> list[StreamSchema]:
        """Compile, and continue from the pieces of a state when there are any. Takes the place of the program that was open."""
        raise NotImplementedError

    def load_reference(self, table: str, content: bytes) -> int:
        """Read a reference table's object anew; how many rows it has. They are not part of the state: load them after `open`."""
        raise NotImplementedError

    def step(
        self,
        records: Mapping[str, Sequence[Raw]],
        now_ms: int | None,
        outputs: Sequence[Output] = (),
        watch: Sequence[str] = (),
    ) -> Step:
        """Push records of input streams, in their order, then move the clock to `now_ms` if given, and take what came of it.

        `outputs`: streams whose rows are wanted as encoded records. `watch`: streams whose rows are wanted as values (live view).
        """
        raise NotImplementedError

    def discover(self, records: Sequence[bytes], format: RecordFormat | None = None) -> Discovered:
        """Find format and columns in a sample of records. SqlError when no schema fits."""
        raise NotImplementedError

    def parse(self, records: Sequence[bytes], format: RecordFormat, columns: Sequence[Column]) -> list[list[str]]:
        """A sample of records as text in a schema's columns."""
        raise NotImplementedError

    def close(self) -> None:
        """End the process."""
        raise NotImplementedError
