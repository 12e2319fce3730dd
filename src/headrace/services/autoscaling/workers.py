"""What Application Auto Scaling does by itself: it looks after every target, every few seconds, carries out what was
scheduled, and forgets old activities."""

import logging

from headrace.operation import Context
from headrace.services.autoscaling import limits, scaling, state
from headrace.services.autoscaling.scaling import Watched
from headrace.workers import Worker

log = logging.getLogger(__name__)
_FORGET_SECONDS = 3600.0


def scale(ctx: Context) -> None:
    """Look after every target once. One that fails does not keep the others from it."""
    watched = ctx.snapshot(lambda inner: [Watched(*map(str, key)) for key, _ in state.TARGETS.scan(inner.tx)])
    for one in watched:
        try:
            scaling.look_after(ctx.at(one.account, one.region), one)
        except Exception:
            log.exception("a scalable target could not be looked after: %s %s", one.resource, one.dimension)


def carry_out(ctx: Context) -> float | None:
    """Carry out scheduled actions that have fallen due; until the next one does. One that fails is tried again later."""
    rows = ctx.snapshot(lambda inner: [(tuple(map(str, key)), row.due_at) for key, row in state.SCHEDULED.scan(inner.tx)])
    now = ctx.clock.now()
    for (account, region, *rest), due_at in rows:
        if due_at is not None and due_at <= now:
            try:
                ctx.at(account, region).transact(lambda inner, rest=rest: scaling.act(inner, *rest))  # type: ignore[misc]
            except Exception:
                log.exception("a scheduled action could not be carried out: %s", " ".join(rest))
    dues = ctx.snapshot(lambda inner: [row.due_at for _, row in state.SCHEDULED.scan(inner.tx) if row.due_at is not None])
    later = [due_at - now for due_at in dues if due_at > now]
    return min(later, default=None)


def forget(ctx: Context) -> float:
    """Forget activities after six weeks, as AWS does."""
    oldest = ctx.clock.now() - limits.ACTIVITIES_DAYS * 86_400

    def body(inner: Context) -> None:
        for key, activity in list(state.ACTIVITIES.scan(inner.tx)):
            if activity.at < oldest:
                state.ACTIVITIES.delete(inner.tx, *key)

    if ctx.snapshot(lambda inner: any(one.at < oldest for _, one in state.ACTIVITIES.scan(inner.tx))):
        ctx.transact(body)
    return _FORGET_SECONDS


WORKERS = (
    Worker("autoscaling.scale", scale, (state.TOPIC,)),
    Worker("autoscaling.schedule", carry_out, (state.TOPIC,)),
    Worker("autoscaling.forget", forget),
)
