"""The operation by which readers follow a stream."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.video import reading, state


@operation(transaction=False)
def get_media(
    ctx: Context, *, start_selector: dict[str, Any], stream_name: str | None = None, stream_arn: str | None = None
) -> dict[str, Any]:
    """A stream's fragments from a place on, and those that come, until the reader closes the connection.

    Every fragment is a small Matroska document with AWS's tags: number and times before the cluster, the continuation token
    behind it. Differs from AWS: NOW starts with the newest fragment that is whole; there are no limits of bytes per second.
    """

    def start(inner: Context) -> tuple[state.Stream, int | None]:
        stream = state.find_stream(inner, stream_name, stream_arn)
        return stream, reading.start_place(inner.tx, stream, start_selector)

    stream, place = ctx.snapshot(start)
    parts = reading.not_found() if place is None else reading.follow(ctx, stream, place)
    return {"ContentType": reading.CONTENT_TYPE, "Payload": reading.Media(parts)}
