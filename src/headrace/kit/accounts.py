"""The root credentials of each account, all derived from one secret, so that no state is needed to have many accounts."""

import base64
import hashlib
import hmac

_KEY_PREFIX = "HRROOT"


def account_credentials(root_secret_access_key: str, account: str) -> tuple[str, str]:
    """(access key id, secret access key) of an account's root user. Who holds the server's root secret may use any account."""
    digest = hmac.new(root_secret_access_key.encode(), b"headrace account " + account.encode(), hashlib.sha256).digest()
    return _KEY_PREFIX + account, base64.b64encode(digest).decode()[:40]


def account_of(access_key_id: str) -> str | None:
    """The account of an access key id that `account_credentials` made, or None."""
    account = access_key_id.removeprefix(_KEY_PREFIX)
    return account if account != access_key_id and len(account) == 12 and account.isdigit() else None
