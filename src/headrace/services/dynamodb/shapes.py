"""How tables, indexes and streams look in answers."""

from collections.abc import Mapping
from typing import Any

from headrace.services.dynamodb import state, throughput
from headrace.services.dynamodb.counts import Counted
from headrace.services.dynamodb.state import IndexRow, StreamRow, Table, TableRow
from headrace.services.dynamodb.vectors import VectorRow

# What backups tell of a vector index.
VECTOR_MEMBERS = ("IndexName", "VectorAttribute", "SearchSchema", "Projection", "Dimensions", "DistanceFunction")


def key_schema(partition: str, sort: str | None) -> list[dict[str, str]]:
    """A KeySchema."""
    schema = [{"AttributeName": partition, "KeyType": "HASH"}]
    if sort is not None:
        schema.append({"AttributeName": sort, "KeyType": "RANGE"})
    return schema


def index_key_schema(row: IndexRow) -> list[dict[str, str]]:
    """The KeySchema of an index."""
    schema = [{"AttributeName": name, "KeyType": "HASH"} for name in row.partitions]
    return schema + [{"AttributeName": name, "KeyType": "RANGE"} for name in row.sorts]


def table(
    found: Table, counted: Counted, index_counts: Mapping[str, Counted], now: float, *, status: str = "ACTIVE"
) -> dict[str, Any]:
    """A TableDescription."""
    row = found.row
    described: dict[str, Any] = {
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in row.definitions.items()],
        "TableName": row.name,
        "KeySchema": key_schema(row.partition, row.sort),
        "TableStatus": "CREATING" if row.making and status == "ACTIVE" else status,
        "CreationDateTime": row.created_at,
        "ProvisionedThroughput": throughput.told(row, now),
        "TableSizeBytes": counted.size_bytes,
        "ItemCount": counted.items,
        "TableArn": found.arn,
        "TableId": row.uuid,
        "DeletionProtectionEnabled": row.protected,
    }
    described.update(billing_and_class(row))
    described.update(throughput.most(row))
    described["WarmThroughput"] = throughput.warm_told(row, row.billing, described["TableStatus"])
    if row.key_arn:
        described["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": row.key_arn}
    local = [_index(found, one, index_counts, now) for one in row.indexes if one.local]
    if local:
        described["LocalSecondaryIndexes"] = local
    everywhere = [_index(found, one, index_counts, now) for one in row.indexes if not one.local]
    if everywhere:
        described["GlobalSecondaryIndexes"] = everywhere
    if row.vectors:
        described["VectorIndexes"] = [_vector_index(found, one, index_counts) for one in row.vectors]
    if row.restored is not None:
        described["RestoreSummary"] = row.restored
    described.update(_stream_settings(found))
    return described


def billing_and_class(row: TableRow, billing: str = "BillingModeSummary", name: str = "TableClassSummary") -> dict[str, Any]:
    """A table's billing and class, where they are told: under these names."""
    told: dict[str, Any] = {}
    if row.billing == "PAY_PER_REQUEST":
        changed = row.billing_changed_at or row.created_at
        told[billing] = {"BillingMode": row.billing, "LastUpdateToPayPerRequestDateTime": changed}
    if row.table_class is not None:
        told[name] = {"TableClass": row.table_class}
    return told


def _stream_settings(found: Table) -> dict[str, Any]:
    row = found.row
    if row.last_stream is None:
        return {}
    settings: dict[str, Any] = {
        "LatestStreamLabel": row.last_stream,
        "LatestStreamArn": state.stream_arn(found.account, found.region, row.name, row.last_stream),
    }
    if row.stream is not None:
        settings["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": row.stream_view}
    return settings


def _projection(row: IndexRow | VectorRow) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": row.projection}
    if row.attributes:
        projection["NonKeyAttributes"] = row.attributes
    return projection


def _vector_index(found: Table, row: VectorRow, counts: Mapping[str, Counted]) -> dict[str, Any]:
    counted = counts.get(row.name, Counted(0, 0))
    described: dict[str, Any] = {
        "IndexName": row.name,
        "VectorAttribute": {"AttributeName": row.attribute},
        "Dimensions": row.dimensions,
        "DistanceFunction": row.distance,
        "Projection": _projection(row),
        "IndexStatus": "CREATING" if row.filling else "ACTIVE",
        "IndexSizeBytes": counted.size_bytes,
        "ItemCount": counted.items,
        "IndexArn": f"{found.arn}/index/{row.name}",
    }
    own = [] if row.partition is None else [(row.partition, "HASH")]
    schema = own + [(name, "INLINE_FILTER") for name in row.filters]
    if schema:
        described["SearchSchema"] = [{"AttributeName": name, "SearchSchemaElementType": kind} for name, kind in schema]
    if row.filling:
        described["Backfilling"] = True
    return described


def _index(found: Table, row: IndexRow, counts: Mapping[str, Counted], now: float) -> dict[str, Any]:
    counted = counts.get(row.name, Counted(0, 0))
    described: dict[str, Any] = {
        "IndexName": row.name,
        "KeySchema": index_key_schema(row),
        "Projection": _projection(row),
        "IndexSizeBytes": counted.size_bytes,
        "ItemCount": counted.items,
        "IndexArn": f"{found.arn}/index/{row.name}",
    }
    if not row.local:
        described["IndexStatus"] = "CREATING" if row.filling else "ACTIVE"
        described["Backfilling"] = row.filling
        described["ProvisionedThroughput"] = throughput.told(row, now)
        described.update(throughput.most(row))
        described["WarmThroughput"] = throughput.warm_told(row, found.row.billing, described["IndexStatus"])
        if not row.filling:
            del described["Backfilling"]
    return described


def time_to_live(row: TableRow) -> dict[str, Any]:
    """A TimeToLiveDescription."""
    if not row.ttl_enabled:
        return {"TimeToLiveStatus": "DISABLED"}
    return {"TimeToLiveStatus": "ENABLED", "AttributeName": row.ttl_attribute}


def shard_id(stream: StreamRow, shard: int) -> str:
    """The id of a stream's shard."""
    return f"shardId-{int(stream.generation(shard).began_at * 1000):020d}-{stream.id:08x}{shard:04x}"


def shard_number(stream: StreamRow, text: str) -> int | None:
    """The number of the shard of an id, or None."""
    return next((shard for shard in range(stream.first, stream.shards) if shard_id(stream, shard) == text), None)


def stream(arn: str, row: StreamRow) -> dict[str, Any]:
    """A StreamDescription without its shards."""
    return {
        "StreamArn": arn,
        "StreamLabel": row.label,
        "StreamStatus": "ENABLED" if row.closed_at is None else "DISABLED",
        "StreamViewType": row.view,
        "CreationRequestDateTime": row.created_at,
        "TableName": row.table,
        "KeySchema": key_schema(row.partition, row.sort),
    }


def sequence_number(number: int) -> str:
    """The sequence number of a log's number: 21 digits, so that text and numbers have one order."""
    return f"1{number:020d}"


def number_of(sequence: str) -> int | None:
    """The log's number of a sequence number, or None."""
    if len(sequence) != 21 or not sequence.isdecimal() or sequence[0] != "1":
        return None
    return int(sequence[1:])
