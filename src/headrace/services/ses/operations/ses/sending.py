"""Sending mail, and what was sent."""

from collections.abc import Sequence
from typing import Any

from headrace.kit.errors import AwsError
from headrace.operation import Context, operation
from headrace.services.ses import limits, rules, sending, state
from headrace.services.ses.errors import V1
from headrace.services.ses.sending import Letter

Structure = dict[str, Any]


@operation(transaction=False)
def send_email(
    ctx: Context, *, source: str, destination: Structure, message: Structure,
    reply_to_addresses: Sequence[str] | None = None, return_path: str | None = None,
    tags: list[dict[str, str]] | None = None, configuration_set_name: str | None = None,
) -> Structure:  # fmt: skip
    """Send a message made of subject, text and HTML to at most 50 recipients."""
    letter = _letter(source, reply_to_addresses, return_path, configuration_set_name, tags)
    prepared = sending.prepare(ctx, letter, rules.recipients(destination, V1), sending.texts(message))
    sending.commit(ctx, letter, [prepared])
    return {"MessageId": prepared.message.message_id}


@operation(transaction=False)
def send_raw_email(
    ctx: Context, *, raw_message: Structure, source: str | None = None, destinations: Sequence[str] | None = None,
    tags: list[dict[str, str]] | None = None, configuration_set_name: str | None = None,
) -> Structure:  # fmt: skip
    """Send a message that is MIME already; its Message-ID is replaced and Bcc taken out, all else stays."""
    letter = _letter(source or "", None, None, configuration_set_name, tags)
    prepared, senders = sending.prepare_raw(ctx, letter, raw_message["Data"], destinations)
    sending.commit(ctx, letter, [prepared], senders)
    return {"MessageId": prepared.message.message_id}


@operation(transaction=False)
def send_templated_email(
    ctx: Context, *, source: str, destination: Structure, template: str, template_data: str,
    reply_to_addresses: Sequence[str] | None = None, return_path: str | None = None,
    tags: list[dict[str, str]] | None = None, configuration_set_name: str | None = None,
) -> Structure:  # fmt: skip
    """Send a message made from a template.

    As on AWS, missing data is no error here: the message is accepted, shown in the mailbox as a rendering failure, and not sent.
    """
    letter = _letter(source, reply_to_addresses, return_path, configuration_set_name, tags)
    found = _template(ctx, template)
    prepared = sending.prepare_from_template(ctx, letter, rules.recipients(destination, V1), found, template_data)
    sending.commit(ctx, letter, [prepared])
    return {"MessageId": prepared.message.message_id}


@operation(transaction=False)
def send_bulk_templated_email(
    ctx: Context, *, source: str, template: str, default_template_data: str, destinations: list[Structure],
    reply_to_addresses: Sequence[str] | None = None, return_path: str | None = None,
    default_tags: list[dict[str, str]] | None = None, configuration_set_name: str | None = None,
) -> Structure:  # fmt: skip
    """Send a message made from a template to each of at most 50 destinations, with data of its own.

    All that are accepted are committed together. A destination's data replace the default data as a whole.
    """
    if len(destinations) > limits.BULK_DESTINATIONS_MAX:
        raise V1.bad(f"Destination count exceeds {limits.BULK_DESTINATIONS_MAX}.")
    letter = _letter(source, reply_to_addresses, return_path, configuration_set_name, default_tags)
    found = _template(ctx, template)
    ctx.snapshot(lambda inner: sending.check(inner, letter, configuration_set_name))
    prepared: list[sending.Prepared] = []
    status: list[Structure] = []
    for item in destinations:
        own = {"tags": rules.message_tags(item["ReplacementTags"], V1)} if item.get("ReplacementTags") else {}
        data = item.get("ReplacementTemplateData") or default_template_data
        try:
            to = rules.recipients(item["Destination"], V1)
            one = sending.prepare_from_template(ctx, _replaced(letter, own), to, found, data)
        except AwsError as error:
            status.append({"Status": "InvalidParameterValue", "Error": error.message})
            continue
        prepared.append(one)
        status.append({"Status": "Success", "MessageId": one.message.message_id})
    if prepared:
        sending.commit(ctx, letter, prepared)
    return {"Status": status}


@operation(read_only=True)
def get_send_quota(ctx: Context) -> Structure:
    """Say how much was sent in the last day; nothing bounds it (Max24HourSend is -1, as on AWS without a quota)."""
    sent = sum(count for _, count in state.sent_since(ctx, ctx.clock.now() - 86_400))
    return {"Max24HourSend": -1.0, "MaxSendRate": -1.0, "SentLast24Hours": float(sent)}


@operation(read_only=True)
def get_send_statistics(ctx: Context) -> Structure:
    """Count what was sent in the last two weeks, for each quarter of an hour.

    Differs from AWS: bounces, complaints and rejects are 0, because nothing comes back here.
    """
    since = ctx.clock.now() - limits.STATISTICS_SECONDS_MAX
    nothing = {"Bounces": 0, "Complaints": 0, "Rejects": 0}
    points = [{"Timestamp": float(start), "DeliveryAttempts": count, **nothing} for start, count in state.sent_since(ctx, since)]
    return {"SendDataPoints": points}


@operation(read_only=True)
def get_account_sending_enabled(ctx: Context) -> Structure:
    """Say that the account may send: it always may."""
    return {"Enabled": True}


def _letter(
    source: str, reply_to: Sequence[str] | None, return_path: str | None, configuration_set: str | None,
    tags: list[dict[str, str]] | None,
) -> Letter:  # fmt: skip
    return Letter(V1, source, tuple(reply_to or ()), return_path or None, configuration_set, rules.message_tags(tags, V1))


def _replaced(letter: Letter, own: dict[str, dict[str, str]]) -> Letter:
    return letter if not own else Letter(**{**vars(letter), "tags": {**letter.tags, **own["tags"]}})


def _template(ctx: Context, name: str) -> state.Template:
    found = ctx.snapshot(lambda inner: state.template(inner, name))
    if found is None:
        raise V1.no_template(name)
    return found
