"""Adding vector indexes to tables that are there, and taking them away."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.kit.errors import ValidationException
from headrace.operation import Context
from headrace.services.dynamodb import errors, state, vector_rules
from headrace.services.dynamodb.state import TableRow


def apply(ctx: Context, row: TableRow, changes: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """Apply VectorIndexUpdates to a table's row; the numbers of new indexes, which are to be filled."""
    if len(changes) > 1:
        raise _one_at_a_time()
    return [_apply(ctx, row, change) for change in changes]


def _apply(ctx: Context, row: TableRow, change: Mapping[str, Any]) -> int | None:
    given = change.get("Create")
    if given is not None:
        if any(one.filling for one in row.vectors):
            raise _one_at_a_time()
        if given["IndexName"] in {*(one.name for one in row.indexes), *(one.name for one in row.vectors)}:
            raise ValidationException("Attempting to create an index which already exists")
        row.indexes_made += 1
        made = vector_rules.vector_row(given, row.indexes_made, row.definitions)
        made.filling = True
        row.vectors.append(made)
        return made.number
    name = (change.get("Delete") or {}).get("IndexName")
    index = next((one for one in row.vectors if one.name == name), None)
    if index is None:
        raise errors.ResourceNotFoundException("Requested resource not found")
    row.vectors.remove(index)
    state.FILLS.delete(ctx.tx, row.id, index.number)
    state.doom(ctx.tx, [*state.keys_of_index(row, index)])
    return None


def _one_at_a_time() -> errors.LimitExceededException:
    return errors.LimitExceededException(
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
    )
