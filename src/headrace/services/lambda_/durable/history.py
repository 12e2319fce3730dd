"""The history of a durable execution, as AWS tells it."""

from typing import Any

from headrace.operation import Context
from headrace.services.lambda_.durable import state as kept
from headrace.services.lambda_.durable.state import Execution


def note(ctx: Context, execution: Execution, kind: str, details: dict[str, Any], shape: dict[str, Any] | None = None) -> None:
    """Add an event to the history. The caller writes the execution."""
    execution.events += 1
    event: dict[str, Any] = {"EventType": kind, "EventId": execution.events, "EventTimestamp": ctx.clock.now()}
    event |= {member: shape[member] for member in ("Id", "Name", "ParentId", "SubType") if shape and shape.get(member)}
    kept.EVENTS.put(ctx.tx, {**event, f"{kind}Details": details}, execution.id, execution.events)
