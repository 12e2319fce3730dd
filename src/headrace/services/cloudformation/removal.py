"""Remove the resources of a stack, and take an update back."""

from headrace.kit.errors import AwsError
from headrace.layers import timer
from headrace.operation import Context
from headrace.services.cloudformation import limits, pending, provision, state
from headrace.services.cloudformation.engine import graph
from headrace.services.cloudformation.job import Job, failure, is_there
from headrace.services.cloudformation.resources.kind import Gone, is_missing
from headrace.services.cloudformation.resources.table import KINDS

_OVER = ("DELETE_COMPLETE", "DELETE_SKIPPED")


def remove_all(job: Job) -> float | None:
    """Do the next piece of a deletion, or of the rollback of a creation; None when the stack is done."""
    rows = {name: row for name, row in job.rows.items() if row.status not in _OVER}
    if job.stack.status == "DELETE_IN_PROGRESS" and job.stack.outputs:
        refused = _refused_by_importers(job)
        if refused is not None:
            return refused
    needed_by_failed: set[str] = set()
    failed = [row for row in rows.values() if row.operation == job.stack.operation and _delete_failed(row)]
    for row in failed:
        needed_by_failed.update(row.needs)
    for name in reversed(graph.order({name: row.needs for name, row in rows.items()})):
        row = rows[name]
        if row in failed:
            continue
        if name in needed_by_failed:
            needed_by_failed.update(row.needs)
            continue
        return _remove(job, row)
    return _end(job, [row.name for row in failed])


def _delete_failed(row: state.Resource) -> bool:
    return row.action == "DELETE" and row.stage == "failed"


def _refused_by_importers(job: Job) -> float | None:
    problem = job.ctx.snapshot(lambda inner: provision.export_problem(inner, job.stack, {}))
    if problem is not None:
        job.commit(lambda inner, stack: state.end(inner, stack, "DELETE_FAILED", problem))
        return 0.0
    return None


def _end(job: Job, failed: list[str]) -> float:
    def body(inner: Context, stack: state.Stack) -> None:
        verb = "DELETE" if stack.status == "DELETE_IN_PROGRESS" else "ROLLBACK"
        if failed:
            state.end(inner, stack, f"{verb}_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
            return
        if verb == "DELETE":
            state.forget(inner, stack)
            stack.deleted_at = inner.clock.now()
            key = (inner.account, inner.region, stack.stack_id)
            timer.start(inner.tx, pending.FORGET, stack.deleted_at + limits.DELETED_STACKS_KEPT_SECONDS, key)
        state.end(inner, stack, f"{verb}_COMPLETE")

    job.commit(body)
    return 0.0


def _remove(job: Job, row: state.Resource) -> float:
    if row.action != "DELETE" or row.operation != job.stack.operation:
        creating = job.stack.status == "ROLLBACK_IN_PROGRESS"
        policy = row.deletion_policy
        kept = policy == "Retain" or (policy == "RetainExceptOnCreate" and not creating) or row.name in job.stack.retain
        if kept and row.physical_id:
            job.note(row, "DELETE_SKIPPED")
            return 0.0
        if not row.physical_id:
            row.physical_id = _interrupted(job, row)
        row.action, row.operation, row.was, row.began_at = "DELETE", job.stack.operation, None, job.ctx.clock.now()
        row.stage = "began"
        if row.physical_id:
            job.note(row, "DELETE_IN_PROGRESS")
    try:
        gone = not row.physical_id or _delete(job, row)
    except Exception as error:
        row.stage = "failed"
        job.note(row, "DELETE_FAILED", failure(error, row.kind, row.name), result=True)
        return 0.0
    if not gone:
        return _poll(job, row)
    row.stage = "done"
    job.note(row, "DELETE_COMPLETE", result=True)
    return 0.0


def _interrupted(job: Job, row: state.Resource) -> str:
    """The physical id of a resource whose creation was interrupted by a crash, or nothing."""
    if row.stage != "began":
        return ""
    kind = KINDS[row.kind]
    try:
        found = kind.adopt(job.call, row.chosen, row.properties) if kind.adopt is not None else row.chosen
        return found if found and is_there(job, row.kind, found, row.properties) else ""
    except AwsError:
        return ""


def _delete(job: Job, row: state.Resource) -> bool:
    """Ask for the deletion once; whether the resource is gone."""
    kind = KINDS[row.kind]
    if row.stage == "began":
        try:
            kind.delete(job.call, row.physical_id, row.properties)
        except Gone:
            return True
        except AwsError as error:
            if not is_missing(error):
                raise
            return True
        if not kind.slow:
            return True
        row.stage = "made"
    return not is_there(job, row.kind, row.physical_id, row.properties)


def _poll(job: Job, row: state.Resource) -> float:
    waited = job.ctx.clock.now() - row.began_at
    if waited > limits.READY_SECONDS_MAX:
        row.stage = "failed"
        job.note(row, "DELETE_FAILED", f"Exceeded attempts to wait: {row.name} is still there", result=True)
        return 0.0
    return limits.POLL_SECONDS if waited < 10 else limits.POLL_SLOW_SECONDS


def clean_up(job: Job) -> float | None:
    """Remove the next of what an update left; None when the stack is done."""
    left = job.ctx.snapshot(lambda inner: state.garbage(inner, job.stack.stack_id))
    if not left:
        return _end_clean_up(job)
    needed = {name for row in left.values() for name in row.needs if name != row.name}
    number = next((number for number, row in left.items() if row.name not in needed), next(iter(left)))
    row = left[number]
    if row.action != "DELETE":
        if not row.physical_id:
            row.physical_id = _interrupted(job, row)
        row.action, row.operation, row.stage, row.began_at = "DELETE", job.stack.operation, "began", job.ctx.clock.now()
        _note_garbage(job, number, row, "DELETE_IN_PROGRESS")
    try:
        gone = not row.physical_id or _delete(job, row)
    except Exception as error:
        _note_garbage(job, number, row, "DELETE_FAILED", failure(error, row.kind, row.name), over=True)
        return 0.0
    if not gone:
        if row.began_at + limits.READY_SECONDS_MAX < job.ctx.clock.now():
            _note_garbage(job, number, row, "DELETE_FAILED", "Exceeded attempts to wait", over=True)
            return 0.0
        return limits.POLL_SECONDS
    _note_garbage(job, number, row, "DELETE_COMPLETE", over=True)
    return 0.0


def _note_garbage(
    job: Job, number: int, row: state.Resource, status: str, reason: str | None = None, *, over: bool = False
) -> None:
    def body(inner: Context, stack: state.Stack) -> None:
        key = (inner.account, inner.region, stack.stack_id, number)
        if over:
            state.GARBAGE.delete(inner.tx, *key)
        else:
            state.GARBAGE.put(inner.tx, row, *key)
        if row.physical_id:
            state.add_event(inner, stack, row, status, reason)

    job.commit(body)


def _end_clean_up(job: Job) -> float:
    status = job.stack.status.removesuffix("_CLEANUP_IN_PROGRESS")
    job.commit(lambda inner, stack: state.end(inner, stack, status))
    return 0.0


def roll_back(job: Job) -> float | None:
    """Take the next piece of an update back; None when the stack is done."""
    touched = {name: row for name, row in job.rows.items() if row.operation == job.stack.operation}
    for name in graph.order({name: row.needs for name, row in touched.items()}):
        row = touched[name]
        if row.action in ("CREATE", "REPLACE"):
            provision.discard(job, row)
            return 0.0
        if row.action == "KEEP" and row.stage == "failed":
            # It was refused before anything was called: it is what it was.
            row.stage, row.status = "done", "UPDATE_COMPLETE"
            job.keep(row)
        if row.action in ("UPDATE", "RESTORE"):
            return _restore(job, row)
    return _end_roll_back(job)


def _restore(job: Job, row: state.Resource) -> float:
    """Change a resource back in place."""
    kind = KINDS[row.kind]
    assert row.was is not None
    assert kind.update is not None
    if row.action == "UPDATE":
        row.action, row.stage, row.began_at = "RESTORE", "began", job.ctx.clock.now()
        job.note(row, "UPDATE_IN_PROGRESS")
    try:
        if (
            row.stage in ("began", "failed")
            and kind.update(job.call, row.physical_id, row.was.properties, row.properties) is False
        ):
            return limits.POLL_SECONDS
        row.stage = "made"
        if kind.ready is not None and not kind.ready(job.call, row.physical_id, row.was.properties):
            return limits.POLL_SECONDS
        attributes = kind.read(job.call, row.physical_id, row.was.properties)
    except Exception as error:
        reason = failure(error, row.kind, row.name)
        row.stage = "failed"
        job.note(row, "UPDATE_FAILED", reason, result=True)
        problem = f"The following resource(s) failed to update: [{row.name}]."
        job.commit(lambda inner, stack: state.end(inner, stack, "UPDATE_ROLLBACK_FAILED", problem))
        return 0.0
    restored = provision.as_resource(row, row.was)
    restored.attributes = attributes
    job.note(restored, "UPDATE_COMPLETE", result=True)
    return 0.0


def _end_roll_back(job: Job) -> float:
    def body(inner: Context, stack: state.Stack) -> None:
        stack.wanted, stack.before = stack.before or stack.wanted, None
        state.drop_templates(inner, stack)
        state.begin(inner, stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")

    job.commit(body)
    return 0.0
