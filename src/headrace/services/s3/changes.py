"""Putting and removing objects: rows, versions, blobs and announcements, all in one transaction.

A bucket without versions has one row for each key. With versions, the row of the key is its newest version (an object or a
delete marker), and the older ones lie in `VERSIONS`. Once versions were enabled they can only be suspended: then what is
written has the version id "null" and takes the place of an earlier "null".
"""

from headrace.ports import Scope
from headrace.services.s3 import limits, notifications, state
from headrace.services.s3.state import NULL_VERSION, Bucket, Object


def new_version_id(scope: Scope, owner: Bucket) -> str:
    """The version id of what is written now. Later ones sort before earlier ones."""
    if owner.versioning != "Enabled":
        return NULL_VERSION
    return f"{limits.VERSION_ORDER_MAX - int(scope.clock.now() * 1e6):016x}{scope.ids.hex(16)}"


def put_object(scope: Scope, owner: Bucket, key: str, made: Object, event: str) -> None:
    """Make an object the newest version of its key. `event` says how it was made: Put, Copy …"""
    _push(scope, owner, key, made)
    if made.blob_id is not None:
        state.hold(scope.tx, made.blob_id)
    notifications.announce(scope, owner, f"ObjectCreated:{event}", key, made)


def _push(scope: Scope, owner: Bucket, key: str, made: Object) -> None:
    before = state.OBJECTS.get(scope.tx, owner.id, key)
    made.version_id = new_version_id(scope, owner)
    if not owner.versioning:
        if before is not None:
            state.doom(scope, before)
    else:
        if made.version_id == NULL_VERSION:
            before = _drop_null(scope, owner, key, before)
        if before is not None:
            state.VERSIONS.put(scope.tx, before, owner.id, key, _order(before), before.version_id)
            made.order = min(_fresh_order(scope), _order(before) - 1)
        else:
            made.order = _fresh_order(scope)
        if made.version_id != NULL_VERSION:
            made.version_id = f"{made.order:016x}{made.version_id[16:]}"
    state.OBJECTS.put(scope.tx, made, owner.id, key)


def _fresh_order(scope: Scope) -> int:
    return limits.VERSION_ORDER_MAX - int(scope.clock.now() * 1e6)


def _order(row: Object) -> int:
    """Where a version stands: the later it was written, the smaller. Rows from before versions were enabled have none."""
    return row.order or limits.VERSION_ORDER_MAX - int(row.modified_at * 1e6)


def _drop_null(scope: Scope, owner: Bucket, key: str, before: Object | None) -> Object | None:
    """Remove the version "null" of a key; what is left of its newest row."""
    if before is not None and before.version_id == NULL_VERSION:
        state.doom(scope, before)
        return None
    for row_key, row in state.VERSIONS.scan(scope.tx, owner.id, key):
        if row.version_id == NULL_VERSION:
            state.doom(scope, row)
            state.VERSIONS.delete(scope.tx, *row_key)
            break
    return before


def delete_object(scope: Scope, owner: Bucket, key: str, event: str = "ObjectRemoved:Delete") -> Object | None:
    """Remove an object; with versions, hide it behind a delete marker, which is returned."""
    if not owner.versioning:
        before = state.OBJECTS.get(scope.tx, owner.id, key)
        if before is not None:
            state.doom(scope, before)
            state.OBJECTS.delete(scope.tx, owner.id, key)
            notifications.announce(scope, owner, event, key, None)
        return None
    marker = Object(scope.ids.hex(24), "", 0, scope.clock.now(), state.Description(), marker=True)
    _push(scope, owner, key, marker)
    kind, _, _ = event.partition(":")
    notifications.announce(scope, owner, f"{kind}:DeleteMarkerCreated", key, None)
    return marker


def delete_version(scope: Scope, owner: Bucket, key: str, version_id: str) -> Object | None:
    """Remove one version for good; what it was. When it was the newest, the next one takes its place."""
    newest = state.OBJECTS.get(scope.tx, owner.id, key)
    if newest is not None and newest.version_id == version_id:
        state.doom(scope, newest)
        for row_key, row in state.VERSIONS.scan(scope.tx, owner.id, key, limit=1):
            state.VERSIONS.delete(scope.tx, *row_key)
            state.OBJECTS.put(scope.tx, row, owner.id, key)
            break
        else:
            state.OBJECTS.delete(scope.tx, owner.id, key)
        removed: Object | None = newest
    else:
        found = state.find_version_key(scope.tx, owner, key, version_id)
        removed = None if found is None else state.VERSIONS.get(scope.tx, *found)
        if found is not None and removed is not None:
            state.doom(scope, removed)
            state.VERSIONS.delete(scope.tx, *found)
    if removed is not None and not removed.marker:
        notifications.announce(scope, owner, "ObjectRemoved:Delete", key, None)
    return removed
