"""What is kept, in the form in which AWS says it."""

import base64
import time
from typing import Any

from headrace.operation import Context
from headrace.services.lambda_ import naming
from headrace.services.lambda_.state import Alias, Code, EventConfig, Layer, Mapping, Version


def timestamp(seconds: float) -> str:
    """A time as Lambda writes it into strings."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}+0000"


def code_sha256(code: Code) -> str:
    """The digest of a package as AWS says it."""
    return base64.b64encode(bytes.fromhex(code.digest)).decode()


def log_group(version: Version) -> str:
    """The log group of a function."""
    return version.log_group or f"/aws/lambda/{version.name}"


def log_settings(version: Version) -> tuple[str, str, str]:
    """The format of a function's log, and the least levels of its own lines and of the platform's that are kept."""
    kept = version.log_settings
    return kept.get("LogFormat", "Text"), kept.get("ApplicationLogLevel", "INFO"), kept.get("SystemLogLevel", "INFO")


def _logging(version: Version) -> dict[str, str]:
    log_format, application_level, system_level = log_settings(version)
    levels = {"ApplicationLogLevel": application_level, "SystemLogLevel": system_level} if log_format == "JSON" else {}
    return {"LogFormat": log_format, **levels, "LogGroup": log_group(version)}


def configuration(
    place: naming.Place, version: Version, *, qualified: bool, layer_sizes: dict[str, int] | None = None
) -> dict[str, Any]:
    """A version's FunctionConfiguration. `qualified`: its ARN ends in the version."""
    arn = naming.function_arn(place.account, place.region, version.name, version.version if qualified else None)
    result: dict[str, Any] = {
        "FunctionName": version.name,
        "FunctionArn": arn,
        "Runtime": version.runtime,
        "Role": version.role,
        "Handler": version.handler,
        "CodeSize": version.code.size_bytes,
        "Description": version.description,
        "Timeout": version.timeout_seconds,
        "MemorySize": version.memory_mib,
        "LastModified": timestamp(version.modified_at),
        "CodeSha256": code_sha256(version.code),
        "Version": version.version,
        "TracingConfig": {"Mode": version.tracing},
        "RevisionId": version.revision_id,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": version.architectures,
        "EphemeralStorage": {"Size": version.temporary_mib},
        "SnapStart": {"ApplyOn": version.snap_start, "OptimizationStatus": "Off"},
        "LoggingConfig": _logging(version),
    }
    if version.environment is not None:
        result["Environment"] = {"Variables": version.environment}
    if version.layers:
        sizes = layer_sizes or {}
        result["Layers"] = [{"Arn": layer, "CodeSize": sizes.get(layer, 0)} for layer in version.layers]
    if version.durable is not None:
        result["DurableConfig"] = version.durable
    if version.dead_letter_arn:
        result["DeadLetterConfig"] = {"TargetArn": version.dead_letter_arn}
    return result


def alias(place: naming.Place, function: str, kept: Alias) -> dict[str, Any]:
    """An AliasConfiguration."""
    result: dict[str, Any] = {
        "AliasArn": naming.function_arn(place.account, place.region, function, kept.name),
        "Name": kept.name,
        "FunctionVersion": kept.version,
        "Description": kept.description,
        "RevisionId": kept.revision_id,
    }
    if kept.weights:
        result["RoutingConfig"] = {"AdditionalVersionWeights": kept.weights}
    return result


def event_config(place: naming.Place, function: str, qualifier: str, kept: EventConfig) -> dict[str, Any]:
    """A FunctionEventInvokeConfig."""
    destinations: dict[str, Any] = {"OnSuccess": {}, "OnFailure": {}}
    if kept.on_success:
        destinations["OnSuccess"] = {"Destination": kept.on_success}
    if kept.on_failure:
        destinations["OnFailure"] = {"Destination": kept.on_failure}
    result: dict[str, Any] = {
        "LastModified": kept.modified_at,
        "FunctionArn": naming.function_arn(place.account, place.region, function, qualifier),
        "DestinationConfig": destinations,
    }
    if kept.attempts_retried_max is not None:
        result["MaximumRetryAttempts"] = kept.attempts_retried_max
    if kept.age_seconds_max is not None:
        result["MaximumEventAgeInSeconds"] = kept.age_seconds_max
    return result


def layer(place: naming.Place, kept: Layer) -> dict[str, Any]:
    """What the operations on layers have in common."""
    result: dict[str, Any] = {
        "LayerVersionArn": naming.layer_arn(place, kept.name, kept.version),
        "Version": kept.version,
        "Description": kept.description,
        "CreatedDate": timestamp(kept.created_at),
    }
    if kept.runtimes:
        result["CompatibleRuntimes"] = kept.runtimes
    if kept.architectures:
        result["CompatibleArchitectures"] = kept.architectures
    if kept.license:
        result["LicenseInfo"] = kept.license
    return result


def mapping(ctx: Context, kept: Mapping, state: str | None = None) -> dict[str, Any]:
    """An EventSourceMappingConfiguration."""
    of_stream: dict[str, Any] = {}
    if kept.starting_position:
        of_stream = {
            "StartingPosition": kept.starting_position,
            "ParallelizationFactor": kept.parallel,
            "MaximumRecordAgeInSeconds": kept.age_seconds_max,
            "MaximumRetryAttempts": kept.attempts_retried_max,
            "BisectBatchOnFunctionError": kept.bisect,
            "TumblingWindowInSeconds": kept.tumbling_seconds,
            "DestinationConfig": {"OnFailure": {"Destination": kept.on_failure} if kept.on_failure else {}},
            "LastProcessingResult": kept.last_result,
        }
    result: dict[str, Any] = {
        "UUID": kept.id,
        "EventSourceMappingArn": naming.mapping_arn(ctx, kept.id),
        "EventSourceArn": kept.source_arn,
        "FunctionArn": naming.function_arn(kept.account, kept.region, kept.function, kept.qualifier),
        **of_stream,
        "BatchSize": kept.batch_size,
        "MaximumBatchingWindowInSeconds": kept.window_seconds,
        "FunctionResponseTypes": ["ReportBatchItemFailures"] if kept.report_failures else [],
        "LastModified": kept.modified_at,
        "State": state or ("Enabled" if kept.enabled else "Disabled"),
        "StateTransitionReason": "User action",
    }
    if kept.starting_at is not None:
        result["StartingPositionTimestamp"] = kept.starting_at
    if kept.concurrency_max is not None:
        result["ScalingConfig"] = {"MaximumConcurrency": kept.concurrency_max}
    if kept.pollers is not None:
        result["ProvisionedPollerConfig"] = {"MinimumPollers": kept.pollers[0], "MaximumPollers": kept.pollers[1]}
    if kept.metrics:
        result["MetricsConfig"] = {"Metrics": kept.metrics}
    if kept.patterns:
        result["FilterCriteria"] = {"Filters": [{"Pattern": pattern} for pattern in kept.patterns]}
    return result
