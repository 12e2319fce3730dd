"""For which stacks there is something to do, and which deleted ones are to be forgotten.

cloudformation work     account region stack-id    since when
"""

from headrace.layers import timer
from headrace.layers.records import Records
from headrace.store import tuples
from headrace.store.api import Transaction

TOPIC = b"cloudformation.work"
WORK = Records(("cloudformation", "work"), float)
FORGET = ("cloudformation", "forget")
_OF_A_STACK = ("stack", "resource", "garbage", "template", "event", "changes")
_FORGET_MAX = 20


def forget(tx: Transaction, now: float) -> int:
    """Drop what is kept of stacks that were deleted long ago; how many there were."""
    due = timer.due(tx, FORGET, now, _FORGET_MAX)
    for due_at, key, _ in due:
        timer.cancel(tx, FORGET, due_at, key)
        for family in _OF_A_STACK:
            tx.clear_range(*tuples.range_of(("cloudformation", family, *key)))
    return len(due)
