"""Tags of resources, kept by the resource's ARN."""

from collections.abc import Iterable, Mapping

from headrace.layers.records import Records
from headrace.store.api import ReadTransaction, Transaction

_TAGS = Records[dict[str, str]](("tags",), dict[str, str])


def get(tx: ReadTransaction, arn: str) -> dict[str, str]:
    """All tags of a resource."""
    return _TAGS.get(tx, arn) or {}


def add(tx: Transaction, arn: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Add tags, or give new values to those that are there; all tags afterwards."""
    merged = {**get(tx, arn), **tags}
    if merged:
        _TAGS.put(tx, merged, arn)
    return merged


def remove(tx: Transaction, arn: str, keys: Iterable[str]) -> None:
    """Take tags away."""
    gone = set(keys)
    left = {key: value for key, value in get(tx, arn).items() if key not in gone}
    if left:
        _TAGS.put(tx, left, arn)
    else:
        _TAGS.delete(tx, arn)


def drop(tx: Transaction, arn: str) -> None:
    """Forget a resource's tags, with the resource."""
    _TAGS.delete(tx, arn)


def from_list(pairs: Iterable[Mapping[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """AWS's list of {"Key": …, "Value": …} as a dict."""
    return {pair[key]: pair.get(value, "") for pair in pairs or ()}


def to_list(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """A dict as AWS's list of {"Key": …, "Value": …}."""
    return [{key: name, value: text} for name, text in tags.items()]
