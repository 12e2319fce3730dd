"""Sending mail, and the account's limits."""

from collections.abc import Sequence
from typing import Any

from headrace.kit.errors import AwsError, UnsupportedParameter
from headrace.operation import Context, operation
from headrace.services.ses import limits, rules, sending, state, templating
from headrace.services.ses.engine.mime import Attachment
from headrace.services.ses.errors import V2
from headrace.services.ses.sending import Letter

Structure = dict[str, Any]


@operation(transaction=False)
def send_email(
    ctx: Context, *, content: Structure, from_email_address: str | None = None, destination: Structure | None = None,
    reply_to_addresses: Sequence[str] | None = None, feedback_forwarding_email_address: str | None = None,
    email_tags: list[dict[str, str]] | None = None, configuration_set_name: str | None = None,
) -> Structure:  # fmt: skip
    """Send a simple, raw or templated message to at most 50 recipients.

    As on AWS, a template's missing data is no error here: the message is accepted, shown in the mailbox as a rendering failure,
    and not sent. Differs from AWS: ContentTransferEncoding of attachments is chosen here.
    """
    given = [name for name in ("Simple", "Raw", "Template") if content.get(name) is not None]
    if len(given) != 1:
        raise V2.bad("Exactly one of Simple, Raw and Template must be given as Content.")
    letter = _letter(
        from_email_address, reply_to_addresses, feedback_forwarding_email_address, configuration_set_name, email_tags
    )
    if given == ["Raw"]:
        named = destination or {}
        listed = [text for key in ("ToAddresses", "CcAddresses", "BccAddresses") for text in named.get(key) or ()]
        prepared, senders = sending.prepare_raw(ctx, letter, content["Raw"]["Data"], listed)
        sending.commit(ctx, letter, [prepared], senders)
        return {"MessageId": prepared.message.message_id}
    if not from_email_address:
        raise V2.bad("FromEmailAddress must be given.")
    part = content[given[0]]
    letter = _replaced(letter, headers=_headers(part.get("Headers")), attachments=_attachments(part.get("Attachments")))
    to = rules.recipients(destination, V2)
    if given == ["Simple"]:
        prepared = sending.prepare(ctx, letter, to, sending.texts(part))
    else:
        prepared = sending.prepare_from_template(ctx, letter, to, _template(ctx, part), part.get("TemplateData") or "{}")
    sending.commit(ctx, letter, [prepared])
    return {"MessageId": prepared.message.message_id}


@operation(transaction=False)
def send_bulk_email(
    ctx: Context, *, default_content: Structure, bulk_email_entries: list[Structure],
    from_email_address: str | None = None, reply_to_addresses: Sequence[str] | None = None,
    feedback_forwarding_email_address: str | None = None, default_email_tags: list[dict[str, str]] | None = None,
    configuration_set_name: str | None = None,
) -> Structure:  # fmt: skip
    """Send a message made from a template to each of at most 50 entries, with data of its own.

    All that are accepted are committed together. An entry's data replace the default data as a whole.
    """
    part = default_content.get("Template")
    if part is None or not from_email_address:
        raise V2.bad("DefaultContent.Template and FromEmailAddress must be given.")
    if len(bulk_email_entries) > limits.BULK_DESTINATIONS_MAX:
        raise V2.bad(f"The number of entries exceeds {limits.BULK_DESTINATIONS_MAX}.")
    letter = _letter(
        from_email_address, reply_to_addresses, feedback_forwarding_email_address, configuration_set_name,
        default_email_tags,
    )  # fmt: skip
    letter = _replaced(letter, headers=_headers(part.get("Headers")), attachments=_attachments(part.get("Attachments")))
    template = _template(ctx, part)
    ctx.snapshot(lambda inner: sending.check(inner, letter, configuration_set_name))
    prepared: list[sending.Prepared] = []
    results: list[Structure] = []
    for entry in bulk_email_entries:
        try:
            one = _prepare_entry(ctx, letter, template, entry, part.get("TemplateData") or "{}")
        except AwsError as error:
            results.append({"Status": "INVALID_PARAMETER", "Error": error.message})
            continue
        prepared.append(one)
        results.append({"Status": "SUCCESS", "MessageId": one.message.message_id})
    if prepared:
        sending.commit(ctx, letter, prepared)
    return {"BulkEmailEntryResults": results}


@operation(read_only=True)
def get_account(ctx: Context) -> Structure:
    """Describe the account: out of the sandbox, without a quota."""
    sent = sum(count for _, count in state.sent_since(ctx, ctx.clock.now() - 86_400))
    return {
        "DedicatedIpAutoWarmupEnabled": False,
        "EnforcementStatus": "HEALTHY",
        "ProductionAccessEnabled": True,
        "SendQuota": {"Max24HourSend": -1.0, "MaxSendRate": -1.0, "SentLast24Hours": float(sent)},
        "SendingEnabled": True,
        "SuppressionAttributes": {"SuppressedReasons": []},
    }


def _letter(
    source: str | None, reply_to: Sequence[str] | None, return_path: str | None, configuration_set: str | None,
    tags: list[dict[str, str]] | None,
) -> Letter:  # fmt: skip
    return Letter(V2, source or "", tuple(reply_to or ()), return_path or None, configuration_set, rules.message_tags(tags, V2))


def _replaced(letter: Letter, **members: Any) -> Letter:
    return Letter(**{**vars(letter), **members})


def _prepare_entry(
    ctx: Context, letter: Letter, template: state.Template, entry: Structure, default_data: str
) -> sending.Prepared:
    replacement = (entry.get("ReplacementEmailContent") or {}).get("ReplacementTemplate") or {}
    if entry.get("ReplacementTags"):
        letter = _replaced(letter, tags={**letter.tags, **rules.message_tags(entry["ReplacementTags"], V2)})
    if entry.get("ReplacementHeaders"):
        own = _headers(entry["ReplacementHeaders"])
        names = {name.lower() for name, _ in own}
        letter = _replaced(letter, headers=(*(one for one in letter.headers if one[0].lower() not in names), *own))
    data = replacement.get("ReplacementTemplateData") or default_data
    return sending.prepare_from_template(ctx, letter, rules.recipients(entry["Destination"], V2), template, data)


def _template(ctx: Context, part: Structure) -> state.Template:
    """The template of a request: one that is kept, or one that came along."""
    if part.get("TemplateArn") is not None:
        raise UnsupportedParameter("Content.Template.TemplateArn is not supported: name the template")
    own = part.get("TemplateContent")
    if (own is None) == (part.get("TemplateName") is None):
        raise V2.bad("Exactly one of TemplateName and TemplateContent must be given.")
    if own is None:
        return ctx.snapshot(lambda inner: templating.find(inner, V2, part["TemplateName"]))
    template = state.Template("inline", ctx.clock.now(), own.get("Subject"), own.get("Text"), own.get("Html"))
    templating.check(V2, template)
    return template


def _headers(pairs: list[dict[str, str]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((pair["Name"], pair["Value"]) for pair in pairs or ())


def _attachments(items: list[Structure] | None) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(
            name=item["FileName"],
            content=item["RawContent"],
            content_type=item.get("ContentType") or "application/octet-stream",
            content_id=item.get("ContentId") or "",
            inline=item.get("ContentDisposition") == "INLINE",
            description=item.get("ContentDescription") or "",
        )
        for item in items or ()
    )
