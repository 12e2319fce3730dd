"""Counts what passes through the gateway, for `headrace status`."""

import time

from headrace.wire.models import OperationModel

# Sessions have names of their own; those of functions have the functions'.
CALLS_COUNTED_MAX = 10_000


class Counters:
    """Requests and errors by service and operation since the start."""

    def __init__(self) -> None:
        self.started_at = time.time()
        self._requests: dict[int, int] = {}
        self._errors: dict[tuple[int, int], int] = {}
        self._operations: dict[int, OperationModel] = {}
        self._calls: dict[tuple[str, int], int] = {}

    def count(self, operation: OperationModel, status: int) -> None:
        """Count one answer of an operation."""
        key = id(operation)
        count = self._requests.get(key)
        if count is None:
            self._operations[key] = operation
            count = 0
        self._requests[key] = count + 1
        if status >= 400:
            self._errors[key, status] = self._errors.get((key, status), 0) + 1

    def count_call(self, caller_arn: str, operation: OperationModel) -> None:
        """Count a request that a role's session makes: what a function does, among others."""
        key = (caller_arn, id(operation))
        if key not in self._calls and len(self._calls) >= CALLS_COUNTED_MAX:
            return
        self._operations[id(operation)] = operation
        self._calls[key] = self._calls.get(key, 0) + 1

    def calls(self) -> dict[str, dict[str, int]]:
        """What sessions of roles asked for, by their ARN and "service.Operation"."""
        found: dict[str, dict[str, int]] = {}
        for (caller_arn, operation), count in list(self._calls.items()):
            found.setdefault(caller_arn, {})[self._name(operation)] = count
        return found

    def requests(self) -> dict[str, int]:
        """How many requests each operation had, by "service.Operation"."""
        return {self._name(key): count for key, count in list(self._requests.items())}

    def errors(self) -> dict[str, int]:
        """How many errors each operation answered, by "service.Operation status"."""
        return {f"{self._name(key)} {status}": count for (key, status), count in list(self._errors.items())}

    def _name(self, key: int) -> str:
        operation = self._operations[key]
        return f"{operation.service.name}.{operation.name}"
