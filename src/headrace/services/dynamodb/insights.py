"""Contributor insights: which keys of a table, or of a global index, use the most capacity, and which are throttled most.

What is let through or refused is counted in memory, and kept every few seconds: for each rule and minute the keys with the
largest sums. A killed process loses those seconds of counts. A table without insights counts nothing.

Layout: ("dynamodb", "insights", id of the insights, rule, minute) → Minute
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import InsightRule, Scope
from headrace.services.dynamodb import items, limits, state
from headrace.services.dynamodb.engine import keys
from headrace.services.dynamodb.engine.heavy import Contributor, Heavy
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.state import Index, InsightsRow, Table, TableRow, Watch
from headrace.store import tuples

TOPIC = b"dynamodb:insights"
BOTH, THROTTLED = "ACCESSED_AND_THROTTLED_KEYS", "THROTTLED_KEYS"
_ACCESSED_RULES, _THROTTLED_RULES = ("PKC", "SKC"), ("PKT", "SKT")
_SPACE = ("dynamodb", "insights")


class Minute(msgspec.Struct):
    """What a rule counted in a minute: all of it, and the keys with the most of it."""

    total: float
    sums: list[tuple[Contributor, float]]


class Slot(NamedTuple):
    """Where something is counted."""

    insights: int
    rule: str
    minute: int


MINUTES = Records(_SPACE, Minute)


class Counter:
    """What was counted and is not kept yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[Slot, Heavy] = {}

    def add(self, scope: Scope, watch: Watch, rules: Sequence[str], item: Item, amount: float) -> None:
        """Count an amount for the keys of an item. Beyond INSIGHTS_PENDING_MAX sums at one time, nothing is counted."""
        minute = int(scope.clock.now()) // 60
        partition = tuple(_text(item, name) for name in watch.partitions)
        full = False
        with self._lock:
            for rule in rules:
                slot = Slot(watch.id, rule, minute)
                found = self._pending.get(slot)
                if found is None:
                    full = len(self._pending) >= limits.INSIGHTS_PENDING_MAX
                    if full:
                        break
                    found = self._pending[slot] = Heavy(limits.INSIGHTS_KEYS_MAX)
                found.add(partition if rule[0] == "P" else tuple(_text(item, name) for name in watch.names), amount)
        if full:
            scope.store.signals.announce((TOPIC,))

    def take(self) -> dict[Slot, Heavy]:
        """What was counted since the last call."""
        with self._lock:
            found, self._pending = self._pending, {}
        return found

    def keep(self, ctx: Context) -> None:
        """Add what was counted to what is kept."""
        found = self.take()
        if found:
            ctx.transact(lambda inner: _add(inner, found))


COUNTER = Counter()


def _text(item: Item, name: str) -> str:
    value = item.get(name)
    # A key is a text, a number, or bytes in base64: all of them texts in DynamoDB's JSON.
    return "" if value is None else str(next(iter(value.values())))


def _add(ctx: Context, found: Mapping[Slot, Heavy]) -> None:
    for slot, heavy in found.items():
        kept = MINUTES.get(ctx.tx, *slot)
        if kept is None:
            oldest = slot.minute - limits.INSIGHTS_MINUTES_MAX
            ctx.tx.clear_range(MINUTES.key(slot.insights, slot.rule), MINUTES.key(slot.insights, slot.rule, oldest))
            kept = Minute(0.0, [])
        sums = dict(kept.sums)
        for key, amount in heavy.sums.items():
            sums[key] = sums.get(key, 0.0) + amount
        most = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))[: limits.INSIGHTS_KEYS_MAX]
        MINUTES.put(ctx.tx, Minute(kept.total + heavy.total, most), *slot)


# Counting


def read(scope: Scope, table: Table, index: Index | None, units: float, found: Sequence[Item | bytes]) -> None:
    """Items of a table (or of one of its indexes) were read, and used some units together: each an equal share."""
    watch = _watch(table, index)
    if watch is not None and watch.accessed and found:
        for item in _items(found):
            COUNTER.add(scope, watch, watch.accessed, item, units / len(found))


def wrote(scope: Scope, table: Table, units: float, before: Item | None, after: Item | None, item: Item) -> None:
    """An item (`item` has its key) was written: that counts for its key, and for those of the index entries that are made or
    removed; for these it must be known what it was before."""
    watches = table.insights or {}
    for number, watch in watches.items():
        if not watch.accessed:
            continue
        if not number:
            COUNTER.add(scope, watch, watch.accessed, item, units)
            continue
        index = next(one for one in table.indexes if one.row.number == number)
        entries = [keys.of_entry_if_any(index.schema, one) if one is not None else None for one in (before, after)]
        if entries[0] == entries[1] and (entries[1] is None or before == item):
            continue
        if entries[1] is not None:
            COUNTER.add(scope, watch, watch.accessed, item, units)
        if entries[0] is not None and entries[0] != entries[1] and before is not None:
            COUNTER.add(scope, watch, watch.accessed, before, units)


def refused(scope: Scope, table: Table, index: Index | None, found: Sequence[Item | bytes]) -> None:
    """A request for these items was throttled."""
    watch = _watch(table, index)
    if watch is not None:
        for item in _items(found):
            COUNTER.add(scope, watch, watch.throttled, item, 1.0)


def _watch(table: Table, index: Index | None) -> Watch | None:
    # What is read of a local index is the table's.
    number = 0 if index is None or index.row.local else index.row.number
    return None if table.insights is None else table.insights.get(number)


def _items(found: Iterable[Item | bytes]) -> Iterator[Item]:
    for one in found:
        yield items.decode(one) if isinstance(one, bytes) else one


# Settings


def rules_of(row: TableRow, index_name: str) -> list[str]:
    """The rules of a table's or an index's insights, by their short names; none when they are off."""
    own = row.insights.get(index_name)
    if own is None or not own.enabled:
        return []
    names = _THROTTLED_RULES if own.mode == THROTTLED else (*_ACCESSED_RULES, *_THROTTLED_RULES)
    sort = row.sort if not index_name else next(one.sort for one in row.indexes if one.name == index_name)
    return [name for name in names if name[0] == "P" or sort is not None]


def rule_name(row: TableRow, index_name: str, rule: str) -> str:
    """The name under which CloudWatch knows a rule."""
    own = row.insights[index_name]
    resource = f"{row.name}-{index_name}" if index_name else row.name
    return f"DynamoDBContributorInsights-{rule}-{resource[: limits.INSIGHTS_RESOURCE_NAME_MAX]}-{int(own.since * 1000)}"


def switch(ctx: Context, row: TableRow, index_name: str, *, enabled: bool, mode: str | None) -> None:
    """Switch a table's or an index's insights on or off; what was counted goes when they are switched off."""
    now = ctx.clock.now()
    own = row.insights.get(index_name)
    if enabled:
        if own is None or not own.enabled:
            own = InsightsRow(state.next_number(ctx.tx), mode or BOTH, now, now)
        else:
            own = msgspec.structs.replace(own, mode=mode or own.mode, changed_at=now)
        row.insights = {**row.insights, index_name: own}
    elif own is not None and own.enabled:
        forget(ctx, row, index_name)
        row.insights = {**row.insights, index_name: msgspec.structs.replace(own, enabled=False, changed_at=now)}
    state.save(ctx, row)


def forget(ctx: Context, row: TableRow, index_name: str | None = None) -> None:
    """Let what was counted go: of an index, or of a table (the name is empty), or all of it."""
    own = [one for name, one in row.insights.items() if index_name in (None, name) and one.enabled]
    if own:
        state.doom(ctx.tx, [tuples.pack((*_SPACE, one.id)) for one in own])


# What CloudWatch shows


class Rules:
    """The port `InsightRules`: the rules of the tables of an account in a region."""

    def rules(self, scope: Scope) -> Sequence[InsightRule]:
        """All that are switched on."""

        def body(inner: Scope) -> list[InsightRule]:
            found = []
            for row, index_name in _switched_on(inner):
                index = next((one for one in row.indexes if one.name == index_name), None)
                partitions, sorts = [row.partition], [] if row.sort is None else [row.sort]
                if index is not None:
                    partitions, sorts = index.partitions, index.sorts
                for rule in rules_of(row, index_name):
                    labels = tuple(partitions if rule[0] == "P" else partitions + sorts)
                    counts = "Count" if rule in _THROTTLED_RULES else "Sum"
                    found.append(InsightRule(rule_name(row, index_name, rule), labels, counts))
            return found

        return scope.snapshot(body)

    def minutes(self, scope: Scope, name: str, first: int, end: int) -> Mapping[int, tuple[float, Mapping[Contributor, float]]]:
        """(total, sums) of the minutes first <= minute < end of a rule. LookupError: no such rule."""

        def place(inner: Scope) -> tuple[int, str]:
            for row, index_name in _switched_on(inner):
                for rule in rules_of(row, index_name):
                    if rule_name(row, index_name, rule) == name:
                        return row.insights[index_name].id, rule
            raise LookupError(name)

        number, rule = scope.snapshot(place)
        found = COUNTER.take()
        if found:
            scope.transact(lambda inner: _add(inner, found))

        def body(inner: Scope) -> dict[int, tuple[float, Mapping[Contributor, float]]]:
            given: dict[int, tuple[float, Mapping[Contributor, float]]] = {}
            for key, raw in inner.tx.range(MINUTES.key(number, rule, first), MINUTES.key(number, rule, end)):
                minute, one = tuples.unpack(key)[-1], MINUTES.decode(raw)
                assert isinstance(minute, int)
                given[minute] = (one.total, dict(one.sums))
            return given

        return scope.snapshot(body)


def _switched_on(scope: Scope) -> Iterator[tuple[TableRow, str]]:
    for _, row in state.TABLES.scan(scope.tx, scope.account, scope.region):
        for name, one in row.insights.items():
            if one.enabled:
                yield row, name


def keep_counts(ctx: Context) -> None:
    """The worker's step: keep what was counted."""
    COUNTER.keep(ctx)
