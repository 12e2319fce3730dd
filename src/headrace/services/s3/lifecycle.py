"""Lifecycle rules, pure: which rules may be set, and what falls due by them."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.kit.errors import UnsupportedParameter
from headrace.services.s3 import errors, state

KIND = "lifecycle"
RULES_MAX = 1000
DAY_SECONDS = 86_400
_ACTIONS = ("Expiration", "Transitions", "AbortIncompleteMultipartUpload")
_REFUSED = ("NoncurrentVersionExpiration", "NoncurrentVersionTransitions")


def check(rules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rules, if they may be set. MalformedXML, InvalidArgument, InvalidRequest."""
    if not 0 < len(rules) <= RULES_MAX:
        raise errors.malformed_xml()
    names = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(names)) < len(names):
        raise errors.InvalidArgument("Rule ID must be unique. Found same ID for more than one rule")
    for rule in rules:
        if rule.get("Status") not in ("Enabled", "Disabled") or (rule.get("Filter") is None) == (rule.get("Prefix") is None):
            raise errors.malformed_xml()
        if any(rule.get(action) for action in _REFUSED) or (rule.get("Expiration") or {}).get("ExpiredObjectDeleteMarker"):
            raise UnsupportedParameter("Headrace has no lifecycle rules on versions that are not current, or on delete markers.")
        if not any(rule.get(action) for action in _ACTIONS):
            raise errors.InvalidRequest("At least one action needs to be specified in a rule")
        _check_expiration(rule.get("Expiration") or {})
        for transition in rule.get("Transitions") or ():
            _check_when(transition, "Transition", 0)
        if (rule.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation", 1) < 1:
            raise errors.InvalidArgument("'DaysAfterInitiation' for AbortIncompleteMultipartUpload must be a positive integer")
    return [{**rule, "ID": rule.get("ID") or f"rule-{number}"} for number, rule in enumerate(rules, 1)]


def _check_expiration(expiration: Mapping[str, Any]) -> None:
    if expiration:
        _check_when(expiration, "Expiration", 1)


def _check_when(action: Mapping[str, Any], name: str, days_min: int) -> None:
    days, date = action.get("Days"), action.get("Date")
    if (days is None) == (date is None):
        raise errors.malformed_xml()
    if days is not None and days < days_min:
        raise errors.InvalidArgument(f"'Days' for {name} action must be a positive integer")
    if date is not None and date % DAY_SECONDS:
        raise errors.InvalidArgument("'Date' must be at midnight GMT")


def expires(rules: Sequence[Mapping[str, Any]], key: str, found: state.Object, now: float) -> bool:
    """Whether an object is to be removed by now."""
    return any(
        _is_due(rule.get("Expiration") or {}, found.modified_at, now)
        for rule in rules
        if rule["Status"] == "Enabled" and _fits(rule, key, found)
    )


def storage_class(rules: Sequence[Mapping[str, Any]], key: str, found: state.Object, now: float) -> str:
    """The storage class that an object has by now: that of the transition that came last."""
    due = [
        (_due_at(transition, found.modified_at), transition.get("StorageClass", ""))
        for rule in rules
        if rule["Status"] == "Enabled" and _fits(rule, key, found)
        for transition in rule.get("Transitions") or ()
        if _is_due(transition, found.modified_at, now)
    ]
    return max(due)[1] if due else found.about.storage_class


def gives_up(rules: Sequence[Mapping[str, Any]], key: str, upload: state.Upload, now: float) -> bool:
    """Whether a multipart upload is to be aborted by now."""
    for rule in rules:
        days = (rule.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation")
        if rule["Status"] != "Enabled" or days is None or not key.startswith(_prefix(rule)):
            continue
        if _midnight_after(upload.initiated_at + days * DAY_SECONDS) <= now:
            return True
    return False


def _is_due(action: Mapping[str, Any], modified_at: float, now: float) -> bool:
    known = action.get("Days") is not None or action.get("Date") is not None
    return known and _due_at(action, modified_at) <= now


def _due_at(action: Mapping[str, Any], modified_at: float) -> float:
    if action.get("Days") is not None:
        return _midnight_after(modified_at + int(action["Days"]) * DAY_SECONDS)
    return float(action["Date"])


def _midnight_after(seconds: float) -> float:
    """AWS counts days from the midnight (UTC) that follows."""
    return -(-seconds // DAY_SECONDS) * DAY_SECONDS


def _prefix(rule: Mapping[str, Any]) -> str:
    chosen = rule.get("Filter") or {}
    return rule.get("Prefix") or chosen.get("Prefix") or (chosen.get("And") or {}).get("Prefix") or ""


def _fits(rule: Mapping[str, Any], key: str, found: state.Object) -> bool:
    chosen = rule.get("Filter") or {}
    both = chosen.get("And") or {}
    tags = [*([chosen["Tag"]] if chosen.get("Tag") else []), *(both.get("Tags") or ())]
    larger = chosen.get("ObjectSizeGreaterThan", both.get("ObjectSizeGreaterThan"))
    smaller = chosen.get("ObjectSizeLessThan", both.get("ObjectSizeLessThan"))
    return (
        key.startswith(_prefix(rule))
        and all(found.about.tags.get(tag["Key"]) == tag["Value"] for tag in tags)
        and (larger is None or found.size_bytes > larger)
        and (smaller is None or found.size_bytes < smaller)
    )
