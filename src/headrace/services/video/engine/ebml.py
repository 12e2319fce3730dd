"""EBML, the form of Matroska: ids, sizes and elements as bytes.

An element is an id, a size and its bytes. Ids and sizes are integers of 1 to 8 bytes, whose first byte's leading zeros tell the
length. A size of ones alone means that the size is not known: the element ends where one begins that can't lie in it.
"""

import struct

EBML = 0x1A45DFA3
DOC_TYPE = 0x4282
SEGMENT = 0x18538067
SEEK_HEAD = 0x114D9B74
INFO = 0x1549A966
TIMECODE_SCALE = 0x2AD7B1
MUXING_APP = 0x4D80
WRITING_APP = 0x5741
TRACKS = 0x1654AE6B
TRACK_ENTRY = 0xAE
TRACK_NUMBER = 0xD7
TRACK_UID = 0x73C5
TRACK_TYPE = 0x83
TRACK_NAME = 0x536E
LANGUAGE = 0x22B59C
CODEC_ID = 0x86
CODEC_PRIVATE = 0x63A2
DEFAULT_DURATION = 0x23E383
VIDEO = 0xE0
PIXEL_WIDTH = 0xB0
PIXEL_HEIGHT = 0xBA
AUDIO = 0xE1
SAMPLING_FREQUENCY = 0xB5
CHANNELS = 0x9F
BIT_DEPTH = 0x6264
CLUSTER = 0x1F43B675
TIMECODE = 0xE7
SIMPLE_BLOCK = 0xA3
BLOCK_GROUP = 0xA0
BLOCK = 0xA1
BLOCK_DURATION = 0x9B
REFERENCE_BLOCK = 0xFB
CUES = 0x1C53BB6B
CHAPTERS = 0x1043A770
ATTACHMENTS = 0x1941A469
TAGS = 0x1254C367
TAG = 0x7373
TARGETS = 0x63C0
SIMPLE_TAG = 0x67C8
TAG_NAME = 0x45A3
TAG_STRING = 0x4487
TAG_BINARY = 0x4485
VOID = 0xEC
CRC_32 = 0xBF

# What may lie directly in a segment: one of these ends a cluster of unknown size.
LEVEL_1 = frozenset({SEEK_HEAD, INFO, TRACKS, CLUSTER, CUES, CHAPTERS, ATTACHMENTS, TAGS})

UNKNOWN = -1


class Malformed(ValueError):
    """The bytes are no EBML, or no Matroska that can be taken."""


def id_length(first: int) -> int:
    """How many bytes an id has, by its first one. Malformed."""
    length = 9 - first.bit_length()
    if length > 4:
        raise Malformed("an element's id is longer than four bytes")
    return length


def size_length(first: int) -> int:
    """How many bytes a size has, by its first one. Malformed."""
    length = 9 - first.bit_length()
    if length > 8:
        raise Malformed("an element's size is longer than eight bytes")
    return length


def decode_size(raw: bytes) -> int:
    """The size that the bytes say, or UNKNOWN."""
    bits = 7 * len(raw)
    value = int.from_bytes(raw, "big") & ((1 << bits) - 1)
    return UNKNOWN if value == (1 << bits) - 1 else value


def read_header(data: bytes | bytearray | memoryview, at: int) -> tuple[int, int, int] | None:
    """(id, size or UNKNOWN, where the element's bytes begin) of the element at a place; None where its header is not whole."""
    if at >= len(data):
        return None
    middle = at + id_length(data[at])
    if middle >= len(data):
        return None
    end = middle + size_length(data[middle])
    if end > len(data):
        return None
    return int.from_bytes(data[at:middle], "big"), decode_size(bytes(data[middle:end])), end


def children(data: bytes) -> list[tuple[int, bytes]]:
    """(id, bytes) of the elements that follow one another in `data`. Malformed unless they fill it exactly."""
    found = []
    at = 0
    while at < len(data):
        header = read_header(data, at)
        if header is None:
            raise Malformed("an element is cut off")
        kind, size, begin = header
        if size == UNKNOWN or begin + size > len(data):
            raise Malformed("an element is larger than the one it lies in")
        found.append((kind, data[begin : begin + size]))
        at = begin + size
    return found


def unsigned(data: bytes) -> int:
    """An unsigned integer of up to eight bytes. Malformed."""
    if len(data) > 8:
        raise Malformed("an integer is longer than eight bytes")
    return int.from_bytes(data, "big")


def floating(data: bytes) -> float:
    """A floating point number of 0, 4 or 8 bytes. Malformed."""
    if len(data) == 4:
        return float(struct.unpack(">f", data)[0])
    if len(data) == 8:
        return float(struct.unpack(">d", data)[0])
    if not data:
        return 0.0
    raise Malformed("a number has neither four nor eight bytes")


def text(data: bytes) -> str:
    """UTF-8 text, up to its first zero byte. Malformed."""
    try:
        return data.split(b"\x00", 1)[0].decode()
    except UnicodeDecodeError:
        raise Malformed("a text is not UTF-8") from None


def header(kind: int, size: int) -> bytes:
    """The id and the size of an element of known size, or of one whose size is UNKNOWN (eight bytes then)."""
    name = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    if size == UNKNOWN:
        return name + b"\x01" + b"\xff" * 7
    length = 1
    # All ones mean "unknown", so the largest number of each length is left out.
    while size >= (1 << 7 * length) - 1:
        length += 1
    return name + (size | 1 << 7 * length).to_bytes(length, "big")


def element(kind: int, data: bytes) -> bytes:
    """An element with its bytes."""
    return header(kind, len(data)) + data


def integer(kind: int, value: int) -> bytes:
    """An element that is an unsigned integer."""
    return element(kind, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def string(kind: int, value: str) -> bytes:
    """An element that is text."""
    return element(kind, value.encode())
