"""Which system tables exist, and the view in schema headrace that stands for each (catalog.sql)."""

PREFIXES = ("pg_", "svv_", "svl_", "svcs_", "stl_", "stv_", "sys_")

_PG = frozenset(
    [
        "pg_class",
        "pg_namespace",
        "pg_attribute",
        "pg_type",
        "pg_index",
        "pg_constraint",
        "pg_proc",
        "pg_description",
        "pg_database",
        "pg_user",
        "pg_roles",
        "pg_group",
        "pg_tables",
        "pg_views",
        "pg_attrdef",
        "pg_settings",
        "pg_am",
        "pg_collation",
        "pg_inherits",
        "pg_language",
        "pg_auth_members",
        "pg_depend",
        "pg_shdescription",
        "pg_trigger",
        "pg_stat_activity",
        "pg_table_def",
        "pg_tablespace",
        "pg_policy",
        "pg_publication",
        "pg_statistic_ext",
        "pg_foreign_table",
        "pg_range",
        "pg_enum",
        "pg_indexes",
        "pg_matviews",
        "pg_user_info",
        "pg_external_schema",
        "pg_authid",
        "pg_shadow",
        "pg_foreign_server",
        "pg_event_trigger",
    ]
)
_SYSTEM = frozenset(
    [
        "svv_tables",
        "svv_columns",
        "svv_table_info",
        "svv_all_tables",
        "svv_all_columns",
        "svv_all_schemas",
        "svv_redshift_tables",
        "svv_redshift_columns",
        "svv_redshift_schemas",
        "svv_redshift_databases",
        "svv_external_schemas",
        "svv_external_tables",
        "svv_external_columns",
        "svv_external_databases",
        "stl_load_errors",
        "sys_load_error_detail",
        "stl_load_commits",
        "sys_load_history",
        "stl_query",
        "sys_query_history",
        "stv_sessions",
        "stv_recents",
        "svv_user_info",
        "svv_diskusage",
        "stl_connection_log",
        "stv_tbl_perm",
        "svv_mv_info",
        "stv_mv_info",
    ]
)
_INFORMATION = frozenset(["tables", "columns", "schemata", "views", "table_constraints", "key_column_usage", "character_sets"])


def internal(schema: str, name: str) -> str | None:
    """The view behind a system table, or None when the name is no system table's."""
    if schema == "information_schema":
        return f"information_{name}" if name in _INFORMATION else None
    if schema in ("", "pg_catalog") and name in _PG | _SYSTEM:
        return name
    return None
