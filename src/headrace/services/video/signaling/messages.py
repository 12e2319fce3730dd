"""The messages of a channel, in Amazon's framing. Pure.

In: {"action", "recipientClientId", "messagePayload", "correlationId"}; out: {"messageType", "senderClientId", "messagePayload"}.
"""

import json
import re

import msgspec

ACTIONS = frozenset({"SDP_OFFER", "SDP_ANSWER", "ICE_CANDIDATE"})
PAYLOAD_SIZE_MAX_BYTES = 10_240
_ID = re.compile(r"[a-zA-Z0-9_.-]{1,256}\Z")
_BASE64 = re.compile(r"[a-zA-Z0-9+/=_-]+\Z")


class Message(msgspec.Struct, frozen=True):
    """One message of a client."""

    action: str
    payload: str
    recipient: str = ""
    correlation_id: str = ""


class Refused(Exception):
    """A message that is not passed on, with the error that its sender is told if it gave a correlation id."""

    def __init__(self, kind: str, text: str, correlation_id: str = "", status: int = 400) -> None:
        super().__init__(text)
        self.kind, self.correlation_id, self.status = kind, correlation_id, status


def is_client_id(text: str) -> bool:
    """Whether a text can be a client id."""
    return _ID.match(text) is not None


def read(text: str) -> Message | None:
    """A client's message, or None when it says nothing (an empty text keeps a connection open). Refused."""
    if not text.strip():
        return None
    try:
        given = json.loads(text)
    except ValueError:
        raise Refused("BadRequestException", "The message is not JSON.") from None
    if not isinstance(given, dict):
        raise Refused("BadRequestException", "The message is not a JSON object.")
    values = {name: given.get(name) or "" for name in ("action", "messagePayload", "recipientClientId", "correlationId")}
    if not all(isinstance(value, str) for value in values.values()):
        raise Refused("InvalidArgumentException", "The message's members must be texts.")
    correlation_id = values["correlationId"]
    if correlation_id and not is_client_id(correlation_id):
        raise Refused("InvalidArgumentException", "The correlationId is not valid.")
    if values["action"] not in ACTIONS:
        raise Refused("InvalidArgumentException", f"The action {values['action']} is not known.", correlation_id)
    if values["recipientClientId"] and not is_client_id(values["recipientClientId"]):
        raise Refused("InvalidArgumentException", "The recipientClientId is not valid.", correlation_id)
    payload = values["messagePayload"]
    if not payload or len(payload) > PAYLOAD_SIZE_MAX_BYTES or not _BASE64.match(payload):
        text = f"The messagePayload must be base64 of 1 to {PAYLOAD_SIZE_MAX_BYTES} characters."
        raise Refused("InvalidArgumentException", text, correlation_id)
    return Message(values["action"], payload, values["recipientClientId"], correlation_id)


def delivered(message: Message, sender: str) -> str:
    """The message as its recipient gets it. A master has no id, so what viewers get names no sender."""
    out = {"messagePayload": message.payload, "messageType": message.action}
    return json.dumps({"senderClientId": sender, **out} if sender else out)


def status(refusal: Refused) -> str:
    """What the sender of a refused message is told."""
    return json.dumps(
        {
            "messagePayload": "", "messageType": "STATUS_RESPONSE",
            "statusResponse": {
                "correlationId": refusal.correlation_id, "errorType": refusal.kind, "statusCode": str(refusal.status),
                "description": str(refusal),
            },
        }
    )  # fmt: skip


GO_AWAY = json.dumps({"messagePayload": "", "messageType": "GO_AWAY"})


def answer_in(text: str) -> str:
    """The payload of an SDP answer in a text that was delivered; empty if it is none."""
    given = json.loads(text)
    return str(given["messagePayload"]) if given.get("messageType") == "SDP_ANSWER" else ""
