"""Event source mappings: which stream feeds which function."""

from typing import Any

import msgspec

from headrace import consumer
from headrace.kit.arn import parse as parse_arn
from headrace.kit.errors import AwsError
from headrace.layers import tags as tag_layer
from headrace.operation import Context, operation
from headrace.services.lambda_ import destinations, limits, mappings, naming, queues, rules, shapes, sources, state
from headrace.services.lambda_.engine.patterns import InvalidPattern, compile_pattern
from headrace.services.lambda_.errors import InvalidParameterValueException, ResourceConflictException
from headrace.services.lambda_.state import Mapping

_MAY_NOT_SEND = "The function execution role does not have permissions to call {action} on {service}"


@operation
def create_event_source_mapping(
    ctx: Context, *, function_name: str, event_source_arn: str | None = None, enabled: bool | None = None,
    batch_size: int | None = None, filter_criteria: dict[str, Any] | None = None,
    maximum_batching_window_in_seconds: int | None = None, parallelization_factor: int | None = None,
    starting_position: str | None = None, starting_position_timestamp: float | None = None,
    destination_config: dict[str, Any] | None = None, maximum_record_age_in_seconds: int | None = None,
    bisect_batch_on_function_error: bool | None = None, maximum_retry_attempts: int | None = None,
    tags: dict[str, str] | None = None, function_response_types: list[str] | None = None,
    scaling_config: dict[str, Any] | None = None, provisioned_poller_config: dict[str, Any] | None = None,
    metrics_config: dict[str, Any] | None = None, tumbling_window_in_seconds: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Feed a function from a DynamoDB stream, a Kinesis stream or an SQS queue.

    Differs from AWS: no Kafka, MQ or DocumentDB.
    """
    name = naming.parse(ctx, function_name)
    state.resolve(ctx.tx, name)
    if event_source_arn is None:
        raise InvalidParameterValueException("EventSourceArn is required: Headrace reads DynamoDB, Kinesis and SQS.")
    _check_source(ctx, name, event_source_arn)
    is_queue = mappings.source_service(event_source_arn) == "sqs"
    if is_queue:
        if starting_position or parallelization_factor or bisect_batch_on_function_error or maximum_retry_attempts is not None:
            raise InvalidParameterValueException(
                "Unsupported parameter for the event source type: SQS takes no place in a stream."
            )
        batch_size = batch_size or limits.QUEUE_BATCH_DEFAULT
        if batch_size > limits.QUEUE_BATCH_DEFAULT and not maximum_batching_window_in_seconds:
            raise InvalidParameterValueException(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
            )
    else:
        _check_start(event_source_arn, starting_position, starting_position_timestamp)
    _refuse_second(ctx, name, event_source_arn)
    settings = _settings(
        ctx, name, enabled=enabled, batch_size=batch_size, filter_criteria=filter_criteria,
        window_seconds=maximum_batching_window_in_seconds, parallel=parallelization_factor,
        destination_config=destination_config, age_seconds_max=maximum_record_age_in_seconds,
        bisect=bisect_batch_on_function_error, attempts_retried_max=maximum_retry_attempts,
        response_types=function_response_types, scaling=scaling_config, provisioned=provisioned_poller_config,
        metrics=metrics_config, tumbling_seconds=tumbling_window_in_seconds,
    )  # fmt: skip
    mapping = Mapping(
        id=ctx.ids.uuid(),
        account=ctx.account,
        region=ctx.region,
        source_arn=event_source_arn,
        starting_position=starting_position or "",
        starting_at=starting_position_timestamp,
        modified_at=ctx.clock.now(),
        **settings,
    )
    _check_together(mapping)
    state.put_mapping(ctx, mapping)
    tag_layer.add(ctx.tx, naming.mapping_arn(ctx, mapping.id), tags or {})
    return shapes.mapping(ctx, mapping, "Creating")


@operation(read_only=True)
def get_event_source_mapping(ctx: Context, *, uuid: str) -> dict[str, Any]:
    """A mapping."""
    return shapes.mapping(ctx, state.find_mapping(ctx, uuid))


@operation
def update_event_source_mapping(
    ctx: Context, *, uuid: str, function_name: str | None = None, enabled: bool | None = None, batch_size: int | None = None,
    filter_criteria: dict[str, Any] | None = None, maximum_batching_window_in_seconds: int | None = None,
    parallelization_factor: int | None = None, destination_config: dict[str, Any] | None = None,
    maximum_record_age_in_seconds: int | None = None, bisect_batch_on_function_error: bool | None = None,
    maximum_retry_attempts: int | None = None, function_response_types: list[str] | None = None,
    scaling_config: dict[str, Any] | None = None, provisioned_poller_config: dict[str, Any] | None = None,
    metrics_config: dict[str, Any] | None = None, tumbling_window_in_seconds: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Change what is given. Reading goes on where it was."""
    old = state.find_mapping(ctx, uuid)
    name = naming.parse(ctx, function_name) if function_name is not None else mappings.function_of(old)
    state.resolve(ctx.tx, name)
    sources.check(ctx, name, old.source_arn)
    settings = _settings(
        ctx, name, enabled=enabled, batch_size=batch_size, filter_criteria=filter_criteria,
        window_seconds=maximum_batching_window_in_seconds, parallel=parallelization_factor,
        destination_config=destination_config, age_seconds_max=maximum_record_age_in_seconds,
        bisect=bisect_batch_on_function_error, attempts_retried_max=maximum_retry_attempts,
        response_types=function_response_types, scaling=scaling_config, provisioned=provisioned_poller_config,
        metrics=metrics_config, tumbling_seconds=tumbling_window_in_seconds,
    )  # fmt: skip
    changed = msgspec.structs.replace(old, modified_at=ctx.clock.now(), **settings)
    _check_together(changed)
    if old.tumbling_seconds and not changed.tumbling_seconds:
        state.WINDOWS.delete_all(ctx.tx, uuid)
    state.put_mapping(ctx, changed)
    doing = "Updating" if changed.enabled == old.enabled else "Enabling" if changed.enabled else "Disabling"
    return shapes.mapping(ctx, changed, doing)


@operation
def delete_event_source_mapping(ctx: Context, *, uuid: str) -> dict[str, Any]:
    """Remove a mapping with its place in the stream."""
    mapping = state.find_mapping(ctx, uuid)
    state.delete_mapping(ctx, mapping)
    consumer.forget(ctx, mapping.id)
    tag_layer.drop(ctx.tx, naming.mapping_arn(ctx, mapping.id))
    return shapes.mapping(ctx, mapping, "Deleting")


@operation(read_only=True)
def list_event_source_mappings(
    ctx: Context, *, event_source_arn: str | None = None, function_name: str | None = None, marker: str | None = None,
    max_items: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The mappings of the account, of a source or of a function."""
    limit = min(max_items or 100, 100)
    name = naming.parse(ctx, function_name) if function_name is not None else None
    after = (ctx.account, ctx.region, marker) if marker else None
    found = []
    for key, _ in state.MAPPINGS_OF.scan(ctx.tx, ctx.account, ctx.region, after=after):
        mapping = state.MAPPINGS.get(ctx.tx, key[-1])
        assert mapping is not None
        if event_source_arn not in (None, mapping.source_arn):
            continue
        if name is not None and (mapping.function != name.name or name.qualifier not in (None, mapping.qualifier)):
            continue
        found.append(mapping)
        if len(found) > limit:
            break
    result: dict[str, Any] = {"EventSourceMappings": [shapes.mapping(ctx, mapping) for mapping in found[:limit]]}
    if len(found) > limit:
        result["NextMarker"] = found[limit - 1].id
    return result


def _check_source(ctx: Context, name: naming.FunctionName, arn: str) -> None:
    """InvalidParameterValueException unless the source is there, and the function's role may read it."""
    service = mappings.source_service(arn)
    is_queue = service == "sqs" and "sqs" in ctx.ports.sinks
    source = ctx.ports.sources.get(service)
    if source is None and not is_queue:
        known = ", ".join(sorted(ctx.ports.sources)) or "none"
        raise InvalidParameterValueException(f"Unrecognized event source, {service!r} is not one of those here: {known}.")
    if parse_arn(arn).region != ctx.region:
        raise InvalidParameterValueException("The event source must be in the region of the function.")
    # First of all: who may not read a stream of another account does not learn whether it is there.
    sources.check(ctx, name, arn)
    if source is None:
        try:
            queues.url(ctx, arn)
        except AwsError:
            raise InvalidParameterValueException(
                "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                "SQS Error Message: The specified queue does not exist."
            ) from None
        return
    try:
        source.shards(consumer.at_source(ctx, arn), arn)
    except LookupError:
        raise InvalidParameterValueException(f"Stream not found: {arn}") from None


def _check_start(arn: str, position: str | None, timestamp: float | None) -> None:
    if position is None:
        raise InvalidParameterValueException(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."
        )
    if position == "AT_TIMESTAMP":
        if mappings.source_service(arn) not in ("kinesis", "kinesisvideo"):
            raise InvalidParameterValueException("Unsupported starting position for the event source type: AT_TIMESTAMP")
        if timestamp is None:
            raise InvalidParameterValueException("StartingPositionTimestamp is required for AT_TIMESTAMP.")


def _refuse_second(ctx: Context, name: naming.FunctionName, source_arn: str) -> None:
    for key, _ in state.MAPPINGS_OF.scan(ctx.tx, ctx.account, ctx.region):
        other = state.MAPPINGS.get(ctx.tx, key[-1])
        if other is not None and (other.source_arn, other.function, other.qualifier) == (source_arn, name.name, name.qualifier):
            raise ResourceConflictException(
                f'The event source arn (" {source_arn} ") and function (" {name.name} ") provided mapping already exists. '
                f"Please update or delete the existing mapping with UUID {other.id}"
            )


def _settings(
    ctx: Context, name: naming.FunctionName, *, filter_criteria: dict[str, Any] | None, destination_config: dict[str, Any] | None,
    response_types: list[str] | None, scaling: dict[str, Any] | None, provisioned: dict[str, Any] | None,
    metrics: dict[str, Any] | None, **plain: Any,
) -> dict[str, Any]:  # fmt: skip
    """The fields of a mapping that these members set. An empty ScalingConfig or ProvisionedPollerConfig takes it away."""
    found: dict[str, Any] = {key: value for key, value in plain.items() if value is not None}
    found.update({"function": name.name, "qualifier": name.qualifier})
    if filter_criteria is not None:
        found["patterns"] = _patterns(filter_criteria)
    if destination_config is not None:
        if (destination_config.get("OnSuccess") or {}).get("Destination"):
            raise InvalidParameterValueException("Unsupported DestinationConfig parameter for given event source mapping type.")
        arn = (destination_config.get("OnFailure") or {}).get("Destination")
        role = state.resolve(ctx.tx, name).role
        found["on_failure"] = destinations.check(ctx, arn, role, _MAY_NOT_SEND) if arn else None
    if response_types is not None:
        found["report_failures"] = "ReportBatchItemFailures" in response_types
    if scaling is not None:
        found["concurrency_max"] = scaling.get("MaximumConcurrency")
    if provisioned is not None:
        found["pollers"] = rules.pollers(provisioned)
    if metrics is not None:
        found["metrics"] = rules.mapping_metrics(metrics)
    return found


def _patterns(criteria: dict[str, Any]) -> list[str]:
    patterns = [one.get("Pattern") or "" for one in criteria.get("Filters") or []]
    if len(patterns) > limits.FILTERS_MAX:
        raise InvalidParameterValueException("Maximum number of filters allowed: 10.")
    for pattern in patterns:
        if len(pattern.encode()) > limits.FILTER_PATTERN_BYTES_MAX:
            raise InvalidParameterValueException("Filter pattern is too long.")
        try:
            compile_pattern(pattern)
        except InvalidPattern as error:
            raise InvalidParameterValueException(f"Invalid filter pattern definition. ({error})") from None
    return patterns


def _check_together(mapping: Mapping) -> None:
    if mapping.age_seconds_max != -1 and mapping.age_seconds_max < 60:
        raise InvalidParameterValueException("Minimum record age must be 60 seconds, or -1 for no limit.")
    if mapping.tumbling_seconds and mapping.parallel > 1:
        raise InvalidParameterValueException("Tumbling windows can't be used with a ParallelizationFactor greater than 1.")
    if mapping.tumbling_seconds and mappings.source_service(mapping.source_arn) == "sqs":
        raise InvalidParameterValueException(
            "Unsupported 'TumblingWindowInSeconds' parameter for given event source mapping type."
        )
    if mappings.source_service(mapping.source_arn) != "sqs":
        # Streams' readers are as many as there are shards and ParallelizationFactor says.
        for member, given in (("ScalingConfig", mapping.concurrency_max), ("ProvisionedPollerConfig", mapping.pollers)):
            if given is not None:
                raise InvalidParameterValueException(f"Unsupported '{member}' parameter for given event source mapping type.")
    elif mapping.concurrency_max is not None and mapping.pollers is not None:
        raise InvalidParameterValueException("ScalingConfig and ProvisionedPollerConfig cannot be specified together.")
