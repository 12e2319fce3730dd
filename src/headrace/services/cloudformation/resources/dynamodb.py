"""DynamoDB's resource types."""

from collections.abc import Mapping
from typing import Any

from headrace.services.cloudformation.resources.kind import (
    Attributes,
    Call,
    Kind,
    Naming,
    Properties,
    ResourceFailed,
    pairs,
    pick,
    tag_changes,
    tags_of,
)  # fmt: skip

_THROUGHPUT = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
_INDEX_SETTINGS = ("ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput")


def _create(call: Call, name: str, properties: Properties) -> str:
    call("dynamodb", "CreateTable", TableName=name, Tags=pairs(tags_of(properties)) or None, **_settings(properties))
    return name


def _settings(properties: Properties) -> dict[str, Any]:
    found = pick(
        properties, "AttributeDefinitions", "KeySchema", "BillingMode", "ProvisionedThroughput", "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes", "TableClass", "DeletionProtectionEnabled", "OnDemandThroughput",
        "WarmThroughput",
    )  # fmt: skip
    if "StreamSpecification" in properties:
        found["StreamSpecification"] = _stream(properties)
    if properties.get("SSESpecification"):
        found["SSESpecification"] = _encryption(properties)
    return found


def _encryption(properties: Properties) -> dict[str, Any]:
    given = properties.get("SSESpecification") or {"SSEEnabled": False}
    return pick(given, "SSEType", "KMSMasterKeyId", Enabled="SSEEnabled")


def _stream(properties: Properties) -> dict[str, Any]:
    stream = properties.get("StreamSpecification")
    return {"StreamEnabled": True, **stream} if stream else {"StreamEnabled": False}


def _describe(call: Call, name: str) -> dict[str, Any]:
    table: dict[str, Any] = call("dynamodb", "DescribeTable", TableName=name)["Table"]
    return table


def _read(call: Call, name: str, properties: Properties) -> Attributes:
    table = _describe(call, name)
    stream = {"StreamArn": table["LatestStreamArn"]} if table.get("LatestStreamArn") else {}
    return {"Arn": table["TableArn"], "TableId": table.get("TableId", ""), **stream}


def _ready(call: Call, name: str, properties: Properties) -> bool:
    table = _describe(call, name)
    indexes = table.get("GlobalSecondaryIndexes") or []
    return table["TableStatus"] == "ACTIVE" and all(index.get("IndexStatus", "ACTIVE") == "ACTIVE" for index in indexes)


def _finish(call: Call, name: str, properties: Properties) -> None:
    if "TimeToLiveSpecification" in properties:
        _set_time_to_live(call, name, properties)
    if "PointInTimeRecoverySpecification" in properties:
        _set_recovery(call, name, properties)


def _set_time_to_live(call: Call, name: str, properties: Properties) -> None:
    wanted = properties.get("TimeToLiveSpecification") or {"Enabled": False}
    has = call("dynamodb", "DescribeTimeToLive", TableName=name)["TimeToLiveDescription"]
    on = has.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    enabled = str(wanted.get("Enabled")).lower() == "true"
    if enabled and on and has.get("AttributeName") == wanted.get("AttributeName"):
        return
    if on:
        off = {"Enabled": False, "AttributeName": has["AttributeName"]}
        call("dynamodb", "UpdateTimeToLive", TableName=name, TimeToLiveSpecification=off)
    if enabled:
        call("dynamodb", "UpdateTimeToLive", TableName=name, TimeToLiveSpecification=wanted)


def _set_recovery(call: Call, name: str, properties: Properties) -> None:
    wanted = properties.get("PointInTimeRecoverySpecification") or {}
    specification = {"PointInTimeRecoveryEnabled": wanted.get("PointInTimeRecoveryEnabled", False)}
    call("dynamodb", "UpdateContinuousBackups", TableName=name, PointInTimeRecoverySpecification=specification)


def _update(call: Call, name: str, new: Properties, old: Properties) -> bool:
    """One change of the table at a time, as UpdateTable allows; the next one when the table is active again."""
    table = _describe(call, name)
    if table["TableStatus"] != "ACTIVE":
        return False
    change = _change(table, new, old)
    if change:
        call("dynamodb", "UpdateTable", TableName=name, **change)
        return False
    if new.get("TimeToLiveSpecification") != old.get("TimeToLiveSpecification"):
        _set_time_to_live(call, name, new)
    if new.get("PointInTimeRecoverySpecification") != old.get("PointInTimeRecoverySpecification"):
        _set_recovery(call, name, new)
    added, removed = tag_changes(new, old)
    if added:
        call("dynamodb", "TagResource", ResourceArn=table["TableArn"], Tags=pairs(added))
    if removed:
        call("dynamodb", "UntagResource", ResourceArn=table["TableArn"], TagKeys=removed)
    return True


def _change(table: Mapping[str, Any], new: Properties, old: Properties) -> dict[str, Any] | None:
    mode = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    wanted_mode = new.get("BillingMode", "PROVISIONED")
    units = ("ReadCapacityUnits", "WriteCapacityUnits")
    has, wanted = table.get("ProvisionedThroughput", {}), new.get("ProvisionedThroughput", _THROUGHPUT)
    # What auto scaling made of it stays, unless the template says something else than before.
    asked = new.get("ProvisionedThroughput") != old.get("ProvisionedThroughput")
    differs = asked and any(int(has.get(u, 0)) != int(wanted[u]) for u in units)
    if wanted_mode == "PROVISIONED" and (mode != wanted_mode or differs):
        return {"BillingMode": wanted_mode, "ProvisionedThroughput": wanted}
    if mode != wanted_mode:
        return {"BillingMode": wanted_mode}
    stream, has_stream = _stream(new), table.get("StreamSpecification") or {"StreamEnabled": False}
    if stream != {"StreamEnabled": has_stream.get("StreamEnabled", False), **pick(has_stream, "StreamViewType")}:
        # A stream's view can't be changed: it is switched off first.
        return {"StreamSpecification": {"StreamEnabled": False} if has_stream.get("StreamEnabled") else stream}
    protection = str(new.get("DeletionProtectionEnabled", False)).lower() == "true"
    if bool(table.get("DeletionProtectionEnabled", False)) != protection:
        return {"DeletionProtectionEnabled": protection}
    if new.get("TableClass") != old.get("TableClass"):
        has_class = table.get("TableClassSummary", {}).get("TableClass", "STANDARD")
        if has_class != new.get("TableClass", "STANDARD"):
            return {"TableClass": new.get("TableClass", "STANDARD")}
    encrypted = str(_encryption(new).get("Enabled")).lower() == "true"
    if new.get("SSESpecification") != old.get("SSESpecification") and encrypted != ("SSEDescription" in table):
        return {"SSESpecification": _encryption(new)}
    if "OnDemandThroughput" in new and new.get("OnDemandThroughput") != old.get("OnDemandThroughput"):
        most = {name: int(value) for name, value in new["OnDemandThroughput"].items()}
        if most != pick(table.get("OnDemandThroughput", {}), *most):
            return {"OnDemandThroughput": most}
    if "WarmThroughput" in new and new["WarmThroughput"] != old.get("WarmThroughput"):
        warm = {name: int(value) for name, value in new["WarmThroughput"].items()}
        if warm != pick(table.get("WarmThroughput", {}), *warm):
            return {"WarmThroughput": warm}
    return _index_change(table, new, old)


def _index_change(table: Mapping[str, Any], new: Properties, old: Properties) -> dict[str, Any] | None:
    has = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes") or []}
    wanted = {index["IndexName"]: index for index in new.get("GlobalSecondaryIndexes") or []}
    for name, index in has.items():
        other = wanted.get(name)
        if other is None or other["KeySchema"] != index["KeySchema"] or other["Projection"] != index["Projection"]:
            return {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}]}
    for name, index in wanted.items():
        if name not in has:
            return {
                "AttributeDefinitions": new["AttributeDefinitions"],
                "GlobalSecondaryIndexUpdates": [{"Create": dict(index)}],
            }
    before = {index["IndexName"]: index for index in old.get("GlobalSecondaryIndexes") or []}
    for name, index in wanted.items():
        # As for the table: what the template says as before is left to auto scaling.
        asked = [one for one in _INDEX_SETTINGS if one in index and index[one] != before.get(name, {}).get(one)]
        settings = {one: {unit: int(value) for unit, value in index[one].items()} for one in asked}
        differing = {one: units for one, units in settings.items() if units != pick(has[name].get(one, {}), *units)}
        if differing:
            return {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": name, **differing}}]}
    return None


def _delete(call: Call, name: str, properties: Properties) -> None:
    call("dynamodb", "DeleteTable", TableName=name)


TABLE = Kind(
    type="AWS::DynamoDB::Table",
    naming=Naming("TableName", 255),
    required=("KeySchema",),
    fixed=("TableName", "KeySchema", "LocalSecondaryIndexes"),
    mutable=(
        "AttributeDefinitions", "BillingMode", "ProvisionedThroughput", "GlobalSecondaryIndexes", "StreamSpecification",
        "SSESpecification", "TableClass", "DeletionProtectionEnabled", "TimeToLiveSpecification", "OnDemandThroughput",
        "WarmThroughput",
        "PointInTimeRecoverySpecification", "Tags",
    ),
    attributes=("Arn", "StreamArn", "TableId"),
    create=_create, ready=_ready, finish=_finish, read=_read, update=_update, delete=_delete, slow=True,
)  # fmt: skip


def _own(call: Call, properties: Properties) -> dict[str, Any]:
    """A global table's properties as those of the table in the stack's own region."""
    replicas = {one["Region"]: one for one in properties.get("Replicas") or ()}
    if call.region not in replicas:
        raise ResourceFailed("Replicas must include the region of the stack")
    for region, one in replicas.items():
        if region != call.region and set(one) != {"Region"}:
            raise ResourceFailed(f"Headrace supports no settings of the replica in {region}: give its Region alone")
    own = pick(
        replicas[call.region], "PointInTimeRecoverySpecification", "DeletionProtectionEnabled", "TableClass", "Tags",
        Region="Region",
    )  # fmt: skip
    if set(replicas[call.region]) != set(own):
        raise ResourceFailed("Headrace does not support all of these settings of a replica")
    own.pop("Region")
    shared = {name: value for name, value in properties.items() if name not in ("Replicas", "TableName")}
    if len(replicas) > 1:
        shared.setdefault("StreamSpecification", {"StreamViewType": "NEW_AND_OLD_IMAGES"})
    return {**shared, **own}


def _others(call: Call, properties: Properties) -> set[str]:
    return {one["Region"] for one in properties.get("Replicas") or () if one["Region"] != call.region}


def _fit_replicas(call: Call, name: str, properties: Properties, kinds: tuple[str, ...] = ("Delete", "Create")) -> bool:
    """Remove or add one replica; whether none was to be."""
    has = {one["RegionName"] for one in _describe(call, name).get("Replicas", ())}
    wanted = _others(call, properties)
    for kind in kinds:
        for region in sorted(has - wanted if kind == "Delete" else wanted - has):
            call("dynamodb", "UpdateTable", TableName=name, ReplicaUpdates=[{kind: {"RegionName": region}}])
            return False
    return True


def _create_global(call: Call, name: str, properties: Properties) -> str:
    return _create(call, name, _own(call, properties))


def _ready_global(call: Call, name: str, properties: Properties) -> bool:
    replicas = _describe(call, name).get("Replicas", ())
    return _ready(call, name, properties) and all(one["ReplicaStatus"] == "ACTIVE" for one in replicas)


def _finish_global(call: Call, name: str, properties: Properties) -> None:
    _finish(call, name, _own(call, properties))
    while not _fit_replicas(call, name, properties):
        pass


def _update_global(call: Call, name: str, new: Properties, old: Properties) -> bool:
    # A stream can be switched off when the replicas are gone, and must be on before they come.
    return (
        _fit_replicas(call, name, new, ("Delete",))
        and _update(call, name, _own(call, new), _own(call, old))
        and _fit_replicas(call, name, new, ("Create",))
    )


def _delete_global(call: Call, name: str, properties: Properties) -> None:
    while not _fit_replicas(call, name, {}):
        pass
    _delete(call, name, properties)


GLOBAL_TABLE = Kind(
    type="AWS::DynamoDB::GlobalTable",
    naming=Naming("TableName", 255),
    required=("KeySchema", "AttributeDefinitions", "Replicas"),
    fixed=("TableName", "KeySchema", "LocalSecondaryIndexes"),
    mutable=(
        "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "StreamSpecification", "SSESpecification",
        "TimeToLiveSpecification", "Replicas",
    ),
    attributes=("Arn", "StreamArn", "TableId"),
    create=_create_global, ready=_ready_global, finish=_finish_global, read=_read, update=_update_global,
    delete=_delete_global, slow=True, takes_stack_tags=False,
)  # fmt: skip

KINDS = (TABLE, GLOBAL_TABLE)
