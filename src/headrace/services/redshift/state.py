"""What Redshift keeps in the store; rows of tables are in the warehouse's own files.

("redshift", "cluster", account, region, identifier)            → Cluster
("redshift", "temporary", account, region, identifier, user, n) → Temporary: a password that GetClusterCredentials gave
("redshift", "statement", account, region, id)                  → Statement of the Data API; its rows lie in a blob
("redshift", "order", account, region, -created ms, id)         → nothing: statements, the newest first
("redshift", "token", account, region, client token)            → the id of the statement that it made
("redshift", "queue", id)                                       → Waiting: statements that have not ended
"""

from typing import Any

import msgspec

from headrace.kit import arn as arns
from headrace.layers.records import Records
from headrace.services.redshift import errors
from headrace.store.api import ReadTransaction, Transaction

FINAL = ("FINISHED", "FAILED", "ABORTED")


class Cluster(msgspec.Struct, omit_defaults=True):
    """A cluster. `folder` names its files and is never used twice."""

    identifier: str
    folder: str
    database: str
    node_type: str
    nodes: int
    master: str
    master_hash: str
    port: int
    created_at: float
    status: str = "available"
    namespace: str = ""
    roles: list[str] = []
    default_role: str = ""
    settings: dict[str, Any] = {}


class Temporary(msgspec.Struct):
    """A temporary password's hash."""

    hashed: str
    expires_at: float


class Sub(msgspec.Struct, omit_defaults=True):
    """One SQL text of a statement, and what became of it."""

    sql: str
    status: str = "SUBMITTED"
    error: str = ""
    rows: int = -1
    size: int = 0
    result: str = ""
    has_result: bool = False
    updated_at: float = 0.0


class Statement(msgspec.Struct, omit_defaults=True):
    """A statement of the Data API."""

    id: str
    cluster: str
    database: str
    user: str
    subs: list[Sub]
    created_at: float
    updated_at: float
    status: str = "SUBMITTED"
    name: str = ""
    batch: bool = False
    error: str = ""
    duration_ns: int = 0
    parameters: list[dict[str, str]] = []
    format: str = "JSON"
    request: str = ""


class Waiting(msgspec.Struct):
    """Where a statement that has not ended lies."""

    account: str
    region: str


CLUSTERS = Records(("redshift", "cluster"), Cluster)
TEMPORARY = Records(("redshift", "temporary"), Temporary)
STATEMENTS = Records(("redshift", "statement"), Statement)
ORDER = Records(("redshift", "order"), bool)
TOKENS = Records(("redshift", "token"), str)
QUEUE = Records(("redshift", "queue"), Waiting)
CLUSTERS_TOPIC = b"redshift:clusters"


def cluster_arn(account: str, region: str, identifier: str) -> str:
    """The ARN of a cluster."""
    return arns.arn("redshift", region, account, f"cluster:{identifier}")


def find(tx: ReadTransaction, account: str, region: str, identifier: str) -> Cluster:
    """A cluster by its identifier; ClusterNotFoundFault."""
    cluster = CLUSTERS.get(tx, account, region, identifier.lower())
    if cluster is None:
        raise errors.cluster_not_found(identifier)
    return cluster


def save(tx: Transaction, account: str, region: str, cluster: Cluster) -> None:
    """Write a cluster's row."""
    CLUSTERS.put(tx, cluster, account, region, cluster.identifier)
    tx.announce(CLUSTERS_TOPIC)


def find_statement(tx: ReadTransaction, account: str, region: str, statement_id: str) -> tuple[Statement, int | None]:
    """A statement by its id, or by the id of a part of it (id:1): (statement, part); ResourceNotFoundException."""
    whole, _, part = statement_id.partition(":")
    statement = STATEMENTS.get(tx, account, region, whole)
    if statement is None or (part and not (part.isdigit() and 1 <= int(part) <= len(statement.subs))):
        raise errors.statement_not_found(statement_id)
    return statement, int(part) - 1 if part else None
