"""Decisions of Kinesis Video Streams, pure: ARNs, fragment numbers, times.

A fragment number is 2^156 and an ordinal shifted by 64 bits, in decimal: 47 digits, as AWS's own, so that numbers compare as
text and as integers alike. The ordinal is the millisecond at which the fragment began to arrive, times 1024, or the one after
the last if that is more.
"""

import re

from headrace.kit import arn as arns
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
