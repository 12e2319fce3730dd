"""Event source mappings: what they add to the consumer, which reads, keeps its place and retries.

Here a batch is filtered, put into an event, handed to the function, and its answer is judged.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from headrace.consumer import NotNow, Outcome, Subscription, batch_id
from headrace.kit import arn as arns
from headrace.kit.errors import AwsError
from headrace.layers.once import trace_id
from headrace.operation import Context
from headrace.ports import SourceRecord
from headrace.roles import RoleRefused
from headrace.services.lambda_ import (
    destinations,
    event_counts,
    filters,
    invocations,
    limits,
    naming,
    reports,
    rights,
    rules,
    sources,
    state,
    windows,
)
from headrace.services.lambda_.errors import ServiceException, TooManyRequestsException
from headrace.services.lambda_.invocations import RUNTIME
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import Mapping

THROTTLE_WAIT_SECONDS = 0.05
THROTTLE_WAITS_MAX = 100
READ_SIZE_MAX_BYTES = 3 * 1024 * 1024
OK, PROBLEM = "OK", "PROBLEM: Function call failed"

log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


def subscriptions(ctx: Context) -> Iterator[Subscription]:
    """What the enabled mappings want to read now."""
    kept = ctx.snapshot(lambda inner: [mapping for _, mapping in state.MAPPINGS.scan(inner.tx)])
    for mapping in kept:
        if mapping.enabled and source_service(mapping.source_arn) in ctx.ports.sources:
            role = reader(ctx, mapping)
            if role is not None:
                yield msgspec.structs.replace(subscription(mapping), reader=role)


def reader(ctx: Context, mapping: Mapping) -> str | None:
    """The role that reads a mapping's source. None when it may not, and then the mapping says so."""
    try:
        return sources.reader(ctx, function_of(mapping), mapping.source_arn)
    except RoleRefused as refused:
        note(ctx, mapping, f"PROBLEM: {refused}")
        return None


def subscription(mapping: Mapping) -> Subscription:
    """A mapping as a subscription of the consumer."""
    return Subscription(
        id=mapping.id,
        account=mapping.account,
        region=mapping.region,
        source_arn=mapping.source_arn,
        start=mapping.starting_position if mapping.starting_at is None else mapping.starting_at,
        batch_size_max=mapping.batch_size,
        batch_size_max_bytes=READ_SIZE_MAX_BYTES,
        window_seconds=float(mapping.window_seconds),
        parallel=mapping.parallel,
        attempts_max=None if mapping.attempts_retried_max < 0 else mapping.attempts_retried_max,
        age_max_seconds=None if mapping.age_seconds_max < 0 else float(mapping.age_seconds_max),
        bisect=mapping.bisect,
        fixed_batches=True,
        watches_quiet=mapping.tumbling_seconds > 0,
    )


def source_service(arn: str) -> str:
    """The service that an event source belongs to."""
    return arn.split(":", 3)[2] if arn.count(":") >= 5 else ""


class Deliveries:
    """Hands batches to functions."""

    def __init__(self) -> None:
        self._polled = event_counts.Polled()
        self._windows = windows.Windows()

    def handle(self, ctx: Context, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord]) -> Outcome:
        """Filter, invoke, judge."""
        read = ctx.snapshot(lambda inner: _target(inner, subscription.id))
        if read is None:
            raise NotNow
        mapping, target = read
        wanted = [record for record in records if _passes(mapping, record)]
        new = self._polled.new(mapping, shard_id, records)
        passed = {record.sequence_number for record in wanted}
        event_counts.report(ctx, mapping, Polled=len(new), FilteredOut=len(new - passed))
        if not wanted:
            self._polled.forget(mapping, shard_id, records)
            return Outcome()
        age_ms = max(0.0, ctx.clock.now() - wanted[-1].arrived_at) * 1000
        RUNTIME.reporter.metrics(ctx, reports.count("IteratorAge", mapping.function, age_ms, "Milliseconds"))
        invoke = _invoker(ctx, subscription, shard_id, mapping, target)
        if mapping.tumbling_seconds:
            outcome = self._windows.handle(ctx, mapping, shard_id, wanted, invoke)
        else:
            outcome = _in_parts(wanted, invoke)
        # The batch is done once this returns, and then its log must not be lost, either.
        RUNTIME.reporter.flush()
        note(ctx, mapping, OK if outcome.error is None else PROBLEM)
        done = records
        if outcome.error is not None:
            begun = next((n for n, one in enumerate(records) if one.sequence_number == outcome.failed_from), 0)
            done = records[:begun]
        self._polled.forget(mapping, shard_id, done)
        return outcome

    def give_up(
        self, ctx: Context, subscription: Subscription, shard_id: str, records: Sequence[SourceRecord], reason: str, attempts: int
    ) -> None:
        """Tell the mapping's destination which records were left behind."""
        mapping = ctx.snapshot(lambda inner: state.MAPPINGS.get(inner.tx, subscription.id))
        if mapping is None:
            return
        left = [record for record in records if _passes(mapping, record)]
        log.warning("%s gave up %d records of %s: %s", mapping.function, len(left), mapping.source_arn, reason)
        sent = False
        if left and mapping.on_failure:
            record = _record(ctx, mapping, shard_id, left, reason, attempts)
            sent = _send(ctx, mapping, shard_id, record, left)
        # What expired at once was never handed over, so it is counted here.
        new = self._polled.new(mapping, shard_id, records)
        passed = {one.sequence_number for one in left}
        self._polled.forget(mapping, shard_id, records)
        event_counts.report(ctx, mapping, Polled=len(new), FilteredOut=len(new - passed))
        event_counts.report(ctx, mapping, **{"OnFailureDestinationDelivered" if sent else "Dropped": len(left)})

    def quiet(self, ctx: Context, subscription: Subscription, shard_id: str, *, ended: bool) -> float | None:
        """Nothing waits in a shard: a tumbling window may be over."""
        read = ctx.snapshot(lambda inner: _target(inner, subscription.id))
        if read is None:
            raise NotNow
        mapping, target = read
        try:
            return self._windows.quiet(
                ctx, mapping, shard_id, _invoker(ctx, subscription, shard_id, mapping, target), ended=ended
            )
        finally:
            RUNTIME.reporter.flush()


def _in_parts(records: Sequence[SourceRecord], invoke: windows.Invoke) -> Outcome:
    """Invoke with the records in as many events as they need."""
    for part, payload in _events(records):
        outcome, _ = invoke(part, payload, "")
        if outcome.error is None:
            continue
        if outcome.failed_from is None and part[0] is not records[0]:
            # The parts before this one are done.
            return Outcome(outcome.error, part[0].sequence_number)
        return outcome
    return Outcome()


def _invoker(
    ctx: Context, subscription: Subscription, shard_id: str, mapping: Mapping, target: invocations.Target
) -> windows.Invoke:
    """What invokes the function for records of a shard; the same records (or name) have the same trace each time."""

    def invoke(records: Sequence[SourceRecord], payload: bytes, name: str) -> tuple[Outcome, bytes]:
        name = name or batch_id(subscription, shard_id, records)
        trace = trace_id(name, ctx.ids.hex(16), records[0].arrived_at if records else ctx.clock.now())
        return _invoke(ctx, mapping, target, records, payload, trace)

    return invoke


def _target(ctx: Context, mapping_id: str) -> tuple[Mapping, invocations.Target] | None:
    mapping = state.MAPPINGS.get(ctx.tx, mapping_id)
    if mapping is None or not mapping.enabled:
        return None
    return mapping, invocations.target(ctx, function_of(mapping))


def function_of(mapping: Mapping) -> FunctionName:
    """The function that a mapping feeds."""
    return FunctionName(mapping.account, mapping.region, mapping.function, mapping.qualifier)


def _passes(mapping: Mapping, record: SourceRecord) -> bool:
    return not mapping.patterns or filters.passes(mapping.patterns, filters.of_record(record, source_service(mapping.source_arn)))


def _events(records: Sequence[SourceRecord]) -> Iterator[tuple[Sequence[SourceRecord], bytes]]:
    """The records as events that are small enough for a function, in order."""
    payload = _encode({"Records": [record.event for record in records]})
    if len(payload) <= limits.PAYLOAD_REQUEST_BYTES_MAX or len(records) == 1:
        yield records, payload
        return
    half = len(records) // 2
    yield from _events(records[:half])
    yield from _events(records[half:])


def _invoke(
    ctx: Context, mapping: Mapping, target: invocations.Target, records: Sequence[SourceRecord], payload: bytes, trace: str
) -> tuple[Outcome, bytes]:
    """What became of the records, and the function's answer."""
    arn = naming.named_arn(function_of(mapping))
    for wait in range(THROTTLE_WAITS_MAX):
        try:
            outcome = RUNTIME.run(ctx, target, arn, payload, request_id=ctx.ids.uuid(), trace=trace)
            break
        except TooManyRequestsException:
            # No attempt of the function was made, so none is counted.
            if wait + 1 == THROTTLE_WAITS_MAX:
                raise NotNow from None
            time.sleep(THROTTLE_WAIT_SECONDS)
        except ServiceException:
            raise NotNow from None
    event_counts.report(ctx, mapping, Invoked=len(records))
    if outcome.error is not None:
        event_counts.report(ctx, mapping, FailedInvoke=len(records))
        return Outcome(rules.error_of(outcome.payload)), outcome.payload
    if not mapping.report_failures:
        return Outcome(), outcome.payload
    numbers = [record.sequence_number for record in records]
    failed, number = rules.failed_items(outcome.payload, numbers)
    if failed:
        event_counts.report(ctx, mapping, FailedInvoke=len(records) - (numbers.index(number) if number in numbers else 0))
    judged = Outcome("the function reported batch item failures", number) if failed else Outcome()
    return judged, outcome.payload


def note(ctx: Context, mapping: Mapping, result: str) -> None:
    """Keep how the last batch went, if that is news."""
    if mapping.last_result == result:
        return

    def body(inner: Context) -> None:
        current = state.MAPPINGS.get(inner.tx, mapping.id)
        if current is not None and current.last_result != result:
            state.MAPPINGS.put(inner.tx, msgspec.structs.replace(current, last_result=result), mapping.id)

    ctx.transact(body)


def _record(
    ctx: Context, mapping: Mapping, shard_id: str, records: Sequence[SourceRecord], reason: str, attempts: int
) -> dict[str, Any]:
    """AWS's invocation record of a batch that was given up."""
    name = "DDBStreamBatchInfo" if source_service(mapping.source_arn) == "dynamodb" else "KinesisBatchInfo"
    record: dict[str, Any] = {
        "requestContext": {
            "requestId": ctx.ids.uuid(),
            "functionArn": naming.named_arn(function_of(mapping)),
            "condition": reason,
            "approximateInvokeCount": attempts,
        },
        "version": "1.0",
        "timestamp": destinations.timestamp(ctx.clock.now()),
        name: {
            "shardId": shard_id,
            "startSequenceNumber": records[0].sequence_number,
            "endSequenceNumber": records[-1].sequence_number,
            "approximateArrivalOfFirstRecord": destinations.timestamp(records[0].arrived_at),
            "approximateArrivalOfLastRecord": destinations.timestamp(records[-1].arrived_at),
            "batchSize": len(records),
            "streamArn": mapping.source_arn,
        },
    }
    if attempts:
        executed = mapping.qualifier or naming.LATEST
        record["responseContext"] = {"statusCode": 200, "executedVersion": executed, "functionError": "Unhandled"}
    return record


def _role(ctx: Context, mapping: Mapping) -> str:
    """The function's role; "", which may nothing, when the function is gone."""
    try:
        return ctx.snapshot(lambda inner: state.resolve(inner.tx, function_of(mapping))).role
    except AwsError:
        return ""


def _send(ctx: Context, mapping: Mapping, shard_id: str, record: dict[str, Any], records: Sequence[SourceRecord]) -> bool:
    assert mapping.on_failure is not None
    role = _role(ctx, mapping)
    if arns.parse(mapping.on_failure).service != "s3":
        return destinations.send(ctx, mapping.on_failure, _encode(record), mapping.function, role)
    # A bucket gets the records too.
    key = destinations.key(ctx, f"{mapping.id}/{shard_id}")
    record["payload"] = {"Records": [one.event for one in records]}
    try:
        acting = rights.acting(ctx, role, *destinations.need(mapping.on_failure, key))
        bucket = arns.parse(mapping.on_failure).resource
        ctx.ports.objects.put(acting, bucket, key, _encode(record), content_type="application/json")
        return True
    except Exception:
        log.exception("records given up by %s could not be written to %s", mapping.function, mapping.on_failure)
        RUNTIME.reporter.metrics(ctx, reports.count("DestinationDeliveryFailures", mapping.function))
        return False
