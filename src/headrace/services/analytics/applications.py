"""What the operations of both models do to an application: made, changed under its version, started, stopped, deleted."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headrace.layers import tags
from headrace.operation import Context
from headrace.services.analytics import configuration, errors, inputs, limits, rights, state
from headrace.services.analytics.checking import CHECKER
from headrace.services.analytics.state import Application

Members = Mapping[str, Any]
Change = Callable[[Application], None]

POSITIONS = ("NOW", "TRIM_HORIZON", "LAST_STOPPED_POINT")


def create(ctx: Context, application: Application, given_tags: Sequence[Members] | None, parts: Change) -> Application:
    """Make an application: its parts are checked and get their ids, its code is compiled."""
    parts(application)
    rights.check_roles(ctx, application)
    _check(application)

    def body(inner: Context) -> None:
        if state.APPLICATIONS.get(inner.tx, inner.account, inner.region, application.name) is not None:
            raise errors.application_exists(application.name)
        count = sum(1 for _ in state.APPLICATIONS.scan(inner.tx, inner.account, inner.region))
        if count >= limits.APPLICATIONS_PER_REGION_MAX:
            raise errors.LimitExceededException(f"The limit of {limits.APPLICATIONS_PER_REGION_MAX} applications is reached.")
        named = tags.from_list(given_tags)
        if len(named) > limits.TAGS_MAX:
            raise errors.TooManyTagsException(f"An application has at most {limits.TAGS_MAX} tags.")
        if named:
            tags.add(inner.tx, application.arn, named)
        state.save(inner, application)
        state.keep_version(inner, application)

    ctx.transact(body)
    return application


def new(ctx: Context, name: str) -> Application:
    """An empty application."""
    now = ctx.clock.now()
    return Application(name, ctx.ids.hex(16), state.application_arn(ctx.account, ctx.region, name), now, now)


def change(ctx: Context, name: str, version: int | None, what: Change) -> Application:
    """Change an application under its version; the new version. The code is compiled before anything is kept."""
    current = ctx.snapshot(lambda inner: state.find(inner, name))
    if version is not None and version != current.version:
        raise errors.version_differs(name, current.version, version)
    changed = copy.deepcopy(current)
    changed.version = current.version + 1
    changed.updated_from = current.version
    what(changed)
    if changed.flink is not None and (changed.inputs or changed.outputs or changed.references):
        raise errors.not_for_flink("An input, an output or a reference data source")
    rights.check_roles(ctx, changed)
    if _runs_differently(current, changed):
        _check(changed)
    configuration.check_counts(changed)

    def body(inner: Context) -> Application:
        now_kept = state.find(inner, name)
        if now_kept.version != current.version or now_kept.id != current.id:
            raise errors.version_differs(name, now_kept.version, current.version)
        changed.status, changed.starts = now_kept.status, now_kept.starts
        changed.operation, changed.ran = now_kept.operation, now_kept.ran
        # A Flink application's job goes on: nothing that it is made of changes here.
        changed.generation = now_kept.generation + (changed.flink is None)
        changed.updated_at = inner.clock.now()
        gone = [part for part in current.inputs if not any(_reads_the_same(part, one) for one in changed.inputs)]
        inputs.release(inner, changed, gone)
        for part in gone:
            state.POSITIONS.delete_all(inner.tx, changed.id, part["InputId"])
        if _runs_differently(current, changed):
            # Windows of the old code mean nothing to the new one. Where the inputs were read to is kept.
            state.drop_state(inner.tx, changed.id)
            if changed.status == state.RUNNING:
                changed.status = state.STARTING
        state.save(inner, changed)
        state.keep_version(inner, changed)
        return changed

    return ctx.transact(body)


def _runs_differently(one: Application, other: Application) -> bool:
    return (one.code, one.inputs, one.references) != (other.code, other.inputs, other.references)


def _reads_the_same(one: Members, other: Members) -> bool:
    return bool(one["InputId"] == other["InputId"]) and configuration.source_of(one) == configuration.source_of(other)


def _check(application: Application) -> None:
    configuration.check_counts(application)
    if len(application.code) > limits.CODE_LENGTH_MAX:
        raise errors.InvalidArgumentException(f"The application's code is longer than {limits.CODE_LENGTH_MAX} characters.")
    if application.code.strip() and application.inputs:
        CHECKER.check(application)


def start(ctx: Context, name: str, positions: Mapping[str, str]) -> None:
    """Let an application run: from where its inputs were read to, or from the positions that are given by the inputs' ids."""

    found = ctx.snapshot(lambda inner: state.find(inner, name))
    if found.status == state.READY and found.inputs and found.code.strip():
        CHECKER.check_whole(found)

    def body(inner: Context) -> None:
        application = _sql(inner, name)
        if application.status != state.READY:
            raise errors.not_in_state(name, application.status, "started")
        if not application.inputs or not application.code.strip():
            missing = "an input" if not application.inputs else "code"
            raise errors.InvalidApplicationConfigurationException(f"Application {name} cannot be started: it has no {missing}.")
        ids = {part["InputId"] for part in application.inputs}
        if unknown := set(positions) - ids:
            raise errors.InvalidArgumentException(f"Input id {sorted(unknown)[0]} not found in application {name}.")
        for part in application.inputs:
            if configuration.source_of(part)[0] == "firehose" and positions.get(part["InputId"]) == "TRIM_HORIZON":
                raise errors.InvalidArgumentException("TRIM_HORIZON is not available for a Firehose delivery stream.")
        application.starts = {one: positions.get(one, "LAST_STOPPED_POINT") for one in ids}
        inputs.release(inner, application, [one for one in application.inputs if application.starts[one["InputId"]] == "NOW"])
        for input_id, position in application.starts.items():
            if position != "LAST_STOPPED_POINT":
                state.POSITIONS.delete_all(inner.tx, application.id, input_id)
                state.drop_state(inner.tx, application.id)
        application.status = state.STARTING
        application.generation += 1
        application.problem = ""
        state.save(inner, application)

    ctx.transact(body)


def stop(ctx: Context, name: str) -> None:
    """Let an application rest. What it has read and kept is committed step by step, so nothing is left to be saved."""

    def body(inner: Context) -> None:
        application = _sql(inner, name)
        if application.status not in (state.RUNNING, state.STARTING):
            raise errors.not_in_state(name, application.status, "stopped")
        application.status = state.READY
        application.generation += 1
        state.save(inner, application)

    ctx.transact(body)


def _sql(ctx: Context, name: str) -> Application:
    """A SQL application: this is how the first model is called for one of the second's."""
    application = state.find(ctx, name)
    if application.flink is not None:
        raise errors.not_for_flink("The first version of the API")
    return application


def delete(ctx: Context, name: str, created_at: float) -> None:
    """Delete an application, named by when it was made, too: as AWS asks, lest a new one of the name be deleted."""

    def body(inner: Context) -> None:
        application = _sql(inner, name)
        if int(application.created_at) != int(created_at):
            raise errors.InvalidArgumentException(f"CreateTimestamp is not that of application {name}.")
        tags.drop(inner.tx, application.arn)
        inputs.release(inner, application, application.inputs)
        state.drop_all(inner, application)

    ctx.transact(body)


def add_part(application: Application, kind: str, part: dict[str, Any]) -> dict[str, Any]:
    """Give a part its id, and put it to its kind: inputs, outputs, references or logging."""
    parts: list[dict[str, Any]] = getattr(application, kind)
    added = {ID_NAMES[kind]: f"{application.version}.{len(parts) + 1}", **part}
    parts.append(added)
    return added


def find_part(application: Application, kind: str, part_id: str) -> dict[str, Any]:
    """A part by its id; ResourceNotFoundException."""
    for part in getattr(application, kind):
        if part[ID_NAMES[kind]] == part_id:
            return dict(part)
    raise errors.no_part(ID_NAMES[kind].removesuffix("Id"), part_id, application.name)


def replace_part(application: Application, kind: str, part_id: str, new_part: dict[str, Any] | None) -> None:
    """Put a part in another's place, or take it away."""
    find_part(application, kind, part_id)
    parts = getattr(application, kind)
    kept = [new_part if part[ID_NAMES[kind]] == part_id else part for part in parts]
    setattr(application, kind, [part for part in kept if part is not None])


ID_NAMES = {
    "inputs": "InputId",
    "outputs": "OutputId",
    "references": "ReferenceId",
    "logging": "CloudWatchLoggingOptionId",
}
_CHECKS: Mapping[str, Callable[[Members], dict[str, Any]]] = {
    "inputs": configuration.check_input,
    "outputs": configuration.check_output,
    "references": configuration.check_reference,
    "logging": dict,
}


def take_parts(application: Application, kind: str, given: Sequence[Members] | None) -> None:
    """Check the parts of a kind, and put them into the application."""
    for one in given or ():
        add_part(application, kind, _CHECKS[kind](one))


def update_parts(application: Application, kind: str, updates: Sequence[Members] | None) -> None:
    """Change parts that are named by their ids."""
    own = ID_NAMES[kind]
    for update in updates or ():
        old = find_part(application, kind, update[own])
        new_part = configuration.merged(old, update, own=(own,))
        part_id = new_part.pop(own)
        replace_part(application, kind, part_id, {own: part_id, **_CHECKS[kind](new_part)})


def remove_part(kind: str, part_id: str) -> Change:
    """A change that takes a part away."""
    return lambda application: replace_part(application, kind, part_id, None)


def processing(input_id: str, given: Members | None) -> Change:
    """A change of an input's function that looks at records before the SQL does."""

    def what(application: Application) -> None:
        part = find_part(application, "inputs", input_id)
        part.pop("InputProcessingConfiguration", None)
        if given is not None:
            part["InputProcessingConfiguration"] = dict(given)
        checked = configuration.check_input({name: value for name, value in part.items() if name != "InputId"})
        replace_part(application, "inputs", input_id, {"InputId": input_id, **checked})

    return what


def listed(ctx: Context, after: str | None, limit: int) -> tuple[list[Application], bool]:
    """Applications in the order of their names, and whether there are more."""
    start_after = None if after is None else (ctx.account, ctx.region, after)
    found = [one for _, one in state.APPLICATIONS.scan(ctx.tx, ctx.account, ctx.region, after=start_after, limit=limit + 1)]
    return found[:limit], len(found) > limit
