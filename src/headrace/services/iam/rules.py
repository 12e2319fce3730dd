"""IAM's decisions: names, sizes, identifiers and which policies speak for a principal."""

import base64
import binascii
from collections.abc import Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

from headrace.kit.arn import Arn
from headrace.kit.errors import ValidationError
from headrace.kit.ids import Ids
from headrace.services.iam import errors, limits
from headrace.services.iam.engine import documents

POLICY_PATH = "policy/"
PREFIXES = {"role": "AROA", "user": "AIDA", "policy": "ANPA", "key": "AKIA", "session": "ASIA"}


def identifier(ids: Ids, kind: str) -> str:
    """A unique id as AWS makes them, e.g. AROA… for a role."""
    length = 16 if kind in ("key", "session") else 17
    return PREFIXES[kind] + ids.upper(length)


def secret(ids: Ids) -> str:
    """A secret access key: 40 characters."""
    return base64.b64encode(ids.bytes(30)).decode()


def on_wire(document: str) -> str:
    """A policy document as IAM answers with it: percent-encoded."""
    return quote(document, safe="")


def entity_arn(account: str, kind: str, path: str, name: str) -> str:
    """The ARN of a role, user or policy."""
    return str(Arn("aws", "iam", "", account, f"{kind}{path}{name}"))


def check_document(text: str, kind: documents.Kind = "identity") -> None:
    """MalformedPolicyDocument unless the text is a policy document."""
    try:
        documents.parse(text, kind)
    except documents.MalformedDocument as error:
        raise errors.MalformedPolicyDocumentException(str(error)) from error


def size(document: str) -> int:
    """A document's characters as AWS counts them: without white space."""
    return sum(not letter.isspace() for letter in document)


def check_tags(tags: dict[str, str], given: int) -> None:
    """InvalidInput for duplicate keys, LimitExceeded for too many."""
    if len(tags) > limits.TAGS_MAX:
        raise errors.quota("TagsPerEntity", limits.TAGS_MAX)
    if given != len(tags):
        raise errors.InvalidInputException("Duplicate tag keys found. Please note that Tag keys are case insensitive.")


def marker(name: str) -> str:
    """The marker from which a listing goes on behind a name."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def read_marker(text: str | None) -> str | None:
    """The name in a marker."""
    if text is None:
        return None
    try:
        return base64.urlsafe_b64decode(text.encode()).decode()
    except (binascii.Error, UnicodeError) as error:
        raise ValidationError("Invalid Marker.") from error


def page(names: Sequence[str], max_items: int | None) -> tuple[list[str], dict[str, object]]:
    """The first names of a listing (one more was read than is shown), and the members that say whether more follow."""
    limit = max_items or limits.PAGE_ITEMS_DEFAULT
    shown = list(names[:limit])
    if len(names) <= limit:
        return shown, {"IsTruncated": False}
    return shown, {"IsTruncated": True, "Marker": marker(shown[-1])}


class Identity(NamedTuple):
    """What a principal's ARN says: an account's root, a user, or a session of a role."""

    kind: Literal["root", "user", "role", "service"]
    account: str
    name: str


def identify(principal_arn: str) -> Identity:
    """Take a principal's ARN apart."""
    _, _, service, _, account, resource = principal_arn.split(":", 5)
    if service == "iam" and resource == "root":
        return Identity("root", account, "")
    if service == "iam" and resource.startswith("user/"):
        return Identity("user", account, resource.rpartition("/")[2])
    if service == "sts" and resource.startswith("assumed-role/"):
        return Identity("role", account, resource.split("/", 2)[1])
    return Identity("service", account, resource)


def check_duration(asked: int | None, default: int, most: int, message: str) -> int:
    """The seconds a session lasts; ValidationError when more are asked for than may be."""
    seconds = min(default, most) if asked is None else asked
    if seconds > most:
        raise ValidationError(message)
    return seconds
