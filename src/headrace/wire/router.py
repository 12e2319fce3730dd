"""Which operation of a REST service a method, path, query and headers name."""

import re
from collections.abc import Mapping
from functools import cache
from urllib.parse import unquote

import msgspec

from headrace.wire import models
from headrace.wire.models import OperationModel


class _Candidate(msgspec.Struct, frozen=True):
    """An operation, and what beside its path must be there for it."""

    operation: OperationModel
    literals: tuple[tuple[str, str | None], ...]  # query: ?uploads is ("uploads", None), ?list-type=2 has a value
    required_query: tuple[str, ...]
    required_headers: tuple[str, ...]
    x_id: str | None

    @property
    def rank(self) -> tuple[int, int, bool]:
        # Where nothing else tells two apart (?x-id= says it, if it is there), the plainer one that is not deprecated is meant.
        wanted = len(self.required_query) + len(self.required_headers)
        return (-len(self.literals), -wanted, self.x_id is not None or self.operation.deprecated)

    def literals_match(self, query: Mapping[str, str]) -> bool:
        return all(name in query and (value is None or query[name] == value) for name, value in self.literals)

    def required_match(self, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        return all(name in query for name in self.required_query) and all(name in headers for name in self.required_headers)


class _Route(msgspec.Struct, frozen=True):
    """One path pattern of one method, with the operations that share it."""

    segments: tuple[str, ...]
    labels: tuple[str | None, ...]  # the label's name, or None where the segment stands as written
    greedy: bool
    candidates: tuple[_Candidate, ...]

    def match(self, parts: list[str]) -> dict[str, str] | None:
        """The labels' values (still encoded), or None if the path is another."""
        count = len(self.segments)
        if len(parts) != count and not (self.greedy and len(parts) > count):
            return None
        found: dict[str, str] = {}
        for at, label in enumerate(self.labels):
            if label is None:
                if parts[at] != self.segments[at]:
                    return None
            elif self.greedy and at == count - 1:
                found[label] = "/".join(parts[at:])
            else:
                found[label] = parts[at]
        return found if all(found.values()) else None


class Router:
    """The routes of one service."""

    def __init__(self, service: models.ServiceModel) -> None:
        grouped: dict[tuple[str, str], list[_Candidate]] = {}
        for operation in service.operations.values():
            path, _, query = operation.uri.partition("?")
            grouped.setdefault((operation.method, path), []).append(_candidate(operation, query))
        self._routes: dict[str, list[_Route]] = {}
        for (method, path), candidates in grouped.items():
            self._routes.setdefault(method, []).append(_route(path, candidates))
        for routes in self._routes.values():
            # What stands as written goes before labels, and labels before greedy ones.
            routes.sort(key=lambda route: (route.greedy, [label is not None for label in route.labels]))

    def match(
        self, method: str, raw_path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[OperationModel, dict[str, str]] | None:
        """The operation and its labels, or None if the service has none for this request."""
        parts = raw_path.split("/")[1:]
        trimmed = _without_last_slash(parts)
        for route in self._routes.get(method, ()):
            # A slash at the end belongs to a greedy label (an object's key), and says nothing elsewhere.
            labels = route.match(parts if route.greedy else trimmed)
            if labels is not None:
                operation = _choose(route.candidates, query, headers)
                if operation is not None:
                    return operation, {name: unquote(value) for name, value in labels.items()}
        return None


@cache
def router(service_name: str) -> Router:
    """The service's router, built at its first use."""
    return Router(models.service(service_name))


def _without_last_slash(parts: list[str]) -> list[str]:
    return parts[:-1] if len(parts) > 1 and not parts[-1] else parts


def _candidate(operation: OperationModel, query: str) -> _Candidate:
    literals: list[tuple[str, str | None]] = []
    x_id = None
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if name == "x-id":
            x_id = value
        else:
            literals.append((name, value if equals else None))
    shape = operation.input
    required = [(name, shape.members[name]) for name in shape.required] if shape else []
    return _Candidate(
        operation,
        tuple(literals),
        tuple(member.wire_name(name) for name, member in required if member.location == "querystring"),
        tuple(member.wire_name(name).lower() for name, member in required if member.location == "header"),
        x_id,
    )


def _route(path: str, candidates: list[_Candidate]) -> _Route:
    segments = tuple(_without_last_slash(path.split("/")[1:]))
    labels = []
    for segment in segments:
        found = re.fullmatch(r"\{([^}+]+)\+?\}", segment)
        labels.append(found.group(1) if found else None)
    ordered = tuple(sorted(candidates, key=lambda candidate: candidate.rank))
    return _Route(segments, tuple(labels), path.endswith("+}"), ordered)


def _choose(candidates: tuple[_Candidate, ...], query: Mapping[str, str], headers: Mapping[str, str]) -> OperationModel | None:
    """Of the operations on one path, the one whose literals are the most that the query has; then by required members."""
    if len(candidates) == 1 and not candidates[0].literals:
        return candidates[0].operation
    fitting = [candidate for candidate in candidates if candidate.literals_match(query)]
    if not fitting:
        return None
    most = len(fitting[0].literals)
    fitting = [candidate for candidate in fitting if len(candidate.literals) == most]
    x_id = query.get("x-id")
    if x_id is not None:
        named = next((candidate for candidate in fitting if candidate.operation.name == x_id), None)
        if named is not None and named.required_match(query, headers):
            return named.operation
    for candidate in fitting:
        if candidate.required_match(query, headers):
            return candidate.operation
    return fitting[-1].operation
