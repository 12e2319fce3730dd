"""Calling functions."""

import base64
from collections.abc import Iterator
from typing import Any

from headrace.kit.errors import UnsupportedParameter
from headrace.operation import BodyReader, Context, operation
from headrace.services.lambda_ import events, invocations, limits, naming, rules
from headrace.services.lambda_.durable import executions, waiting
from headrace.services.lambda_.engine.function import Outcome
from headrace.services.lambda_.errors import InvalidParameterValueException, RequestTooLargeException
from headrace.services.lambda_.invocations import RUNTIME
from headrace.services.lambda_.state import Version
from headrace.services.lambda_.streaming import Streaming


@operation(transaction=False)
def invoke(
    ctx: Context, *, function_name: str, invocation_type: str | None = None, log_type: str | None = None,
    client_context: str | None = None, payload: bytes | None = None, qualifier: str | None = None,
    durable_execution_name: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run a function and wait for its answer, or queue the event durably (InvocationType=Event), or only check (DryRun)."""
    name = naming.parse(ctx, function_name, qualifier)
    target = ctx.snapshot(lambda inner: invocations.target(inner, name))
    event = rules.check_payload(payload or b"")
    context = _client_context(client_context)
    if invocation_type == "DryRun":
        return {"StatusCode": 204}
    if target.version.durable is not None:
        _check_durable(log_type, client_context)
        return _durable(ctx, target.version, event, invocation_type, durable_execution_name)
    if durable_execution_name is not None:
        raise InvalidParameterValueException("A durable execution name can be given for durable functions only.")
    if invocation_type == "Event":
        if len(event) > limits.PAYLOAD_EVENT_BYTES_MAX:
            raise RequestTooLargeException.payload(len(event), limits.PAYLOAD_EVENT_BYTES_MAX)
        ctx.transact(lambda inner: events.put(inner, name, event, ctx.request_id, context))
        return {"StatusCode": 202, "Payload": b""}
    # Who wants the log waits for its end; others do not wait for what extensions do after the answer.
    run = RUNTIME.run if log_type == "Tail" else RUNTIME.answer
    outcome = run(ctx, target, naming.named_arn(name), event, request_id=ctx.request_id, client_context=context)
    result: dict[str, Any] = {"StatusCode": 200, "ExecutedVersion": target.version.version, "Payload": outcome.payload}
    if outcome.error is not None:
        result["FunctionError"] = outcome.error
    if log_type == "Tail":
        result["LogResult"] = base64.b64encode(outcome.log).decode()
    return result


def _check_durable(log_type: str | None, client_context: str | None) -> None:
    """An execution goes over many invocations: it has no log of its own to give the end of, and no client."""
    if log_type == "Tail" or client_context is not None:
        what = "LogType=Tail" if log_type == "Tail" else "ClientContext"
        raise UnsupportedParameter(f"Headrace does not support {what} for durable functions. Leave it out.")


def _durable(ctx: Context, version: Version, event: bytes, kind: str | None, name: str | None) -> dict[str, Any]:
    if kind == "Event":
        if len(event) > limits.PAYLOAD_EVENT_BYTES_MAX:
            raise RequestTooLargeException.payload(len(event), limits.PAYLOAD_EVENT_BYTES_MAX)
        begun = ctx.transact(lambda inner: executions.begin(inner, version, event, name))
        return {"StatusCode": 202, "Payload": b"", "DurableExecutionArn": begun.arn}
    outcome, execution = waiting.run(ctx, version, event, name)
    result = {"StatusCode": 200, "ExecutedVersion": version.version, "Payload": outcome.payload}
    result["DurableExecutionArn"] = execution.arn
    if outcome.error is not None:
        result["FunctionError"] = outcome.error
    return result


@operation(transaction=False)
def invoke_with_response_stream(
    ctx: Context, *, function_name: str, invocation_type: str | None = None, log_type: str | None = None,
    client_context: str | None = None, qualifier: str | None = None, payload: bytes | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run a function, and hand its response on as it comes; of one that does not stream, in one piece."""
    name = naming.parse(ctx, function_name, qualifier)
    target = ctx.snapshot(lambda inner: invocations.target(inner, name))
    event = rules.check_payload(payload or b"")
    context = _client_context(client_context)
    if invocation_type == "DryRun":
        return {"StatusCode": 204}
    if target.version.durable is not None:
        _check_durable(log_type, client_context)
    arn, request_id = naming.named_arn(name), ctx.request_id
    running = Streaming(
        lambda parts: RUNTIME.run(ctx, target, arn, event, request_id=request_id, client_context=context, parts=parts)
    )
    running.begin()

    def events() -> Iterator[dict[str, Any]]:
        for part in running.parts():
            yield {"PayloadChunk": {"Payload": part}}
        yield {"InvokeComplete": _completed(running.outcome, log_type)}

    return {"StatusCode": 200, "ExecutedVersion": target.version.version, "EventStream": events()}


def _completed(outcome: Outcome | None, log_type: str | None) -> dict[str, Any]:
    if outcome is None:
        return {"ErrorCode": "ServiceException", "ErrorDetails": "The invocation was broken off."}
    result: dict[str, Any] = {}
    if outcome.error is not None:
        result = {"ErrorCode": outcome.error, "ErrorDetails": outcome.payload.decode("utf-8", "replace")}
    if log_type == "Tail":
        result["LogResult"] = base64.b64encode(outcome.log).decode()
    return result


@operation(transaction=False)
def invoke_async(ctx: Context, *, function_name: str, invoke_args: BodyReader) -> dict[str, Any]:
    """The old way to queue an event."""
    name = naming.parse(ctx, function_name)
    ctx.snapshot(lambda inner: invocations.target(inner, name))
    event = invoke_args.read(limits.PAYLOAD_EVENT_BYTES_MAX + 1)
    if len(event) > limits.PAYLOAD_EVENT_BYTES_MAX:
        raise RequestTooLargeException.payload(len(event), limits.PAYLOAD_EVENT_BYTES_MAX)
    event = rules.check_payload(event)
    ctx.transact(lambda inner: events.put(inner, name, event, ctx.request_id, None))
    return {"Status": 202}


def _client_context(text: str | None) -> str | None:
    """The client's context as JSON text, which is how the runtime gets it."""
    if not text:
        return None
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except ValueError:
        raise InvalidParameterValueException("Client context must be a valid Base64-encoded JSON object.") from None
