"""Operations on the encryption of the buffer: kept and shown."""

from typing import Any

import msgspec

from headrace.operation import Context, operation
from headrace.services.firehose import errors, state


@operation
def start_delivery_stream_encryption(
    ctx: Context,
    *,
    delivery_stream_name: str,
    delivery_stream_encryption_configuration_input: dict[str, Any] | None = None,
) -> None:
    """Say that the buffer is to be encrypted.

    Differs from AWS: the setting is kept and shown, but the buffer is as safe as the disk of the server's data folder, no more.
    """
    given = delivery_stream_encryption_configuration_input or {"KeyType": "AWS_OWNED_CMK"}
    if given["KeyType"] == "CUSTOMER_MANAGED_CMK" and not given.get("KeyARN"):
        raise errors.InvalidArgumentException("KeyARN is required when KeyType is CUSTOMER_MANAGED_CMK.")
    _set(ctx, delivery_stream_name, {**given, "Status": "ENABLED"})


@operation
def stop_delivery_stream_encryption(ctx: Context, *, delivery_stream_name: str) -> None:
    """Take the setting back."""
    _set(ctx, delivery_stream_name, {})


def _set(ctx: Context, name: str, encryption: dict[str, Any]) -> None:
    stream = state.find(ctx.tx, ctx.account, ctx.region, name)
    if stream.kind != state.DIRECT_PUT:
        raise errors.InvalidArgumentException("Encryption can only be set for DirectPut delivery streams.")
    changed = msgspec.structs.replace(stream, encryption=encryption)
    state.STREAMS.put(ctx.tx, changed, ctx.account, ctx.region, name)
