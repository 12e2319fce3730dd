"""Lambda's resource types."""

import io
import time
import zipfile
from typing import Any

from headrace.kit.errors import AwsError
from headrace.services.cloudformation.resources import lambda_provisioned
from headrace.services.cloudformation.resources.kind import (
    Attributes,
    Call,
    Kind,
    Naming,
    Properties,
    ResourceFailed,
    changed,
    is_missing,
    pick,
    tag_changes,
    tags_of,
)  # fmt: skip

_CONFIGURATION = (
    "Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize", "Environment", "Layers", "EphemeralStorage",
    "DeadLetterConfig", "TracingConfig", "LoggingConfig", "VpcConfig", "KmsKeyArn", "ImageConfig", "SnapStart",
    "DurableConfig",
)  # fmt: skip
# What a setting becomes when the template does not have it any more.
_DEFAULTS: dict[str, Any] = {
    "Description": "", "Timeout": 3, "MemorySize": 128, "Environment": {"Variables": {}}, "Layers": [],
    "EphemeralStorage": {"Size": 512}, "DeadLetterConfig": {"TargetArn": ""}, "TracingConfig": {"Mode": "PassThrough"},
}  # fmt: skip
_SETTLE_SECONDS = 0.02
_SETTLE_TRIES = 250


def _code(properties: Properties) -> dict[str, Any]:
    code = dict(properties["Code"])
    if "ZipFile" in code:
        code["ZipFile"] = _zip(str(code["ZipFile"]), str(properties.get("Runtime", "")))
    return code


def _zip(text: str, runtime: str) -> bytes:
    """Inline code as a package: one file named index, always the same bytes for the same text."""
    suffix = "py" if runtime.startswith("python") else "js"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(f"index.{suffix}", (1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, text)
    return packed.getvalue()


def _create_function(call: Call, name: str, properties: Properties) -> str:
    call(
        "lambda", "CreateFunction", FunctionName=name, Code=_code(properties), Tags=tags_of(properties) or None,
        **pick(properties, "PackageType", "Architectures", *_CONFIGURATION),
    )  # fmt: skip
    return name


def _configuration(call: Call, name: str) -> dict[str, Any]:
    return call("lambda", "GetFunctionConfiguration", FunctionName=name)


def _read_function(call: Call, name: str, properties: Properties) -> Attributes:
    return {"Arn": _configuration(call, name)["FunctionArn"]}


def _function_ready(call: Call, name: str, properties: Properties) -> bool:
    found = _configuration(call, name)
    if found.get("State") == "Failed" or found.get("LastUpdateStatus") == "Failed":
        raise ResourceFailed(f"The function {name} failed: {found.get('StateReason') or found.get('LastUpdateStatusReason')}")
    return found.get("State", "Active") in ("Active", "Inactive") and found.get("LastUpdateStatus") != "InProgress"


def _finish_function(call: Call, name: str, properties: Properties) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    if reserved is not None:
        call("lambda", "PutFunctionConcurrency", FunctionName=name, ReservedConcurrentExecutions=reserved)


def _settle(call: Call, name: str) -> None:
    for _ in range(_SETTLE_TRIES):
        if _configuration(call, name).get("LastUpdateStatus") != "InProgress":
            return
        time.sleep(_SETTLE_SECONDS)


def _update_function(call: Call, name: str, new: Properties, old: Properties) -> None:
    if changed(new, old, *_CONFIGURATION):
        defaults = {key: value for key, value in _DEFAULTS.items() if key in old and key not in new}
        call("lambda", "UpdateFunctionConfiguration", FunctionName=name, **defaults, **pick(new, *_CONFIGURATION))
        _settle(call, name)
    if changed(new, old, "Code", "Architectures"):
        call("lambda", "UpdateFunctionCode", FunctionName=name, **_code(new), **pick(new, "Architectures"))
        _settle(call, name)
    if changed(new, old, "ReservedConcurrentExecutions"):
        if "ReservedConcurrentExecutions" in new:
            _finish_function(call, name, new)
        else:
            call("lambda", "DeleteFunctionConcurrency", FunctionName=name)
    added, removed = tag_changes(new, old)
    if added or removed:
        arn = _configuration(call, name)["FunctionArn"]
        if added:
            call("lambda", "TagResource", Resource=arn, Tags=added)
        if removed:
            call("lambda", "UntagResource", Resource=arn, TagKeys=removed)


def _delete_function(call: Call, name: str, properties: Properties) -> None:
    call("lambda", "DeleteFunction", FunctionName=name)


_MAPPING = (
    "FunctionName", "Enabled", "BatchSize", "MaximumBatchingWindowInSeconds", "ParallelizationFactor", "DestinationConfig",
    "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError", "MaximumRetryAttempts", "TumblingWindowInSeconds",
    "FunctionResponseTypes", "FilterCriteria", "ScalingConfig", "ProvisionedPollerConfig", "MetricsConfig",
)  # fmt: skip
_MAPPING_DEFAULTS: dict[str, Any] = {
    "FilterCriteria": {}, "DestinationConfig": {}, "MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1,
    "BisectBatchOnFunctionError": False, "ParallelizationFactor": 1, "TumblingWindowInSeconds": 0, "Enabled": True,
    "FunctionResponseTypes": [], "MaximumBatchingWindowInSeconds": 0, "ScalingConfig": {}, "ProvisionedPollerConfig": {},
    "MetricsConfig": {"Metrics": []},
}  # fmt: skip
_MAPPING_FIXED = ("EventSourceArn", "StartingPosition", "StartingPositionTimestamp")


def _create_mapping(call: Call, name: str, properties: Properties) -> str:
    answer = call(
        "lambda", "CreateEventSourceMapping", Tags=tags_of(properties) or None, **pick(properties, *_MAPPING, *_MAPPING_FIXED)
    )
    return str(answer["UUID"])


def _adopt_mapping(call: Call, name: str, properties: Properties) -> str | None:
    wanted = pick(properties, "EventSourceArn", "FunctionName")
    found = call("lambda", "ListEventSourceMappings", **wanted)["EventSourceMappings"]
    return str(found[0]["UUID"]) if found else None


def _read_mapping(call: Call, uuid: str, properties: Properties) -> Attributes:
    found = call("lambda", "GetEventSourceMapping", UUID=uuid)
    arn = found.get("EventSourceMappingArn") or f"arn:aws:lambda:{call.region}:{call.account}:event-source-mapping:{uuid}"
    return {"Id": uuid, "EventSourceMappingArn": arn}


def _mapping_ready(call: Call, uuid: str, properties: Properties) -> bool:
    return call("lambda", "GetEventSourceMapping", UUID=uuid)["State"] in ("Enabled", "Disabled")


def _update_mapping(call: Call, uuid: str, new: Properties, old: Properties) -> bool:
    if not _mapping_ready(call, uuid, new):
        return False
    defaults = {key: value for key, value in _MAPPING_DEFAULTS.items() if key in old and key not in new}
    call("lambda", "UpdateEventSourceMapping", UUID=uuid, **defaults, **pick(new, *_MAPPING))
    return True


def _delete_mapping(call: Call, uuid: str, properties: Properties) -> None:
    call("lambda", "DeleteEventSourceMapping", UUID=uuid)


_PERMISSION = (
    "FunctionName", "Action", "Principal", "SourceArn", "SourceAccount", "EventSourceToken", "PrincipalOrgID",
    "FunctionUrlAuthType", "InvokedViaFunctionUrl",
)  # fmt: skip


def _create_permission(call: Call, name: str, properties: Properties) -> str:
    call("lambda", "AddPermission", StatementId=name, **pick(properties, *_PERMISSION))
    return name


def _nothing(call: Call, name: str, properties: Properties) -> Attributes:
    return {}


def _delete_permission(call: Call, name: str, properties: Properties) -> None:
    call("lambda", "RemovePermission", FunctionName=properties["FunctionName"], StatementId=name)


def _create_version(call: Call, name: str, properties: Properties) -> str:
    answer = call("lambda", "PublishVersion", **pick(properties, "FunctionName", "Description", "CodeSha256"))
    return str(answer["FunctionArn"])


def _read_version(call: Call, arn: str, properties: Properties) -> Attributes:
    _configuration(call, arn)
    return {"Version": arn.rpartition(":")[2], "FunctionArn": arn}


def _update_version(call: Call, arn: str, new: Properties, old: Properties) -> bool:
    return lambda_provisioned.reconcile(call, arn, new)


def _delete_version(call: Call, arn: str, properties: Properties) -> None:
    function, _, version = arn.rpartition(":")
    call("lambda", "DeleteFunction", FunctionName=function, Qualifier=version)


def _alias(properties: Properties) -> dict[str, Any]:
    found = pick(properties, "FunctionVersion", "Description")
    weights = (properties.get("RoutingConfig") or {}).get("AdditionalVersionWeights", [])
    shares = {str(weight["FunctionVersion"]): float(weight["FunctionWeight"]) for weight in weights}
    return {**found, "RoutingConfig": {"AdditionalVersionWeights": shares}}


def _create_alias(call: Call, name: str, properties: Properties) -> str:
    answer = call("lambda", "CreateAlias", **pick(properties, "FunctionName", "Name"), **_alias(properties))
    return str(answer["AliasArn"])


def _adopt_alias(call: Call, name: str, properties: Properties) -> str | None:
    return str(call("lambda", "GetAlias", **pick(properties, "FunctionName", "Name"))["AliasArn"])


def _read_alias(call: Call, arn: str, properties: Properties) -> Attributes:
    call("lambda", "GetAlias", **pick(properties, "FunctionName", "Name"))
    return {"AliasArn": arn}


def _update_alias(call: Call, arn: str, new: Properties, old: Properties) -> bool:
    call("lambda", "UpdateAlias", **pick(new, "FunctionName", "Name"), **_alias(new))
    return lambda_provisioned.reconcile(call, arn, new)


def _delete_alias(call: Call, arn: str, properties: Properties) -> None:
    call("lambda", "DeleteAlias", **pick(properties, "FunctionName", "Name"))


_INVOKE = ("FunctionName", "Qualifier", "MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")


def _put_invoke(call: Call, name: str, properties: Properties) -> str:
    call("lambda", "PutFunctionEventInvokeConfig", **pick(properties, *_INVOKE))
    return name


def _update_invoke(call: Call, name: str, new: Properties, old: Properties) -> None:
    _put_invoke(call, name, new)


def _delete_invoke(call: Call, name: str, properties: Properties) -> None:
    try:
        call("lambda", "DeleteFunctionEventInvokeConfig", **pick(properties, "FunctionName", "Qualifier"))
    except AwsError as error:
        if not is_missing(error):
            raise


KINDS = (
    Kind(
        type="AWS::Lambda::Function",
        naming=Naming("FunctionName", 64),
        required=("Code", "Role"),
        fixed=("FunctionName", "PackageType"),
        mutable=("Code", "Architectures", "ReservedConcurrentExecutions", "Tags", *_CONFIGURATION),
        attributes=("Arn",),
        create=_create_function, ready=_function_ready, finish=_finish_function, read=_read_function, update=_update_function,
        delete=_delete_function,
    ),
    Kind(
        type="AWS::Lambda::EventSourceMapping",
        required=("FunctionName",),
        fixed=_MAPPING_FIXED,
        mutable=(*_MAPPING, "Tags"),
        attributes=("Id", "EventSourceMappingArn"),
        create=_create_mapping, adopt=_adopt_mapping, ready=_mapping_ready, read=_read_mapping, update=_update_mapping,
        delete=_delete_mapping, slow=True,
    ),
    Kind(
        type="AWS::Lambda::Permission",
        required=("FunctionName", "Action", "Principal"),
        fixed=_PERMISSION,
        attributes=("Id",),
        create=_create_permission, read=_nothing, delete=_delete_permission,
    ),
    Kind(
        type="AWS::Lambda::Version",
        required=("FunctionName",),
        fixed=("FunctionName", "Description", "CodeSha256"),
        mutable=("ProvisionedConcurrencyConfig",),
        attributes=("Version", "FunctionArn"),
        create=_create_version, adopt=_create_version, ready=lambda_provisioned.reconcile,
        update=_update_version, read=_read_version, delete=_delete_version,
    ),
    Kind(
        type="AWS::Lambda::Alias",
        required=("FunctionName", "FunctionVersion", "Name"),
        fixed=("FunctionName", "Name"),
        mutable=("FunctionVersion", "Description", "RoutingConfig", "ProvisionedConcurrencyConfig"),
        attributes=("AliasArn",),
        create=_create_alias, adopt=_adopt_alias, ready=lambda_provisioned.reconcile, read=_read_alias,
        update=_update_alias, delete=_delete_alias,
    ),
    Kind(
        type="AWS::Lambda::EventInvokeConfig",
        required=("FunctionName", "Qualifier"),
        fixed=("FunctionName", "Qualifier"),
        mutable=("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"),
        create=_put_invoke, read=_nothing, update=_update_invoke, delete=_delete_invoke,
    ),
)  # fmt: skip
