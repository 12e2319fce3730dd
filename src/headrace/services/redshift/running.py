"""Running the Data API's statements: each is in the store before it starts, and its end is too."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec

from headrace.operation import Context
from headrace.services.redshift import errors, limits, state
from headrace.services.redshift.engine.control import RemoteError
from headrace.services.redshift.state import Cluster, Statement
from headrace.services.redshift.supervisor import SUPERVISOR

log = logging.getLogger(__name__)


class Executor:
    """Runs statements on threads, a few at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(limits.STATEMENTS_AT_ONCE, thread_name_prefix="redshift-data")
        self._futures: dict[str, Future[None]] = {}
        self._guard = threading.Lock()

    def submit(self, ctx: Context, statement_id: str) -> None:
        """Run a statement that is in the store; once, however often it is submitted."""
        with self._guard:
            if statement_id in self._futures:
                return
            future = self._futures[statement_id] = self._pool.submit(self._run, ctx, statement_id)
        future.add_done_callback(lambda done: self._forget(statement_id))

    def _forget(self, statement_id: str) -> None:
        with self._guard:
            self._futures.pop(statement_id, None)

    def holds(self, statement_id: str) -> bool:
        """Whether a statement waits or runs here."""
        with self._guard:
            return statement_id in self._futures

    def wait(self, statement_id: str, seconds: float) -> None:
        """Wait for a statement's end, at most so long."""
        with self._guard:
            future = self._futures.get(statement_id)
        if future is not None:
            try:
                future.result(seconds)
            except TimeoutError:
                log.debug("the statement %s still runs", statement_id)

    def _run(self, ctx: Context, statement_id: str) -> None:
        try:
            run(ctx, statement_id)
        except Exception as error:
            log.exception("the statement %s failed here", statement_id)
            message = str(error)
            ctx.transact(lambda inner: finish(inner, statement_id, "FAILED", message, []))


EXECUTOR = Executor()


def run(ctx: Context, statement_id: str) -> None:
    """Run a statement, and keep its rows and its end."""

    def begin(inner: Context) -> tuple[Statement, Cluster | None] | None:
        statement = state.STATEMENTS.get(inner.tx, ctx.account, ctx.region, statement_id)
        if statement is None or statement.status != "SUBMITTED":
            return None
        statement.status, statement.updated_at = "STARTED", inner.clock.now()
        statement.subs[0].status = "STARTED"
        state.STATEMENTS.put(inner.tx, statement, ctx.account, ctx.region, statement_id)
        return statement, state.CLUSTERS.get(inner.tx, ctx.account, ctx.region, statement.cluster)

    begun = ctx.transact(begin)
    if begun is None:
        return
    statement, cluster = begun
    started = ctx.clock.now()
    try:
        if cluster is None or cluster.status != "available":
            raise ConnectionError(f"The cluster {statement.cluster} is not available.")
        answer = SUPERVISOR.channel(ctx, cluster).call(
            "execute", run_id=statement_id, database=statement.database, user=statement.user,
            statements=[sub.sql for sub in statement.subs], parameters=[_bound(statement.parameters)] * len(statement.subs),
            limit_bytes=limits.RESULT_SIZE_MAX_BYTES,
        )  # fmt: skip
    except RemoteError as error:
        status = "ABORTED" if error.kind == "57014" else "FAILED"
        text = f"ERROR: {error}"
        ctx.transact(lambda inner: finish(inner, statement_id, status, text, [], started))
        return
    except ConnectionError as error:
        text = f"ERROR: {error}"
        ctx.transact(lambda inner: finish(inner, statement_id, "FAILED", text, [], started))
        return
    results = [_keep(ctx, result) for result in answer["results"]]
    ctx.transact(lambda inner: finish(inner, statement_id, "FINISHED", "", results, started))


def _bound(parameters: Sequence[dict[str, str]]) -> list[str]:
    return ["'" + parameter["value"].replace("'", "''") + "'" for parameter in parameters]


def _keep(ctx: Context, result: dict[str, Any]) -> dict[str, Any]:
    if not result["has_rows"]:
        return {"count": result["count"], "size": 0, "blob": "", "has_rows": False}
    encode = msgspec.msgpack.encode
    pages = [
        encode(result["rows"][at : at + limits.RESULT_PAGE_ROWS]) for at in range(0, len(result["rows"]), limits.RESULT_PAGE_ROWS)
    ]
    reference = ctx.blobs.put(encode({"columns": result["columns"], "pages": pages}))
    return {"count": result["count"], "size": result["size"], "blob": reference.id, "has_rows": True}


def finish(
    ctx: Context, statement_id: str, status: str, error: str, results: list[dict[str, Any]], started: float | None = None
) -> None:
    """Write a statement's end, unless it has one."""
    statement = state.STATEMENTS.get(ctx.tx, ctx.account, ctx.region, statement_id)
    if statement is None or statement.status in state.FINAL:
        return
    now = ctx.clock.now()
    statement.status, statement.error, statement.updated_at = status, error, now
    statement.duration_ns = max(1, int((now - started) * 1e9)) if started is not None else -1
    for number, sub in enumerate(statement.subs):
        sub.status, sub.updated_at = status, now
        if number < len(results):
            result = results[number]
            sub.rows = -1 if result["count"] is None else result["count"]
            sub.size, sub.result, sub.has_result = result["size"], result["blob"], result["has_rows"]
        elif error:
            sub.error = error
    state.STATEMENTS.put(ctx.tx, statement, ctx.account, ctx.region, statement_id)
    state.QUEUE.delete(ctx.tx, statement_id)


def table(ctx: Context, cluster: Cluster, database: str, user: str, sql: str, parameters: list[str]) -> list[list[str | None]]:
    """The rows of a short query of our own, now; DatabaseConnectionException when the cluster cannot answer."""
    try:
        answer = SUPERVISOR.channel(ctx, cluster).call(
            "execute", run_id=ctx.ids.uuid(), database=database, user=user, statements=[sql],
            parameters=[["'" + value.replace("'", "''") + "'" for value in parameters]], limit_bytes=limits.RESULT_SIZE_MAX_BYTES,
            timeout_s=limits.START_TIMEOUT_S,
        )  # fmt: skip
    except RemoteError as error:
        raise errors.ValidationException(f"ERROR: {error}") from error
    except (ConnectionError, TimeoutError) as error:
        raise errors.DatabaseConnectionException(str(error)) from error
    rows: list[list[str | None]] = answer["results"][0]["rows"]
    return rows
