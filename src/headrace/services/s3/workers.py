"""What S3 does by itself: delete bytes that nobody needs any more."""

from headrace.layers import timer
from headrace.operation import Context
from headrace.services.s3 import changes, lifecycle, limits, state
from headrace.store import tuples
from headrace.store.tuples import Item
from headrace.workers import Worker


def delete_doomed(ctx: Context) -> float | None:
    """Delete the blobs of objects that were replaced or deleted, and then the notes of them.

    In this order: a crash between the two deletes a blob again, and none is forgotten. No lease is needed for the same reason.
    """

    def find(inner: Context) -> list[tuple[float, tuple[Item, ...], bytes]]:
        return timer.due(inner.tx, state.DOOMED, inner.clock.now(), limits.DOOMED_PER_STEP)

    due = ctx.snapshot(find)
    for due_at, name, _ in due:
        kind, text = str(name[0]), str(name[1])
        blob_ids = [text] if kind == "blob" else _parts_of(ctx, text)
        for blob_id in blob_ids:
            state.blobs(ctx).delete(blob_id)
        ctx.transact(lambda inner: _forget(inner, due_at, name, blob_ids))  # noqa: B023 (run before the next turn)
    if due:
        return 0.0
    next_at = ctx.snapshot(lambda inner: timer.next_at(inner.tx, state.DOOMED))
    return None if next_at is None else max(0.0, next_at - ctx.clock.now())


def _parts_of(ctx: Context, upload_id: str) -> list[str]:
    return ctx.snapshot(lambda inner: [part.blob_id for part in state.parts(inner.tx, upload_id)])


def _forget(ctx: Context, due_at: float, name: tuple[Item, ...], blob_ids: list[str]) -> None:
    for blob_id in blob_ids:
        state.release(ctx.tx, blob_id)
    if name[0] == "parts":
        state.PARTS.delete_all(ctx.tx, name[1])
    timer.cancel(ctx.tx, state.DOOMED, due_at, name)


def sweep_orphans(ctx: Context) -> float:
    """Delete blobs of requests that failed between writing the blob and committing its row: now and then."""
    if not ctx.transact(_is_due):
        return limits.SWEEP_PAUSE_SECONDS
    state.blobs(ctx).sweep(
        lambda blob_id: ctx.snapshot(lambda inner: state.is_held(inner.tx, blob_id)), limits.ORPHAN_AGE_SECONDS
    )
    return limits.SWEEP_PAUSE_SECONDS


def _is_due(ctx: Context) -> bool:
    """Take the turn, if it is time: for all processes on this store."""
    key = tuples.pack(("s3", "swept"))
    raw = ctx.tx.get(key)
    now = ctx.clock.now()
    if raw is not None and float(raw) + limits.SWEEP_PAUSE_SECONDS > now:
        return False
    ctx.tx.set(key, str(now).encode())
    return True


def apply_lifecycles(ctx: Context) -> float:
    """Remove and reclassify what falls due by the buckets' rules: a bounded number of rows at a time.

    What is due is looked up without writing; each change is checked again in the transaction that makes it.
    """
    for owner in ctx.snapshot(lambda inner: [found for _, found in state.BUCKETS.scan(inner.tx)]):
        if owner.configurations.get(lifecycle.KIND):
            _apply_to_objects(ctx.at(owner.account, owner.region), owner)
            _apply_to_uploads(ctx.at(owner.account, owner.region), owner)
    return limits.LIFECYCLE_PAUSE_SECONDS


def _apply_to_objects(ctx: Context, owner: state.Bucket) -> None:
    rules, now = owner.configurations[lifecycle.KIND], ctx.clock.now()
    after: tuple[Item, ...] | None = None
    while True:
        page = ctx.snapshot(
            lambda inner, after=after: list(  # type: ignore[misc]
                state.OBJECTS.scan(inner.tx, owner.id, after=after, limit=limits.PAGE_MAX)
            )
        )
        for key, found in page:
            name = str(key[-1])
            if found.marker:
                continue
            kind = lifecycle.storage_class(rules, name, found, now)
            if lifecycle.expires(rules, name, found, now) or kind != found.about.storage_class:
                ctx.transact(lambda inner, name=name: _apply_to_object(inner, owner.name, name))  # type: ignore[misc]
        if len(page) < limits.PAGE_MAX:
            return
        after = page[-1][0]


def _apply_to_object(ctx: Context, bucket: str, key: str) -> None:
    owner = state.BUCKETS.get(ctx.tx, bucket)
    found = None if owner is None else state.newest(ctx.tx, owner, key)
    if owner is None or found is None:
        return
    rules, now = owner.configurations.get(lifecycle.KIND) or [], ctx.clock.now()
    if lifecycle.expires(rules, key, found, now):
        changes.delete_object(ctx, owner, key, "LifecycleExpiration:Delete")
        return
    found.about.storage_class = lifecycle.storage_class(rules, key, found, now)
    state.OBJECTS.put(ctx.tx, found, owner.id, key)


def _apply_to_uploads(ctx: Context, owner: state.Bucket) -> None:
    rules, now = owner.configurations[lifecycle.KIND], ctx.clock.now()

    def abort(inner: Context) -> None:
        for key, upload in list(state.UPLOADS.scan(inner.tx, owner.id)):
            if lifecycle.gives_up(rules, str(key[-2]), upload, now):
                state.UPLOADS.delete(inner.tx, *key)
                state.doom_parts(inner, upload.id)

    def anything(inner: Context) -> bool:
        found = state.UPLOADS.scan(inner.tx, owner.id)
        return any(lifecycle.gives_up(rules, str(key[-2]), upload, now) for key, upload in found)

    if ctx.snapshot(anything):
        ctx.transact(abort)


WORKERS = (
    Worker("s3.lifecycle", apply_lifecycles),
    Worker("s3.delete", delete_doomed, (state.DOOMED_TOPIC,)),
    Worker("s3.sweep", sweep_orphans),
)
