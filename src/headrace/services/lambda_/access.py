"""The policies of functions and layers, for who authorises requests: the port `ResourcePolicies`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.ports import Scope
from headrace.services.lambda_ import state
from headrace.store.api import ReadTransaction


class FunctionPolicies:
    """A function, each of its versions and each alias has a policy of its own; so AddPermission's Qualifier says. Of layers each
    version has one.
    """

    def policies(self, tx: ReadTransaction, arn: str) -> Sequence[str]:
        """The document that speaks for a function, a version, an alias, or a version of a layer."""
        _, _, _, region, account, resource = arn.split(":", 5)
        kind, _, named = resource.partition(":")
        name, _, qualifier = named.partition(":")
        kept = state.POLICIES.get(tx, account, region, name, qualifier) if kind == "function" else None
        if kind == "layer" and qualifier.isdigit():
            kept = state.LAYER_POLICIES.get(tx, account, region, name, int(qualifier))
        return () if kept is None else (json.dumps({"Version": "2012-10-17", "Statement": kept.statements}),)

    def any_kept(self, tx: ReadTransaction) -> bool:
        """Requests to functions all name them: nothing is behind a token."""
        return False

    def behind(self, scope: Scope, parameters: Mapping[str, Any]) -> str | None:
        """Nothing."""
        return None

    def owner(self, tx: ReadTransaction, arn: str) -> str | None:
        """The ARNs of functions have their accounts."""
        return None
