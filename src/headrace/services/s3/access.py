"""The policies of buckets, and whose buckets are, for who authorises requests: the port `ResourcePolicies`."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.ports import Scope
from headrace.services.s3 import state
from headrace.store.api import ReadTransaction

POLICY = "policy"


class BucketPolicies:
    """A bucket's policy speaks for its objects as well."""

    def policies(self, tx: ReadTransaction, arn: str) -> Sequence[str]:
        """The document that speaks for a bucket or an object."""
        bucket = _bucket(tx, arn)
        text = None if bucket is None else bucket.configurations.get(POLICY)
        return (text,) if text else ()

    def any_kept(self, tx: ReadTransaction) -> bool:
        """Requests to buckets all name them: nothing is behind a token."""
        return False

    def behind(self, scope: Scope, parameters: Mapping[str, Any]) -> str | None:
        """Nothing: a page's token comes with its bucket."""
        return None

    def owner(self, tx: ReadTransaction, arn: str) -> str | None:
        """The account of a bucket: its ARN has none, as all accounts share the names."""
        bucket = _bucket(tx, arn)
        return None if bucket is None else bucket.account


def _bucket(tx: ReadTransaction, arn: str) -> state.Bucket | None:
    return state.BUCKETS.get(tx, arn.split(":", 5)[5].partition("/")[0])
