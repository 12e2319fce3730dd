"""Building messages, and making raw ones ready."""

import contextlib
import time
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.services.ses.engine import addresses, mime
from headrace.services.ses.engine.addresses import BadAddress
from headrace.services.ses.engine.mime import Attachment, BadMessage, Parts

ANN = addresses.parse("Ann <ann@example.com>")
BOB = addresses.parse("bob@example.org")
NOW = 1_700_000_000.0
MESSAGE_ID = "0100018bcfe568-id-000000"


def built(**members):
    parts = {"source": ANN, "to": (BOB,), "cc": (), "subject": "Hello", "text": "Hi", "html": None, **members}
    data = mime.build(Parts(**parts), MESSAGE_ID, NOW)
    return data, message_from_bytes(data, policy=policy.default)


def test_build__plain_text():
    data, message = built()
    assert message["From"] == "Ann <ann@example.com>"
    assert message["To"] == "bob@example.org"
    assert message["Subject"] == "Hello"
    assert message["Message-ID"] == f"<{MESSAGE_ID}@email.amazonses.com>"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert message["MIME-Version"] == "1.0"
    assert message.get_content_type() == "text/plain"
    assert message.get_content().strip() == "Hi"
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_build__text_and_html_are_alternatives():
    _, message = built(html="<b>Grüße</b>", text="Grüße", cc=(ANN,), reply_to=(BOB,))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message.get_body(("html",)).get_content().strip() == "<b>Grüße</b>"
    assert message["Cc"] == "Ann <ann@example.com>"
    assert message["Reply-To"] == "bob@example.org"


def test_build__attachments_and_headers():
    _, message = built(
        attachments=(Attachment("a.csv", b"x,y\n", "text/csv"), Attachment("b.png", b"\x89", "image/png", "pic", True)),
        headers=(("X-Trace", "7"), ("List-Unsubscribe", "<https://example.com/u>")),
    )
    names = [(part.get_filename(), part.get_content_disposition()) for part in message.iter_attachments()]
    assert names == [("a.csv", "attachment"), ("b.png", "inline")]
    assert message["X-Trace"] == "7"


def test_build__non_ascii_headers_are_encoded():
    data, message = built(subject="Überzogen ☂", source=addresses.parse("Jürgen <j@bücher.example>"))
    assert data.isascii()
    assert message["Subject"] == "Überzogen ☂"
    assert message["From"].addresses[0].display_name == "Jürgen"
    assert message["From"].addresses[0].domain == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    "members",
    [
        {"subject": "a\r\nBcc: eve@example.net"},
        {"subject": "a\nb"},
        {"subject": "a\0b"},
        {"headers": (("X-A", "b\r\nX-C: d"),)},
        {"headers": (("X-A: b\r\nX-C", "d"),)},
        {"headers": (("From", "eve@example.net"),)},
        {"headers": (("subject", "twice"),)},
        {"attachments": (Attachment('a"\r\nX: y', b"", "text/csv"),)},
        {"attachments": (Attachment("a", b"", "text"),)},
        {"text": None},
        {"charsets": {"text": "klingon"}},
    ],
)
def test_build__refuses(members):
    with pytest.raises(BadMessage):
        built(**members)


@given(st.text(max_size=80))
def test_build__no_subject_makes_a_header(subject):
    try:
        data, message = built(subject=subject)
    except BadMessage:
        return
    head = data.split(b"\r\n\r\n", 1)[0]
    starts = [line.split(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert sorted(starts) == sorted(
        [b"From", b"To", b"Subject", b"Message-ID", b"Date", b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version"]
    )
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann Lee <ann@Example.COM>", "ann@example.com"),
        ('"Lee, Ann" <ann+tag@example.com>', "ann+tag@example.com"),
        ("=?utf-8?q?J=C3=BCrgen?= <j@example.com>", "j@example.com"),
        ('"ann lee"@example.com', '"ann lee"@example.com'),
    ],
)
def test_address__reads(text, plain):
    assert addresses.parse(text).plain == plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ann", "Missing final '@domain'"),
        ("ann@", "Missing final '@domain'"),
        ("", "Missing final '@domain'"),
        ("a b@example.com", "Illegal address"),
        ("ann@exa_mple.com", "Domain contains illegal character"),
        ("ann@example.com\r\nBcc: eve@example.net", "Local address contains control or whitespace"),
        ("ann@example.com, bob@example.com", "Illegal address"),
        ("änn@example.com", "Illegal address"),
        ("a..b@example.com", "Illegal address"),
        ("a" * 320 + "@example.com", "Address length is more than 320 characters long"),
    ],
)
def test_address__refuses(text, message):
    with pytest.raises(BadAddress, match=message):
        addresses.parse(text)


RAW = (
    b"From: Ann <ann@example.com>\nTo: bob@example.org,\n\tCarl <carl@example.org>\nBcc: dora@example.org\n"
    b"X-SES-CONFIGURATION-SET: watched\nSubject: raw\nMessage-ID: <mine>\n\nbody\nof it\n"
)


def test_raw__is_read_and_finished():
    read = mime.read_raw(RAW)
    assert [one.plain for one in read.sources] == ["ann@example.com"]
    assert [one.plain for one in read.recipients] == ["bob@example.org", "carl@example.org", "dora@example.org"]
    assert read.configuration_set == "watched"
    done = mime.finish_raw(RAW, MESSAGE_ID, NOW)
    message = message_from_bytes(done, policy=policy.default)
    assert message.keys() == ["From", "To", "Subject", "Message-ID", "Date"]
    assert message["Message-ID"] == f"<{MESSAGE_ID}@email.amazonses.com>"
    assert done.endswith(b"\r\n\r\nbody\r\nof it\r\n")
    assert b"dora" not in done


def test_preview__shows_what_is_in_a_message():
    data, _ = built(subject="Überzogen", html="<p>x</p>", attachments=(Attachment("a.csv", b"x,y\n", "text/csv"),))
    seen = mime.preview(data)
    assert dict(seen.headers)["Subject"] == "Überzogen"
    assert (seen.text or "").strip() == "Hi"
    assert (seen.html or "").strip() == "<p>x</p>"
    assert seen.attachments == (("a.csv", "text/csv", 4),)


@given(st.binary(max_size=300))
def test_preview__reads_anything(data):
    mime.preview(data)
    mime.finish_raw(data, MESSAGE_ID, NOW)


def test_raw__no_bare_line_end_is_sent():
    done = mime.finish_raw(b"From: a@example.com\r\nTo: b@example.org\r\n\r\na\n.\nb\r.\rc\r\n.\r\nd", MESSAGE_ID, NOW)
    assert done.endswith(b"\r\n\r\na\r\n.\r\nb\r\n.\r\nc\r\n.\r\nd")
    assert b"\n" not in done.replace(b"\r\n", b"")
    assert b"\r" not in done.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"a" * 5_000_000,
        b"a" * 200_000 + b"\n\n",
        b"To: " + b"a" * 5_000_000,
        b"To: " + b"a," * 1_000_000,
        b"Subject: " + b"=?a?q?" * 500_000,
        b"a:\n" * 500_000,
        b"a:\n" * 80_000 + b"\n",
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)),
    ],
)
def test_raw__hostile_messages_take_no_time(data):
    begun = time.process_time()
    with contextlib.suppress(BadAddress, BadMessage):
        mime.read_raw(data)
        mime.finish_raw(data, MESSAGE_ID, NOW)
        mime.preview(data)
    assert time.process_time() - begun < 10
