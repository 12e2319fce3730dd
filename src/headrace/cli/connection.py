"""How commands reach a server that runs: its credentials and its pages."""

import http.client
import json
from typing import Any

from headrace.kit.settings import Settings


class NotRunning(Exception):
    """No server answers where the settings say it is."""


def credentials(settings: Settings) -> tuple[str, str]:
    """The root credentials: given in the settings, or kept in the data folder."""
    if settings.root_access_key_id and settings.root_secret_access_key:
        return settings.root_access_key_id, settings.root_secret_access_key
    path = settings.data / "credentials.json"
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        raise SystemExit(
            f"headrace: no credentials in {settings.data.absolute()}. Start the server once (headrace up), "
            "or name its folder with --data."
        ) from None
    return kept["access_key_id"], kept["secret_access_key"]


def page(settings: Settings, path: str, *, method: str = "GET", body: bytes = b"") -> Any:
    """The JSON of a page of the server; NotRunning when it doesn't answer."""
    _, secret = credentials(settings)
    kind = http.client.HTTPSConnection if settings.tls_certificate else http.client.HTTPConnection
    connection = kind(settings.host, settings.port, timeout=10)
    try:
        connection.request(method, path, body, {"authorization": f"Bearer {secret}"})
        answer = connection.getresponse()
        return json.loads(answer.read())
    except OSError as error:
        raise NotRunning(f"no server answers at {settings.host}:{settings.port} ({error})") from error
    finally:
        connection.close()
