"""The mailbox: what was sent, as JSON and as a page to look at."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.operation import Context, PageAnswer, PageRequest
from headrace.services.ses import limits, state
from headrace.services.ses.engine import mime

_FILES = Path(__file__).parent / "mailbox"
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


def mail(ctx: Context, request: PageRequest) -> PageAnswer:
    """``GET /_headrace/mail``: a list (to=, limit=, after=); ``/ID``: one message; ``/ID/raw``: its MIME. DELETE empties it."""
    parts = [part for part in request.path.split("/") if part]
    if request.method == "DELETE" and not parts:
        return _json({"deleted": clear(ctx)})
    if request.method not in ("GET", "HEAD"):
        return _json({"message": "GET, or DELETE of the whole mailbox"}, 405)
    if not parts:
        return _json(_listing(ctx, request.query))
    message = ctx.snapshot(lambda inner: state.MESSAGES.get(inner.tx, parts[0][4:]))
    if message is None or message.message_id != parts[0]:
        return _json({"message": "There is no such message."}, 404)
    if parts[1:] == ["raw"]:
        return PageAnswer(200, "message/rfc822", state.mime(ctx, message))
    if parts[1:]:
        return _json({"message": "There is no such page."}, 404)
    return _json({**_summary(message), **_content(ctx, message)})


def mailbox(ctx: Context, request: PageRequest) -> PageAnswer:
    """``/_headrace/mailbox``: the page, its style and its script."""
    name = {"": "mailbox.html", "/": "mailbox.html", ".js": "mailbox.js", ".css": "mailbox.css"}.get(request.path)
    if name is None:
        return _json({"message": "There is no such page."}, 404)
    return PageAnswer(200, _TYPES[Path(name).suffix], (_FILES / name).read_bytes())


def localstack(ctx: Context, request: PageRequest) -> PageAnswer:
    """``/_aws/ses``: the messages in the form that LocalStack's tools read, the oldest first; id= and email= choose."""
    if request.method == "DELETE":
        clear(ctx)
        return PageAnswer(204, "application/json", b"")
    rows = ctx.snapshot(lambda inner: state.messages(inner.tx, to=None, after=None, limit=limits.MAILBOX_PAGE_MAX))
    wanted_id, wanted_source = request.query.get("id"), request.query.get("email")
    shown = [
        _as_localstack(ctx, row)
        for row in reversed(rows)
        if wanted_id in (None, row.message_id) and wanted_source in (None, row.source)
    ]
    return _json({"messages": shown})


def clear(ctx: Context) -> int:
    """Empty the mailbox, also of what waits for the relay; how many messages there were."""
    total = 0
    while True:
        rows = ctx.transact(_clear_some)
        for row in rows:
            if row.blob is not None:
                state.blobs(ctx).delete(row.blob)
        total += len(rows)
        if not rows:
            return total


def _clear_some(ctx: Context) -> list[state.Message]:
    rows = [row for _, row in state.MESSAGES.scan(ctx.tx, limit=limits.TRIM_BATCH)]
    for row in rows:
        state.drop_message(ctx.tx, row)
    return rows


def _listing(ctx: Context, query: Mapping[str, str]) -> dict[str, Any]:
    asked = query.get("limit", "")
    limit = max(1, min(int(asked) if asked.isdecimal() else limits.MAILBOX_PAGE_DEFAULT, limits.MAILBOX_PAGE_MAX))
    after = query.get("after", "")[4:] or None
    rows = ctx.snapshot(lambda inner: state.messages(inner.tx, to=query.get("to"), after=after, limit=limit + 1))
    more = len(rows) > limit
    rows = rows[:limit]
    return {
        "messages": [_summary(row) for row in rows],
        "next": rows[-1].message_id if more and rows else None,
        "total": ctx.snapshot(lambda inner: state.COUNT.get(inner.tx)) or 0,
    }


def _summary(row: state.Message) -> dict[str, Any]:
    relay = row.relay
    return {
        "id": row.message_id,
        "sent_at": row.sent_at,
        "from": row.sender,
        "source": row.source,
        "to": row.to,
        "cc": row.cc,
        "bcc": row.bcc,
        "subject": row.subject,
        "size_bytes": row.size_bytes,
        "account": row.account,
        "region": row.region,
        "template": row.template,
        "configuration_set": row.configuration_set,
        "tags": row.tags,
        "failure": row.failure,
        "relay": None
        if relay is None
        else {
            "status": relay.status,
            "attempts": relay.attempts,
            "at": relay.at,
            "response": relay.response,
            "waiting": relay.pending,
            "refused": relay.refused,
        },
    }


def _content(ctx: Context, row: state.Message) -> dict[str, Any]:
    seen = mime.preview(state.mime(ctx, row))
    return {
        "headers": [list(pair) for pair in seen.headers],
        "text": seen.text,
        "html": seen.html,
        "attachments": [{"name": name, "type": kind, "size_bytes": size} for name, kind, size in seen.attachments],
    }


def _as_localstack(ctx: Context, row: state.Message) -> dict[str, Any]:
    data = state.mime(ctx, row)
    seen = mime.preview(data)
    answer: dict[str, Any] = {
        "Id": row.message_id,
        "Region": row.region,
        "Source": row.source,
        "Destination": {"ToAddresses": row.to, "CcAddresses": row.cc, "BccAddresses": row.bcc},
        "Subject": row.subject,
        "Body": {"text_part": seen.text, "html_part": seen.html},
        "Timestamp": _iso(row.sent_at),
    }
    if row.raw:
        answer["RawData"] = data.decode("utf-8", "replace")
    if row.template is not None:
        answer["Template"] = row.template
    return answer


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _json(value: Any, status: int = 200) -> PageAnswer:
    return PageAnswer(status, "application/json", json.dumps(value).encode())


PAGES = {"/_headrace/mailbox": mailbox, "/_headrace/mail": mail, "/_aws/ses": localstack}
