"""Decisions of the redshift API: what is valid, and how a cluster is shown."""

import re
from collections.abc import Mapping
from typing import Any

from headrace.services.redshift import errors, limits
from headrace.services.redshift.state import Cluster

_IDENTIFIER = re.compile(r"[a-z](?:[a-z0-9]|-(?!-))*(?<!-)")
_NAME = re.compile(r"[a-z_][a-z0-9_$]{0,63}")
_RESERVED = frozenset((
    "all", "and", "any", "as", "asc", "between", "both", "by", "case", "cast", "check", "column", "create", "database",
    "default", "delete", "desc", "distinct", "else", "end", "except", "false", "for", "from", "grant", "group", "having",
    "in", "index", "insert", "into", "is", "join", "left", "like", "limit", "not", "null", "offset", "on", "or", "order",
    "outer", "public", "references", "right", "select", "table", "then", "to", "true", "union", "unique", "update", "user",
    "using", "values", "view", "when", "where", "with",
))  # fmt: skip


def identifier(given: str) -> str:
    """A cluster identifier, folded to lower case; InvalidParameterValue."""
    folded = given.lower()
    if len(folded) > 63 or not _IDENTIFIER.fullmatch(folded):
        raise errors.InvalidParameterValue(
            f"Invalid cluster identifier {given}: it must be 1 to 63 letters, digits or hyphens, begin with a letter, and "
            "neither end with a hyphen nor hold two in a row."
        )
    return folded


def database_name(given: str | None) -> str:
    """The name of the first database; InvalidParameterValue."""
    name = (given or "dev").lower()
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise errors.InvalidParameterValue(f"Invalid database name: {given}")
    return name


def master_name(given: str) -> str:
    """The name of the master user; InvalidParameterValue."""
    name = given.lower()
    if not re.fullmatch(r"[a-z_][a-z0-9_+.@-]{0,127}", name) or name in _RESERVED:
        raise errors.InvalidParameterValue(f"Invalid master user name: {given}")
    return name


def check_password(given: str) -> None:
    """Redshift's rules for a password; InvalidParameterValue."""
    if not limits.PASSWORD_LENGTH_MIN <= len(given) <= limits.PASSWORD_LENGTH_MAX:
        raise errors.InvalidParameterValue("The parameter MasterUserPassword must contain 8 to 64 characters.")
    for kind, pattern in (("one uppercase letter", r"[A-Z]"), ("one lowercase letter", r"[a-z]"), ("one number", r"[0-9]")):
        if not re.search(pattern, given):
            raise errors.InvalidParameterValue(f"The parameter MasterUserPassword must contain at least {kind}.")
    if not re.fullmatch(r"[!-~]+", given) or re.search(r"['\"\\/@ ]", given):
        raise errors.InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password because it contains characters that are not allowed."
        )


def number_of_nodes(cluster_type: str | None, number: int | None) -> int:
    """How many nodes are shown; InvalidParameterCombination when type and number do not go together."""
    if cluster_type not in (None, "single-node", "multi-node"):
        raise errors.InvalidParameterValue(f"Invalid cluster type: {cluster_type}")
    if cluster_type == "single-node":
        if number not in (None, 1):
            raise errors.InvalidParameterCombination("Number of nodes cannot be specified for a single-node cluster.")
        return 1
    if cluster_type == "multi-node" and (number or 0) < 2:
        raise errors.InvalidParameterCombination(
            "Number of nodes for cluster type multi-node must be greater than or equal to 2."
        )
    return number or 1


def address(account: str, region: str, cluster: Cluster) -> str:
    """The host in a cluster's endpoint; *.localhost is this machine."""
    return f"{cluster.identifier}.{account}.{region}.redshift.localhost"


def shown(account: str, region: str, cluster: Cluster, tags: list[dict[str, str]], status: str | None = None) -> dict[str, Any]:
    """A cluster as AWS describes it."""
    state = status or cluster.status
    available = {"available": "Available", "creating": "Modifying", "paused": "Paused"}.get(state, "Unavailable")
    return {
        "ClusterIdentifier": cluster.identifier,
        "NodeType": cluster.node_type,
        "ClusterStatus": state,
        "ClusterAvailabilityStatus": available,
        "MasterUsername": cluster.master,
        "DBName": cluster.database,
        "Endpoint": {"Address": address(account, region, cluster), "Port": cluster.port},
        "ClusterCreateTime": cluster.created_at,
        "AutomatedSnapshotRetentionPeriod": 0,
        "ManualSnapshotRetentionPeriod": -1,
        "ClusterSecurityGroups": [],
        "VpcSecurityGroups": [],
        "ClusterParameterGroups": [{"ParameterGroupName": "default.redshift-1.0", "ParameterApplyStatus": "in-sync"}],
        "AvailabilityZone": f"{region}a",
        "PendingModifiedValues": {},
        "ClusterVersion": "1.0",
        "AllowVersionUpgrade": True,
        "NumberOfNodes": cluster.nodes,
        "PubliclyAccessible": False,
        "Encrypted": False,
        "ClusterNodes": [{"NodeRole": "SHARED" if cluster.nodes == 1 else "LEADER", "PrivateIPAddress": "127.0.0.1"}],
        "Tags": tags,
        "EnhancedVpcRouting": False,
        "IamRoles": [{"IamRoleArn": role, "ApplyStatus": "in-sync"} for role in cluster.roles],
        "MaintenanceTrackName": "current",
        "ClusterNamespaceArn": f"arn:aws:redshift:{region}:{account}:namespace:{cluster.namespace}",
        "MultiAZ": "disabled",
        **({"DefaultIamRoleArn": cluster.default_role} if cluster.default_role else {}),
        **cluster.settings,
    }


def matches_tags(tags: Mapping[str, str], keys: list[str] | None, values: list[str] | None) -> bool:
    """Whether a resource's tags match the asked keys and values; none asked is all."""
    if keys and not set(keys) & set(tags):
        return False
    return not values or bool(set(values) & set(tags.values()))
