"""Decisions of SQS, pure: names, attributes, batches, digests, receipt handles."""

import hashlib
import json
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from headrace.kit import arn as arns
from headrace.services.sqs import errors, limits

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")
# All but #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF. Said this way round it compiles in no time.
_FORBIDDEN_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ATTRIBUTE_NAME = re.compile(r"(?!(?i:aws|amazon)\.)(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)\Z")

# name → (default, least, most)
NUMBERS: Mapping[str, tuple[int, int, int]] = {
    "DelaySeconds": (0, 0, limits.DELAY_MAX_SECONDS),
    "MaximumMessageSize": (limits.MESSAGE_SIZE_MAX_BYTES, 1024, limits.MESSAGE_SIZE_MAX_BYTES),
    "MessageRetentionPeriod": (limits.RETENTION_DEFAULT_SECONDS, 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 0, limits.RECEIVE_WAIT_MAX_SECONDS),
    "VisibilityTimeout": (30, 0, limits.VISIBILITY_MAX_SECONDS),
}
TEXTS = ("Policy", "RedrivePolicy", "RedriveAllowPolicy", "SqsManagedSseEnabled")
COUNTED = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible")
TIMES = ("CreatedTimestamp", "LastModifiedTimestamp", "QueueArn")
_UNSUPPORTED = (
    "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
)  # fmt: skip


def check_name(name: str) -> None:
    """InvalidParameterValue unless the name follows the rules; UnsupportedOperation for FIFO queues."""
    if name.endswith(".fifo"):
        raise errors.UnsupportedOperation("Headrace has no FIFO queues yet: a name can't end in .fifo.")
    if not _NAME.match(name):
        raise errors.InvalidParameterValue("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")


def check_attributes(given: Mapping[str, str]) -> dict[str, str]:
    """The attributes that are set, if they may be. InvalidAttributeName, InvalidAttributeValue, UnsupportedOperation."""
    for name, value in given.items():
        if name in _UNSUPPORTED:
            if value in ("false", ""):
                continue
            raise errors.UnsupportedOperation(f"Headrace does not support the attribute {name} yet.")
        if name in NUMBERS:
            _, least, most = NUMBERS[name]
            if not re.fullmatch(r"\d{1,10}", value) or not least <= int(value) <= most:
                raise errors.bad_attribute(name)
        elif name == "SqsManagedSseEnabled":
            if value not in ("true", "false"):
                raise errors.bad_attribute(name)
        elif name not in TEXTS:
            raise errors.InvalidAttributeName(f"Unknown Attribute {name}.")
        elif value:
            _check_document(name, value)
    return {name: _canonical(name, value) for name, value in given.items() if name not in _UNSUPPORTED}


def _canonical(name: str, value: str) -> str:
    return str(int(value)) if name in NUMBERS else value


def _check_document(name: str, text: str) -> None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise errors.bad_attribute(name)
    if name == "RedrivePolicy":
        redrive(text)


class Redrive(NamedTuple):
    """Where a message goes that was received too often."""

    target_arn: str
    receives_max: int


def redrive(text: str | None) -> Redrive | None:
    """A RedrivePolicy. InvalidParameterValue."""
    if not text:
        return None
    document = json.loads(text)
    count, target = document.get("maxReceiveCount"), document.get("deadLetterTargetArn")
    if not isinstance(target, str) or not re.fullmatch(r"\d{1,4}", str(count)) or not 1 <= int(str(count)) <= 1000:
        raise errors.InvalidParameterValue(
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: maxReceiveCount must be 1 to 1000, and "
            "deadLetterTargetArn is required."
        )
    try:
        service = arns.parse(target).service
    except ValueError:
        service = ""
    if service != "sqs":
        raise errors.InvalidParameterValue(
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: Invalid value for deadLetterTargetArn."
        )
    return Redrive(target, int(str(count)))


class Place(NamedTuple):
    """The account and the name of a queue."""

    account: str
    name: str


def place_of_url(url: str) -> Place:
    """The queue that a URL names, whatever host it has. InvalidAddress."""
    parts = unquote(urlsplit(url).path).strip("/").split("/")
    if len(parts) < 2 or not parts[-2].isdecimal():
        raise errors.InvalidAddress(f"The address {url} is not valid for this endpoint.")
    return Place(parts[-2], parts[-1])


def check_batch(entries: Sequence[Mapping[str, Any]]) -> None:
    """EmptyBatchRequest, TooManyEntriesInBatchRequest, InvalidBatchEntryId, BatchEntryIdsNotDistinct."""
    if not entries:
        raise errors.EmptyBatchRequest("There should be at least one entry in the request.")
    if len(entries) > limits.BATCH_ENTRIES_MAX:
        raise errors.TooManyEntriesInBatchRequest(
            f"Maximum number of entries per request are {limits.BATCH_ENTRIES_MAX}. You have sent {len(entries)}."
        )
    seen: set[str] = set()
    for entry in entries:
        if not _ENTRY_ID.match(entry["Id"]):
            raise errors.InvalidBatchEntryId(
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long."
            )
        if entry["Id"] in seen:
            raise errors.BatchEntryIdsNotDistinct(f"Id {entry['Id']} repeated.")
        seen.add(entry["Id"])


def check_body(body: str) -> None:
    """MissingParameter, InvalidMessageContents."""
    if not body:
        raise errors.MissingParameter("The request must contain the parameter MessageBody.")
    if _FORBIDDEN_CHARACTERS.search(body):
        raise errors.InvalidMessageContents("Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | "
            "#x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")  # fmt: skip


def check_message_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> None:
    """InvalidParameterValue unless each has a name, a type and a value of that type."""
    if len(attributes) > limits.MESSAGE_ATTRIBUTES_MAX:
        raise errors.InvalidParameterValue(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [{limits.MESSAGE_ATTRIBUTES_MAX}]."
        )
    for name, value in attributes.items():
        kind = value.get("DataType", "").partition(".")[0]
        if not _ATTRIBUTE_NAME.match(name):
            raise errors.InvalidParameterValue(f"The message attribute name '{name}' is invalid.")
        if kind not in ("String", "Number", "Binary"):
            raise errors.InvalidParameterValue(
                f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is "
                "Binary, Number, and String."
            )
        if value.get("StringListValues") or value.get("BinaryListValues"):
            raise errors.UnsupportedOperation("Message attribute list values are not supported.")
        if not value.get("BinaryValue" if kind == "Binary" else "StringValue"):
            raise errors.InvalidParameterValue(
                f"The message attribute '{name}' must contain a non-empty message attribute value."
            )
        if kind == "Number" and not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value["StringValue"]):
            raise errors.InvalidParameterValue(f"Can't cast the value of message (user) attribute '{name}' to a number.")


def size_bytes(body: str, attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """The size of a message as SQS counts it."""
    return len(body.encode("utf-8", "surrogatepass")) + sum(
        len(name.encode()) + len(value["DataType"].encode()) + len(_bytes_of(value)) for name, value in attributes.items()
    )


def md5_of_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The digest of a message's attributes, which SDKs check; None without any."""
    if not attributes:
        return None
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        kind = b"\x02" if value["DataType"].startswith("Binary") else b"\x01"
        raw = _bytes_of(value)
        for part in (name.encode(), value["DataType"].encode()):
            digest.update(struct.pack(">I", len(part)) + part)
        digest.update(kind + struct.pack(">I", len(raw)) + raw)
    return digest.hexdigest()


def _bytes_of(value: Mapping[str, Any]) -> bytes:
    if value["DataType"].startswith("Binary"):
        return bytes(value.get("BinaryValue") or b"")
    return str(value.get("StringValue") or "").encode("utf-8", "surrogatepass")


def md5(body: str) -> str:
    """The digest of a message's body."""
    return hashlib.md5(body.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def wants(asked: Sequence[str], name: str) -> bool:
    """Whether a message attribute is asked for: by name, by a prefix ("bar.*"), or with all of them."""
    return any(
        one in ("All", ".*", name) or (one.endswith(".*") and name.startswith(one[:-2])) for one in asked
    )  # fmt: skip


class Handle(msgspec.Struct, array_like=True):
    """What a receipt handle holds: the queue, the message's number, and the receipt it belongs to."""

    queue_id: str
    number: int
    receipt: int


def encode_handle(handle: Handle) -> str:
    """A receipt handle."""
    return urlsafe_b64encode(msgspec.msgpack.encode(handle)).decode()


def decode_handle(text: str, queue_id: str) -> Handle:
    """What a receipt handle of this queue holds. ReceiptHandleIsInvalid."""
    try:
        handle = msgspec.msgpack.decode(urlsafe_b64decode(text), type=Handle)
    except (ValueError, msgspec.DecodeError):
        raise errors.bad_handle() from None
    if handle.queue_id != queue_id:
        raise errors.bad_handle()
    return handle
