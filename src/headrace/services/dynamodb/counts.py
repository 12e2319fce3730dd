"""How many items tables and indexes have, and how large they are: kept with every write, so exact at any time."""

from typing import NamedTuple

from headrace.services.dynamodb.state import Table
from headrace.store.api import ReadTransaction


class Counted(NamedTuple):
    """How many items a table or an index has, and their size."""

    items: int
    size_bytes: int


def of_table(tx: ReadTransaction, table: Table) -> Counted:
    """The counts of a table: exact, as they are kept with every write."""
    items = size_bytes = 0
    for key in table.counts:
        raw = tx.get(key)
        if raw is not None:
            items += int.from_bytes(raw[:8], "big")
            size_bytes += int.from_bytes(raw[8:], "big")
    return Counted(items, size_bytes)


def of_indexes(tx: ReadTransaction, table: Table) -> dict[str, Counted]:
    """The counts of a table's indexes by their names: exact, as they are kept with every write."""
    found = {}
    kept = [(index.row.name, index.count) for index in table.indexes]
    kept += [(index.row.name, index.count) for index in table.vectors]
    for name, key in kept:
        raw = None if key is None else tx.get(key)
        if raw is not None:
            found[name] = Counted(int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big"))
    return found
