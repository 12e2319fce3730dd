"""Operations on a stream's encryption: there is no KMS, so there is no key to encrypt with, and that is said."""

from headrace.operation import Context, operation
from headrace.services.kinesis import errors, naming, state


@operation(read_only=True)
def start_stream_encryption(
    ctx: Context, *, encryption_type: str, key_id: str, stream_name: str | None = None, stream_arn: str | None = None
) -> None:
    """Refused: Headrace has no KMS, and a stream that says it is encrypted must be."""
    state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
    raise errors.KMSNotFoundException(
        f"Headrace does not support encryption with keys of KMS: the key {key_id} is not here. "
        "Encrypt the disk under the data folder."
    )


@operation(read_only=True)
def stop_stream_encryption(
    ctx: Context, *, encryption_type: str, key_id: str, stream_name: str | None = None, stream_arn: str | None = None
) -> None:
    """A stream is never encrypted here, so it stays as it is."""
    state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, stream_name, stream_arn))
