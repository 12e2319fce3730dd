"""The operation by which producers send."""

from typing import Any

from headrace.operation import Context, EndlessReader, operation
from headrace.services.video import ingest, state


@operation(transaction=False)
def put_media(
    ctx: Context,
    *,
    fragment_timecode_type: str,
    payload: EndlessReader | None = None,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    producer_start_timestamp: float | None = None,
) -> dict[str, Any]:
    """Take Matroska in, and answer with acknowledgements, one JSON object a line, while it arrives.

    Differs from AWS: several producers may send to one stream at one time, and a connection may last as long as it likes; there
    are no limits of bytes or fragments per second. An error ends the connection.
    """
    stream = ctx.snapshot(lambda inner: state.find_stream(inner, stream_name, stream_arn))
    assert payload is not None
    start_ms = None if producer_start_timestamp is None else round(producer_start_timestamp * 1000)
    return {"Payload": ingest.Session(ctx, stream, payload, fragment_timecode_type == "RELATIVE", start_ms)}
