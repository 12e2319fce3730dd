"""Which records a mapping's patterns let through."""

import base64
import functools
import json
from collections.abc import Sequence
from typing import Any

from headrace.ports import SourceRecord
from headrace.services.lambda_.engine.patterns import compile_pattern

_compiled = functools.lru_cache(1000)(compile_pattern)


def passes(patterns: Sequence[str], event: Any) -> bool:
    """Whether one of the patterns fits; without any, everything passes."""
    return not patterns or any(_compiled(pattern)(event) for pattern in patterns)


def of_record(record: SourceRecord, service: str) -> Any:
    """A stream's record as patterns see it: the data of a Kinesis record is itself, not its base64 text."""
    if service != "kinesis":
        return record.event
    inner = dict(record.event.get("kinesis") or {})
    data = inner.get("data", "")
    inner["data"] = _as_json(base64.b64decode(data) if data else record.data)
    return inner


def of_message(record: dict[str, Any]) -> Any:
    """A queue's message as patterns see it: its body is read as JSON, if it is that."""
    return {**record, "body": _as_json(record["body"].encode())}


def _as_json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")
