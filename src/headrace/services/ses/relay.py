"""Handing messages over to a real SMTP server."""

import smtplib
import ssl
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from headrace.services.ses import limits


class Server(NamedTuple):
    """The relay: smtp://[USER:PASSWORD@]HOST:PORT, or smtps:// for TLS from the first byte."""

    host: str
    port: int
    tls: bool
    user: str = ""
    password: str = ""


class Handover(NamedTuple):
    """What the server said of one message. Those in `later` may be tried again; `response` is its answer to the data."""

    accepted: tuple[str, ...]
    refused: dict[str, str]
    later: dict[str, str]
    response: str


def read_url(url: str) -> Server:
    """The setting `smtp_relay`; ValueError when it cannot be read."""
    parts = urlsplit(url if "://" in url else f"smtp://{url}")
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("HEADRACE_SMTP_RELAY must be smtp://[USER:PASSWORD@]HOST:PORT or smtps://…")
    tls = parts.scheme == "smtps"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Server(parts.hostname, parts.port or (465 if tls else 25), tls, user, password)


def connect(server: Server) -> smtplib.SMTP:
    """A connection that is ready for messages: encrypted where the server can, and logged in where there is a user.

    A password is never sent in the clear: without TLS it is an SMTPException. OSError when the server cannot be reached.
    """
    seconds = limits.RELAY_TIMEOUT_SECONDS
    if server.tls:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=seconds, context=ssl.create_default_context())
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=seconds)
    try:
        smtp.ehlo_or_helo_if_needed()
        if not server.tls and smtp.has_extn("starttls"):
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo()
            encrypted = True
        else:
            encrypted = server.tls
        if server.user:
            if not encrypted and server.host not in ("localhost", "127.0.0.1", "::1"):
                raise smtplib.SMTPNotSupportedError("the relay offers no TLS, and the password is not sent in the clear")
            smtp.login(server.user, server.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def hand_over(smtp: smtplib.SMTP, source: str, recipients: Sequence[str], mime: bytes) -> Handover:
    """Give one message to the server; what it refuses for good (5xx) and for now (4xx) is told apart."""
    options = ["BODY=8BITMIME"] if smtp.has_extn("8bitmime") and not mime.isascii() else []
    code, text = smtp.mail(source, options)
    if code != 250:
        smtp.rset()
        return _all(recipients, code, text)
    refused: dict[str, str] = {}
    later: dict[str, str] = {}
    accepted: list[str] = []
    for recipient in recipients:
        code, text = smtp.rcpt(recipient)
        if code in (250, 251):
            accepted.append(recipient)
        else:
            (refused if code >= 500 else later)[recipient] = _said(code, text)
    if not accepted:
        smtp.rset()
        return Handover((), refused, later, "")
    code, text = smtp.data(mime)
    if code != 250:
        smtp.rset()
        failed = _all(accepted, code, text)
        return Handover((), {**refused, **failed.refused}, {**later, **failed.later}, "")
    return Handover(tuple(accepted), refused, later, _said(code, text))


def wait_seconds(attempts: int) -> float:
    """How long to wait after so many attempts."""
    return float(min(limits.RELAY_WAIT_MAX_SECONDS, limits.RELAY_WAIT_MIN_SECONDS * 3 ** min(attempts - 1, 10)))


def _all(recipients: Sequence[str], code: int, text: bytes) -> Handover:
    said = dict.fromkeys(recipients, _said(code, text))
    return Handover((), said, {}, "") if code >= 500 else Handover((), {}, said, "")


def _said(code: int, text: bytes) -> str:
    return f"{code} {text.decode('utf-8', 'replace')}"[:500]
