"""Who calls: the signature is verified against the keys of the root users, of IAM and of STS."""

from collections.abc import Callable

from headrace.kit.accounts import account_credentials, account_of
from headrace.kit.settings import Settings
from headrace.operation import Context
from headrace.ports import Credentials, Principal


class Keys:
    """Finds the credentials of an access key id: the server's root, an account's root, or what IAM and STS gave out."""

    def __init__(self, settings: Settings, context: Callable[[], Context]) -> None:
        self._settings = settings
        self._context = context
        self._roots: dict[str, Credentials] = {
            settings.root_access_key_id: Credentials(
                settings.root_access_key_id,
                settings.root_secret_access_key,
                root_principal(settings.account_id, settings.root_access_key_id),
            )
        }

    def find(self, access_key_id: str) -> Credentials | None:
        """The credentials, or None when nobody has this key."""
        found = self._roots.get(access_key_id)
        if found is not None:
            return found
        account = account_of(access_key_id)
        if account is not None:
            _, secret = account_credentials(self._settings.root_secret_access_key, account)
            found = Credentials(access_key_id, secret, root_principal(account, access_key_id))
            if len(self._roots) < 10_000:
                self._roots[access_key_id] = found
            return found
        ctx = self._context()
        return ctx.ports.authority.credentials(ctx, access_key_id)


def root_principal(account: str, access_key_id: str = "") -> Principal:
    """The root user of an account."""
    return Principal(f"arn:aws:iam::{account}:root", account, account, access_key_id)


ANONYMOUS = Principal("*", "anonymous", "000000000000")
