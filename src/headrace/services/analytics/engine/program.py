"""A compiled application: rows in, rows out, and the state between them.

Only the engine's process imports this module (numpy); the server uses `client.Engine`.

Time. ROWTIME of an input row is the time that it is pushed with (its arrival), but never before the program's clock, so it
never goes back. `advance` moves the clock without rows: windows that end at or before it are closed. Results depend on the rows,
their times and the calls of `advance`, never on how the rows were cut into batches.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.services.analytics.engine.schema import InputSchema, ReferenceSchema, StreamSchema


class Program:
    """One application's streams, pumps and windows. Not safe for several threads."""

    def push(self, stream: str, rows: Mapping[str, Sequence[Any]], arrival_times_ms: Sequence[int]) -> None:
        """Add rows to an input stream, in columns: name -> values. The implicit columns may be among them.

        Columns that are missing are NULL. Values that do not fit their column's type send their row to the error stream.
        """
        raise NotImplementedError

    def advance(self, now_ms: int) -> None:
        """Move the clock: windows that end at or before it are closed. An earlier time than the clock does nothing."""
        raise NotImplementedError

    def take(self) -> dict[str, list[dict[str, Any]]]:
        """The rows that each in-application stream (error_stream among them) received since the last call, in their order.

        Values are None, bool, int, float, str and decimal.Decimal; TIMESTAMP, DATE and TIME as datetime's types.
        """
        raise NotImplementedError

    def streams(self) -> list[StreamSchema]:
        """The in-application streams: inputs, those of the code, and the error stream."""
        raise NotImplementedError

    def load_reference(self, table: str, rows: Mapping[str, Sequence[Any]]) -> None:
        """Put rows in the place of a reference table's rows."""
        raise NotImplementedError

    def changes(self) -> dict[str, bytes | None]:
        """The pieces of the state that changed since the last call: new bytes, or None for a piece that is gone."""
        raise NotImplementedError

    def state(self) -> bytes:
        """The whole state in one piece (what was not taken is not part of it)."""
        raise NotImplementedError

    def restore(self, state: bytes | Mapping[str, bytes]) -> None:
        """Continue from a state of the same code: bytes of `state`, or all pieces of `changes`."""
        raise NotImplementedError


def compile(code: str, inputs: Sequence[InputSchema], references: Sequence[ReferenceSchema] = ()) -> Program:
    """The program of an application's code. Raises SqlError with place and reason."""
    raise NotImplementedError
