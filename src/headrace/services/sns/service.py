"""The door of SNS, and what it offers to other services."""

from collections.abc import Mapping

from headrace.operation import Context, Service
from headrace.ports import Scope
from headrace.services.sns import access, flows, publishing, state


class TopicSink:
    """Publishes messages to topics of the scope's account. The attributes become message attributes of type String."""

    def send(self, scope: Scope, arn: str, body: bytes, *, attributes: Mapping[str, str] | None = None) -> None:
        """Publish the message; with the running transaction, when there is one. LookupError: no such topic."""
        assert isinstance(scope, Context)
        given = {name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items() if value}

        def publish(inner: Context) -> None:
            topic = state.find(inner, arn)
            message = publishing.read(inner, {"Message": body.decode("utf-8", "replace"), "MessageAttributes": given})
            publishing.deliver(inner, topic, message)

        scope.transact(publish)


SERVICE = Service(
    models=("sns",),
    operations="headrace.services.sns.operations",
    offers={"sinks.sns": TopicSink(), "policies.sns": access.TopicPolicies(), "flows.sns": flows.Links()},
)
