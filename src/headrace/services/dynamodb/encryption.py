"""The key that a table says it is encrypted with.

There is no KMS here, and nothing is encrypted with a key: what is kept is as safe as the disk below it. A table may have AWS's
key of the account (`alias/aws/dynamodb`), which templates ask for, and shows it as AWS does. Keys of one's own are refused.
"""

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from headrace.kit import arn as arns
from headrace.kit.errors import ValidationException
from headrace.ports import Scope
from headrace.services.dynamodb.rules import refuse

_ALIAS = "alias/aws/dynamodb"


def key_arn(scope: Scope, given: Mapping[str, Any]) -> str:
    """The ARN of the key that an SSESpecification asks for; empty for the service's own."""
    enabled = given.get("Enabled", "SSEType" in given or "KMSMasterKeyId" in given)
    if not enabled:
        if len(given) > 1:
            raise refuse("SSEType and KMSMasterKeyId can only be specified when Enabled is true")
        return ""
    if given.get("SSEType", "KMS") != "KMS":
        raise refuse(f"SSEType {given['SSEType']} is not supported: the only supported value is KMS")
    # The account's key in the region has always the same id.
    place = hashlib.sha256(f"{scope.account}/{scope.region}/{_ALIAS}".encode()).digest()
    name = str(uuid.UUID(bytes=place[:16]))
    key = arns.arn("kms", scope.region, scope.account, f"key/{name}")
    known = (_ALIAS, name, key, arns.arn("kms", scope.region, scope.account, _ALIAS))
    if given.get("KMSMasterKeyId", _ALIAS) not in known:
        raise ValidationException("Headrace does not support keys of KMS of one's own: leave KMSMasterKeyId out")
    return key


def changed(scope: Scope, current: str, given: Mapping[str, Any]) -> str:
    """The same for a table that has a key, or has none, already."""
    key = key_arn(scope, given)
    if not key and not current:
        raise refuse("Table is already encrypted by default")
    return key
