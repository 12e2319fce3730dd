"""Stacks: made, changed, removed, described."""

import re
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.operation import Context, operation
from headrace.services.cloudformation import errors, limits, paging, show, state
from headrace.services.cloudformation.prepare import Prepared, Request, prepare

Structure = dict[str, Any]
_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")

_DONE = (
    "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
)  # fmt: skip


@operation(transaction=False, accepts=("resource_types", "deployment_config", "disable_validation", "retain_except_on_create"))
def create_stack(
    ctx: Context, *, stack_name: str, template_body: str | None = None, template_url: str | None = None,
    parameters: list[Structure] | None = None, disable_rollback: bool | None = None, timeout_in_minutes: int | None = None,
    notification_arns: list[str] | None = None, capabilities: list[str] | None = None, role_arn: str | None = None,
    on_failure: str | None = None, stack_policy_body: str | None = None, tags: list[dict[str, str]] | None = None,
    client_request_token: str | None = None, enable_termination_protection: bool = False,
) -> Structure:  # fmt: skip
    """Make a stack: the template is checked now, its resources are made afterwards.

    Differs from AWS: RoleARN is kept and shown, but the resources are made on the account's behalf.
    """
    if disable_rollback is not None and on_failure is not None:
        raise ValidationError("Only one of DisableRollback and OnFailure can be specified.")
    row = new_stack(ctx, stack_name, "CREATE_IN_PROGRESS")
    request = Request(
        template_body, template_url, False, parameters, capabilities, tags, notification_arns, role_arn
    )  # fmt: skip
    ctx.snapshot(lambda inner: check_name_is_free(inner, stack_name, client_request_token))
    prepared = prepare(ctx, row, request, {})
    row.on_failure = on_failure or ("DO_NOTHING" if disable_rollback else "ROLLBACK")
    row.protected, row.policy, row.token = enable_termination_protection, stack_policy_body, client_request_token
    row.timeout_minutes = timeout_in_minutes
    row.deadline = None if timeout_in_minutes is None else row.created_at + 60.0 * timeout_in_minutes

    def body(inner: Context) -> str:
        found = check_name_is_free(inner, stack_name, client_request_token)
        if found is not None:
            return found
        row.events = row.template_count = 0
        keep_new(inner, row)
        row.wanted = keep_version(inner, row, prepared)
        state.begin(inner, row, "CREATE_IN_PROGRESS", "User Initiated")
        return row.stack_id

    return {"StackId": ctx.transact(body)}


def new_stack(ctx: Context, name: str, status: str) -> state.Stack:
    """A stack that is not kept yet."""
    if not _NAME.fullmatch(name) or len(name) > limits.STACK_NAME_CHARACTERS_MAX:
        raise ValidationError(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    return state.Stack(
        stack_id=f"arn:aws:cloudformation:{ctx.region}:{ctx.account}:stack/{name}/{ctx.ids.uuid()}",
        name=name, account=ctx.account, region=ctx.region, principal=ctx.principal.arn, created_at=ctx.clock.now(),
        status=status, operation=ctx.ids.uuid(),
    )  # fmt: skip


def check_name_is_free(ctx: Context, name: str, token: str | None = None) -> str | None:
    """AlreadyExistsException when a stack has the name; its id when the same request made it."""
    found = state.find(ctx, name)
    if found is None:
        return None
    if token is not None and found.token == token:
        return found.stack_id
    raise errors.AlreadyExistsException(f"Stack [{name}] already exists")


def keep_new(ctx: Context, row: state.Stack) -> None:
    """Give a new stack its name."""
    if sum(1 for _ in state.NAMES.scan(ctx.tx, ctx.account, ctx.region, limit=limits.STACKS_MAX)) >= limits.STACKS_MAX:
        raise errors.LimitExceededException(f"Limit for stack has been exceeded: {limits.STACKS_MAX}")
    state.NAMES.put(ctx.tx, row.stack_id, ctx.account, ctx.region, row.name)


def keep_version(ctx: Context, row: state.Stack, prepared: Prepared) -> state.Version:
    """Keep a version's template with the stack."""
    prepared.version.template = state.add_template(ctx, row, prepared.template)
    return prepared.version


@operation(transaction=False, accepts=("resource_types", "deployment_config", "disable_validation", "retain_except_on_create"))
def update_stack(
    ctx: Context, *, stack_name: str, template_body: str | None = None, template_url: str | None = None,
    use_previous_template: bool = False, parameters: list[Structure] | None = None, capabilities: list[str] | None = None,
    role_arn: str | None = None, stack_policy_body: str | None = None, notification_arns: list[str] | None = None,
    tags: list[dict[str, str]] | None = None, disable_rollback: bool = False, client_request_token: str | None = None,
) -> Structure:  # fmt: skip
    """Change a stack. ValidationError ("No updates are to be performed.") when nothing would change.

    Differs from AWS: stack policies are kept, but do not hold an update back.
    """
    row, rows = ctx.snapshot(lambda inner: _for_update(inner, stack_name))
    if client_request_token is not None and row.token == client_request_token:
        return {"StackId": row.stack_id}
    if not row.status.endswith(_DONE):
        raise errors.wrong_status(row.stack_id, row.status)
    request = Request(
        template_body, template_url, use_previous_template, parameters, capabilities, tags, notification_arns, role_arn
    )  # fmt: skip
    prepared = prepare(ctx, row, request, rows)
    if not prepared.changes and not prepared.differs:
        raise ValidationError("No updates are to be performed.")

    def body(inner: Context) -> None:
        now = _unchanged(inner, row)
        if stack_policy_body is not None:
            now.policy = stack_policy_body
        begin_update(inner, now, keep_version(inner, now, prepared), client_request_token, disable_rollback=disable_rollback)

    ctx.transact(body)
    return {"StackId": row.stack_id}


def _for_update(ctx: Context, name: str) -> tuple[state.Stack, dict[str, state.Resource]]:
    row = state.find(ctx, name)
    if row is None or row.status == "DELETE_COMPLETE":
        raise ValidationError(f"Stack [{name}] does not exist")
    return row, state.resources(ctx, row.stack_id)


def _unchanged(ctx: Context, row: state.Stack) -> state.Stack:
    """The stack, if nobody began anything with it since it was read."""
    now = state.stack(ctx, row.stack_id)
    if (now.operation, now.status) != (row.operation, row.status):
        raise errors.wrong_status(now.stack_id, now.status)
    return now


def begin_update(ctx: Context, row: state.Stack, version: state.Version, token: str | None, *, disable_rollback: bool) -> None:
    """Let a stack become another version of itself."""
    row.before, row.wanted = row.before or row.wanted, version
    row.operation, row.token, row.updated_at = ctx.ids.uuid(), token, ctx.clock.now()
    row.disable_rollback = disable_rollback
    row.on_failure = "ROLLBACK"
    state.begin(ctx, row, "UPDATE_IN_PROGRESS", "User Initiated")


@operation(accepts=("role_arn", "deployment_config"))
def delete_stack(
    ctx: Context, *, stack_name: str, retain_resources: list[str] | None = None, client_request_token: str | None = None,
    deletion_mode: str = "STANDARD",
) -> None:  # fmt: skip
    """Remove a stack and its resources, except those that its template retains. A stack that is not there is no error.

    Differs from AWS: FORCE_DELETE_STACK is refused.
    """
    row = state.find(ctx, stack_name)
    if row is None or row.status in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS"):
        return
    if deletion_mode != "STANDARD":
        raise ValidationError("DeletionMode FORCE_DELETE_STACK is not supported: name what to keep in RetainResources.")
    if row.protected:
        raise ValidationError(f"Stack [{row.name}] cannot be deleted while TerminationProtection is enabled")
    if row.status.startswith("UPDATE_") and row.status.endswith("IN_PROGRESS"):
        raise ValidationError(f"Stack [{row.stack_id}] cannot be deleted while in status {row.status}")
    if retain_resources and row.status != "DELETE_FAILED":
        raise ValidationError(
            f"Invalid operation on stack [{row.stack_id}]. When deleting a stack, specify RetainResources only for a stack in "
            "the DELETE_FAILED state"
        )
    row.retain = retain_resources or []
    row.operation, row.token = ctx.ids.uuid(), client_request_token
    state.begin(ctx, row, "DELETE_IN_PROGRESS", "User Initiated")


@operation
def cancel_update_stack(ctx: Context, *, stack_name: str, client_request_token: str | None = None) -> None:
    """Stop an update and take it back."""
    row = state.stack(ctx, stack_name)
    if row.status != "UPDATE_IN_PROGRESS":
        raise ValidationError("CancelUpdateStack cannot be called from current stack status")
    state.begin(ctx, row, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")


@operation(accepts=("role_arn", "force_rollback"))
def continue_update_rollback(ctx: Context, *, stack_name: str, client_request_token: str | None = None) -> Structure:
    """Try again to take back an update whose rollback failed. Differs from AWS: ResourcesToSkip is refused."""
    row = state.stack(ctx, stack_name)
    if row.status != "UPDATE_ROLLBACK_FAILED":
        raise ValidationError(
            f"Stack:{row.stack_id} is in {row.status} state and can not be rolled back: it must be in UPDATE_ROLLBACK_FAILED."
        )
    state.begin(ctx, row, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
    return {}


@operation(transaction=False)
def describe_stacks(ctx: Context, *, stack_name: str | None = None, next_token: str | None = None) -> Structure:
    """Describe one stack (deleted ones by their id), or all that are not deleted."""

    def body(inner: Context) -> Structure:
        if stack_name is not None:
            return {"Stacks": [show.stack(state.stack(inner, stack_name))]}
        found = [row for row in state.stacks(inner) if row.status != "DELETE_COMPLETE"]
        found.sort(key=lambda row: -row.created_at)
        shown, more = paging.page(found, next_token, limits.PAGE_STACKS)
        return {"Stacks": [show.stack(row) for row in shown], **more}

    return ctx.snapshot(body)


@operation(transaction=False)
def list_stacks(ctx: Context, *, next_token: str | None = None, stack_status_filter: list[str] | None = None) -> Structure:
    """List stacks, deleted ones too."""
    rows = ctx.snapshot(lambda inner: list(state.stacks(inner)))
    found = [row for row in rows if not stack_status_filter or row.status in stack_status_filter]
    found.sort(key=lambda row: -row.created_at)
    shown, more = paging.page(found, next_token, limits.PAGE_STACKS)
    return {"StackSummaries": [show.summary(row) for row in shown], **more}


@operation
def update_termination_protection(ctx: Context, *, stack_name: str, enable_termination_protection: bool) -> Structure:
    """Let a stack be deleted, or not."""
    row = state.stack(ctx, stack_name)
    row.protected = enable_termination_protection
    state.put(ctx, row)
    return {"StackId": row.stack_id}


@operation
def set_stack_policy(ctx: Context, *, stack_name: str, stack_policy_body: str | None = None) -> None:
    """Keep a stack's policy. Differs from AWS: it does not hold updates back."""
    row = state.stack(ctx, stack_name)
    row.policy = stack_policy_body
    state.put(ctx, row)


@operation(read_only=True)
def get_stack_policy(ctx: Context, *, stack_name: str) -> Structure:
    """The policy that was set."""
    row = state.stack(ctx, stack_name)
    return {} if row.policy is None else {"StackPolicyBody": row.policy}


@operation(read_only=True)
def describe_account_limits(ctx: Context, *, next_token: str | None = None) -> Structure:
    """The account's quotas."""
    found = {"StackLimit": limits.STACKS_MAX, "StackOutputsLimit": limits.OUTPUTS_MAX}
    return {"AccountLimits": [{"Name": name, "Value": value} for name, value in found.items()]}
