"""Make and change the resources of a stack, one after another, each behind those that it needs."""

from typing import Any

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.services.cloudformation import evaluation, limits, state
from headrace.services.cloudformation.engine.evaluate import evaluate
from headrace.services.cloudformation.engine.plan import Output, Planned, outputs, plan
from headrace.services.cloudformation.job import Job, failure, is_there
from headrace.services.cloudformation.resources.kind import Kind, is_taken
from headrace.services.cloudformation.resources.table import KINDS

_VERBS = {"CREATE": "CREATE", "REPLACE": "UPDATE", "UPDATE": "UPDATE"}


def advance(job: Job) -> float | None:
    """Do the next piece of a creation or an update: seconds until the next one (0: at once), or None when the stack is done."""
    stack = job.stack
    assert job.environment is not None
    if stack.deadline is not None and job.ctx.clock.now() > stack.deadline:
        return fail_stack(job, "Stack creation time exceeded the specified timeout.")
    try:
        items = plan(job.template, job.environment)
    except AwsError as error:
        return fail_stack(job, error.message)
    for item in items:
        row = job.rows.get(item.name)
        if row is None or row.operation != stack.operation:
            return _start(job, item, row)
        if row.stage == "began":
            return _make(job, row, fresh=False)
        if row.stage == "made":
            return _settle(job, row)
        if row.stage == "failed":
            return _fail_stack_of(job, row)
    return _finish(job, {item.name for item in items})


def _start(job: Job, item: Planned, row: state.Resource | None) -> float:
    """Decide what becomes of a resource, write that down, and do it."""
    assert job.environment is not None
    assert job.stack.wanted is not None
    kind = KINDS[item.kind]
    planned = _row(job, item)
    try:
        evaluated = evaluate(item.properties, job.environment)
        planned.properties = evaluation.with_tags(item.kind, evaluated, job.stack.wanted.tags)
    except AwsError as error:
        return _refuse(job, planned, row, error.message)
    problem = kind.problem(item.name, planned.properties)
    if problem is not None:
        return _refuse(job, planned, row, problem)
    if row is not None and row.action == "REPLACE" and row.stage == "failed":
        # An update that was left as it failed: what was to be replaced is still there.
        discard(job, row)
        return 0.0
    if row is None or not row.physical_id:
        planned.action = "CREATE"
    elif row.kind == item.kind and (row.stage == "done" or row.action == "KEEP") and row.properties == planned.properties:
        return _keep(job, planned, row)
    else:
        _from(planned, row, kind)
    if planned.action != "UPDATE":
        planned.chosen = _choose(job.ctx, job.stack.name, item.name, kind, planned.properties)
    planned.stage = "began"
    reason = "Requested update requires the creation of a new physical resource; hence creating one."
    status = f"{_VERBS[planned.action]}_IN_PROGRESS"
    if planned.action != "UPDATE" and _is_taken_name(job, planned):
        return _refuse(
            job, planned, row, f"{planned.chosen} already exists in stack or account (HandlerErrorCode: AlreadyExists)"
        )
    job.note(planned, status, reason if planned.action == "REPLACE" else None)
    return _make(job, planned, fresh=True)


def _row(job: Job, item: Planned) -> state.Resource:
    now = job.ctx.clock.now()
    return state.Resource(
        name=item.name, kind=item.kind, status="", updated_at=now, operation=job.stack.operation, action="CREATE",
        needs=list(item.needs), deletion_policy=item.deletion_policy, replace_policy=item.replace_policy, began_at=now,
    )  # fmt: skip


def _from(planned: state.Resource, row: state.Resource, kind: Kind) -> None:
    """What the resource was before, and whether it changes in place."""
    old = row.was if row.stage != "done" and row.action != "KEEP" and row.was is not None else snapshot(row)
    replaced = row.kind != planned.kind or kind.needs_replacement(planned.properties, old.properties)
    planned.action = "REPLACE" if replaced else "UPDATE"
    planned.was = old
    if not replaced:
        planned.physical_id, planned.chosen, planned.attributes = row.physical_id, row.chosen, row.attributes


def snapshot(row: state.Resource) -> state.Was:
    """What a resource is now."""
    return state.Was(
        kind=row.kind, physical_id=row.physical_id, chosen=row.chosen, properties=row.properties, attributes=row.attributes,
        needs=row.needs, deletion_policy=row.deletion_policy, replace_policy=row.replace_policy,
    )  # fmt: skip


def _keep(job: Job, planned: state.Resource, row: state.Resource) -> float:
    row.operation, row.action, row.stage, row.was = planned.operation, "KEEP", "done", None
    row.needs, row.deletion_policy, row.replace_policy = planned.needs, planned.deletion_policy, planned.replace_policy
    job.keep(row)
    return 0.0


def _refuse(job: Job, planned: state.Resource, row: state.Resource | None, reason: str) -> float:
    """A resource that fails before anything was called: what it was stays as it is."""
    if row is not None and row.physical_id:
        row.operation, row.action = planned.operation, "KEEP"
        planned = row
    verb = "UPDATE" if row is not None else "CREATE"
    return _fail(job, planned, verb, reason)


def _choose(ctx: Context, stack: str, logical: str, kind: Kind, properties: dict[str, Any]) -> str:
    naming = kind.naming
    if naming is None:
        return evaluation.generated_name(ctx, stack, logical, 100, lower=False)
    if naming.property in properties:
        return str(properties[naming.property])
    return evaluation.generated_name(ctx, stack, logical, naming.length_max, naming.lower)


def _is_taken_name(job: Job, planned: state.Resource) -> bool:
    """Whether somebody else's resource has the name that a template gives: it must not become the stack's."""
    kind = KINDS[planned.kind]
    if kind.naming is None or kind.naming.property not in planned.properties:
        return False
    try:
        physical_id = kind.adopt(job.call, planned.chosen, planned.properties) if kind.adopt else planned.chosen
        return physical_id is not None and is_there(job, planned.kind, physical_id, planned.properties)
    except AwsError:
        return False


def _make(job: Job, row: state.Resource, *, fresh: bool) -> float:
    """Call the service. `fresh` is false when the call may have been made before a crash."""
    kind = KINDS[row.kind]
    verb = _VERBS[row.action]
    try:
        if row.action == "UPDATE":
            assert row.was is not None
            assert kind.update is not None
            if kind.update(job.call, row.physical_id, row.properties, row.was.properties) is False:
                return _wait(job, row, verb)
        else:
            row.physical_id = _create(job, kind, row, fresh=fresh)
    except Exception as error:
        return _fail(job, row, verb, failure(error, row.kind, row.name))
    row.stage = "made"
    if row.action == "UPDATE":
        job.keep(row)
    else:
        job.note(row, f"{verb}_IN_PROGRESS", "Resource creation Initiated", result=True)
    return _settle(job, row)


def _create(job: Job, kind: Kind, row: state.Resource, *, fresh: bool) -> str:
    try:
        return kind.create(job.call, row.chosen, row.properties)
    except AwsError as error:
        if fresh or not is_taken(error):
            raise
        found = kind.adopt(job.call, row.chosen, row.properties) if kind.adopt is not None else row.chosen
        if found is None:
            raise
        return found


def _settle(job: Job, row: state.Resource) -> float:
    """Wait until a resource can be used, and write down what it is."""
    kind = KINDS[row.kind]
    verb = _VERBS[row.action]
    try:
        if kind.ready is not None and not kind.ready(job.call, row.physical_id, row.properties):
            return _wait(job, row, verb)
        if row.action != "UPDATE" and kind.finish is not None:
            kind.finish(job.call, row.physical_id, row.properties)
        row.attributes = kind.read(job.call, row.physical_id, row.properties)
    except Exception as error:
        return _fail(job, row, verb, failure(error, row.kind, row.name))
    row.stage = "done"
    job.note(row, f"{verb}_COMPLETE", result=True)
    return 0.0


def _wait(job: Job, row: state.Resource, verb: str) -> float:
    waited = job.ctx.clock.now() - row.began_at
    if waited > limits.READY_SECONDS_MAX:
        return _fail(
            job, row, verb, f"Exceeded attempts to wait: {row.name} was not ready after {limits.READY_SECONDS_MAX:.0f} s"
        )
    return limits.POLL_SECONDS if waited < 10 else limits.POLL_SLOW_SECONDS


def _fail(job: Job, row: state.Resource, verb: str, reason: str) -> float:
    row.stage = "failed"
    job.note(row, f"{verb}_FAILED", reason, result=True)
    return _fail_stack_of(job, row)


def _fail_stack_of(job: Job, row: state.Resource) -> float:
    verb = row.status.removesuffix("_FAILED").lower()
    return fail_stack(job, f"The following resource(s) failed to {verb}: [{row.name}].")


def fail_stack(job: Job, reason: str) -> float:
    """Let a stack go back to what it was, or stay as it is when the caller asked for that."""

    def body(inner: Context, stack: state.Stack) -> None:
        creating = stack.status == "CREATE_IN_PROGRESS"
        stack.deadline = None
        if stack.on_failure == "DO_NOTHING" or stack.disable_rollback:
            state.end(inner, stack, "CREATE_FAILED" if creating else "UPDATE_FAILED", reason)
        elif creating and stack.on_failure == "DELETE":
            state.begin(inner, stack, "DELETE_IN_PROGRESS", f"{reason} Delete requested by user.")
        elif creating:
            state.begin(inner, stack, "ROLLBACK_IN_PROGRESS", f"{reason} Rollback requested by user.")
        else:
            state.begin(inner, stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason)

    job.commit(body)
    return 0.0


def _finish(job: Job, wanted: set[str]) -> float | None:
    """All resources are as they should be: outputs, exports, and what is left over."""
    assert job.environment is not None
    try:
        found = outputs(job.template, job.environment)
    except AwsError as error:
        return fail_stack(job, error.message)
    problem: list[str] = []

    def body(inner: Context, stack: state.Stack) -> None:
        problem.clear()
        exported = {output.export: output.value for output in found if output.export is not None}
        wrong = export_problem(inner, stack, exported)
        if wrong is not None:
            problem.append(wrong)
            return
        _complete(inner, stack, found, exported, job, wanted)

    job.commit(body)
    return fail_stack(job, problem[0]) if problem else 0.0


def export_problem(ctx: Context, stack: state.Stack, wanted: dict[str, str]) -> str | None:
    """Why a stack may not export these values, and no others, or None."""
    known = state.exports(ctx)
    for name, value in wanted.items():
        other = known.get(name)
        if other is not None and other.stack_id != stack.stack_id:
            owner = other.stack_id.split("/")[1]
            return f"Export with name {name} is already exported by stack {owner}. Rollback requested by user."
        if other is not None and other.value != value and state.importers(ctx, name):
            return f"Export {name} cannot be updated as it is in use by {' and '.join(state.importers(ctx, name))}"
    for name, export in known.items():
        if export.stack_id == stack.stack_id and name not in wanted and state.importers(ctx, name):
            return f"Export {name} cannot be deleted as it is in use by {' and '.join(state.importers(ctx, name))}"
    return None


def _complete(
    ctx: Context, stack: state.Stack, found: list[Output], exported: dict[str, str], job: Job, wanted: set[str]
) -> None:
    stack.outputs = [state.Output(output.name, output.value, output.description, output.export) for output in found]
    state.set_exports(ctx, stack, exported)
    state.set_imports(ctx, stack, job.used)
    stack.deadline = None
    if stack.status == "CREATE_IN_PROGRESS":
        state.end(ctx, stack, "CREATE_COMPLETE")
        return
    for row in job.rows.values():
        if row.name not in wanted:
            if row.deletion_policy == "Delete" and row.physical_id:
                state.discard(ctx, stack, row)
            else:
                state.add_event(ctx, stack, row, "DELETE_SKIPPED")
            state.RESOURCES.delete(ctx.tx, ctx.account, ctx.region, stack.stack_id, row.name)
        elif row.action == "REPLACE" and row.was is not None and row.was.replace_policy == "Delete":
            state.discard(ctx, stack, as_resource(row, row.was))
    stack.before = None
    state.drop_templates(ctx, stack)
    state.begin(ctx, stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")


def as_resource(row: state.Resource, was: state.Was) -> state.Resource:
    """What a resource was, as a resource."""
    return state.Resource(
        name=row.name, kind=was.kind, status=row.status, updated_at=row.updated_at, operation=row.operation, action="KEEP",
        stage="done", physical_id=was.physical_id, chosen=was.chosen, properties=was.properties, attributes=was.attributes,
        needs=was.needs, deletion_policy=was.deletion_policy, replace_policy=was.replace_policy,
    )  # fmt: skip


def discard(job: Job, row: state.Resource) -> None:
    """Give up what the update made; what was there before it takes its place again."""
    made = bool(row.physical_id) or row.stage == "began"
    was = row.was

    def body(inner: Context, stack: state.Stack) -> None:
        if made:
            state.discard(inner, stack, row)
        if was is None:
            state.RESOURCES.delete(inner.tx, inner.account, inner.region, stack.stack_id, row.name)
            return
        old = as_resource(row, was)
        old.status, old.updated_at = "UPDATE_COMPLETE", inner.clock.now()
        state.put_resource(inner, stack, old)
        state.add_event(inner, stack, old, "UPDATE_COMPLETE")

    job.commit(body)
    if was is None:
        del job.rows[row.name]
    else:
        job.rows[row.name] = as_resource(row, was)
