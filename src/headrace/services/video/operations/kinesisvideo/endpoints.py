"""Where the media APIs of a stream are: at this server."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.video import naming, state


@operation(read_only=True)
def get_data_endpoint(
    ctx: Context, *, api_name: str, stream_name: str | None = None, stream_arn: str | None = None
) -> dict[str, Any]:
    """The address for a stream's media: this server's own, for every API."""
    state.find_stream(ctx, stream_name, stream_arn)
    return {"DataEndpoint": naming.data_endpoint(ctx.settings)}
