"""What a database holds."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.redshift import errors, limits, running, state
from headrace.services.redshift.state import Cluster
from headrace.services.redshift.supervisor import SUPERVISOR

Structure = dict[str, Any]


def _cluster(ctx: Context, identifier: str | None) -> Cluster:
    if not identifier:
        raise errors.ValidationException("ClusterIdentifier is required: there are no workgroups here.")
    found = ctx.snapshot(lambda inner: state.CLUSTERS.get(inner.tx, ctx.account, ctx.region, identifier.lower()))
    if found is None or found.status != "available":
        raise errors.ValidationException("Redshift endpoint doesn't exist in this region.")
    return found


def _page(items: list[Any], next_token: str | None, max_results: int | None) -> tuple[list[Any], Structure]:
    if next_token and not next_token.isdigit():
        raise errors.ValidationException("The NextToken is not valid.")
    start, limit = int(next_token or 0), max_results or limits.LIST_DEFAULT
    end = start + limit
    return items[start:end], {"NextToken": str(end)} if end < len(items) else {}


@operation(transaction=False)
def list_databases(
    ctx: Context,
    *,
    database: str | None = None,
    cluster_identifier: str | None = None,
    db_user: str | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Structure:
    """The databases of a cluster, by name."""
    cluster = _cluster(ctx, cluster_identifier)
    try:
        names: list[str] = SUPERVISOR.channel(ctx, cluster).call("databases", timeout_s=limits.START_TIMEOUT_S)
    except (ConnectionError, TimeoutError) as error:
        raise errors.DatabaseConnectionException(str(error)) from error
    shown, more = _page(names, next_token, max_results)
    return {"Databases": shown, **more}


@operation(transaction=False)
def list_schemas(
    ctx: Context,
    *,
    database: str,
    cluster_identifier: str | None = None,
    connected_database: str | None = None,
    db_user: str | None = None,
    schema_pattern: str | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Structure:
    """The schemas of a database whose names match a LIKE pattern."""
    rows = running.table(
        ctx, _cluster(ctx, cluster_identifier), database, db_user or "data-api",
        "select schema_name from svv_all_schemas where schema_name like $1 order by 1", [schema_pattern or "%"],
    )  # fmt: skip
    shown, more = _page([row[0] for row in rows], next_token, max_results)
    return {"Schemas": shown, **more}


@operation(transaction=False)
def list_tables(
    ctx: Context,
    *,
    database: str,
    cluster_identifier: str | None = None,
    connected_database: str | None = None,
    db_user: str | None = None,
    schema_pattern: str | None = None,
    table_pattern: str | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Structure:
    """The tables and views of a database whose names match LIKE patterns."""
    rows = running.table(
        ctx, _cluster(ctx, cluster_identifier), database, db_user or "data-api",
        "select table_name, table_type, table_schema from svv_tables"
        " where table_schema like $1 and table_name like $2 order by 3, 1",
        [schema_pattern or "%", table_pattern or "%"],
    )  # fmt: skip
    kinds = {"BASE TABLE": "TABLE"}
    shown, more = _page(rows, next_token, max_results)
    return {"Tables": [{"name": name, "type": kinds.get(kind, kind), "schema": schema} for name, kind, schema in shown], **more}


@operation(transaction=False)
def describe_table(
    ctx: Context,
    *,
    database: str,
    cluster_identifier: str | None = None,
    connected_database: str | None = None,
    db_user: str | None = None,
    schema: str | None = None,
    table: str | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Structure:
    """The columns of a table."""
    rows = running.table(
        ctx, _cluster(ctx, cluster_identifier), database, db_user or "data-api",
        "select column_name, data_type, is_nullable, column_default, table_schema, table_name, character_maximum_length,"
        " numeric_precision, numeric_scale from svv_columns where table_schema like $1 and table_name like $2"
        " order by table_schema, table_name, ordinal_position",
        [schema or "%", table or "%"],
    )  # fmt: skip
    columns = []
    for name, kind, nullable, default, in_schema, in_table, length, precision, scale in rows:
        column: Structure = {
            "name": name, "label": name, "typeName": _SHORT.get(str(kind), kind),
            "nullable": 1 if nullable == "YES" else 0,
            "schemaName": in_schema, "tableName": in_table, "length": int(length or 0),
            "precision": int(precision or length or 0),
            "scale": int(scale or 0), "isCurrency": False, "isCaseSensitive": "character" in str(kind),
            "isSigned": str(kind) in _SIGNED,
        }  # fmt: skip
        columns.append({**column, "columnDefault": default} if default else column)
    shown, more = _page(columns, next_token, max_results)
    return {"TableName": table or "", "ColumnList": shown, **more}


_SHORT = {
    "character varying": "varchar", "character": "bpchar", "integer": "int4", "bigint": "int8", "smallint": "int2",
    "boolean": "bool",
    "double precision": "float8", "real": "float4", "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz", "binary varying": "varbyte",
}  # fmt: skip
_SIGNED = frozenset(("smallint", "integer", "bigint", "real", "double precision", "numeric"))
