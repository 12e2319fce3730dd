"""What comes in and what goes out, as plain values: the gateway fills the one and sends the other."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any

import msgspec


class HttpRequest(msgspec.Struct):
    """One HTTP request. Paths and queries are as they were on the wire; header names are lower case."""

    method: str
    raw_path: str
    query_string: str = ""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: Any = b""


class Response(msgspec.Struct):
    """One HTTP answer. A body that is an iterator is sent as it comes: read in a thread, or on the event loop if it is async."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | Iterator[bytes] | AsyncGenerator[bytes] = b""


class Row(msgspec.Struct, gc=False, omit_defaults=True):
    """A structure of which an answer has thousands, its fields named as the model's members: built and encoded in C, and known to
    hold no null. What is at its default is left out.
    """
