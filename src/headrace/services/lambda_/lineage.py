"""Chains of invocations: how often each function was run because of one event, as the tracing header's Lineage counts it.

A function gets the header with its own hop counted; AWS's SDKs send it on with every call, queues keep it with the message, and
topics hand it on. So an event that comes back to its function for the 17th time is known to go round.
"""

import hashlib
from functools import lru_cache
from urllib.parse import unquote

PASSES_MAX = 16
TERMINATE = "Terminate"
_HOPS_MAX = 16
_COUNT_MAX = 32_767
_TRACE_BYTES_MAX = 2048


@lru_cache(1024)
def mark(function_arn: str) -> str:
    """What stands for a function in a lineage."""
    return hashlib.blake2b(function_arn.encode(), digest_size=4).hexdigest()


def passes(trace: str, function_arn: str) -> int:
    """How often the function was run in the chain so far."""
    if "Lineage" not in trace:  # most chains begin here, and this is asked at each invocation
        return 0
    return _counts(trace)[1].get(mark(function_arn), 0)


def begin(request_id: str, now: float) -> str:
    """The header of a chain that begins with this request."""
    digits = request_id.replace("-", "")
    return f"Root=1-{int(now):08x}-{digits[:24]:0>24};Parent={digits[-16:]:0>16};Sampled=0"


def advance(trace: str, function_arn: str) -> str:
    """The header that a run of the function hands on: as it came, with this run counted."""
    own = mark(function_arn)
    if "Lineage" not in trace:
        return ";".join([*(part for part in trace[:_TRACE_BYTES_MAX].split(";") if part), f"Lineage={own}:1"])
    others, counts = _counts(trace)
    count = min(counts.pop(own, 0) + 1, _COUNT_MAX)
    kept = [*list(counts.items())[-(_HOPS_MAX - 1) :], (own, count)]
    return ";".join([*others, "Lineage=" + "|".join(f"{name}:{number}" for name, number in kept)])


def _counts(trace: str) -> tuple[list[str], dict[str, int]]:
    """The header's other fields, and the runs by function. What can't be read is left out: callers write the header."""
    others, counts = [], {}
    for part in trace[:_TRACE_BYTES_MAX].split(";"):
        name, _, value = part.partition("=")
        if name.strip() != "Lineage":
            others += [part] if part else []
            continue
        for hop in unquote(value).split("|"):  # an SDK writes | as %7C
            who, _, number = hop.rpartition(":")
            if who and number.isascii() and number.isdigit() and len(number) <= 5:
                counts[who] = int(number)
    return others, counts
