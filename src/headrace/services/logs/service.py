"""The door of CloudWatch Logs, and how functions and deliveries write to it."""

from collections.abc import Sequence

from headrace.operation import Service
from headrace.ports import Scope
from headrace.services.logs import limits, state, workers


class LogWriter:
    """The port `Logs`."""

    def put(self, scope: Scope, group: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        """Append (epoch milliseconds, text) to a log stream, durable on return; group and stream are made when missing.

        Empty texts are left out, as AWS has none; longer ones than an event may have are cut off.
        """
        given = [(at, text[: limits.EVENT_MAX_BYTES]) for at, text in events if text]

        def body(inner: Scope) -> None:
            if state.GROUPS.get(inner.tx, inner.account, inner.region, group) is None:
                state.put_group(inner, state.Group(group, inner.clock.now_ms()))
            row = state.STREAMS.get(inner.tx, inner.account, inner.region, group, stream)
            state.append(inner, group, row or state.create_stream(inner, group, stream), given)

        scope.transact(body)


SERVICE = Service(
    models=("logs",),
    operations="headrace.services.logs.operations",
    offers={"logs": LogWriter()},
    workers=workers.WORKERS,
)
