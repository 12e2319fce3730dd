"""Addresses and domains that may send."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.ses import rules, state
from headrace.services.ses.errors import V1

Structure = dict[str, Any]


@operation
def verify_email_identity(ctx: Context, *, email_address: str) -> Structure:
    """Let an address send.

    Differs from AWS: it is verified at once; no mail asks its owner.
    """
    state.put_identity(ctx, rules.identity_name(email_address, V1))
    return {}


@operation
def verify_email_address(ctx: Context, *, email_address: str) -> None:
    """Let an address send: the old name of VerifyEmailIdentity."""
    state.put_identity(ctx, rules.identity_name(email_address, V1))


@operation
def verify_domain_identity(ctx: Context, *, domain: str) -> Structure:
    """Let every address of a domain send.

    Differs from AWS: it is verified at once; no DNS record is looked for.
    """
    name = rules.identity_name(domain, V1)
    state.put_identity(ctx, name)
    return {"VerificationToken": rules.verification_token(ctx.account, name)}


@operation(read_only=True)
def list_identities(
    ctx: Context, *, identity_type: str | None = None, next_token: str | None = None, max_items: int | None = None
) -> Structure:
    """List identities in order of their names."""
    limit = rules.page_limit(max_items)
    after = rules.read_token(next_token, V1)
    start = None if after is None else (ctx.account, ctx.region, after)
    found: list[str] = []
    for _, row in state.IDENTITIES.scan(ctx.tx, ctx.account, ctx.region, after=start):
        if identity_type is None or row.domain == (identity_type == "Domain"):
            found.append(row.name)
            if len(found) > limit:
                break
    shown, last = rules.page(found, limit)
    return {"Identities": list(shown), **({"NextToken": rules.token(last)} if last is not None else {})}


@operation(read_only=True)
def list_verified_email_addresses(ctx: Context) -> Structure:
    """List the addresses that may send, the first thousand."""
    rows = state.IDENTITIES.scan(ctx.tx, ctx.account, ctx.region, limit=1000)
    return {"VerifiedEmailAddresses": [row.name for _, row in rows if not row.domain]}


@operation(read_only=True)
def get_identity_verification_attributes(ctx: Context, *, identities: list[str]) -> Structure:
    """Say which identities are verified; those that are not known are left out."""
    found: Structure = {}
    for name in identities:
        row = state.identity(ctx, rules.identity_name(name, V1))
        if row is not None:
            found[name] = {"VerificationStatus": "Success"}
            if row.domain:
                found[name]["VerificationToken"] = rules.verification_token(ctx.account, row.name)
    return {"VerificationAttributes": found}


@operation(read_only=True)
def get_identity_dkim_attributes(ctx: Context, *, identities: list[str]) -> Structure:
    """Say that nothing is signed with DKIM: that is the relay's part here."""
    nothing = {"DkimEnabled": False, "DkimVerificationStatus": "NotStarted"}
    known = [name for name in identities if state.identity(ctx, rules.identity_name(name, V1)) is not None]
    return {"DkimAttributes": dict.fromkeys(known, nothing)}


@operation
def delete_identity(ctx: Context, *, identity: str) -> Structure:
    """Forget an identity; one that is not there is no error."""
    state.drop_identity(ctx, rules.identity_name(identity, V1))
    return {}


@operation
def delete_verified_email_address(ctx: Context, *, email_address: str) -> None:
    """Forget an address: the old name of DeleteIdentity."""
    state.drop_identity(ctx, rules.identity_name(email_address, V1))
