"""`headrace env`: the exports that point the AWS CLI and SDKs at the server."""

import argparse
import json
import shlex

from headrace.cli.connection import credentials
from headrace.kit.accounts import account_credentials
from headrace.kit.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--account` picks another account than the server's own."""
    parser.add_argument("--account", help="the 12 digits of another account; each has everything of its own")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print `export` lines for a shell, or JSON."""
    key, secret = credentials(settings)
    if arguments.account:
        key, secret = account_credentials(secret, arguments.account)
    scheme = "https" if settings.tls_certificate else "http"
    values = {
        "AWS_ENDPOINT_URL": f"{scheme}://{settings.host}:{settings.port}",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
    }
    if arguments.json:
        print(json.dumps(values))
    else:
        for name, value in values.items():
            print(f"export {name}={shlex.quote(value)}")
    return 0
