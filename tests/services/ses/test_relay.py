"""Relaying to a real SMTP server: handed over once, tried again, given up."""

import email
import smtplib
import ssl
from datetime import UTC, datetime, timedelta
from email import policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.conftest import HeadraceServer, eventually, free_port

from headrace.services.ses import relay

ANN = "ann@example.com"
# aiosmtpd warns of passwords without TLS; here they cross no network.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")


class Inbox:
    """Keeps what arrives; refuses addresses whose name says so."""

    def __init__(self):
        self.envelopes = []
        self.busy = False

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("never"):
            return "550 no such user"
        if address.startswith("later") and self.busy:
            return "450 try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if b"SPAM" in envelope.content:
            return "554 refused"
        self.envelopes.append(envelope)
        return f"250 kept as {len(self.envelopes)}"


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def smtp(inbox):
    def check(server, session, envelope, mechanism, data):
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"relay", b"p@ss")
        return AuthResult(success=good, handled=False)

    controller = Controller(inbox, "127.0.0.1", free_port(), authenticator=check, auth_require_tls=False, auth_required=True)
    controller.start()
    yield controller
    if controller._thread is not None:
        controller.stop()


@pytest.fixture
def server(tmp_path, smtp):
    url = f"smtp://relay:p%40ss@127.0.0.1:{smtp.port}"
    running = HeadraceServer(tmp_path / "data", environment={"HEADRACE_SMTP_RELAY": url}).start()
    yield running
    running.stop()


def send(server, *to, subject="Hello"):
    ses = server.client("ses")
    ses.verify_email_identity(EmailAddress=ANN)
    return ses.send_email(
        Source=ANN,
        Destination={"ToAddresses": list(to)},
        Message={"Subject": {"Data": subject}, "Body": {"Text": {"Data": "Hi"}}},
    )["MessageId"]


def state(server, message_id):
    return server.page(f"/_headrace/mail/{message_id}")["relay"]


def settled(server, message_id):
    found = state(server, message_id)
    return found if found["status"] != "waiting" else None


def test_relay__hands_over_and_records_it(server, inbox):
    sent = send(server, "bob@example.org", "carl@example.org")
    found = eventually(lambda: settled(server, sent))
    assert (found["status"], found["response"], found["attempts"]) == ("relayed", "250 kept as 1", 1)
    (envelope,) = inbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == (ANN, ["bob@example.org", "carl@example.org"])
    mime = email.message_from_bytes(envelope.content, policy=policy.default)
    assert mime["Message-ID"] == f"<{sent}@email.amazonses.com>"


def test_relay__records_who_was_refused(server, inbox):
    sent = send(server, "bob@example.org", "never@example.org")
    found = eventually(lambda: settled(server, sent))
    assert (found["status"], found["refused"]) == ("relayed", {"never@example.org": "550 no such user"})
    assert inbox.envelopes[0].rcpt_tos == ["bob@example.org"]
    failed = send(server, "never@example.org")
    assert eventually(lambda: settled(server, failed))["status"] == "failed"
    spam = send(server, "bob@example.org", subject="SPAM")
    found = eventually(lambda: settled(server, spam))
    assert (found["status"], found["refused"]) == ("failed", {"bob@example.org": "554 refused"})


def test_relay__tries_again_only_who_was_put_off(server, inbox):
    inbox.busy = True
    sent = send(server, "bob@example.org", "later@example.org")
    eventually(lambda: state(server, sent)["attempts"] == 1)
    assert state(server, sent)["waiting"] == ["later@example.org"]
    inbox.busy = False
    server.advance(6)
    assert eventually(lambda: settled(server, sent))["status"] == "relayed"
    assert [one.rcpt_tos for one in inbox.envelopes] == [["bob@example.org"], ["later@example.org"]]


def test_relay__survives_a_dead_relay_and_a_killed_server(server, smtp, inbox):
    smtp.stop()
    sent = send(server, "bob@example.org")
    eventually(lambda: state(server, sent)["attempts"] == 1)
    assert "cannot be reached" in state(server, sent)["response"]
    server.kill()
    server.log.close()
    revived = Controller(inbox, "127.0.0.1", smtp.port, auth_require_tls=False, authenticator=smtp.SMTP_kwargs["authenticator"])
    revived.start()
    try:
        server.start()
        server.advance(6)
        assert eventually(lambda: settled(server, sent))["status"] == "relayed"
        assert len(inbox.envelopes) == 1
    finally:
        revived.stop()


def test_relay__gives_up_after_its_time(server, inbox):
    inbox.busy = True
    sent = send(server, "later@example.org")
    eventually(lambda: state(server, sent)["attempts"] == 1)
    server.advance(15 * 3600)
    found = eventually(lambda: settled(server, sent))
    assert found["status"] == "failed"
    assert found["refused"] == {"later@example.org": "given up: 450 try again"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com:587", ("mail.example.com", 587, False, "", "")),
        ("smtp://u%40x:p%3Aw@mail.example.com", ("mail.example.com", 25, False, "u@x", "p:w")),
        ("smtps://mail.example.com", ("mail.example.com", 465, True, "", "")),
        ("mail.example.com:2525", ("mail.example.com", 2525, False, "", "")),
    ],
)
def test_read_url(url, expected):
    assert relay.read_url(url) == expected


def test_read_url__refuses():
    with pytest.raises(ValueError, match="HEADRACE_SMTP_RELAY"):
        relay.read_url("http://mail.example.com")


@pytest.fixture
def certificate(tmp_path):
    """A certificate of localhost and the context that serves with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + made.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return pem, context


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=data.password == b"secret", handled=False)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("trusted", [True, False])
def test_relay__over_tls_to_whom_it_can_trust(tmp_path, inbox, certificate, scheme, trusted):
    pem, context = certificate
    more = {"ssl_context": context} if scheme == "smtps" else {"tls_context": context, "require_starttls": True}
    tls = {"auth_require_tls": scheme == "smtp", "auth_required": True, "authenticator": authenticate}
    controller = Controller(inbox, "127.0.0.1", free_port(), server_hostname="localhost", **more, **tls)
    controller.start()
    url = f"{scheme}://relay:secret@localhost:{controller.port}"
    environment = {"HEADRACE_SMTP_RELAY": url, **({"SSL_CERT_FILE": str(pem)} if trusted else {})}
    server = HeadraceServer(tmp_path / "data", environment=environment).start()
    try:
        sent = send(server, "bob@example.org")
        if trusted:
            assert eventually(lambda: settled(server, sent))["response"] == "250 kept as 1"
        else:
            eventually(lambda: state(server, sent)["attempts"] == 1)
            assert "CERTIFICATE_VERIFY_FAILED" in state(server, sent)["response"]
            assert inbox.envelopes == []
    finally:
        server.stop()
        controller.stop()


def test_password__is_not_sent_in_the_clear(monkeypatch):
    class Plain:
        def __init__(self, *_, **__):
            self.closed = False

        def ehlo_or_helo_if_needed(self):
            """As smtplib does."""

        def has_extn(self, name):
            return False

        def login(self, user, password):
            raise AssertionError("the password was sent")

        def close(self):
            self.closed = True

    monkeypatch.setattr(relay.smtplib, "SMTP", Plain)
    with pytest.raises(smtplib.SMTPNotSupportedError, match="not sent in the clear"):
        relay.connect(relay.read_url("smtp://user:secret@mail.example.com"))
