"""Putting and removing objects' rows: what goes with it is done here, in the same transaction."""

from headrace.ports import Scope
from headrace.services.s3 import notifications, state


def put_object(scope: Scope, owner: state.Bucket, key: str, made: state.Object, event: str) -> None:
    """Put an object's row in the place of what was there. `event` says how it was made: Put, Copy …"""
    before = state.OBJECTS.get(scope.tx, owner.id, key)
    if before is not None:
        state.doom(scope, before)
    if made.blob_id is not None:
        state.hold(scope.tx, made.blob_id)
    state.OBJECTS.put(scope.tx, made, owner.id, key)
    notifications.announce(scope, owner, f"ObjectCreated:{event}", key, made)


def delete_object(scope: Scope, owner: state.Bucket, key: str, event: str = "ObjectRemoved:Delete") -> bool:
    """Remove an object; whether there was one."""
    before = state.OBJECTS.get(scope.tx, owner.id, key)
    if before is None:
        return False
    state.doom(scope, before)
    state.OBJECTS.delete(scope.tx, owner.id, key)
    notifications.announce(scope, owner, event, key, None)
    return True
