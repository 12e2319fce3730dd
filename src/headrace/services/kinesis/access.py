"""The policies of streams and consumers, for who authorises requests: the port `ResourcePolicies`."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.kit.errors import AwsError
from headrace.ports import Scope
from headrace.services.kinesis import naming, state
from headrace.store.api import ReadTransaction


class StreamPolicies:
    """Each stream and each consumer has one policy of its own."""

    def policies(self, tx: ReadTransaction, arn: str) -> Sequence[str]:
        """The documents that speak for a stream or a consumer."""
        kept = state.POLICIES.get(tx, arn)
        return () if kept is None else (kept.text,)

    def any_kept(self, tx: ReadTransaction) -> bool:
        """Whether any stream or consumer has a policy."""
        return any(True for _ in state.POLICIES.scan(tx, limit=1))

    def behind(self, scope: Scope, parameters: Mapping[str, Any]) -> str | None:
        """The stream that an iterator or a page token is of."""
        try:
            if "ShardIterator" in parameters:
                found = naming.read_iterator(scope.settings, parameters["ShardIterator"])
                return state.stream_arn(found.account, found.region, found.stream)
            if "NextToken" in parameters:
                page = naming.decode_page(scope.settings, parameters["NextToken"], "shards", scope.clock.now_ms())
                return state.stream_arn(scope.account, scope.region, page.filter["stream"])
        except AwsError:
            # What is no token is refused where it is used.
            return None
        return None

    def owner(self, tx: ReadTransaction, arn: str) -> str | None:
        """The ARNs of streams have their accounts."""
        return None
