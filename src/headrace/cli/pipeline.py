"""The pipeline as a person sees it: what the server says of its links, put together into trees of named things."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from headrace.kit.things import Thing, thing

_QUIET_STATES = frozenset({"active", "enabled", "running"})
BEHIND_SHOWN_SECONDS = 1.0


class Link(NamedTuple):
    """A link to the next thing: how, what is to be said of it, and what is wrong with it."""

    by: str
    remarks: Sequence[str]
    problem: str
    target: "Node"


class Node(NamedTuple):
    """A thing in the tree, what it calls (functions do), and where things go from it. `again`: its links stand above."""

    thing: Thing
    calls: Mapping[str, int]
    links: list[Link]
    again: bool = False


def trees(
    flows: Sequence[Mapping[str, Any]], calls: Mapping[str, Mapping[str, int]], home: tuple[str, str] = ("", "")
) -> list[Node]:
    """The pipelines, each from where it begins. What is reached twice is shown whole once."""
    outgoing: dict[Thing, list[tuple[Mapping[str, Any], Thing]]] = {}
    reached: set[Thing] = set()
    for flow in flows:
        source, target = thing(flow["source"], home), thing(flow["target"], home)
        outgoing.setdefault(source, []).append((flow, target))
        if source != target:
            reached.add(target)
    by_function = _by_function(calls)
    shown: set[Thing] = set()

    def node(at: Thing) -> Node:
        links: list[Link] = []
        named = by_function.get(at.name.partition(":")[0], {}) if at.kind == "function" else {}
        if at in shown:
            return Node(at, {}, [], again=at in outgoing)
        shown.add(at)
        for flow, target in outgoing.get(at, ()):
            links.append(Link(flow["by"], list(_remarks(flow)), flow["problem"], node(target)))
        return Node(at, named, links)

    # First what nothing leads to; then what is left: rings.
    found = [node(at) for at in outgoing if at not in reached]
    return found + [node(at) for at in outgoing if at not in shown]


def _by_function(calls: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Calls by the name of a session, which for a function's role is the function's."""
    found: dict[str, dict[str, int]] = {}
    for arn, operations in calls.items():
        counts = found.setdefault(arn.rpartition("/")[2], {})
        for operation, count in operations.items():
            counts[operation] = counts.get(operation, 0) + count
    return found


def _remarks(flow: Mapping[str, Any]) -> Iterator[str]:
    if flow["state"] not in _QUIET_STATES:
        yield str(flow["state"])
    if flow["waiting"]:
        yield f"{flow['waiting']:,} wait"
    behind = flow["behind_seconds"]
    if behind is not None and behind >= BEHIND_SHOWN_SECONDS:
        yield f"{duration(behind)} behind"
    elif behind is not None and not flow["waiting"] and flow["state"] in _QUIET_STATES:
        yield "up to date"


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    whole = round(seconds)
    for size, unit, smaller, name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
