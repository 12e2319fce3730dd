"""Counts what passes through the gateway, for `headrace status`."""

import time

from headrace.wire.models import OperationModel


class Counters:
    """Requests and errors by service and operation since the start."""

    def __init__(self) -> None:
        self.started_at = time.time()
        self._requests: dict[int, int] = {}
        self._errors: dict[tuple[int, int], int] = {}
        self._operations: dict[int, OperationModel] = {}

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

    def requests(self) -> dict[str, int]:
        """How many requests each operation had, by "service.Operation"."""
        return {self._name(key): count for key, count in list(self._requests.items())}

    def errors(self) -> dict[str, int]:
        """How many errors each operation answered, by "service.Operation status"."""
        return {f"{self._name(key)} {status}": count for (key, status), count in list(self._errors.items())}

    def _name(self, key: int) -> str:
        operation = self._operations[key]
        return f"{operation.service.name}.{operation.name}"
