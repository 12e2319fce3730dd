"""What is in a stack, and what happened to it."""

from typing import Any

from headrace.kit.errors import ValidationError
from headrace.operation import Context, operation
from headrace.services.cloudformation import limits, paging, show, state

Structure = dict[str, Any]


def _rows(ctx: Context, row: state.Stack) -> list[state.Resource]:
    return sorted(state.resources(ctx, row.stack_id).values(), key=lambda item: item.name)


@operation(read_only=True)
def describe_stack_resource(ctx: Context, *, stack_name: str, logical_resource_id: str) -> Structure:
    """Describe one resource of a stack."""
    row = state.stack(ctx, stack_name)
    item = state.RESOURCES.get(ctx.tx, ctx.account, ctx.region, row.stack_id, logical_resource_id)
    if item is None:
        raise ValidationError(f"Resource {logical_resource_id} does not exist for stack {row.name}")
    detail = show.resource(row, item, "LastUpdatedTimestamp")
    return {"StackResourceDetail": {**detail, "StackId": row.stack_id, "StackName": row.name, "Metadata": "{}"}}


@operation(transaction=False)
def describe_stack_resources(
    ctx: Context,
    *,
    stack_name: str | None = None,
    logical_resource_id: str | None = None,
    physical_resource_id: str | None = None,
) -> Structure:
    """Describe the resources of a stack, which may be found by the physical id of one of them."""
    if stack_name is None and physical_resource_id is None:
        raise ValidationError("1 validation error detected: either StackName or PhysicalResourceId must be given")
    row, items = ctx.snapshot(lambda inner: _found(inner, stack_name, physical_resource_id))
    shown = [item for item in items if logical_resource_id in (None, item.name)]
    if logical_resource_id is not None and not shown:
        raise ValidationError(f"Resource {logical_resource_id} does not exist for stack {row.name}")
    whole = {"StackId": row.stack_id, "StackName": row.name}
    return {"StackResources": [{**whole, **show.resource(row, item, "Timestamp")} for item in shown[: limits.PAGE_RESOURCES]]}


def _found(ctx: Context, stack_name: str | None, physical_id: str | None) -> tuple[state.Stack, list[state.Resource]]:
    if stack_name is None:
        return _having(ctx, str(physical_id))
    row = state.stack(ctx, stack_name)
    return row, [item for item in _rows(ctx, row) if physical_id in (None, item.physical_id)]


def _having(ctx: Context, physical_id: str) -> tuple[state.Stack, list[state.Resource]]:
    for row in state.stacks(ctx):
        if row.status != "DELETE_COMPLETE":
            items = _rows(ctx, row)
            if any(item.physical_id == physical_id for item in items):
                return row, items
    raise ValidationError(f"Stack for {physical_id} does not exist")


@operation(transaction=False)
def list_stack_resources(ctx: Context, *, stack_name: str, next_token: str | None = None) -> Structure:
    """List the resources of a stack."""
    row, items = ctx.snapshot(lambda inner: _found(inner, stack_name, None))
    shown, more = paging.page(items, next_token, limits.PAGE_RESOURCES)
    return {"StackResourceSummaries": [show.resource(row, item, "LastUpdatedTimestamp") for item in shown], **more}


@operation(read_only=True)
def describe_stack_events(ctx: Context, *, stack_name: str, next_token: str | None = None) -> Structure:
    """The events of a stack, the newest first."""
    row = state.find(ctx, stack_name)
    if row is None:
        raise ValidationError(f"Stack [{stack_name}] does not exist")
    if next_token is not None and not next_token.isdecimal():
        raise ValidationError("Invalid NextToken")
    key = (ctx.account, ctx.region, row.stack_id)
    after = None if next_token is None else (*key, int(next_token[:12]))
    found = list(state.EVENTS.scan(ctx.tx, *key, after=after, limit=limits.PAGE_EVENTS, reverse=True))
    more = {"NextToken": str(found[-1][0][-1])} if len(found) == limits.PAGE_EVENTS and found[-1][0][-1] != 1 else {}
    return {"StackEvents": [show.event(row, event) for _, event in found], **more}


@operation(transaction=False)
def list_exports(ctx: Context, *, next_token: str | None = None) -> Structure:
    """List what the account's stacks export in the region."""
    found = sorted(ctx.snapshot(state.exports).items())
    shown, more = paging.page(found, next_token, limits.PAGE_EXPORTS)
    exports = [{"ExportingStackId": export.stack_id, "Name": name, "Value": export.value} for name, export in shown]
    return {"Exports": exports, **more}


@operation(transaction=False)
def list_imports(ctx: Context, *, export_name: str, next_token: str | None = None) -> Structure:
    """List the stacks that use an export."""
    found = sorted(ctx.snapshot(lambda inner: state.importers(inner, export_name)))
    if not found:
        raise ValidationError(f"Export '{export_name}' is not imported by any stack.")
    shown, more = paging.page(found, next_token, limits.PAGE_EXPORTS)
    return {"Imports": list(shown), **more}
