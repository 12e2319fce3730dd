"""What runs by itself: warehouses that should run do, statements that were left are ended, old ones are forgotten."""

import logging
from functools import partial

from headrace.operation import Context
from headrace.services.redshift import limits, state
from headrace.services.redshift.running import EXECUTOR, finish
from headrace.services.redshift.state import CLUSTERS_TOPIC, Cluster
from headrace.services.redshift.supervisor import SUPERVISOR
from headrace.workers import Worker

log = logging.getLogger(__name__)
KEEP_RUNNING_SECONDS = 1.0
FORGET_SECONDS = 600.0
FORGET_AT_ONCE = 200


def keep_running(ctx: Context) -> float | None:
    """Start every available cluster whose process does not run."""

    def clusters(inner: Context) -> list[tuple[str, str, Cluster]]:
        return [(str(key[0]), str(key[1]), cluster) for key, cluster in state.CLUSTERS.scan(inner.tx)]

    found = ctx.snapshot(clusters)
    for account, region, cluster in found:
        if cluster.status == "available" and SUPERVISOR.process_id(cluster) is None:
            try:
                SUPERVISOR.channel(ctx.at(account=account, region=region), cluster)
            except ConnectionError as error:
                log.warning("%s", error)
    return KEEP_RUNNING_SECONDS if found else None


def take_up_statements(ctx: Context) -> float | None:
    """Run the statements that a server left before they began; those that it left running have failed."""

    def left(inner: Context) -> list[tuple[str, state.Waiting]]:
        return [(str(key[0]), row) for key, row in state.QUEUE.scan(inner.tx, limit=1000)]

    for statement_id, row in ctx.snapshot(left):
        here = ctx.at(account=row.account, region=row.region)
        if EXECUTOR.holds(statement_id):
            continue
        statement = here.snapshot(partial(_statement, statement_id))
        if statement is not None and statement.status == "SUBMITTED":
            EXECUTOR.submit(here, statement_id)
        elif statement is not None:
            here.transact(partial(_interrupted, statement_id))
    return None


def _statement(statement_id: str, ctx: Context) -> state.Statement | None:
    return state.STATEMENTS.get(ctx.tx, ctx.account, ctx.region, statement_id)


def _interrupted(statement_id: str, ctx: Context) -> None:
    message = "The statement was interrupted by a restart of the server; whether it was committed is not known."
    finish(ctx, statement_id, "FAILED", message, [])


def forget_old_statements(ctx: Context) -> float | None:
    """Remove statements, and their rows, a day after they were made."""
    horizon = -int((ctx.clock.now() - limits.STATEMENT_KEPT_SECONDS) * 1000)

    def forget(inner: Context) -> list[str]:
        blobs: list[str] = []
        for key, _ in list(state.ORDER.scan(inner.tx)):
            account, region, order, statement_id = key
            if int(str(order)) <= horizon or len(blobs) > FORGET_AT_ONCE:
                continue
            statement = state.STATEMENTS.get(inner.tx, account, region, statement_id)
            if statement is not None:
                blobs += [sub.result for sub in statement.subs if sub.result]
                if statement.request:
                    state.TOKENS.delete(inner.tx, account, region, statement.request)
            state.STATEMENTS.delete(inner.tx, account, region, statement_id)
            state.ORDER.delete(inner.tx, *key)
        return blobs

    for blob in ctx.transact(forget):
        ctx.blobs.delete(blob)
    return FORGET_SECONDS


WORKERS = (
    Worker("redshift-warehouses", keep_running, (CLUSTERS_TOPIC,)),
    Worker("redshift-statements", take_up_statements),
    Worker("redshift-forget", forget_old_statements),
)
