"""The mailbox's bounds, what survives, and what can be emptied."""

import json
import urllib.request

import pytest
from tests.conftest import HeadraceServer

from headrace.kit.clock import Clock
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.operation import Context, PageRequest
from headrace.ports import Ports, Principal
from headrace.services.ses import limits, pages, state, workers
from headrace.services.ses.service import SERVICE
from headrace.store.blobs_local import LocalBlobs
from headrace.store.memory import MemoryStore

ACCOUNT = "111122223333"
ANN = "ann@example.com"


@pytest.fixture
def ctx(tmp_path):
    store = MemoryStore()
    made = Context(
        account=ACCOUNT, region="us-east-1", service="ses", request_id="r", store=store, blobs=LocalBlobs(tmp_path),
        principal=Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT), clock=Clock(), ids=Ids(), ports=Ports(),
        settings=Settings(),
    )  # fmt: skip
    made.transact(lambda inner: state.put_identity(inner, ANN))
    yield made
    store.close()


def send(ctx, subject, text="Hi", to="bob@example.org"):
    values = {
        "Source": ANN,
        "Destination": {"ToAddresses": [to]},
        "Message": {"Subject": {"Data": subject}, "Body": {"Text": {"Data": text}}},
    }
    return SERVICE.bound("ses")["SendEmail"].call(ctx, values)["MessageId"]


def listed(ctx, **query):
    answer = pages.mail(ctx, PageRequest("", query, "GET", b""))
    return [one["subject"] for one in json.loads(answer.body)["messages"]]


def rows_left(ctx):
    families = (state.MESSAGES, state.MIMES, state.RECIPIENTS)
    return ctx.snapshot(lambda inner: [len(list(one.scan(inner.tx))) for one in families])


def test_mailbox__drops_the_oldest_beyond_its_size(ctx, monkeypatch):
    monkeypatch.setattr(limits, "MAILBOX_MESSAGES_MAX", 2)
    for number in range(5):
        ctx.clock.advance(1)
        send(ctx, f"n{number}", "x" * 40_000)
    workers.trim_mailbox(ctx)
    assert listed(ctx) == ["n4", "n3"]
    assert rows_left(ctx) == [2, 0, 2]
    assert state.blobs(ctx).sweep(lambda _: False, -1) == 2


def test_mailbox__drops_what_is_too_old(ctx):
    send(ctx, "old")
    ctx.clock.advance(limits.MAILBOX_SECONDS_MAX - 10)
    send(ctx, "new")
    workers.trim_mailbox(ctx)
    assert listed(ctx) == ["new", "old"]
    ctx.clock.advance(20)
    workers.trim_mailbox(ctx)
    assert listed(ctx) == ["new"]
    assert rows_left(ctx) == [1, 1, 1]
    assert ctx.snapshot(lambda inner: len(list(state.SENT.scan(inner.tx)))) == 1


def test_mailbox__is_emptied_by_delete(ctx):
    send(ctx, "small")
    send(ctx, "large", "x" * 40_000)
    assert json.loads(pages.mail(ctx, PageRequest("", {}, "DELETE", b"")).body) == {"deleted": 2}
    assert rows_left(ctx) == [0, 0, 0]
    assert state.blobs(ctx).sweep(lambda _: False, -1) == 0


def test_refused_message__leaves_no_blob(ctx):
    ctx.transact(lambda inner: state.drop_identity(inner, ANN))
    with pytest.raises(Exception, match="not verified"):
        send(ctx, "large", "x" * 40_000)
    assert rows_left(ctx) == [0, 0, 0]
    assert state.blobs(ctx).sweep(lambda _: False, -1) == 0


def test_sweep__keeps_what_is_referred_to(ctx):
    sent = send(ctx, "large", "x" * 40_000)
    state.blobs(ctx).put(b"nobody's")
    workers.sweep_blobs(ctx)
    message = ctx.snapshot(lambda inner: state.MESSAGES.get(inner.tx, sent[4:]))
    assert b"x" * 60 in state.mime(ctx, message).replace(b"=\r\n", b"")


@pytest.mark.parametrize("path", ["/nothing", "/nothing/raw", "/0100", "foo"])
def test_page__of_no_message(ctx, path):
    assert pages.mail(ctx, PageRequest(path, {}, "GET", b"")).status == 404


def test_listing__takes_any_query(ctx):
    send(ctx, "one")
    for query in ({"limit": "x"}, {"limit": "-1"}, {"limit": "99999999999"}, {"after": ""}, {"to": ""}):
        assert pages.mail(ctx, PageRequest("", query, "GET", b"")).status == 200


def test_acknowledged_mail__survives_a_kill(tmp_path):
    server = HeadraceServer(tmp_path / "data").start()
    try:
        ses = server.client("ses")
        ses.verify_email_identity(EmailAddress=ANN)
        content = {"Subject": {"Data": "kept"}, "Body": {"Text": {"Data": "x" * 40_000}}}
        sent = ses.send_email(Source=ANN, Destination={"ToAddresses": ["bob@example.org"]}, Message=content)["MessageId"]
        server.kill()
        server.log.close()
        server.start()
        assert server.page(f"/_headrace/mail/{sent}")["text"].strip() == "x" * 40_000
        request = urllib.request.Request(f"{server.url}/_headrace/mail", method="DELETE")
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer) == {"deleted": 1}
    finally:
        server.stop()
