"""Operations on a stream's encryption."""

import re

from headrace.kit.errors import ValidationException
from headrace.operation import Context, operation
from headrace.services.kinesis import errors, limits, naming, state
from headrace.services.kinesis.sealing import SEALS

_KEY_ID = r"(?:mrk-[0-9a-f]{32}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
_ALIAS = r"alias/[a-zA-Z0-9/_-]{1,250}"
_KEY = re.compile(rf"(?:arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{{12}}:(?:key/{_KEY_ID}|{_ALIAS})|{_KEY_ID}|{_ALIAS})\Z")


@operation(transaction=False)
def start_stream_encryption(
    ctx: Context, *, encryption_type: str, key_id: str, stream_name: str | None = None, stream_arn: str | None = None
) -> None:
    """Encrypt the records that are put from now on.

    Differs from AWS: it is done at once, without an UPDATING pause. There is no KMS: the key that is named must look like one,
    and is shown; records are encrypted with a key of the stream's own, which a new start replaces.
    """
    _check(ctx, encryption_type, key_id)

    def body(inner: Context) -> None:
        stream = _changing(inner, stream_name, stream_arn)
        stream.key_id = key_id
        stream.data_keys.append(SEALS.make(inner.tx))
        state.save(inner.tx, inner.account, inner.region, stream)

    name = naming.stream_name(ctx, stream_name, stream_arn)
    ctx.snapshot(lambda inner: state.find(inner.tx, inner.account, inner.region, name))
    SEALS.prepare()
    ctx.transact(body)


@operation
def stop_stream_encryption(
    ctx: Context, *, encryption_type: str, key_id: str, stream_name: str | None = None, stream_arn: str | None = None
) -> None:
    """Put new records as they are; those that were encrypted stay so, and are read as before.

    Differs from AWS: it is done at once, without an UPDATING pause.
    """
    _check(ctx, encryption_type, key_id)
    stream = _changing(ctx, stream_name, stream_arn)
    stream.key_id = ""
    state.save(ctx.tx, ctx.account, ctx.region, stream)


def _check(ctx: Context, encryption_type: str, key_id: str) -> None:
    if encryption_type != "KMS":
        raise ValidationException(f"EncryptionType must be KMS, not {encryption_type}.")
    found = _KEY.match(key_id)
    if found is None:
        raise errors.invalid_key(key_id)
    if found["region"] not in (None, ctx.region):
        raise errors.KMSNotFoundException(f"Invalid arn {found['region']}")


def _changing(ctx: Context, name: str | None, arn: str | None) -> state.Stream:
    """The stream, with one more change of its encryption noted; LimitExceededException."""
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, name, arn))
    now = ctx.clock.now()
    lately = [at for at in stream.encryption_changed_at if at > now - limits.ENCRYPTIONS_SECONDS]
    if len(lately) >= limits.ENCRYPTIONS_MAX:
        raise errors.LimitExceededException(
            f"The encryption of stream {stream.name} under account {ctx.account} has been changed {limits.ENCRYPTIONS_MAX} times "
            "within 24 hours."
        )
    stream.encryption_changed_at = [*lately, now]
    return stream
