"""Decisions of Kinesis Video Streams, pure: ARNs, fragment numbers, times.

A fragment number is 2^156 and an ordinal shifted by 64 bits, in decimal: 47 digits, as AWS's own, so that numbers compare as
text and as integers alike. The ordinal is the millisecond at which the fragment began to arrive, times 1024, or the one after
the last if that is more.
"""

import json
import re
from typing import Any

from headrace.kit import arn as arns
from headrace.services.video import limits
from headrace.services.video.errors import InvalidArgumentException

_NUMBER_BASE = 1 << 156
_NUMBER_SHIFT = 64
_ORDINALS_PER_MS = 1024

_STREAM = re.compile(r"stream/(?P<name>[a-zA-Z0-9_.-]{1,256})/(?P<created>\d{1,20})\Z")


def fragment_number(ordinal: int) -> str:
    """The number of a fragment."""
    return str(_NUMBER_BASE + (ordinal << _NUMBER_SHIFT))


def ordinal_of(number: str) -> int | None:
    """The ordinal in a fragment number, or None if it is none of ours."""
    if len(number) != 47 or not number.isdecimal() or not number.isascii():
        return None
    rest = int(number) - _NUMBER_BASE
    if rest < 0 or rest & ((1 << _NUMBER_SHIFT) - 1) or rest >> _NUMBER_SHIFT >= 1 << 63:
        return None
    return rest >> _NUMBER_SHIFT


def next_ordinal(last: int, now_ms: int) -> int:
    """The ordinal of a fragment that begins now, larger than the last one."""
    return max(last + 1, now_ms * _ORDINALS_PER_MS)


def parse_stream_arn(arn: str) -> tuple[str, str, str]:
    """(account, region, name) of a stream's ARN; InvalidArgumentException."""
    try:
        parsed = arns.parse(arn)
    except ValueError:
        raise InvalidArgumentException(f"{arn} is not a valid ARN.") from None
    found = _STREAM.match(parsed.resource)
    if parsed.service != "kinesisvideo" or found is None:
        raise InvalidArgumentException(f"{arn} is not the ARN of a stream.")
    return parsed.account, parsed.region, found["name"]


def to_ms(units: int, timecode_scale_ns: int) -> int:
    """Milliseconds of a number of timecode units."""
    return units * timecode_scale_ns // 1_000_000


def seconds_text(ms: int) -> str:
    """A time in seconds, to the millisecond, as AWS's tags have it."""
    return f"{ms // 1000}.{ms % 1000:03d}"


def is_plausible(producer_ms: int, now_ms: int) -> bool:
    """Whether a producer's timestamp may be right: ten years old at most, and not in the future but for a wrong clock."""
    return now_ms - limits.PRODUCER_PAST_MAX_MS <= producer_ms <= now_ms + limits.PRODUCER_FUTURE_MAX_MS


def acknowledgement(event: str, timecode_ms: int | None = None, number: str = "", error: tuple[int, str] | None = None) -> bytes:
    """One acknowledgement of PutMedia, as AWS writes it: a JSON object on a line."""
    fields: dict[str, Any] = {"EventType": event}
    if timecode_ms is not None:
        fields["FragmentTimecode"] = timecode_ms
    if number:
        fields["FragmentNumber"] = number
    if error is not None:
        fields["ErrorId"], fields["ErrorCode"] = error
    return json.dumps(fields, separators=(",", ":")).encode() + b"\r\n"
