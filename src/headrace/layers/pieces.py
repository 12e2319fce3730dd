"""Large values on a log: a value that is larger than a store should keep at one key becomes several consecutive entries.

Each entry begins with one byte: 0 a whole value, 1 the first piece of several, 2 a middle piece, 3 the last piece. The pieces
are appended in one transaction, so a reader sees all of them or none; only a read with a limit can end between two. A value is
known by the number of its first piece.
"""

from collections.abc import Iterable, Iterator

PIECE_SIZE_MAX_BYTES = 60_000

_WHOLE, _FIRST, _MIDDLE, _LAST = b"\x00", b"\x01", b"\x02", b"\x03"
# The first byte of pieces that come behind a first one.
LATER = frozenset(_MIDDLE + _LAST)
# The first byte of what ends a value.
ENDS = frozenset(_WHOLE + _LAST)


def split(value: bytes) -> tuple[bytes, ...]:
    """The log entries of a value."""
    if len(value) <= PIECE_SIZE_MAX_BYTES:
        return (_WHOLE + value,)
    parts = [value[start : start + PIECE_SIZE_MAX_BYTES] for start in range(0, len(value), PIECE_SIZE_MAX_BYTES)]
    return (_FIRST + parts[0], *(_MIDDLE + part for part in parts[1:-1]), _LAST + parts[-1])


def join(entries: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, int, bytes]]:
    """(number of the first piece, number of the last piece, value) of the whole values among log entries.

    Pieces at the beginning whose first piece is missing belong to a value that was read or trimmed before: left out, as is a
    value at the end whose last piece is missing.
    """
    parts: list[bytes] = []
    first = 0
    for number, entry in entries:
        mark = entry[:1]
        if mark == _WHOLE:
            yield number, number, entry[1:]
        elif mark == _FIRST:
            first, parts = number, [entry[1:]]
        elif parts:
            parts.append(entry[1:])
            if mark == _LAST:
                yield first, number, b"".join(parts)
                parts = []
