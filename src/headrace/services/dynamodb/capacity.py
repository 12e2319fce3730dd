"""The capacity units that an operation uses, as AWS counts them, and the metrics of item collections."""

from collections.abc import Sequence
from typing import Any

from headrace.services.dynamodb import limits
from headrace.services.dynamodb.engine import keys
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.state import Index, Table
from headrace.services.dynamodb.vectors import changed_bytes

_WRITE_UNIT_BYTES = 1024
_READ_UNIT_BYTES = 4096


def write_units(old_size_bytes: int, new_size_bytes: int, *, transactional: bool = False) -> float:
    """A write counts the larger of the item before and after, in KiB; in a transaction twice."""
    units = max(1, -(-max(old_size_bytes, new_size_bytes) // _WRITE_UNIT_BYTES))
    return float(units * 2 if transactional else units)


def read_units(size_bytes: int, *, consistent: bool, transactional: bool = False) -> float:
    """A read counts every 4 KiB: half a unit, one when consistent, two in a transaction."""
    units = max(1, -(-size_bytes // _READ_UNIT_BYTES))
    return units * (2.0 if transactional else 1.0 if consistent else 0.5)


def consumed(wanted: str | None, table: Table, units: float, *, index: Index | None = None) -> dict[str, Any] | None:
    """ConsumedCapacity, if the caller wants it. `index` is what was read in place of the table."""
    if wanted not in ("TOTAL", "INDEXES"):
        return None
    answer: dict[str, Any] = {"TableName": table.row.name, "CapacityUnits": units}
    if wanted == "INDEXES":
        if index is None:
            answer["Table"] = {"CapacityUnits": units}
        else:
            answer["Table"] = {"CapacityUnits": 0.0}
            kind = "LocalSecondaryIndexes" if index.row.local else "GlobalSecondaryIndexes"
            answer[kind] = {index.row.name: {"CapacityUnits": units}}
    return answer


def written(wanted: str | None, table: Table, units: float, before: Item | None, after: Item | None) -> dict[str, Any] | None:
    """ConsumedCapacity of a write: each index entry that is made, moved or removed counts as well."""
    answer = consumed(wanted, table, units)
    if answer is None or not table.indexed:
        return answer
    if wanted == "INDEXES":
        vectors = {index.row.name: vector_bytes(changed_bytes(index, before, after)) for index in table.vectors}
        if any(vectors.values()):
            answer["VectorIndexes"] = {name: {"VectorWriteRequestBytes": used} for name, used in vectors.items() if used}
    for index in table.indexes:
        name = index.row.name
        extra = index_units(index, units, before, after)
        if not extra:
            continue
        answer["CapacityUnits"] += extra
        if wanted == "INDEXES":
            kind = "LocalSecondaryIndexes" if index.row.local else "GlobalSecondaryIndexes"
            answer.setdefault(kind, {})[name] = {"CapacityUnits": extra}
    return answer


def vector_bytes(size_bytes: int) -> float:
    """What vectors are metered by: whole KiB."""
    return float(-(-size_bytes // limits.VECTOR_UNIT_BYTES) * limits.VECTOR_UNIT_BYTES)


def index_units(index: Index, units: float, before: Item | None, after: Item | None) -> float:
    """What a write of some units uses of an index: each entry that is made, moved or removed counts."""
    old = None if before is None else keys.of_entry_if_any(index.schema, before)
    new = None if after is None else keys.of_entry_if_any(index.schema, after)
    if old != new:
        return units * ((old is not None) + (new is not None))
    return units if new is not None and before != after else 0.0


def by_table(parts: Sequence[dict[str, Any] | None]) -> list[dict[str, Any]]:
    """What several requests used, added up for each table."""
    totals: dict[str, dict[str, Any]] = {}
    for part in parts:
        if part is not None:
            _add(totals.setdefault(part["TableName"], {}), part)
    return list(totals.values())


def _add(total: dict[str, Any], part: dict[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict):
            _add(total.setdefault(name, {}), value)
        elif isinstance(value, str):
            total[name] = value
        else:
            total[name] = total.get(name, 0.0) + value


def collection_metrics(wanted: str | None, table: Table, item: Item) -> dict[str, Any] | None:
    """ItemCollectionMetrics of a write to a table with local indexes, if the caller wants them."""
    if wanted != "SIZE" or not table.local_indexes:
        return None
    name = table.schema.partition.name
    return {"ItemCollectionKey": {name: item[name]}, "SizeEstimateRangeGB": [0.0, 1.0]}
