"""Change sets: what a stack would become, looked at before it is done."""

import time
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.layers import tags as tag_lists
from headrace.operation import Context, operation
from headrace.services.cloudformation import errors, limits, paging, show, state
from headrace.services.cloudformation.operations import stacks
from headrace.services.cloudformation.prepare import Prepared, Request, prepare

Structure = dict[str, Any]
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


@operation(
    transaction=False,
    accepts=("resource_types", "rollback_configuration", "include_nested_stacks", "deployment_config", "disable_validation"),
)
def create_change_set(
    ctx: Context, *, stack_name: str, change_set_name: str, template_body: str | None = None, template_url: str | None = None,
    use_previous_template: bool = False, parameters: list[Structure] | None = None, capabilities: list[str] | None = None,
    role_arn: str | None = None, notification_arns: list[str] | None = None, tags: list[dict[str, str]] | None = None,
    client_token: str | None = None, description: str | None = None, change_set_type: str = "UPDATE",
    on_stack_failure: str | None = None,
) -> Structure:  # fmt: skip
    """Find out what a template would change. With the type CREATE the stack is new, and has no resources yet.

    Differs from AWS: the change set is complete (or has failed) when this returns. Imports are refused.
    """
    if change_set_type not in ("CREATE", "UPDATE"):
        raise ValidationError(f"ChangeSetType {change_set_type} is not supported.")
    row, rows = ctx.snapshot(lambda inner: _stack_for(inner, stack_name, change_set_name, change_set_type))
    is_new = row is None
    if row is None:
        row = stacks.new_stack(ctx, stack_name.rpartition("/")[2], "REVIEW_IN_PROGRESS")
    request = Request(
        template_body, template_url, use_previous_template, parameters, capabilities, tags, notification_arns, role_arn, True
    )  # fmt: skip
    prepared = prepare(ctx, row, request, rows)
    change_set_id = f"arn:aws:cloudformation:{ctx.region}:{ctx.account}:changeSet/{change_set_name}/{ctx.ids.uuid()}"
    stack_id = row.stack_id
    new = row if is_new else None

    def body(inner: Context) -> None:
        if new is not None:
            stacks.check_name_is_free(inner, new.name)
            new.events = new.template_count = 0
            stacks.keep_new(inner, new)
            state.set_status(inner, new, "REVIEW_IN_PROGRESS", "User Initiated")
        _keep(inner, stack_id, prepared, change_set_id, change_set_name, change_set_type, description, on_stack_failure)

    ctx.transact(body)
    return {"Id": change_set_id, "StackId": stack_id}


def _stack_for(ctx: Context, stack_name: str, name: str, kind: str) -> tuple[state.Stack | None, dict[str, state.Resource]]:
    row = state.find(ctx, stack_name)
    if row is not None and row.status == "DELETE_COMPLETE":
        row = None
    if row is None:
        if kind == "UPDATE" or stack_name.startswith("arn:"):
            raise ValidationError(f"Stack [{stack_name}] does not exist")
        return None, {}
    if kind == "CREATE" and row.status != "REVIEW_IN_PROGRESS":
        raise ValidationError(f"Stack [{row.name}] already exists and cannot be created again with the changeSet [{name}].")
    if row.status.endswith("_IN_PROGRESS") and row.status != "REVIEW_IN_PROGRESS":
        raise errors.wrong_status(row.stack_id, row.status)
    if row.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"):
        raise errors.wrong_status(row.stack_id, row.status)
    known = state.change_sets(ctx, row.stack_id)
    if any(change_set.name == name for change_set in known):
        raise errors.AlreadyExistsException(f"ChangeSet {name} already exists")
    if len(known) >= limits.CHANGE_SETS_PER_STACK_MAX:
        raise errors.LimitExceededException(f"Limit for ChangeSets has been exceeded: {limits.CHANGE_SETS_PER_STACK_MAX}")
    return row, state.resources(ctx, row.stack_id)


def _keep(
    ctx: Context, stack_id: str, prepared: Prepared, change_set_id: str, name: str, kind: str, description: str | None,
    on_failure: str | None,
) -> None:  # fmt: skip
    row = state.stack(ctx, stack_id)
    useful = bool(prepared.changes) or prepared.differs
    version = stacks.keep_version(ctx, row, prepared)
    change_set = state.ChangeSet(
        change_set_id=change_set_id, name=name, stack_id=stack_id, kind=kind, created_at=ctx.clock.now(),
        status="CREATE_COMPLETE" if useful else "FAILED", execution="AVAILABLE" if useful else "UNAVAILABLE",
        version=version, base=row.operation, reason=None if useful else NO_CHANGES, description=description,
        changes=prepared.changes, on_failure=on_failure,
    )  # fmt: skip
    state.put_change_set(ctx, change_set)
    state.put(ctx, row)


def _find(ctx: Context, name: str, stack_name: str | None) -> tuple[state.Stack, state.ChangeSet]:
    if stack_name is not None:
        rows = [state.stack(ctx, stack_name)]
    elif name.startswith("arn:"):
        rows = list(state.stacks(ctx))
    else:
        raise ValidationError("StackName must be specified if ChangeSetName is not specified as an ARN.")
    for row in rows:
        for change_set in state.change_sets(ctx, row.stack_id):
            if name in (change_set.name, change_set.change_set_id):
                return row, change_set
    raise errors.no_change_set(name)


@operation(transaction=False)
def describe_change_set(
    ctx: Context, *, change_set_name: str, stack_name: str | None = None, next_token: str | None = None,
    include_property_values: bool = False,
) -> Structure:  # fmt: skip
    """Describe a change set. Differs from AWS: values of properties before and after are not shown."""
    row, found = ctx.snapshot(lambda inner: _find(inner, change_set_name, stack_name))
    shown, more = paging.page(found.changes, next_token, limits.PAGE_RESOURCES)
    version = found.version
    answer = {
        **_summary(row, found),
        "Parameters": show.parameter_list(version),
        "Capabilities": version.capabilities,
        "NotificationARNs": version.notifications,
        "Tags": tag_lists.to_list(version.tags),
        "Changes": list(shown),
        "RollbackConfiguration": {},
        **more,
    }
    if found.on_failure is not None:
        answer["OnStackFailure"] = found.on_failure
    return answer


def _summary(row: state.Stack, found: state.ChangeSet) -> Structure:
    answer: Structure = {
        "StackId": row.stack_id,
        "StackName": row.name,
        "ChangeSetId": found.change_set_id,
        "ChangeSetName": found.name,
        "ExecutionStatus": found.execution,
        "Status": found.status,
        "CreationTime": found.created_at,
        "IncludeNestedStacks": False,
    }
    if found.reason is not None:
        answer["StatusReason"] = found.reason
    if found.description is not None:
        answer["Description"] = found.description
    return answer


@operation(transaction=False)
def list_change_sets(ctx: Context, *, stack_name: str, next_token: str | None = None) -> Structure:
    """List the change sets of a stack."""

    def body(inner: Context) -> tuple[state.Stack, list[state.ChangeSet]]:
        row = state.stack(inner, stack_name)
        return row, state.change_sets(inner, row.stack_id)

    row, found = ctx.snapshot(body)
    shown, more = paging.page(found, next_token, limits.PAGE_STACKS)
    return {"Summaries": [_summary(row, change_set) for change_set in shown], **more}


@operation(transaction=False, accepts=("retain_except_on_create",))
def execute_change_set(
    ctx: Context, *, change_set_name: str, stack_name: str | None = None, client_request_token: str | None = None,
    disable_rollback: bool = False,
) -> Structure:  # fmt: skip
    """Let a stack become what its change set says. The stack's other change sets are removed, as on AWS.

    Differs from AWS: answers when the stack is done, if that is within three seconds.
    """

    def body(inner: Context) -> str:
        row, found = _find(inner, change_set_name, stack_name)
        if found.execution != "AVAILABLE":
            raise errors.InvalidChangeSetStatusException(
                f"ChangeSet [{found.change_set_id}] cannot be executed in its current execution status of [{found.execution}]"
            )
        if found.base != row.operation:
            raise errors.InvalidChangeSetStatusException(
                f"ChangeSet [{found.change_set_id}] cannot be executed in its current execution status of [OBSOLETE]"
            )
        for other in state.change_sets(inner, row.stack_id):
            if other.name != found.name:
                state.drop_change_set(inner, other)
        found.execution = "EXECUTE_COMPLETE"
        state.put_change_set(inner, found)
        row.change_set = found.change_set_id
        if row.status == "REVIEW_IN_PROGRESS":
            row.wanted, row.operation, row.token = found.version, inner.ids.uuid(), client_request_token
            row.on_failure = "DO_NOTHING" if disable_rollback else found.on_failure or "ROLLBACK"
            state.begin(inner, row, "CREATE_IN_PROGRESS", "User Initiated")
        else:
            disabled = disable_rollback or found.on_failure == "DO_NOTHING"
            stacks.begin_update(inner, row, found.version, client_request_token, disable_rollback=disabled)
        return row.stack_id

    _wait(ctx, ctx.transact(body))
    return {}


def _wait(ctx: Context, stack_id: str) -> None:
    deadline = time.monotonic() + limits.EXECUTE_WAIT_SECONDS
    while time.monotonic() < deadline:
        if not ctx.snapshot(lambda inner: state.stack(inner, stack_id)).status.endswith("_IN_PROGRESS"):
            return
        time.sleep(limits.POLL_SECONDS)


@operation
def delete_change_set(ctx: Context, *, change_set_name: str, stack_name: str | None = None) -> Structure:
    """Remove a change set. One that is not there is no error, as on AWS."""
    try:
        row, found = _find(ctx, change_set_name, stack_name)
    except errors.ChangeSetNotFoundException:
        return {}
    state.drop_change_set(ctx, found)
    state.drop_templates(ctx, row)
    return {}
