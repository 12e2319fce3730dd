"""What is set beside a function: concurrency, retries of events, who may invoke, tags."""

import json
from typing import Any

from headrace.layers import tags as tag_layer
from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.lambda_ import destinations, limits, naming, provisioning, shapes, state
from headrace.services.lambda_.errors import (
    InvalidParameterValueException,
    PolicyLengthExceededException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from headrace.services.lambda_.naming import LATEST, FunctionName
from headrace.services.lambda_.state import EventConfig, Policy


@operation
def put_function_concurrency(ctx: Context, *, function_name: str, reserved_concurrent_executions: int) -> dict[str, Any]:
    """Let a function run at most so often at one time; 0 stops it.

    Differs from AWS: nothing is set aside for it, since the server's environments are shared by all.
    """
    name = naming.parse(ctx, function_name)
    function = state.find_function(ctx.tx, name)
    provisioning.check_reserved(ctx, name, reserved_concurrent_executions)
    function.reserved = reserved_concurrent_executions
    state.FUNCTIONS.put(ctx.tx, function, *name[:3])
    return {"ReservedConcurrentExecutions": reserved_concurrent_executions}


@operation(read_only=True)
def get_function_concurrency(ctx: Context, *, function_name: str) -> dict[str, Any]:
    """A function's bound; nothing when it has none."""
    function = state.find_function(ctx.tx, naming.parse(ctx, function_name))
    return {} if function.reserved is None else {"ReservedConcurrentExecutions": function.reserved}


@operation
def delete_function_concurrency(ctx: Context, *, function_name: str) -> None:
    """Remove a function's bound."""
    name = naming.parse(ctx, function_name)
    function = state.find_function(ctx.tx, name)
    function.reserved = None
    state.FUNCTIONS.put(ctx.tx, function, *name[:3])


@operation
def put_function_event_invoke_config(
    ctx: Context, *, function_name: str, qualifier: str | None = None, maximum_retry_attempts: int | None = None,
    maximum_event_age_in_seconds: int | None = None, destination_config: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Say how asynchronous events are retried, and where their outcomes go; what is not given returns to its default."""
    name = naming.parse(ctx, function_name, qualifier)
    state.resolve(ctx.tx, name)
    return _put_event_config(
        ctx, name, EventConfig(0.0), maximum_retry_attempts, maximum_event_age_in_seconds, destination_config
    )


@operation
def update_function_event_invoke_config(
    ctx: Context, *, function_name: str, qualifier: str | None = None, maximum_retry_attempts: int | None = None,
    maximum_event_age_in_seconds: int | None = None, destination_config: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Change what is given; the rest stays."""
    name = naming.parse(ctx, function_name, qualifier)
    old = _event_config(ctx, name)
    return _put_event_config(ctx, name, old, maximum_retry_attempts, maximum_event_age_in_seconds, destination_config)


@operation(read_only=True)
def get_function_event_invoke_config(ctx: Context, *, function_name: str, qualifier: str | None = None) -> dict[str, Any]:
    """How asynchronous events are retried."""
    name = naming.parse(ctx, function_name, qualifier)
    return shapes.event_config(ctx, name.name, name.qualifier or LATEST, _event_config(ctx, name))


@operation
def delete_function_event_invoke_config(ctx: Context, *, function_name: str, qualifier: str | None = None) -> None:
    """Return to the defaults."""
    name = naming.parse(ctx, function_name, qualifier)
    _event_config(ctx, name)
    state.EVENT_CONFIGS.delete(ctx.tx, *name[:3], name.qualifier or LATEST)


@operation(read_only=True, accepts=("max_items", "marker"))
def list_function_event_invoke_configs(ctx: Context, *, function_name: str) -> dict[str, Any]:
    """Those of a function, its versions and aliases; all at once."""
    name = naming.parse(ctx, function_name)
    state.find_function(ctx.tx, name)
    return {
        "FunctionEventInvokeConfigs": [
            shapes.event_config(ctx, name.name, str(key[-1]), kept) for key, kept in state.EVENT_CONFIGS.scan(ctx.tx, *name[:3])
        ]
    }


@operation
def add_permission(
    ctx: Context, *, function_name: str, statement_id: str, action: str, principal: str, source_arn: str | None = None,
    source_account: str | None = None, event_source_token: str | None = None, qualifier: str | None = None,
    revision_id: str | None = None, principal_org_id: str | None = None, function_url_auth_type: str | None = None,
    invoked_via_function_url: bool | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Add a statement to a function's policy. Differs from AWS: services of the server need none to invoke it."""
    name = naming.parse(ctx, function_name, qualifier)
    state.resolve(ctx.tx, name)
    policy = _policy(ctx, name) or Policy("", [])
    if revision_id is not None and revision_id != policy.revision_id:
        raise PreconditionFailedException.revision()
    if any(statement["Sid"] == statement_id for statement in policy.statements):
        raise ResourceConflictException(
            f"The statement id ({statement_id}) provided already exists. Please provide a new statement id, "
            "or remove the existing statement."
        )
    conditions: dict[str, dict[str, str]] = {}
    for operator, key, value in (
        ("ArnLike", "AWS:SourceArn", source_arn),
        ("StringEquals", "AWS:SourceAccount", source_account),
        ("StringEquals", "lambda:EventSourceToken", event_source_token),
        ("StringEquals", "aws:PrincipalOrgID", principal_org_id),
        ("StringEquals", "lambda:FunctionUrlAuthType", function_url_auth_type),
        (
            "Bool",
            "lambda:InvokedViaFunctionUrl",
            None if invoked_via_function_url is None else str(invoked_via_function_url).lower(),
        ),
    ):
        if value is not None:
            conditions.setdefault(operator, {})[key] = value
    statement: dict[str, Any] = {
        "Sid": statement_id,
        "Effect": "Allow",
        "Principal": _principal(principal),
        "Action": action,
        "Resource": naming.named_arn(name),
    }
    if conditions:
        statement["Condition"] = conditions
    policy = Policy(ctx.ids.uuid(), [*policy.statements, statement])
    if len(_policy_text(policy).encode()) > limits.POLICY_BYTES_MAX:
        raise PolicyLengthExceededException(f"The final policy size is bigger than the limit ({limits.POLICY_BYTES_MAX}).")
    state.POLICIES.put(ctx.tx, policy, *name[:3], name.qualifier or "")
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
    return {"Statement": json.dumps(statement, separators=(",", ":"))}


@operation
def remove_permission(
    ctx: Context, *, function_name: str, statement_id: str, qualifier: str | None = None, revision_id: str | None = None
) -> None:
    """Take a statement out of a function's policy."""
    name = naming.parse(ctx, function_name, qualifier)
    state.resolve(ctx.tx, name)
    policy = _policy(ctx, name)
    if policy is None or all(statement["Sid"] != statement_id for statement in policy.statements):
        raise ResourceNotFoundException(f"Statement {statement_id} is not found in resource policy.")
    if revision_id is not None and revision_id != policy.revision_id:
        raise PreconditionFailedException.revision()
    left = [statement for statement in policy.statements if statement["Sid"] != statement_id]
    if left:
        state.POLICIES.put(ctx.tx, Policy(ctx.ids.uuid(), left), *name[:3], name.qualifier or "")
    else:
        state.POLICIES.delete(ctx.tx, *name[:3], name.qualifier or "")
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


@operation(read_only=True)
def get_policy(ctx: Context, *, function_name: str, qualifier: str | None = None) -> dict[str, Any]:
    """A function's policy."""
    name = naming.parse(ctx, function_name, qualifier)
    state.resolve(ctx.tx, name)
    policy = _policy(ctx, name)
    if policy is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return {"Policy": _policy_text(policy), "RevisionId": policy.revision_id}


@operation
def tag_resource(ctx: Context, *, resource: str, tags: dict[str, str]) -> None:
    """Add tags to a function or an event source mapping."""
    tag_layer.add(ctx.tx, _tagged(ctx, resource), tags)


@operation
def untag_resource(ctx: Context, *, resource: str, tag_keys: list[str]) -> None:
    """Take tags away."""
    tag_layer.remove(ctx.tx, _tagged(ctx, resource), tag_keys)


@operation(read_only=True)
def list_tags(ctx: Context, *, resource: str) -> dict[str, Any]:
    """The tags of a function or an event source mapping."""
    return {"Tags": tag_layer.get(ctx.tx, _tagged(ctx, resource))}


def _tagged(ctx: Context, resource: str) -> str:
    if ":event-source-mapping:" in resource:
        return naming.mapping_arn(ctx, state.find_mapping(ctx, resource.rpartition(":")[2]).id)
    name = naming.parse(ctx, resource)
    if name.qualifier is not None:
        raise InvalidParameterValueException(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    state.find_function(ctx.tx, name)
    return naming.function_arn(*name[:3])


def _event_config(ctx: Context, name: FunctionName) -> EventConfig:
    state.resolve(ctx.tx, name)
    found = state.EVENT_CONFIGS.get(ctx.tx, *name[:3], name.qualifier or LATEST)
    if found is None:
        raise ResourceNotFoundException(
            f"The function {naming.function_arn(*name[:3], name.qualifier or LATEST)} doesn't have an EventInvokeConfig"
        )
    return found


_MAY_NOT_SEND = "The function's execution role does not have permissions to call {action} on {arn}"


def _put_event_config(
    ctx: Context, name: FunctionName, old: EventConfig, retried_max: int | None, age_max: int | None,
    destination_config: dict[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    if retried_max is None and age_max is None and destination_config is None:
        raise InvalidParameterValueException("You must specify at least one of error handling or destination setting.")
    on_success, on_failure = old.on_success, old.on_failure
    if destination_config is not None:
        on_success = (destination_config.get("OnSuccess") or {}).get("Destination")
        on_failure = (destination_config.get("OnFailure") or {}).get("Destination")
        for arn in filter(None, (on_success, on_failure)):
            destinations.check(ctx, arn, state.resolve(ctx.tx, name).role, _MAY_NOT_SEND)
    config = EventConfig(
        ctx.clock.now(),
        old.attempts_retried_max if retried_max is None else retried_max,
        old.age_seconds_max if age_max is None else age_max,
        on_success,
        on_failure,
    )
    state.EVENT_CONFIGS.put(ctx.tx, config, *name[:3], name.qualifier or LATEST)
    return shapes.event_config(ctx, name.name, name.qualifier or LATEST, config)


def _policy(ctx: Context, name: FunctionName) -> Policy | None:
    return state.POLICIES.get(ctx.tx, *name[:3], name.qualifier or "")


def _policy_text(policy: Policy) -> str:
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}, separators=(",", ":"))


def _principal(text: str) -> Any:
    if text == "*":
        return "*"
    if text.isdigit() and len(text) == 12:
        return {"AWS": f"arn:aws:iam::{text}:root"}
    return {"AWS": text} if text.startswith("arn:") else {"Service": text}
