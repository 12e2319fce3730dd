"""Tells whether a recorded history of lists that were read and appended to is strictly serializable.

Every appended value is unique, so the final list of a key is the order of its versions: a list that was read, or a length that a
condition found, names the version that was there. From these come the edges that every order of the operations must respect:
who wrote after whom (ww), who read what whom wrote (wr), who wrote over what was read (rw), and who began after whom had its
answer (real time). The history is good when each list read is a beginning of the final one, each operation is there whole or not
at all, and the edges have no cycle. An operation whose outcome is unknown has happened if the final lists hold its values.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Versions = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Operation:
    """One request: `reads` are lists as they were before it, `lengths` what its conditions found, `appends` one value a key."""

    name: str
    invoked_seconds: float
    answered_seconds: float
    outcome: Literal["done", "refused", "unknown"]
    reads: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    appends: Mapping[str, str] = field(default_factory=dict)


class Violation(AssertionError):
    """The history has no order that explains it."""


def check(history: Sequence[Operation], final: Versions) -> int:
    """How many operations happened; Violation when no order of them explains what was seen."""
    _check_versions(history, final)
    happened = [one for one in history if _happened(one, final)]
    _check_reads(happened, final)
    followers: dict[str, set[str]] = {}
    for before, after in itertools.chain(_data_edges(happened, final), _time_edges(happened)):
        if before != after:
            followers.setdefault(before, set()).add(after)
    cycle = _cycle(followers)
    if cycle:
        raise Violation("a cycle: " + " → ".join(name for name in cycle if not name.startswith("time ")))
    return len(happened)


def _check_versions(history: Sequence[Operation], final: Versions) -> None:
    """Every value in a final list was appended there, once, by an operation that was not refused."""
    appended = {(key, value): one for one in history for key, value in one.appends.items()}
    for key, values in final.items():
        if len(set(values)) != len(values):
            raise Violation(f"{key} holds a value twice")
        for value in values:
            writer = appended.get((key, value))
            if writer is None:
                raise Violation(f"nobody appended {value} to {key}")
            if writer.outcome == "refused":
                raise Violation(f"{writer.name} was refused, but {key} holds {value}")


def _happened(one: Operation, final: Versions) -> bool:
    """Whether the operation happened; Violation when it did by half, or was acknowledged and is not there."""
    there = [value in final.get(key, ()) for key, value in one.appends.items()]
    if one.outcome == "done" and not all(there):
        raise Violation(f"{one.name} was acknowledged and is lost")
    if any(there) and not all(there):
        raise Violation(f"{one.name} happened by half")
    # What was refused has read all the same; an unknown read told nothing.
    return one.outcome != "unknown" or (bool(there) and all(there))


def _check_reads(happened: Sequence[Operation], final: Versions) -> None:
    for one in happened:
        for key, values in one.reads.items():
            if list(values) != list(final.get(key, ()))[: len(values)]:
                raise Violation(f"{one.name} read a list of {key} that never was")
        for key, length in one.lengths.items():
            if length > len(final.get(key, ())):
                raise Violation(f"{one.name} found {key} longer than it became")


def _data_edges(happened: Sequence[Operation], final: Versions) -> Iterator[tuple[str, str]]:
    writers = {(key, value): one.name for one in happened if one.outcome != "refused" for key, value in one.appends.items()}
    by_version = {key: [writers[key, value] for value in values] for key, values in final.items()}
    for order in by_version.values():
        yield from itertools.pairwise(order)
    for one in happened:
        for key, length in [*((key, len(values)) for key, values in one.reads.items()), *one.lengths.items()]:
            order = by_version.get(key, [])
            if length:
                yield order[length - 1], one.name
            if length < len(order):
                yield one.name, order[length]


def _time_edges(happened: Sequence[Operation]) -> Iterator[tuple[str, str]]:
    """Who was answered before another began: a chain of moments stands between them, so that the edges are few."""
    moments: list[tuple[float, int, Operation]] = []
    for one in happened:
        moments.append((one.invoked_seconds, 0, one))
        if one.outcome != "unknown":
            moments.append((one.answered_seconds, 1, one))
    last = "time 0"
    for number, (_, answered, one) in enumerate(sorted(moments, key=lambda moment: moment[:2]), 1):
        if not answered:
            yield last, one.name
            continue
        now = f"time {number}"
        yield last, now
        yield one.name, now
        last = now


def _cycle(followers: Mapping[str, set[str]]) -> list[str]:
    """A cycle of the graph; empty without any."""
    waits = dict.fromkeys(followers, 0)
    for name in itertools.chain.from_iterable(followers.values()):
        waits[name] = waits.get(name, 0) + 1
    free = [name for name, count in waits.items() if not count]
    while free:
        name = free.pop()
        del waits[name]
        for after in followers.get(name, ()):
            waits[after] -= 1
            if not waits[after]:
                free.append(after)
    if not waits:
        return []
    # Each that is left has one before it that is left too: going back must come to a place twice.
    before = {after: name for name in waits for after in followers.get(name, ()) if after in waits}
    path, seen = next(iter(waits)), dict[str, int]()
    walked: list[str] = []
    while path not in seen:
        seen[path] = len(walked)
        walked.append(path)
        path = before[path]
    return [*walked[seen[path] :], path][::-1]


def from_record(record: Mapping[str, object]) -> Operation:
    """An operation as a client wrote it down."""
    one = Operation(**record)  # type: ignore[arg-type]
    return one if one.outcome != "unknown" else replace(one, answered_seconds=math.inf, reads={})
