"""boto3 clients on the server that the settings name, for commands that speak to its services."""

from typing import Any

import boto3
from botocore.config import Config

from headrace.cli.connection import credentials
from headrace.kit.accounts import account_credentials
from headrace.kit.settings import Settings

ATTEMPTS = 6


def client(
    settings: Settings, service: str, account: str | None = None, *, wait_seconds: float = 60.0, attempts: int = ATTEMPTS
) -> Any:
    """A client with the root credentials, of the server's own account or of another one.

    It waits so long for an answer, and asks so often when none comes.
    """
    key, secret = credentials(settings)
    if account:
        key, secret = account_credentials(secret, account)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    scheme = "https" if settings.tls_certificate else "http"
    return boto3.client(  # type: ignore[call-overload]
        service, endpoint_url=f"{scheme}://{host}:{settings.port}", region_name=settings.region,
        aws_access_key_id=key, aws_secret_access_key=secret, verify=settings.tls_certificate or None,
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}, read_timeout=wait_seconds),
    )  # fmt: skip
