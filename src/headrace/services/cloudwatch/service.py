"""The door of CloudWatch: its model, and the port through which services count."""

from headrace.operation import Context, Service
from headrace.services.cloudwatch.aggregator import Aggregator
from headrace.services.cloudwatch.workers import workers
from headrace.workers import Runner


class _Metrics(Aggregator):
    """The port `Metrics` of one server, which keeps what is pending when the server stops."""

    def __init__(self) -> None:
        super().__init__()
        self._ctx: Context | None = None

    def start(self, ctx: Context, runner: Runner) -> None:
        """Remember how to write at the end."""
        self._ctx = ctx

    def stop(self) -> None:
        """Keep what is pending."""
        if self._ctx is not None:
            self.flush(self._ctx.transact, self._ctx.clock.now())


METRICS = _Metrics()

SERVICE = Service(
    models=("cloudwatch",),
    operations="headrace.services.cloudwatch.operations",
    offers={"metrics": METRICS},
    workers=workers(METRICS),
    on_start=METRICS.start,
    on_stop=METRICS.stop,
)
