"""The door of SQS, and what it offers to other services."""

from collections.abc import Mapping

from headrace.operation import Service
from headrace.ports import Scope
from headrace.services.sqs import access, flows, sending, state, workers


class QueueSink:
    """Puts messages into queues of the scope's account. The attributes become message attributes of type String."""

    def send(self, scope: Scope, arn: str, body: bytes, *, attributes: Mapping[str, str] | None = None) -> None:
        """Put the message into the queue; with the running transaction, when there is one. LookupError: no such queue."""
        given = {name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items() if value}
        text = body.decode("utf-8", "replace")
        scope.transact(lambda inner: sending.send(inner, state.by_arn(inner, arn), text, given))


SERVICE = Service(
    models=("sqs",),
    operations="headrace.services.sqs.operations",
    offers={"sinks.sqs": QueueSink(), "policies.sqs": access.QueuePolicies(), "flows.sqs": flows.Links()},
    workers=workers.WORKERS,
)
