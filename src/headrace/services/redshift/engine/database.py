"""One DuckDB file: opening it, closing every door out of it, and the schemas that every database has."""

import hashlib
import threading
from importlib.resources import files
from pathlib import Path

import duckdb

from headrace.services.redshift.engine.catalog_names import CATALOG_SQL

_PACKAGE = "headrace.services.redshift.engine"
_SETTINGS = (
    "set timezone = 'UTC'",
    "set integer_division = true",
    "set default_null_order = 'nulls_last_on_asc_first_on_desc'",
    "set python_enable_replacements = false",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set allow_community_extensions = false",
    "set preserve_insertion_order = true",
)


class Database:
    """A database of the cluster. Sessions take a cursor each; DuckDB gives every cursor its own transaction."""

    def __init__(self, path: Path, staging: Path, *, memory_limit_mb: int, threads: int) -> None:
        self.path = path
        self.staging = staging
        self._lock = threading.Lock()
        staging.mkdir(parents=True, exist_ok=True)
        self._root = duckdb.connect(str(path))
        self._prepare(memory_limit_mb, threads)

    def _prepare(self, memory_limit_mb: int, threads: int) -> None:
        for statement in (*_SETTINGS, f"set memory_limit = '{memory_limit_mb}MB'", f"set threads = {threads}"):
            self._root.execute(statement)
        self._root.execute("set temp_directory = ?", [str(self.staging / "spill")])
        self._bootstrap()
        # From here on no statement reaches a file outside the staging folder, and no setting can be changed back.
        self._root.execute("set allowed_directories = ?", [[str(self.staging)]])
        self._root.execute("set enable_external_access = false")
        self._root.execute("set lock_configuration = true")

    def _bootstrap(self) -> None:
        macros = files(_PACKAGE).joinpath("macros.sql").read_text()
        wanted = hashlib.sha256((macros + CATALOG_SQL + duckdb.__version__).encode()).hexdigest()
        self._root.execute("create schema if not exists headrace")
        self._root.execute("create table if not exists headrace.edition (digest varchar)")
        if self._root.execute("select digest from headrace.edition").fetchone() == (wanted,):
            return
        self._root.execute("begin")
        self._root.execute("create schema if not exists public")
        self._root.execute("create schema if not exists headrace_functions")
        self._root.execute(macros)
        self._root.execute(CATALOG_SQL)
        self._root.execute("delete from headrace.edition")
        self._root.execute("insert into headrace.edition values (?)", [wanted])
        self._root.execute("commit")

    def tell(self, users: list[str], master: str, databases: list[str]) -> None:
        """Who may connect and what databases there are, for the system tables."""
        with self._lock:
            connection = self._root.cursor()
        connection.execute("begin")
        connection.execute("delete from headrace.users")
        connection.executemany("insert into headrace.users values (?, ?)", [[name, name == master] for name in users])
        connection.execute("delete from headrace.databases")
        connection.executemany("insert into headrace.databases values (?)", [[name] for name in databases])
        connection.execute("commit")
        connection.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own, in schema public."""
        with self._lock:
            connection = self._root.cursor()
        connection.execute("set schema = 'public'")
        return connection

    def close(self) -> None:
        """Write the log into the file and let it go."""
        self._root.execute("checkpoint")
        self._root.close()
