"""The door of Firehose, and what it offers to other services."""

from collections.abc import Mapping, Sequence

from headrace.kit import arn as arns
from headrace.kit.errors import AccessDeniedException
from headrace.operation import Service
from headrace.ports import Scope
from headrace.services.firehose import buffer, flows, state, taps, workers


class DeliveryStreamSink:
    """Puts messages into the buffer of delivery streams, by ARN."""

    def send(self, scope: Scope, arn: str, body: bytes, *, attributes: Mapping[str, str] | None = None) -> None:
        """Put the message as a record; with the running transaction, when there is one."""
        self.send_all(scope, arn, (body,))

    def send_all(self, scope: Scope, arn: str, bodies: Sequence[bytes], *, partition_keys: Sequence[str] | None = None) -> None:
        """Put the messages as records, in their order; with the running transaction, when there is one."""
        where = arns.parse(arn)
        if where.account != scope.account:
            raise AccessDeniedException(f"{scope.principal.arn} is not authorized to access {arn}")
        name = where.resource.removeprefix("deliverystream/")

        def put(inner: Scope) -> None:
            target = state.target(inner.tx, where.account, where.region, name)
            now_ms = inner.clock.now_ms()
            for body in bodies:
                buffer.append(inner.tx, target, body, now_ms)

        scope.transact(put)


DELIVERY_STREAM_SINK = DeliveryStreamSink()

SERVICE = Service(
    models=("firehose",),
    operations="headrace.services.firehose.operations",
    offers={
        "sinks.firehose": DELIVERY_STREAM_SINK,
        "batch_sinks.firehose": DELIVERY_STREAM_SINK,
        "taps.firehose": taps.Tap(),
        "flows.firehose": flows.Links(),
    },
    on_start=workers.start,
)
