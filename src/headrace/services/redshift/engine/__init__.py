"""The warehouse process: DuckDB behind the PostgreSQL wire protocol, in the Redshift dialect."""
