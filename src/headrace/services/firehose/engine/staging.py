"""What is written for a destination: object names and bodies, manifests, and the COPY statement."""

import gzip
import io
import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

EXTENSIONS = {"UNCOMPRESSED": "", "GZIP": ".gz", "ZIP": ".zip"}

_JDBC_URL = re.compile(r"jdbc:(?:redshift|postgresql)://(?P<cluster>[^./]+)\.[^:/]+:(?P<port>\d+)/(?P<database>[^/?]+)")


class Warehouse(NamedTuple):
    """What a JDBC URL names."""

    cluster: str
    port: int
    database: str


def parse_jdbc_url(url: str) -> Warehouse:
    """The cluster or workgroup (the first label of the host), the port and the database; ValueError."""
    match = _JDBC_URL.fullmatch(url)
    if match is None:
        raise ValueError(f"{url} is not the JDBC URL of a cluster or workgroup")
    return Warehouse(match["cluster"], int(match["port"]), match["database"])


def object_name(stream: str, version: int, at: datetime, unique: str, extension: str) -> str:
    """The name of an object behind its prefix, as AWS forms it."""
    return f"{stream}-{version}-{at:%Y-%m-%d-%H-%M-%S}-{unique}{extension}"


def object_body(records: Sequence[bytes], delimiter: bytes, compression: str) -> bytes:
    """The records one after another, each followed by the delimiter, compressed."""
    body = delimiter.join(records) + delimiter if records else b""
    if compression == "GZIP":
        # No time in the header: a repeated delivery writes the same bytes.
        return gzip.compress(body, compresslevel=6, mtime=0)
    if compression == "ZIP":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("records"), body, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()
    return body


def manifest(bucket: str, key: str) -> bytes:
    """The manifest of one staged object."""
    return msgspec.json.encode({"entries": [{"url": f"s3://{bucket}/{key}", "mandatory": True}]})


def copy_statement(table: str, columns: str, manifest_url: str, role_arn: str, options: str) -> str:
    """The COPY that loads what a manifest names. Table, columns and options are the user's own SQL."""
    target = f"{table} ({columns})" if columns.strip() else table
    statement = f"COPY {target} FROM {_quoted(manifest_url)} CREDENTIALS {_quoted('aws_iam_role=' + role_arn)} MANIFEST {options}"
    return statement.strip() + ";"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
