"""Counts what passes through the gateway, for `headrace status`."""

import time


class Counters:
    """Requests and errors by service and operation since the start."""

    def __init__(self) -> None:
        self.started_at = time.time()
        self.requests: dict[str, int] = {}
        self.errors: dict[str, int] = {}

    def count(self, operation: str, status: int) -> None:
        """Count one answer of an operation (`service.Operation`)."""
        self.requests[operation] = self.requests.get(operation, 0) + 1
        if status >= 400:
            key = f"{operation} {status}"
            self.errors[key] = self.errors.get(key, 0) + 1
