"""How records flow through applications: from their inputs, and to their outputs."""

from collections.abc import Iterator, Sequence

from headrace.operation import Context
from headrace.ports import Flow, Scope
from headrace.services.analytics import configuration, inputs, state
from headrace.services.analytics.state import Application


class Links:
    """The links that Analytics keeps."""

    def flows(self, scope: Scope) -> Sequence[Flow]:
        """The inputs and outputs of SQL applications. What a Flink application reads is in its code."""
        assert isinstance(scope, Context)
        ctx = scope
        found = ctx.snapshot(lambda inner: list(state.APPLICATIONS.scan(inner.tx)))
        return [flow for (account, region, _), row in found for flow in _of(ctx.at(str(account), str(region)), row)]


def _of(ctx: Context, application: Application) -> Iterator[Flow]:
    status = application.status.lower()
    behind = inputs.behind_seconds(ctx, application) if application.inputs else {}
    for part in application.inputs:
        _, arn = configuration.source_of(part)
        yield Flow(
            arn, application.arn, "SQL input", status, behind.get(part["InputId"]), problem=application.problem
        )  # fmt: skip
    for part in application.outputs:
        _, arn = configuration.target_of(part)
        yield Flow(application.arn, arn, f"SQL output {part['Name']}", status)
