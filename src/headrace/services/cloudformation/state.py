"""What CloudFormation keeps. Each key begins with the account and the region.

cloudformation stack    stack-id                 Stack
cloudformation name     stack-name               the id of the stack that has the name now
cloudformation resource stack-id logical-id      Resource
cloudformation garbage  stack-id number          Resource: a physical resource that an update left, to be removed
cloudformation template stack-id template-id     Template: as it was given, and as its transforms made it
cloudformation event    stack-id number          Event
cloudformation changes  stack-id name            ChangeSet
cloudformation export   export-name              Export
cloudformation import   export-name stack-id     that a stack uses another's export: its name

For which stacks there is something to do: see `pending`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from headrace.layers.records import Records
from headrace.operation import Context
from headrace.services.cloudformation import errors, pending
from headrace.services.cloudformation.chunks import Chunks


class Template(msgspec.Struct):
    """A template: the text that was given, and what it became (a map in JSON)."""

    text: str
    processed: str
    transforms: list[str] = []


class Version(msgspec.Struct):
    """What a stack was asked to be. `hidden` are the parameters with NoEcho."""

    template: str
    parameters: dict[str, str]
    tags: dict[str, str]
    capabilities: list[str]
    notifications: list[str]
    hidden: list[str] = []
    description: str | None = None
    role: str | None = None


class Output(msgspec.Struct):
    """An output of a stack."""

    name: str
    value: str
    description: str | None
    export: str | None


class Stack(msgspec.Struct):
    """A stack. `operation` names what is being done or was done last; `before` is the version that a rollback returns to."""

    stack_id: str
    name: str
    account: str
    region: str
    principal: str
    created_at: float
    status: str
    operation: str
    wanted: Version | None = None
    before: Version | None = None
    reason: str | None = None
    updated_at: float | None = None
    deleted_at: float | None = None
    outputs: list[Output] = []
    on_failure: str = "ROLLBACK"
    disable_rollback: bool = False
    protected: bool = False
    timeout_minutes: int | None = None
    deadline: float | None = None
    token: str | None = None
    change_set: str | None = None
    parent: str | None = None
    root: str | None = None
    policy: str | None = None
    retain: list[str] = []
    events: int = 0
    garbage: int = 0
    template_count: int = 0


class Was(msgspec.Struct):
    """What a resource was before the running operation."""

    kind: str
    physical_id: str
    chosen: str
    properties: dict[str, Any]
    attributes: dict[str, Any]
    needs: list[str]
    deletion_policy: str
    replace_policy: str


class Resource(msgspec.Struct):
    """A resource of a stack.

    `operation` is the stack's operation that touched it last, `action` what that does (CREATE, UPDATE, REPLACE, KEEP,
    RESTORE, DELETE), and `stage` how far it has come: "" → "began" (the call may have been made) →
    "made" (it was) → "done" or "failed".
    """

    name: str
    kind: str
    status: str
    updated_at: float
    operation: str
    action: str
    stage: str = ""
    physical_id: str = ""
    chosen: str = ""
    reason: str | None = None
    properties: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    needs: list[str] = []
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"
    began_at: float = 0.0
    was: Was | None = None


class Event(msgspec.Struct):
    """An event of a stack or of one of its resources."""

    event_id: str
    at: float
    name: str
    kind: str
    physical_id: str
    status: str
    reason: str | None = None
    properties: str | None = None
    token: str | None = None


class ChangeSet(msgspec.Struct):
    """A change set: what a stack would become."""

    change_set_id: str
    name: str
    stack_id: str
    kind: str
    created_at: float
    status: str
    execution: str
    version: Version
    base: str
    reason: str | None = None
    description: str | None = None
    changes: list[dict[str, Any]] = []
    on_failure: str | None = None


class Export(msgspec.Struct):
    """A value that a stack exports."""

    value: str
    stack_id: str


STACKS = Chunks(("cloudformation", "stack"), Stack)
NAMES = Records(("cloudformation", "name"), str)
RESOURCES = Chunks(("cloudformation", "resource"), Resource)
GARBAGE = Chunks(("cloudformation", "garbage"), Resource)
TEMPLATES = Chunks(("cloudformation", "template"), Template)
EVENTS = Records(("cloudformation", "event"), Event)
CHANGE_SETS = Chunks(("cloudformation", "changes"), ChangeSet)
EXPORTS = Records(("cloudformation", "export"), Export)
IMPORTS = Records(("cloudformation", "import"), str)


def find(ctx: Context, name_or_id: str) -> Stack | None:
    """The stack of an id (deleted ones too) or of a name that a stack has now."""
    stack_id = name_or_id if name_or_id.startswith("arn:") else NAMES.get(ctx.tx, ctx.account, ctx.region, name_or_id)
    return None if stack_id is None else STACKS.get(ctx.tx, ctx.account, ctx.region, stack_id)


def stack(ctx: Context, name_or_id: str) -> Stack:
    """The stack, or ValidationError in AWS's words."""
    found = find(ctx, name_or_id)
    if found is None:
        raise errors.no_stack(name_or_id)
    return found


def put(ctx: Context, row: Stack) -> None:
    """Write a stack."""
    STACKS.put(ctx.tx, row, ctx.account, ctx.region, row.stack_id)


def stacks(ctx: Context) -> Iterator[Stack]:
    """All stacks, deleted ones too."""
    for _, row in STACKS.scan(ctx.tx, ctx.account, ctx.region):
        yield row


def resources(ctx: Context, stack_id: str) -> dict[str, Resource]:
    """The resources of a stack by their logical ids."""
    return {row.name: row for _, row in RESOURCES.scan(ctx.tx, ctx.account, ctx.region, stack_id)}


def put_resource(ctx: Context, row: Stack, resource: Resource) -> None:
    """Write a resource."""
    RESOURCES.put(ctx.tx, resource, ctx.account, ctx.region, row.stack_id, resource.name)


def discard(ctx: Context, row: Stack, resource: Resource) -> None:
    """Let a physical resource be removed when the update is done."""
    row.garbage += 1
    GARBAGE.put(ctx.tx, resource, ctx.account, ctx.region, row.stack_id, row.garbage)


def garbage(ctx: Context, stack_id: str) -> dict[int, Resource]:
    """What updates left to be removed."""
    return {int(str(key[-1])): row for key, row in GARBAGE.scan(ctx.tx, ctx.account, ctx.region, stack_id)}


def add_template(ctx: Context, row: Stack, template: Template) -> str:
    """Keep a template; its id within the stack."""
    row.template_count += 1
    TEMPLATES.put(ctx.tx, template, ctx.account, ctx.region, row.stack_id, str(row.template_count))
    return str(row.template_count)


def template(ctx: Context, stack_id: str, template_id: str) -> Template:
    """A template that was kept."""
    found = TEMPLATES.get(ctx.tx, ctx.account, ctx.region, stack_id, template_id)
    assert found is not None
    return found


def drop_templates(ctx: Context, row: Stack) -> None:
    """Forget the templates that neither the stack nor a change set of it needs any more."""
    needed = {version.template for version in (row.wanted, row.before) if version is not None}
    needed |= {change_set.version.template for change_set in change_sets(ctx, row.stack_id)}
    for number in range(1, row.template_count + 1):
        if str(number) not in needed:
            TEMPLATES.delete(ctx.tx, ctx.account, ctx.region, row.stack_id, str(number))


def add_event(
    ctx: Context, row: Stack, resource: Resource | None, status: str, reason: str | None = None, physical_id: str | None = None
) -> None:
    """Tell what happens to a stack (resource None) or to one of its resources. The caller writes the stack."""
    row.events += 1
    name = row.name if resource is None else resource.name
    event = Event(
        event_id=ctx.ids.uuid() if resource is None else f"{name}-{status}-{ctx.clock.now_ms()}Z",
        at=ctx.clock.now(),
        name=name,
        kind="AWS::CloudFormation::Stack" if resource is None else resource.kind,
        physical_id=row.stack_id if resource is None else resource.physical_id if physical_id is None else physical_id,
        status=status,
        reason=None if reason is None else reason[:4000],
        token=row.token,
    )
    EVENTS.put(ctx.tx, event, ctx.account, ctx.region, row.stack_id, row.events)


def set_status(ctx: Context, row: Stack, status: str, reason: str | None = None) -> None:
    """Give a stack a status, and tell of it."""
    row.status, row.reason = status, reason
    add_event(ctx, row, None, status, reason)
    put(ctx, row)


def begin(ctx: Context, row: Stack, status: str, reason: str | None = None) -> None:
    """Give a stack a status in which there is something to do, and let it be done."""
    set_status(ctx, row, status, reason)
    pending.WORK.put(ctx.tx, ctx.clock.now(), ctx.account, ctx.region, row.stack_id)
    ctx.tx.announce(pending.TOPIC)


def end(ctx: Context, row: Stack, status: str, reason: str | None = None) -> None:
    """Give a stack a status in which there is nothing more to do."""
    set_status(ctx, row, status, reason)
    pending.WORK.delete(ctx.tx, ctx.account, ctx.region, row.stack_id)


def change_sets(ctx: Context, stack_id: str) -> list[ChangeSet]:
    """The change sets of a stack, oldest first."""
    found = [row for _, row in CHANGE_SETS.scan(ctx.tx, ctx.account, ctx.region, stack_id)]
    return sorted(found, key=lambda row: row.created_at)


def put_change_set(ctx: Context, row: ChangeSet) -> None:
    """Write a change set."""
    CHANGE_SETS.put(ctx.tx, row, ctx.account, ctx.region, row.stack_id, row.name)


def drop_change_set(ctx: Context, row: ChangeSet) -> None:
    """Remove a change set."""
    CHANGE_SETS.delete(ctx.tx, ctx.account, ctx.region, row.stack_id, row.name)


def forget(ctx: Context, row: Stack) -> None:
    """Take what a deleted stack leaves behind: its name, its exports and imports, its change sets. It can be seen by its id."""
    if NAMES.get(ctx.tx, ctx.account, ctx.region, row.name) == row.stack_id:
        NAMES.delete(ctx.tx, ctx.account, ctx.region, row.name)
    set_exports(ctx, row, {})
    set_imports(ctx, row, set())
    CHANGE_SETS.delete(ctx.tx, ctx.account, ctx.region, row.stack_id)


def exports(ctx: Context) -> dict[str, Export]:
    """Every export of the account in the region by its name."""
    return {str(key[-1]): row for key, row in EXPORTS.scan(ctx.tx, ctx.account, ctx.region)}


def set_exports(ctx: Context, row: Stack, wanted: dict[str, str]) -> None:
    """Let a stack export these values and no others. The caller has checked that it may."""
    for name, export in exports(ctx).items():
        if export.stack_id == row.stack_id and name not in wanted:
            EXPORTS.delete(ctx.tx, ctx.account, ctx.region, name)
    for name, value in wanted.items():
        EXPORTS.put(ctx.tx, Export(value, row.stack_id), ctx.account, ctx.region, name)


def importers(ctx: Context, export: str) -> list[str]:
    """The names of the stacks that use an export."""
    return [name for _, name in IMPORTS.scan(ctx.tx, ctx.account, ctx.region, export)]


def set_imports(ctx: Context, row: Stack, wanted: set[str]) -> None:
    """Remember which exports a stack uses."""
    for key, _ in list(IMPORTS.scan(ctx.tx, ctx.account, ctx.region)):
        if key[-1] == row.stack_id and key[-2] not in wanted:
            IMPORTS.delete(ctx.tx, *key)
    for name in wanted:
        IMPORTS.put(ctx.tx, row.name, ctx.account, ctx.region, name, row.stack_id)
