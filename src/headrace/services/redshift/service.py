"""The door of Redshift: its two models, the loads that it offers, and the processes that it keeps."""

from headrace.operation import Context, Service
from headrace.ports import LoadFailed, LoadOutcome, Scope
from headrace.services.redshift import errors, limits, state, workers
from headrace.services.redshift.engine.control import RemoteError
from headrace.services.redshift.supervisor import SUPERVISOR
from headrace.workers import Runner


class Loader:
    """Loads for Firehose, each manifest once."""

    def load(
        self, scope: Scope, cluster: str, database: str, user: str, password: str, statement: str, manifest_id: str
    ) -> LoadOutcome:
        """Run a COPY and remember its manifest id in the same commit. LoadFailed; ConnectionError when it cannot be reached."""
        assert isinstance(scope, Context)
        try:
            found = scope.snapshot(lambda inner: state.find(inner.tx, scope.account, scope.region, cluster))
        except errors.ClusterNotFoundFault as error:
            raise LoadFailed(error.message) from error
        if found.status != "available":
            raise ConnectionError(f"the cluster {cluster} is {found.status}")
        try:
            answer = SUPERVISOR.channel(scope, found).call(
                "load", database=database, user=user, password=password, statement=statement, manifest_id=manifest_id,
                timeout_s=limits.LOAD_TIMEOUT_S,
            )  # fmt: skip
        except RemoteError as error:
            raise LoadFailed(str(error)) from error
        except TimeoutError as error:
            raise ConnectionError(f"the load took longer than {limits.LOAD_TIMEOUT_S} s") from error
        return LoadOutcome(answer["rows"], answer["repeated"])


def _start(ctx: Context, runner: Runner) -> None:
    SUPERVISOR.restart_allowed()


SERVICE = Service(
    models=("redshift", "redshift-data"),
    operations="headrace.services.redshift.operations",
    offers={"warehouse": Loader()},
    workers=workers.WORKERS,
    on_start=_start,
    on_stop=SUPERVISOR.stop_all,
)
