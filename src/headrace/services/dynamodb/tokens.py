"""Clients' tokens: a transaction that was carried out is not carried out again in ten minutes."""

import hashlib
from typing import Any

import msgspec

from headrace.layers import timer
from headrace.operation import Context
from headrace.services.dynamodb import errors, limits, state
from headrace.services.dynamodb.state import Token

_digest_encode = msgspec.json.Encoder(order="sorted").encode


def is_repeated(ctx: Context, token: str, given: list[dict[str, Any]]) -> bool:
    """Whether the transaction was carried out under the token already; if not, it is remembered."""
    digest = hashlib.sha256(_digest_encode(given)).digest()
    kept = state.TOKENS.get(ctx.tx, ctx.account, ctx.region, token)
    now = ctx.clock.now()
    if kept is not None and kept.until > now:
        if kept.digest != digest:
            raise errors.IdempotentParameterMismatchException("Request parameters do not match the existing token")
        return True
    until = now + limits.CLIENT_TOKEN_SECONDS
    state.TOKENS.put(ctx.tx, Token(digest, until), ctx.account, ctx.region, token)
    timer.start(ctx.tx, state.TOKEN_TIMERS, until, (ctx.account, ctx.region, token))
    return False
