"""How messages flow out of queues: to those of their dead letters."""

from collections.abc import Sequence

from headrace.operation import Context
from headrace.ports import Flow, Scope
from headrace.services.sqs import rules, state


class Links:
    """The links that SQS keeps."""

    def flows(self, scope: Scope) -> Sequence[Flow]:
        """Where queues put what nobody can handle."""
        assert isinstance(scope, Context)
        return scope.snapshot(_dead_letters)


def _dead_letters(ctx: Context) -> list[Flow]:
    found = []
    for _, queue in state.QUEUES.scan(ctx.tx):
        redrive = rules.redrive(queue.attributes.get("RedrivePolicy"))
        if redrive is not None:
            found.append(Flow(queue.arn, redrive.target_arn, f"after {redrive.receives_max} receipts"))
    return found
