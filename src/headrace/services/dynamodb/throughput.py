"""Decisions about throughput: the most on demand, what is warm, and what single replicas have of their own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.services.dynamodb import errors, limits
from headrace.services.dynamodb.rules import refuse
from headrace.services.dynamodb.state import IndexRow, TableRow

_WARM = ("ReadUnitsPerSecond", "WriteUnitsPerSecond")


def set_most(of: TableRow | IndexRow, billing: str, given: Mapping[str, int]) -> None:
    """The most throughput on demand of a table or an index; -1 takes a maximum away."""
    if billing != "PAY_PER_REQUEST":
        raise refuse("OnDemandThroughput can only be specified when BillingMode is PAY_PER_REQUEST")
    for name, value in given.items():
        if value < 1 and value != -1:
            raise refuse(f"{name} must be -1 or at least 1")
    of.most_read_units = max(0, given.get("MaxReadRequestUnits", of.most_read_units))
    of.most_write_units = max(0, given.get("MaxWriteRequestUnits", of.most_write_units))


def most(of: TableRow | IndexRow) -> dict[str, Any]:
    """OnDemandThroughput in a description, if there is a maximum."""
    if not of.most_read_units and not of.most_write_units:
        return {}
    told = {"MaxReadRequestUnits": of.most_read_units or -1, "MaxWriteRequestUnits": of.most_write_units or -1}
    return {"OnDemandThroughput": told}


def warm(of: TableRow | IndexRow, billing: str) -> tuple[int, int]:
    """What can be read and written in a second at once: what was asked for, and never less than what is provisioned.

    On demand that is AWS's 12,000 and 4,000 at least.
    """
    least = (limits.WARM_READ_UNITS, limits.WARM_WRITE_UNITS) if billing == "PAY_PER_REQUEST" else (of.read_units, of.write_units)
    return max(of.warm_read_units, least[0]), max(of.warm_write_units, least[1])


def keep_warm(row: TableRow) -> None:
    """What is warm stays so, whatever the billing and the throughput become: to be called before they are changed."""
    row.warm_read_units, row.warm_write_units = warm(row, row.billing)
    for index in row.indexes:
        if not index.local:
            index.warm_read_units, index.warm_write_units = warm(index, row.billing)


def forget_most(row: TableRow) -> None:
    """There is no maximum on demand where throughput is provisioned."""
    row.most_read_units = row.most_write_units = 0
    for index in row.indexes:
        index.most_read_units = index.most_write_units = 0


def set_warm(of: TableRow | IndexRow, billing: str, given: Mapping[str, int]) -> None:
    """Warm a table or an index up; it can't be cooled down."""
    what = "table" if isinstance(of, TableRow) else f"index {of.name}"
    has = warm(of, billing)
    for name, now in zip(_WARM, has, strict=True):
        wanted = given.get(name)
        if wanted is not None and wanted < now:
            raise refuse(
                f"Requested {name} for WarmThroughput for {what} is lower than current WarmThroughput, decreasing "
                "WarmThroughput is not supported"
            )
    of.warm_read_units, of.warm_write_units = (given.get(name, now) for name, now in zip(_WARM, has, strict=True))


def warm_told(of: TableRow | IndexRow, billing: str, status: str = "ACTIVE") -> dict[str, Any]:
    """WarmThroughput in a description."""
    read_units, write_units = warm(of, billing)
    return {"ReadUnitsPerSecond": read_units, "WriteUnitsPerSecond": write_units, "Status": status}


# What is provisioned


def provision(of: TableRow | IndexRow, units: tuple[int, int], now: float) -> None:
    """Give a table or an index its (read, write) units; refused when it has them already.

    LimitExceededException when it was lowered too often today.
    """
    if units[0] and units == (of.read_units, of.write_units):
        kind, what = ("table", "table") if isinstance(of, TableRow) else ("index", f"index {of.name}")
        raise ValidationException(
            f"The provisioned throughput for the {what} will not change. The requested value equals the current value. Current "
            f"ReadCapacityUnits provisioned for the {kind}: {units[0]}. Requested ReadCapacityUnits: {units[0]}. Current "
            f"WriteCapacityUnits provisioned for the {kind}: {units[1]}. Requested WriteCapacityUnits: {units[1]}. Refer to the "
            "Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
        )
    if units[0] < of.read_units or units[1] < of.write_units:
        today = _of_day(of.decreases, now)
        if len(today) >= limits.DECREASES_AT_ONCE and now < today[-1] + limits.DECREASE_PAUSE_SECONDS:
            # Of the next day again as many as of this one.
            again = min(today[-1] + limits.DECREASE_PAUSE_SECONDS, (now // limits.DAY_SECONDS + 1) * limits.DAY_SECONDS)
            raise errors.LimitExceededException(
                "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the first "
                f"{limits.DECREASES_AT_ONCE} decreases, each subsequent decrease in the same UTC day can be performed at most "
                f"once every {limits.DECREASE_PAUSE_SECONDS} seconds. Number of decreases today: {len(today)}. Last decrease at "
                f"{_spelled(today[-1])}. Next decrease can be made at {_spelled(again)}"
            )
        of.decreases = [*today, now]
    if units[0] > of.read_units or units[1] > of.write_units:
        of.increased_at = now
    of.read_units, of.write_units = units


def _of_day(times: list[float], now: float) -> list[float]:
    return [at for at in times if at // limits.DAY_SECONDS == now // limits.DAY_SECONDS]


def _spelled(at: float) -> str:
    time = datetime.fromtimestamp(at, UTC)
    return f"{time:%A, %B} {time.day}, {time.year} at {time.hour % 12 or 12}:{time:%M:%S %p} Coordinated Universal Time"


def told(of: TableRow | IndexRow, now: float) -> dict[str, Any]:
    """ProvisionedThroughput in a description."""
    given: dict[str, Any] = {
        "NumberOfDecreasesToday": len(_of_day(of.decreases, now)),
        "ReadCapacityUnits": of.read_units,
        "WriteCapacityUnits": of.write_units,
    }
    if of.increased_at:
        given["LastIncreaseDateTime"] = of.increased_at
    if of.decreases:
        given["LastDecreaseDateTime"] = of.decreases[-1]
    return given


# Single replicas

_OVERRIDES = (
    "RegionName", "ProvisionedThroughputOverride", "OnDemandThroughputOverride", "TableClassOverride", "GlobalSecondaryIndexes",
)  # fmt: skip


def override(row: TableRow, given: Mapping[str, Any]) -> None:
    """Give a replica's row what a ReplicaUpdate says of it alone: how much is read, and its class."""
    for name in given:
        if name not in _OVERRIDES:
            raise ValidationException(f"Headrace does not support {name} of a single replica yet")
    _override_reads(row, row.billing, given)
    row.table_class = given.get("TableClassOverride", row.table_class)
    for one in given.get("GlobalSecondaryIndexes", ()):
        index = next((index for index in row.indexes if index.name == one["IndexName"] and not index.local), None)
        if index is None:
            raise errors.ResourceNotFoundException(f"Requested resource not found: Index: {one['IndexName']} not found")
        _override_reads(index, row.billing, one)


def _override_reads(of: TableRow | IndexRow, billing: str, given: Mapping[str, Any]) -> None:
    units = given.get("ProvisionedThroughputOverride", {}).get("ReadCapacityUnits")
    if units is not None:
        if billing != "PROVISIONED":
            raise refuse("ProvisionedThroughputOverride can only be specified when BillingMode is PROVISIONED")
        of.read_units = units
    if "OnDemandThroughputOverride" in given:
        set_most(of, billing, given["OnDemandThroughputOverride"])


def overridden(row: TableRow, here: TableRow) -> dict[str, Any]:
    """What a ReplicaDescription tells of a replica that is not as the table here is."""
    told: dict[str, Any] = {**_overridden_reads(row, here), "WarmThroughput": warm_told(row, row.billing)}
    if row.table_class is not None:
        told["ReplicaTableClassSummary"] = {"TableClass": row.table_class}
    kept = {index.name: index for index in here.indexes}
    indexes = [
        {"IndexName": index.name, **_overridden_reads(index, kept[index.name]), "WarmThroughput": warm_told(index, row.billing)}
        for index in row.indexes
        if not index.local and index.name in kept
    ]
    return {**told, "GlobalSecondaryIndexes": indexes} if indexes else told


def _overridden_reads(of: TableRow | IndexRow, here: TableRow | IndexRow) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if of.read_units and of.read_units != here.read_units:
        told["ProvisionedThroughputOverride"] = {"ReadCapacityUnits": of.read_units}
    if of.most_read_units and of.most_read_units != here.most_read_units:
        told["OnDemandThroughputOverride"] = {"MaxReadRequestUnits": of.most_read_units}
    return told
