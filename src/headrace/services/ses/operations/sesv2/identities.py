"""Identities: addresses and domains that may send."""

from typing import Any

from headrace.layers import tags as tag_lists
from headrace.operation import Context, operation
from headrace.services.ses import rules, state
from headrace.services.ses.errors import V2, AlreadyExistsException, NotFoundException

Structure = dict[str, Any]

_DKIM = {"SigningEnabled": False, "Status": "NOT_STARTED", "Tokens": [], "SigningAttributesOrigin": "AWS_SES"}


@operation
def create_email_identity(
    ctx: Context, *, email_identity: str, tags: list[dict[str, str]] | None = None,
    configuration_set_name: str | None = None,
) -> Structure:  # fmt: skip
    """Let an address or every address of a domain send.

    Differs from AWS: it is verified at once, and nothing is signed with DKIM.
    """
    name = rules.identity_name(email_identity, V2)
    if state.identity(ctx, name) is not None:
        raise AlreadyExistsException(f"Email identity {email_identity} already exist.")
    if configuration_set_name is not None and state.configuration_set(ctx, configuration_set_name) is None:
        raise V2.no_configuration_set(configuration_set_name)
    row = state.put_identity(ctx, name, configuration_set_name)
    if tags:
        tag_lists.add(ctx.tx, state.arn(ctx, "identity", name), tag_lists.from_list(tags))
    return {"IdentityType": _type(row), "VerifiedForSendingStatus": True, "DkimAttributes": _DKIM}


@operation(read_only=True)
def get_email_identity(ctx: Context, *, email_identity: str) -> Structure:
    """Describe an identity."""
    row = _find(ctx, email_identity)
    answer: Structure = {
        "IdentityType": _type(row),
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": True,
        "VerificationStatus": "SUCCESS",
        "DkimAttributes": _DKIM,
        "Policies": {},
        "Tags": tag_lists.to_list(tag_lists.get(ctx.tx, state.arn(ctx, "identity", row.name))),
    }
    if row.configuration_set is not None:
        answer["ConfigurationSetName"] = row.configuration_set
    return answer


@operation(read_only=True)
def list_email_identities(ctx: Context, *, next_token: str | None = None, page_size: int | None = None) -> Structure:
    """List identities in order of their names."""
    limit = rules.page_limit(page_size)
    after = rules.read_token(next_token, V2)
    start = None if after is None else (ctx.account, ctx.region, after)
    rows = [row for _, row in state.IDENTITIES.scan(ctx.tx, ctx.account, ctx.region, after=start, limit=limit + 1)]
    shown, last = rules.page(rows, limit)
    found = [
        {"IdentityType": _type(row), "IdentityName": row.name, "SendingEnabled": True, "VerificationStatus": "SUCCESS"}
        for row in shown
    ]
    return {"EmailIdentities": found, **({"NextToken": rules.token(last.name)} if last is not None else {})}


@operation
def delete_email_identity(ctx: Context, *, email_identity: str) -> Structure:
    """Forget an identity."""
    state.drop_identity(ctx, _find(ctx, email_identity).name)
    return {}


def _find(ctx: Context, text: str) -> state.Identity:
    row = state.identity(ctx, rules.identity_name(text, V2))
    if row is None:
        raise NotFoundException(f"Email identity {text} does not exist.")
    return row


def _type(row: state.Identity) -> str:
    return "DOMAIN" if row.domain else "EMAIL_ADDRESS"
