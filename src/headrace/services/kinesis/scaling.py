"""How a stream gets another number of shards of one size: by splits and merges of two, each of which AWS would report. Pure.

Where an end of a wanted shard falls into an open one, that one is split there; then what lies within a wanted shard is merged,
two at a time. So each shard has at most two parents, and those that were only a step on the way are closed and empty.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from headrace.services.kinesis import rules

Span = tuple[int, int]

# Even shares of different counts differ by a few keys where they should meet: an end so near is taken for the wanted one.
_NEAR = 1 << 64


class Step(NamedTuple):
    """Shards that are closed, by their spans, and those that take their place."""

    closed: tuple[Span, ...]
    opened: tuple[Span, ...]


def uniform(spans: Sequence[Span], count: int) -> Iterator[Step]:
    """The steps from the open shards, given in order of their spans, to `count` shards of one size."""
    starts = [start for start, _ in spans]
    cuts = [_near(starts, start) for start, _ in rules.even_ranges(count)]
    pieces: list[Span] = []
    for span in spans:
        rest = span
        for cut in cuts:
            if rest[0] < cut <= rest[1]:
                left, right = (rest[0], cut - 1), (cut, rest[1])
                yield Step((rest,), (left, right))
                pieces.append(left)
                rest = right
        pieces.append(rest)
    ends = [*(cut - 1 for cut in cuts[1:]), rules.HASH_KEY_END - 1]
    wanted = iter(ends)
    end = next(wanted)
    whole: Span | None = None
    for piece in pieces:
        if whole is None:
            whole = piece
        else:
            both = (whole[0], piece[1])
            yield Step((whole, piece), (both,))
            whole = both
        if piece[1] == end:
            whole, end = None, next(wanted, end)


def _near(starts: Sequence[int], wanted: int) -> int:
    return min((start for start in starts if abs(start - wanted) < _NEAR), key=lambda start: abs(start - wanted), default=wanted)
