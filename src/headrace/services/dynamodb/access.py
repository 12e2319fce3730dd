"""The policies of tables and streams, for who authorises requests: the port `ResourcePolicies`."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.ports import Scope
from headrace.services.dynamodb import state
from headrace.store.api import ReadTransaction


class TablePolicies:
    """A table's policy speaks for its indexes as well; each stream has one of its own."""

    def policies(self, tx: ReadTransaction, arn: str) -> Sequence[str]:
        """The documents that speak for a table, an index or a stream."""
        kept = state.POLICIES.get(tx, arn.partition("/index/")[0])
        return () if kept is None else (kept.text,)

    def any_kept(self, tx: ReadTransaction) -> bool:
        """Whether any table or stream has a policy."""
        return any(True for _ in state.POLICIES.scan(tx, limit=1))

    def behind(self, scope: Scope, parameters: Mapping[str, Any]) -> str | None:
        """Nothing: an iterator of a stream begins with the stream's ARN."""
        return None

    def owner(self, tx: ReadTransaction, arn: str) -> str | None:
        """The ARNs of tables have their accounts."""
        return None
