"""What functions use, counted by month: the numbers of `headrace bill`.

Counts are gathered in memory and written every few seconds: a server that is killed forgets the last ones.
"""

import json
import threading
import time

from headrace.operation import Context, PageAnswer, PageRequest
from headrace.services.lambda_ import state
from headrace.services.lambda_.engine.function import Outcome
from headrace.services.lambda_.state import Usage, Version

WRITE_SECONDS = 2.0
PAGE = "/_headrace/lambda/usage"
_Key = tuple[str, str, str, str, int]


class Meter:
    """Counts invocations of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[_Key, Usage] = {}

    def count(self, ctx: Context, version: Version, outcome: Outcome) -> None:
        """One invocation that ran."""
        month = time.strftime("%Y-%m", time.gmtime(ctx.clock.now()))
        key = (month, ctx.account, ctx.region, version.name, version.memory_mib)
        with self._lock:
            usage = self._held.setdefault(key, Usage())
            usage.requests += 1
            if outcome.share is not None and not outcome.share.spilled:
                usage.provisioned_billed_ms += outcome.billed_ms
            else:
                usage.billed_ms += outcome.billed_ms
            usage.errors += outcome.error is not None
            if outcome.init_ms is not None:
                usage.starts += 1
                usage.init_ms += outcome.init_ms

    def keep(self, ctx: Context, version: Version, seconds: float) -> None:
        """So many seconds of an environment that is kept initialised (provisioned concurrency)."""
        month = time.strftime("%Y-%m", time.gmtime(ctx.clock.now()))
        with self._lock:
            key = (month, ctx.account, ctx.region, version.name, version.memory_mib)
            self._held.setdefault(key, Usage()).provisioned_seconds += seconds

    def step(self, ctx: Context) -> float:
        """Write what was counted."""
        with self._lock:
            held, self._held = self._held, {}
        if held:

            def add(inner: Context) -> None:
                for key, more in held.items():
                    kept = state.USAGES.get(inner.tx, *key) or Usage()
                    total = {field: getattr(kept, field) + getattr(more, field) for field in kept.__struct_fields__}
                    state.USAGES.put(inner.tx, Usage(**total), *key)

            ctx.transact(add)
        return WRITE_SECONDS


METER = Meter()


def page(ctx: Context, request: PageRequest) -> PageAnswer:
    """The usage of a month (`?month=2026-11`), as JSON."""
    METER.step(ctx)
    month = request.query.get("month") or time.strftime("%Y-%m", time.gmtime(ctx.clock.now()))

    def rows(inner: Context) -> list[dict[str, object]]:
        found = []
        for key, usage in state.USAGES.scan(inner.tx, month):
            account, region, name, memory_mib = key[-4:]
            fields = {field: getattr(usage, field) for field in usage.__struct_fields__}
            found.append({"function": name, "account": account, "region": region, "memory_mib": memory_mib, **fields})
        return found

    answer = {"month": month, "functions": ctx.snapshot(rows)}
    return PageAnswer(200, "application/json", json.dumps(answer).encode())
