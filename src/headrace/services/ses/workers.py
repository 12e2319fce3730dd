"""What SES does by itself: hand mail over to the relay, and keep the mailbox within its bounds."""

import contextlib
import logging
import smtplib

from headrace.layers import queue
from headrace.layers.queue import Job
from headrace.operation import Context
from headrace.services.ses import limits, relay, state
from headrace.workers import Worker

log = logging.getLogger(__name__)


def relay_mail(ctx: Context) -> float | None:
    """Hand over messages that wait, a bounded number over one connection."""
    if not ctx.settings.smtp_relay:
        return None
    now = ctx.clock.now()
    due = ctx.snapshot(lambda inner: queue.next_at(inner.tx, state.RELAY))
    if due is None or due > now:
        return _until_next(ctx)
    jobs = ctx.transact(lambda inner: queue.take(inner.tx, state.RELAY, now, limits.RELAY_HOLD_SECONDS, limits.RELAY_BATCH))
    if not jobs:
        return _until_next(ctx)
    try:
        smtp = relay.connect(relay.read_url(ctx.settings.smtp_relay))
    except (OSError, smtplib.SMTPException) as error:
        log.warning("the mail relay cannot be reached: %s", error)
        for job in jobs:
            _settle(ctx, job, None, f"the relay cannot be reached: {error}"[:500])
        return _until_next(ctx)
    with contextlib.closing(smtp):
        for job in jobs:
            _relay_one(ctx, smtp, job)
        with contextlib.suppress(OSError, smtplib.SMTPException):
            smtp.quit()
    return 0.0 if len(jobs) == limits.RELAY_BATCH else _until_next(ctx)


def _relay_one(ctx: Context, smtp: smtplib.SMTP, job: Job) -> None:
    message = ctx.snapshot(lambda inner: state.MESSAGES.get(inner.tx, job.body.decode()))
    if message is None or message.relay is None or not message.relay.pending:
        ctx.transact(lambda inner: queue.done(inner.tx, state.RELAY, job))
        return
    try:
        outcome = relay.hand_over(smtp, message.source, message.relay.pending, state.mime(ctx, message))
    except (OSError, smtplib.SMTPException) as error:
        log.warning("message %s was not relayed: %s", message.message_id, error)
        _settle(ctx, job, None, f"the connection to the relay broke: {error}"[:500])
        return
    _settle(ctx, job, outcome, "")


def _settle(ctx: Context, job: Job, outcome: relay.Handover | None, problem: str) -> None:
    """Write down what became of a message, in one transaction with its job."""
    now = ctx.clock.now()

    def body(inner: Context) -> None:
        message = state.MESSAGES.get(inner.tx, job.body.decode())
        if message is None or message.relay is None:
            queue.done(inner.tx, state.RELAY, job)
            return
        done = message.relay
        done.attempts += 1
        done.at = now
        if outcome is not None:
            done.pending = list(outcome.later)
            done.refused.update(outcome.refused)
            done.response = outcome.response or next(iter((outcome.refused or outcome.later).values()), "")
        else:
            done.response = problem
        if done.pending and now - job.queued_at > limits.RELAY_SECONDS_MAX:
            done.refused.update(dict.fromkeys(done.pending, f"given up: {done.response}"))
            done.pending = []
        if done.pending:
            queue.put_back(inner.tx, state.RELAY, job, now + relay.wait_seconds(job.attempts))
        else:
            done.status = "failed" if set(done.refused) >= set(message.recipients) else "relayed"
            queue.done(inner.tx, state.RELAY, job)
        state.MESSAGES.put(inner.tx, message, message.place)

    ctx.transact(body)


def _until_next(ctx: Context) -> float | None:
    due = ctx.snapshot(lambda inner: queue.next_at(inner.tx, state.RELAY))
    return None if due is None else max(0.05, due - ctx.clock.now())


def trim_mailbox(ctx: Context) -> float:
    """Remove the oldest messages beyond the mailbox's size and age, and old statistics; a bounded number at a time."""
    now = ctx.clock.now()
    dropped = ctx.transact(lambda inner: _trim(inner, now))
    for blob in dropped:
        if blob:
            state.blobs(ctx).delete(blob)
    return 0.0 if len(dropped) == limits.TRIM_BATCH else limits.TRIM_SECONDS


def _trim(ctx: Context, now: float) -> list[str]:
    excess = (state.COUNT.get(ctx.tx) or 0) - limits.MAILBOX_MESSAGES_MAX
    dropped: list[str] = []
    for _, message in list(state.MESSAGES.scan(ctx.tx, limit=limits.TRIM_BATCH)):
        old = now - message.sent_at > limits.MAILBOX_SECONDS_MAX
        if not (old or len(dropped) < excess):
            break
        state.drop_message(ctx.tx, message)
        dropped.append(message.blob or "")
    for key, _ in list(state.SENT.scan(ctx.tx, limit=limits.TRIM_BATCH)):
        if now - int(str(key[-1])) > limits.STATISTICS_SECONDS_MAX + limits.STATISTICS_BUCKET_SECONDS:
            state.SENT.delete(ctx.tx, *key)
    return dropped


def sweep_blobs(ctx: Context) -> float:
    """Delete MIME that no message refers to: its request failed before the commit."""
    used = ctx.snapshot(lambda inner: {row.blob for _, row in state.MESSAGES.scan(inner.tx) if row.blob})
    state.blobs(ctx).sweep(used.__contains__, limits.SWEEP_SECONDS)
    return limits.SWEEP_SECONDS


WORKERS = (
    Worker("ses.relay_mail", relay_mail, (queue.topic(state.RELAY),)),
    Worker("ses.trim_mailbox", trim_mailbox),
    Worker("ses.sweep_blobs", sweep_blobs),
)
