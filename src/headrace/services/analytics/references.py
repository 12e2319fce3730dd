"""The objects of reference tables, as they were when what runs began.

An application that is opened again, after a crash too, sees what it saw before, whatever became of the object in the meantime:
so its results are the same. A start, or a change of the application, reads the object anew.
"""

from collections.abc import Mapping
from typing import Any

from headrace.operation import Context
from headrace.services.analytics import limits, state
from headrace.services.analytics.state import Application, Reference
from headrace.store.blobs import Blobs


def blobs(ctx: Context) -> Blobs:
    """Analytics's own space of blobs: copies of reference tables' objects, and of Flink applications' code."""
    return ctx.blobs.space("analytics")


def content(ctx: Context, application: Application, part: Mapping[str, Any]) -> bytes:
    """What the object of a reference table holds for this generation of the application. LookupError: it is not there."""
    table, source = part["TableName"], part["S3ReferenceDataSource"]
    kept = ctx.snapshot(lambda inner: state.REFERENCES.get(inner.tx, application.id, table))
    if kept is not None and kept.generation == application.generation:
        return blobs(ctx).get(kept.blob)
    found = ctx.ports.objects.get(ctx, source["BucketARN"].rpartition(":")[2], source["FileKey"])
    made = Reference(application.generation, blobs(ctx).put(found).id)
    ctx.transact(lambda inner: state.REFERENCES.put(inner.tx, made, application.id, table))
    if kept is not None:
        blobs(ctx).delete(kept.blob)
    return found


def sweep(ctx: Context) -> float:
    """Delete copies that nothing refers to: of what is gone, and those whose maker was killed before it could say so."""

    def used(inner: Context) -> set[str]:
        found = {one.blob for _, one in state.REFERENCES.scan(inner.tx)}
        for kept in (state.APPLICATIONS, state.VERSIONS):
            found.update(one.flink.blob for _, one in kept.scan(inner.tx) if one.flink is not None)
        return found

    # What is kept while the references are read is younger than that.
    blobs(ctx).sweep(ctx.snapshot(used).__contains__, limits.SWEEP_AGE_SECONDS)
    return limits.SWEEP_EVERY_SECONDS
