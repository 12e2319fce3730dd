"""Operations on clusters."""

from typing import Any

from headrace.kit.errors import UnsupportedParameter
from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.services.redshift import errors, limits, rules, state
from headrace.services.redshift.engine.passwords import md5_hash
from headrace.services.redshift.state import Cluster
from headrace.services.redshift.supervisor import SUPERVISOR, free_port, remove_files

Structure = dict[str, Any]
_KEPT = ("PreferredMaintenanceWindow", "ClusterSubnetGroupName")


def _shown(ctx: Context, cluster: Cluster, status: str | None = None) -> Structure:
    tags = tag_rows.to_list(tag_rows.get(ctx.tx, state.cluster_arn(ctx.account, ctx.region, cluster.identifier)))
    return rules.shown(ctx.account, ctx.region, cluster, tags, status)


@operation(
    transaction=False,
    accepts=(
        "cluster_security_groups", "vpc_security_group_ids", "cluster_subnet_group_name", "availability_zone",
        "cluster_parameter_group_name", "automated_snapshot_retention_period", "manual_snapshot_retention_period",
        "cluster_version", "allow_version_upgrade", "publicly_accessible", "maintenance_track_name", "enhanced_vpc_routing",
        "availability_zone_relocation", "aqua_configuration_status", "additional_info",
    ),
)  # fmt: skip
def create_cluster(
    ctx: Context,
    *,
    cluster_identifier: str,
    node_type: str,
    master_username: str,
    master_user_password: str | None = None,
    db_name: str | None = None,
    cluster_type: str | None = None,
    number_of_nodes: int | None = None,
    port: int | None = None,
    encrypted: bool | None = None,
    iam_roles: list[str] | None = None,
    default_iam_role_arn: str | None = None,
    preferred_maintenance_window: str | None = None,
    tags: list[dict[str, str]] | None = None,
) -> Structure:
    """Create a cluster: one warehouse process, which is ready when this returns.

    Differs from AWS: node type and number are shown, and one process does the work. The port is the asked one if it is free,
    else the next free one from the server's setting on; DescribeClusters shows it. Snapshots, networks and parameter groups
    do not exist; encryption is refused, since the files are not encrypted.
    """
    if encrypted:
        raise UnsupportedParameter("Encrypted clusters are not supported: encrypt the disk that holds the data folder.")
    if master_user_password is None:
        raise errors.InvalidParameterValue("The parameter MasterUserPassword must be provided: passwords are not managed here.")
    identifier = rules.identifier(cluster_identifier)
    master = rules.master_name(master_username)
    rules.check_password(master_user_password)
    made = Cluster(
        identifier=identifier, folder=f"{ctx.account}-{ctx.region}-{identifier}-{ctx.ids.hex(8)}",
        database=rules.database_name(db_name),
        node_type=node_type, nodes=rules.number_of_nodes(cluster_type, number_of_nodes), master=master,
        master_hash=md5_hash(master, master_user_password), port=0, created_at=ctx.clock.now(), namespace=ctx.ids.uuid(),
        roles=iam_roles or [], default_role=default_iam_role_arn or "",
        settings={"PreferredMaintenanceWindow": preferred_maintenance_window} if preferred_maintenance_window else {},
    )  # fmt: skip

    def create(inner: Context) -> Structure:
        if state.CLUSTERS.get(inner.tx, ctx.account, ctx.region, identifier) is not None:
            raise errors.cluster_exists(identifier)
        if sum(1 for _ in state.CLUSTERS.scan(inner.tx, ctx.account, ctx.region)) >= limits.CLUSTERS_MAX:
            raise errors.ClusterQuotaExceededFault(f"There can be {limits.CLUSTERS_MAX} clusters in a region of an account.")
        made.port = free_port(inner, port)
        state.save(inner.tx, ctx.account, ctx.region, made)
        if tags:
            _tag(inner, identifier, tag_rows.from_list(tags))
        return {"Cluster": _shown(inner, made, "creating")}

    answer = ctx.transact(create)
    try:
        SUPERVISOR.channel(ctx, made)
    except ConnectionError:
        ctx.transact(lambda inner: state.CLUSTERS.delete(inner.tx, ctx.account, ctx.region, identifier))
        raise
    return answer


def _tag(ctx: Context, identifier: str, tags: dict[str, str]) -> None:
    arn = state.cluster_arn(ctx.account, ctx.region, identifier)
    if len(tag_rows.add(ctx.tx, arn, tags)) > limits.TAGS_MAX:
        raise errors.TagLimitExceededFault(f"A resource can have {limits.TAGS_MAX} tags.")


@operation(read_only=True)
def describe_clusters(
    ctx: Context,
    *,
    cluster_identifier: str | None = None,
    max_records: int | None = None,
    marker: str | None = None,
    tag_keys: list[str] | None = None,
    tag_values: list[str] | None = None,
) -> Structure:
    """Show one cluster, or a page of all, by identifier."""
    if cluster_identifier:
        return {"Clusters": [_shown(ctx, state.find(ctx.tx, ctx.account, ctx.region, cluster_identifier))]}
    limit = max_records or limits.RECORDS_DEFAULT
    after = (ctx.account, ctx.region, marker) if marker else None
    found: list[Structure] = []
    last = ""
    for _, cluster in state.CLUSTERS.scan(ctx.tx, ctx.account, ctx.region, after=after):
        tags = tag_rows.get(ctx.tx, state.cluster_arn(ctx.account, ctx.region, cluster.identifier))
        if not rules.matches_tags(tags, tag_keys, tag_values):
            continue
        if len(found) == limit:
            return {"Clusters": found, "Marker": last}
        found.append(_shown(ctx, cluster))
        last = cluster.identifier
    return {"Clusters": found}


@operation(transaction=False, accepts=("final_cluster_snapshot_retention_period",))
def delete_cluster(
    ctx: Context,
    *,
    cluster_identifier: str,
    skip_final_cluster_snapshot: bool | None = None,
    final_cluster_snapshot_identifier: str | None = None,
) -> Structure:
    """Delete a cluster with all its data, at once.

    Differs from AWS: there are no snapshots, so a final one is refused.
    """
    if final_cluster_snapshot_identifier:
        raise UnsupportedParameter("Snapshots are not supported: give SkipFinalClusterSnapshot, and UNLOAD what is to be kept.")
    if not skip_final_cluster_snapshot:
        raise errors.InvalidParameterCombination(
            "FinalClusterSnapshotIdentifier is required unless SkipFinalClusterSnapshot is specified."
        )

    def delete(inner: Context) -> tuple[Cluster, Structure]:
        cluster = state.find(inner.tx, ctx.account, ctx.region, cluster_identifier)
        answer = {"Cluster": _shown(inner, cluster, "deleting")}
        state.CLUSTERS.delete(inner.tx, ctx.account, ctx.region, cluster.identifier)
        state.TEMPORARY.delete_all(inner.tx, ctx.account, ctx.region, cluster.identifier)
        tag_rows.drop(inner.tx, state.cluster_arn(ctx.account, ctx.region, cluster.identifier))
        return cluster, answer

    cluster, answer = ctx.transact(delete)
    SUPERVISOR.stop(cluster)
    remove_files(ctx, cluster)
    return answer


@operation(
    transaction=False,
    accepts=(
        "cluster_security_groups", "vpc_security_group_ids", "cluster_parameter_group_name",
        "automated_snapshot_retention_period", "manual_snapshot_retention_period", "cluster_version", "allow_version_upgrade",
        "publicly_accessible", "maintenance_track_name",
        "enhanced_vpc_routing",
    ),
)  # fmt: skip
def modify_cluster(
    ctx: Context,
    *,
    cluster_identifier: str,
    master_user_password: str | None = None,
    node_type: str | None = None,
    cluster_type: str | None = None,
    number_of_nodes: int | None = None,
    preferred_maintenance_window: str | None = None,
) -> Structure:
    """Change the master user's password, and what is shown of the nodes. Effective at once."""

    def modify(inner: Context) -> tuple[Cluster, Structure]:
        cluster = state.find(inner.tx, ctx.account, ctx.region, cluster_identifier)
        if master_user_password is not None:
            rules.check_password(master_user_password)
            cluster.master_hash = md5_hash(cluster.master, master_user_password)
        cluster.node_type = node_type or cluster.node_type
        if cluster_type is not None or number_of_nodes is not None:
            cluster.nodes = rules.number_of_nodes(cluster_type, number_of_nodes)
        if preferred_maintenance_window is not None:
            cluster.settings["PreferredMaintenanceWindow"] = preferred_maintenance_window
        state.save(inner.tx, ctx.account, ctx.region, cluster)
        return cluster, {"Cluster": _shown(inner, cluster)}

    cluster, answer = ctx.transact(modify)
    if master_user_password is not None and cluster.status == "available":
        SUPERVISOR.channel(ctx, cluster).call(
            "set_master", master=cluster.master, master_hash=cluster.master_hash, timeout_s=10.0
        )
    return answer


def _change_status(ctx: Context, identifier: str, needed: str, becomes: str) -> tuple[Cluster, Structure]:
    def change(inner: Context) -> tuple[Cluster, Structure]:
        cluster = state.find(inner.tx, ctx.account, ctx.region, identifier)
        if cluster.status != needed:
            raise errors.InvalidClusterStateFault(
                f"The cluster {identifier} is in the state {cluster.status}; it must be {needed}."
            )
        cluster.status = becomes
        state.save(inner.tx, ctx.account, ctx.region, cluster)
        return cluster, {"Cluster": _shown(inner, cluster)}

    return ctx.transact(change)


@operation(transaction=False)
def pause_cluster(ctx: Context, *, cluster_identifier: str) -> Structure:
    """End a cluster's process; its data stays. Done when this returns."""
    cluster, answer = _change_status(ctx, cluster_identifier, "available", "paused")
    SUPERVISOR.stop(cluster)
    return answer


@operation(transaction=False)
def resume_cluster(ctx: Context, *, cluster_identifier: str) -> Structure:
    """Start a paused cluster's process again; ready when this returns."""
    cluster, answer = _change_status(ctx, cluster_identifier, "paused", "available")
    SUPERVISOR.channel(ctx, cluster)
    return answer


@operation(transaction=False)
def reboot_cluster(ctx: Context, *, cluster_identifier: str) -> Structure:
    """End a cluster's process and start it again: sessions are cut, and what they had not committed is undone."""
    cluster, answer = _change_status(ctx, cluster_identifier, "available", "available")
    SUPERVISOR.stop(cluster)
    SUPERVISOR.channel(ctx, cluster)
    return {"Cluster": {**answer["Cluster"], "ClusterStatus": "rebooting"}}
