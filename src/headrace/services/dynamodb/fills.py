"""Filling: a new index, or a new time to live, takes in the items that were there before, a bounded number in each transaction.

Writes keep the index from the moment it is made; so whatever order the two come in, each item ends up in it once.
"""

from headrace.operation import Context
from headrace.services.dynamodb import items, limits, state
from headrace.services.dynamodb.engine import keys
from headrace.services.dynamodb.engine.values import Item
from headrace.services.dynamodb.state import Fill, Index, IndexRow, Table
from headrace.services.dynamodb.vectors import VectorIndex, VectorRow
from headrace.store.tuples import after_prefix


def begin(ctx: Context, table: Table, number: int) -> None:
    """Begin to fill an index (or the expiry); a small table is done with it at once."""
    fill = Fill(ctx.account, ctx.region, table.row.name)
    if not step(ctx, table, number, fill):
        state.FILLS.put(ctx.tx, fill, table.row.id, number)
        ctx.tx.announce(state.FILL_TOPIC)


def step(ctx: Context, table: Table, number: int, fill: Fill) -> bool:
    """Take in some items; whether that were the last. `fill` moves on; a finished index becomes readable."""
    tx = ctx.tx
    index = next((one for one in table.indexes if one.row.number == number), None)
    vector = next((one for one in table.vectors if one.row.number == number), None)
    first = table.prefix + fill.after + b"\x00" if fill.after else table.prefix
    looked = 0
    for key, stored in tx.range(first, after_prefix(table.prefix), limit=limits.FILL_ITEMS_PER_STEP):
        place = key[len(table.prefix) :]
        item = items.decode(stored)
        if index is not None:
            _enter(ctx, index, place, item, items.size_of(stored))
        elif vector is not None:
            _enter_vector(ctx, vector, place, item)
        elif number == state.FILL_EXPIRY:
            items.write_expiry(tx, table, place, item)
        fill.after = place
        looked += 1
    if looked == limits.FILL_ITEMS_PER_STEP:
        return False
    if index is not None or vector is not None:
        row = state.TABLES.get(tx, table.account, table.region, table.row.name)
        assert row is not None
        filled: list[IndexRow | VectorRow] = [*row.indexes, *row.vectors]
        for one in filled:
            if one.number == number:
                one.filling = False
        state.TABLES.put(tx, row, table.account, table.region, row.name)
    return True


def _enter(ctx: Context, index: Index, place: bytes, item: Item, size_bytes: int) -> None:
    # An old item whose attribute can't be the index's key stays out of it, as in AWS.
    entry = keys.of_entry_if_any(index.schema, item)
    # One that was written since the index was made has entered it already.
    if entry is None or ctx.tx.get(index.prefix + entry + place) is not None:
        return
    ctx.tx.set(index.prefix + entry + place, place)
    if index.count is not None:
        items.count_entries(ctx.tx, index.count, 1, items.entry_size(index, item, size_bytes))


def _enter_vector(ctx: Context, index: VectorIndex, place: bytes, item: Item) -> None:
    # As of other indexes: what is no such vector stays out, and what was written meanwhile is there.
    entry = index.entry_if_any(item)
    if entry is None or ctx.tx.get(index.prefix + entry.place + place) is not None:
        return
    ctx.tx.set(index.prefix + entry.place + place, entry.value)
    items.count_entries(ctx.tx, index.count, 1, index.stored_bytes(item))
