"""Decisions, pure: what a function may be told, and how outcomes are judged."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.services.lambda_ import limits
from headrace.services.lambda_.engine import runtimes
from headrace.services.lambda_.errors import InvalidParameterValueException, InvalidRequestContentException

RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
    }
)  # fmt: skip

_check_json = msgspec.json.Decoder().decode


def check_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, if a function may have them."""
    reserved = [name for name in variables if name in RESERVED_VARIABLES]
    if reserved:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            "contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > limits.ENVIRONMENT_BYTES_MAX:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            f"exceeded the 4KB limit. String measured: {measured}"
        )
    return dict(variables)


def check_runtime(runtime: str | None) -> str:
    """The runtime, if this machine can run it."""
    if runtime is None:
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    if why := runtimes.missing(runtime):
        raise InvalidParameterValueException(why)
    return runtime


def check_timeout(seconds: int) -> int:
    """The timeout, if AWS allows it: its model does not say the greatest one."""
    if seconds > limits.TIMEOUT_SECONDS_MAX:
        raise InvalidParameterValueException(
            f"1 validation error detected: Value '{seconds}' at 'timeout' failed to satisfy constraint: "
            f"Member must have value less than or equal to {limits.TIMEOUT_SECONDS_MAX}"
        )
    return seconds


def check_log_settings(config: Mapping[str, str]) -> dict[str, str]:
    """The format and levels of a log; levels go with the format JSON alone."""
    kept = {key: value for key, value in config.items() if key != "LogGroup"}
    if kept.get("LogFormat", "Text") == "Text" and len(set(kept) - {"LogFormat"}):
        raise InvalidParameterValueException("ApplicationLogLevel and SystemLogLevel can only be set when LogFormat is JSON.")
    return kept


def check_payload(payload: bytes) -> bytes:
    """The event, if it is JSON; an empty one stays empty."""
    if payload:
        try:
            _check_json(payload)
        except ValueError:
            # What is strictly no JSON may still be what Python takes for it; and its words say where it is wrong.
            try:
                json.loads(payload)
            except ValueError as error:
                raise InvalidRequestContentException(f"Could not parse request body into json: {error}") from None
    return payload


def weights(routing: Mapping[str, Any] | None, version: str) -> dict[str, float]:
    """The shares of other versions in an alias."""
    found: dict[str, float] = dict((routing or {}).get("AdditionalVersionWeights") or {})
    if version in found:
        raise InvalidParameterValueException(
            f"Invalid function version {version}. Function version {version} is already included in routing configuration."
        )
    if "$LATEST" in found or (found and version == "$LATEST"):
        raise InvalidParameterValueException("$LATEST is not supported for an alias pointing to more than 1 version")
    if sum(found.values()) > 1:
        raise InvalidParameterValueException("The sum of the weights is greater than 1")
    return found


def error_of(payload: bytes) -> str:
    """One line that says what a failed function said."""
    try:
        value = json.loads(payload)
        return f"{value.get('errorType', '')}: {value.get('errorMessage', '')}"[:1000]
    except (ValueError, AttributeError):
        return payload[:1000].decode("utf-8", "replace")


def failed_messages(payload: bytes, ids: set[str]) -> set[str]:
    """The messages of a queue that a function named as failed; all of them when its answer makes no sense."""
    failed, _ = failed_items(payload, list(ids))
    if not failed:
        return set()
    try:
        named = {failure["itemIdentifier"] for failure in json.loads(payload)["batchItemFailures"]}
    except (ValueError, KeyError, TypeError):
        return ids
    return named if named <= ids else ids


def failed_items(payload: bytes, sequence_numbers: list[str]) -> tuple[bool, str | None]:
    """What a function that reports batch item failures said: (failed, the earliest failed number or None for the whole batch).

    AWS takes an empty or absent list as success, and an answer that names no record of the batch as a failure of all.
    """
    try:
        value = json.loads(payload) if payload else None
    except ValueError:
        return True, None
    if value is None or value in ({}, ""):
        return False, None
    if not isinstance(value, dict):
        return True, None
    failures = value.get("batchItemFailures")
    if failures is None or failures == []:
        return False, None
    if not isinstance(failures, list):
        return True, None
    named = []
    for failure in failures:
        number = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if number not in sequence_numbers:
            return True, None
        named.append(number)
    return True, min(named, key=sequence_numbers.index)


def durable(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A new function's DurableConfig; None when it is not durable."""
    if config is None:
        return None
    if config.get("KMSKeyArn"):
        raise InvalidParameterValueException("Keys for durable executions are not supported: leave KMSKeyArn out.")
    if config.get("ExecutionTimeout") is None:
        raise InvalidParameterValueException(
            "You cannot create a function with a durable configuration without an executionTimeout"
        )
    return {"RetentionPeriodInDays": limits.DURABLE_RETENTION_DAYS_DEFAULT, **config}


def changed_durable(old: Mapping[str, Any] | None, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """A function's DurableConfig with changes. A function is durable from its beginning or never."""
    if old is None:
        raise InvalidParameterValueException("You cannot enable durable execution on an existing function.")
    return durable({**old, **config})


def pollers(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """The least and the most pollers of a queue's mapping; None for an empty config."""
    if config.get("PollerGroupName"):
        raise InvalidParameterValueException("Unsupported 'PollerGroupName' parameter for given event source mapping type.")
    if config.get("MinimumPollers") is None and config.get("MaximumPollers") is None:
        return None
    most = config.get("MaximumPollers") or limits.QUEUE_POLLERS_MAX_DEFAULT
    least = config.get("MinimumPollers") or limits.QUEUE_POLLERS_MIN_DEFAULT
    for name, value in (("MinimumPollers", least), ("MaximumPollers", most)):
        if value < limits.QUEUE_POLLERS_MIN:
            raise InvalidParameterValueException(
                f"{name} must be at least {limits.QUEUE_POLLERS_MIN} for Amazon SQS event sources."
            )
    if least > most:
        raise InvalidParameterValueException("MinimumPollers must be less than or equal to MaximumPollers.")
    return least, most


def mapping_metrics(config: Mapping[str, Any]) -> list[str]:
    """The groups of metrics that a mapping writes."""
    wanted = list(dict.fromkeys(config.get("Metrics") or []))
    if others := [name for name in wanted if name != "EventCount"]:
        raise InvalidParameterValueException(f"Unsupported metrics for given event source mapping type: {', '.join(others)}.")
    return wanted
