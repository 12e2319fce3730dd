"""Which system tables exist: those that catalog.sql has a view for, in schema headrace."""

import re
from importlib.resources import files

FOREIGN = ("duckdb_", "sqlite_", "pragma_")  # DuckDB's own system tables, which Redshift has not
PREFIXES = ("pg_", "svv_", "svl_", "svcs_", "stl_", "stv_", "sys_")
_INFORMATION = "information_"
CATALOG_SQL = files("headrace.services.redshift.engine").joinpath("catalog.sql").read_text()
_VIEWS = frozenset(re.findall(r"create or replace view headrace\.(\w+)", CATALOG_SQL))


def internal(schema: str, name: str) -> str | None:
    """The view behind a system table, or None when the name is no system table's."""
    if schema == "information_schema":
        return _INFORMATION + name if _INFORMATION + name in _VIEWS else None
    if schema in ("", "pg_catalog") and name.startswith(PREFIXES) and name in _VIEWS:
        return name
    return None
