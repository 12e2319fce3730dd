"""Operations on statements."""

import csv
import io
import re
from typing import Any

import msgspec

from headrace.operation import Context, operation
from headrace.services.redshift import errors, limits, sql_text, state
from headrace.services.redshift.running import EXECUTOR, finish
from headrace.services.redshift.state import Statement, Sub
from headrace.services.redshift.supervisor import SUPERVISOR

Structure = dict[str, Any]
Parameters = list[dict[str, str]]


def _submit(
    ctx: Context, sqls: list[str], cluster_identifier: str | None, database: str | None, db_user: str | None, *,
    parameters: Parameters | None, name: str | None, client_token: str | None, result_format: str | None, batch: bool,
    wait_seconds: int | None,
) -> Structure:  # fmt: skip
    if not cluster_identifier:
        raise errors.ValidationException("ClusterIdentifier is required: there are no workgroups and no sessions here.")
    if not database:
        raise errors.ValidationException("Database is required.")
    if sum(len(sql.encode()) for sql in sqls) > limits.STATEMENT_LENGTH_BYTES:
        raise errors.ValidationException(f"The SQL text must have at most {limits.STATEMENT_LENGTH_BYTES} bytes.")
    given = parameters or []
    texts = [sql_text.numbered(sql, [parameter["name"] for parameter in given]) for sql in sqls]
    identifier = cluster_identifier.lower()

    def create(inner: Context) -> tuple[Statement, bool]:
        if client_token and (known := state.TOKENS.get(inner.tx, ctx.account, ctx.region, client_token)):
            found = state.STATEMENTS.get(inner.tx, ctx.account, ctx.region, known)
            if found is not None:
                return found, False
        cluster = state.CLUSTERS.get(inner.tx, ctx.account, ctx.region, identifier)
        if cluster is None:
            raise errors.ValidationException("Redshift endpoint doesn't exist in this region.")
        if cluster.status != "available":
            raise errors.ValidationException(f"The cluster {identifier} is {cluster.status}.")
        waiting = sum(1 for _ in state.QUEUE.scan(inner.tx, limit=limits.STATEMENTS_ACTIVE_MAX + 1))
        if waiting >= limits.STATEMENTS_ACTIVE_MAX:
            raise errors.ActiveStatementsExceededException("Active statements exceeded the allowed quota.")
        now = inner.clock.now()
        made = Statement(
            id=inner.ids.uuid(), cluster=identifier, database=database, user=db_user or _iam_user(ctx),
            subs=[Sub(text, updated_at=now) for text in texts], created_at=now, updated_at=now, name=name or "", batch=batch,
            parameters=given, format=result_format or "JSON", request=client_token or "",
        )  # fmt: skip
        state.STATEMENTS.put(inner.tx, made, ctx.account, ctx.region, made.id)
        state.ORDER.put(inner.tx, True, ctx.account, ctx.region, -int(now * 1000), made.id)
        state.QUEUE.put(inner.tx, state.Waiting(ctx.account, ctx.region), made.id)
        if client_token:
            state.TOKENS.put(inner.tx, made.id, ctx.account, ctx.region, client_token)
        return made, True

    made, new = ctx.transact(create)
    if new:
        EXECUTOR.submit(ctx, made.id)
    answer = {
        "Id": made.id,
        "CreatedAt": made.created_at,
        "ClusterIdentifier": identifier,
        "Database": database,
        "DbUser": made.user,
    }
    if wait_seconds:
        EXECUTOR.wait(made.id, min(wait_seconds, limits.WAIT_MAX_SECONDS))
        ended = ctx.snapshot(lambda inner: state.find_statement(inner.tx, ctx.account, ctx.region, made.id)[0])
        answer |= {"Status": ended.status, "HasResultSet": any(sub.has_result for sub in ended.subs)}
    return answer


def _iam_user(ctx: Context) -> str:
    return f"IAM:{re.split('[/:]', ctx.principal.arn)[-1]}"


@operation(transaction=False)
def execute_statement(
    ctx: Context,
    *,
    sql: str,
    cluster_identifier: str | None = None,
    database: str | None = None,
    db_user: str | None = None,
    statement_name: str | None = None,
    parameters: Parameters | None = None,
    client_token: str | None = None,
    result_format: str | None = None,
    wait_time_seconds: int | None = None,
) -> Structure:
    """Keep a statement durably and run it. A client token that was used before gives the statement that it made.

    Differs from AWS: no secrets, workgroups, sessions or events. The database user needs no password: who may call this may
    use the cluster.
    """
    return _submit(
        ctx, [sql], cluster_identifier, database, db_user, parameters=parameters, name=statement_name, client_token=client_token,
        result_format=result_format, batch=False, wait_seconds=wait_time_seconds,
    )  # fmt: skip


@operation(transaction=False)
def batch_execute_statement(
    ctx: Context,
    *,
    sqls: list[str],
    cluster_identifier: str | None = None,
    database: str | None = None,
    db_user: str | None = None,
    statement_name: str | None = None,
    parameters: Parameters | None = None,
    client_token: str | None = None,
    result_format: str | None = None,
    wait_time_seconds: int | None = None,
) -> Structure:
    """Run statements in their order as one transaction: all of them, or none."""
    if not 1 <= len(sqls) <= limits.BATCH_STATEMENTS_MAX:
        raise errors.ValidationException(f"There must be 1 to {limits.BATCH_STATEMENTS_MAX} statements.")
    return _submit(
        ctx, sqls, cluster_identifier, database, db_user, parameters=parameters, name=statement_name, client_token=client_token,
        result_format=result_format, batch=True, wait_seconds=wait_time_seconds,
    )  # fmt: skip


def _found(ctx: Context, statement_id: str, wait_seconds: int | None = None) -> tuple[Statement, int | None]:
    if wait_seconds:
        EXECUTOR.wait(statement_id.partition(":")[0], min(wait_seconds, limits.WAIT_MAX_SECONDS))
    return ctx.snapshot(lambda inner: state.find_statement(inner.tx, ctx.account, ctx.region, statement_id))


def _sub_shown(statement: Statement, number: int) -> Structure:
    sub = statement.subs[number]
    shown = {
        "Id": f"{statement.id}:{number + 1}", "Status": sub.status, "QueryString": sub.sql, "HasResultSet": sub.has_result,
        "ResultRows": sub.rows, "ResultSize": sub.size, "CreatedAt": statement.created_at, "UpdatedAt": sub.updated_at,
        "Duration": statement.duration_ns, "RedshiftQueryId": 0,
    }  # fmt: skip
    return {**shown, "Error": sub.error} if sub.error else shown


@operation(transaction=False)
def describe_statement(ctx: Context, *, id: str, wait_time_seconds: int | None = None) -> Structure:
    """Show what became of a statement."""
    statement, part = _found(ctx, id, wait_time_seconds)
    sub = statement.subs[part if part is not None else -1]
    answer: Structure = {
        "Id": id, "ClusterIdentifier": statement.cluster, "Database": statement.database, "DbUser": statement.user,
        "Status": statement.status, "CreatedAt": statement.created_at, "UpdatedAt": statement.updated_at,
        "Duration": statement.duration_ns, "HasResultSet": sub.has_result, "ResultRows": sub.rows, "ResultSize": sub.size,
        "QueryString": sub.sql if not statement.batch or part is not None else "", "RedshiftPid": 0, "RedshiftQueryId": 0,
        "ResultFormat": statement.format,
    }  # fmt: skip
    if statement.error:
        answer["Error"] = statement.error
    if statement.parameters:
        answer["QueryParameters"] = statement.parameters
    if statement.batch and part is None:
        answer["SubStatements"] = [_sub_shown(statement, number) for number in range(len(statement.subs))]
    return answer


def _page(ctx: Context, statement_id: str, token: str | None, wait_seconds: int | None) -> tuple[Statement, Sub, Structure, int]:
    statement, part = _found(ctx, statement_id, wait_seconds)
    if statement.status != "FINISHED":
        raise errors.ValidationException(f"Query is not finished. Current status: {statement.status}")
    if statement.batch and part is None:
        part = len(statement.subs) - 1
    sub = statement.subs[part or 0]
    if not sub.has_result:
        raise errors.ResourceNotFoundException(
            "Query does not have result. Please check query status with DescribeStatement.", statement_id
        )
    kept: Structure = msgspec.msgpack.decode(ctx.blobs.get(sub.result))
    number = int(token) if token and token.isdigit() else 0
    if token and not 0 < number < len(kept["pages"]):
        raise errors.ValidationException("The NextToken is not valid.")
    return statement, sub, kept, number


def _columns(kept: Structure) -> list[Structure]:
    shown = []
    for column in kept["columns"]:
        modifier = column["modifier"]
        decimal = column["type"] == "numeric" and modifier > 4
        shown.append(
            {
                "name": column["name"], "label": column["name"], "typeName": column["type"], "nullable": 1, "isCurrency": False,
                "isSigned": column["type"] in _SIGNED, "isCaseSensitive": column["type"] in ("varchar", "super"),
                "precision": (modifier - 4) >> 16 if decimal else _PRECISION.get(column["type"], 0),
                "scale": (modifier - 4) & 0xFFFF if decimal else 0, "length": 0, "schemaName": "", "tableName": "",
            }
        )  # fmt: skip
    return shown


_SIGNED = ("int2", "int4", "int8", "float4", "float8", "numeric")
_PRECISION = {
    "int2": 5,
    "int4": 10,
    "int8": 19,
    "float4": 8,
    "float8": 17,
    "varchar": 256,
    "bool": 1,
    "date": 13,
    "timestamp": 29,
}


def _field(text: str | None, kind: str) -> Structure:
    if text is None:
        return {"isNull": True}
    if kind in ("int2", "int4", "int8"):
        return {"longValue": int(text)}
    if kind in ("float4", "float8"):
        return {"doubleValue": float(text)}
    if kind == "bool":
        return {"booleanValue": text == "t"}
    return {"stringValue": text}


@operation(transaction=False)
def get_statement_result(
    ctx: Context, *, id: str, next_token: str | None = None, wait_time_seconds: int | None = None
) -> Structure:
    """A page of a statement's rows, as typed fields."""
    statement, sub, kept, number = _page(ctx, id, next_token, wait_time_seconds)
    if statement.format != "JSON":
        raise errors.ValidationException("The result format of this statement is CSV: use GetStatementResultV2.")
    kinds = [column["type"] for column in kept["columns"]]
    rows = msgspec.msgpack.decode(kept["pages"][number]) if kept["pages"] else []
    records = [[_field(text, kind) for text, kind in zip(row, kinds, strict=True)] for row in rows]
    answer: Structure = {"Records": records, "ColumnMetadata": _columns(kept), "TotalNumRows": sub.rows}
    return {**answer, "NextToken": str(number + 1)} if number + 1 < len(kept["pages"]) else answer


@operation(transaction=False)
def get_statement_result_v2(
    ctx: Context, *, id: str, next_token: str | None = None, wait_time_seconds: int | None = None
) -> Structure:
    """A page of a statement's rows, as CSV."""
    statement, sub, kept, number = _page(ctx, id, next_token, wait_time_seconds)
    if statement.format != "CSV":
        raise errors.ValidationException("The result format of this statement is JSON: use GetStatementResult.")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if number == 0:
        writer.writerow([column["name"] for column in kept["columns"]])
    writer.writerows(msgspec.msgpack.decode(kept["pages"][number]) if kept["pages"] else [])
    answer: Structure = {
        "Records": [{"CSVRecords": text.getvalue()}], "ColumnMetadata": _columns(kept), "TotalNumRows": sub.rows,
        "ResultFormat": "CSV",
    }  # fmt: skip
    return {**answer, "NextToken": str(number + 1)} if number + 1 < len(kept["pages"]) else answer


@operation(read_only=True, accepts=("role_level",))
def list_statements(
    ctx: Context,
    *,
    next_token: str | None = None,
    max_results: int | None = None,
    statement_name: str | None = None,
    status: str | None = None,
    database: str | None = None,
    cluster_identifier: str | None = None,
) -> Structure:
    """The statements of the last day, the newest first. Without a status: those that are FINISHED, as AWS has it."""
    limit = max_results or limits.LIST_DEFAULT
    wanted = status or "FINISHED"
    after = None
    if next_token:
        order, _, last = next_token.partition("_")
        after = (ctx.account, ctx.region, int(order), last)
    shown: list[Structure] = []
    for key, _ in state.ORDER.scan(ctx.tx, ctx.account, ctx.region, after=after):
        statement = state.STATEMENTS.get(ctx.tx, ctx.account, ctx.region, key[3])
        if statement is None or wanted not in ("ALL", statement.status):
            continue
        if not statement.name.startswith(statement_name or "") or database not in (None, statement.database):
            continue
        if cluster_identifier not in (None, statement.cluster):
            continue
        shown.append(_listed(statement))
        if len(shown) == limit:
            return {"Statements": shown, "NextToken": f"{key[2]!s}_{key[3]!s}"}
    return {"Statements": shown}


def _listed(statement: Statement) -> Structure:
    listed: Structure = {
        "Id": statement.id, "Status": statement.status, "StatementName": statement.name, "CreatedAt": statement.created_at,
        "UpdatedAt": statement.updated_at, "IsBatchStatement": statement.batch, "ResultFormat": statement.format,
    }  # fmt: skip
    if statement.batch:
        return {**listed, "QueryStrings": [sub.sql for sub in statement.subs]}
    return {**listed, "QueryString": statement.subs[0].sql}


@operation(transaction=False)
def cancel_statement(ctx: Context, *, id: str) -> Structure:
    """Stop a statement that waits or runs."""

    def look(inner: Context) -> tuple[Statement, Any]:
        statement = state.find_statement(inner.tx, ctx.account, ctx.region, id)[0]
        if statement.status in state.FINAL:
            raise errors.ValidationException(
                f"Could not cancel a query that is already in {statement.status} state with ID: {id}"
            )
        if statement.status == "SUBMITTED":
            finish(inner, statement.id, "ABORTED", "", [])
        return statement, state.CLUSTERS.get(inner.tx, ctx.account, ctx.region, statement.cluster)

    statement, cluster = ctx.transact(look)
    if statement.status == "SUBMITTED" or cluster is None:
        return {"Status": True}
    return {"Status": bool(SUPERVISOR.channel(ctx, cluster).call("cancel", run_id=statement.id, timeout_s=10.0))}
