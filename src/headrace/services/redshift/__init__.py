"""Redshift: a columnar warehouse behind the PostgreSQL protocol and the Data API."""
