"""Event stream messages."""

import contextlib

import cbor2
import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from headrace.kit.errors import AwsError, SerializationException
from headrace.wire import models
from headrace.wire.eventstream import decode_messages, encode_message
from headrace.wire.protocols.table import protocol

HEADERS = st.dictionaries(
    st.text(alphabet="abc:-", min_size=1, max_size=8),
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=20), st.binary(max_size=20)),
    max_size=5,
)


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=100)), max_size=4))
def test_messages__survive_and_botocore_reads_them(messages: list[tuple[dict[str, bool | int | str | bytes], bytes]]) -> None:
    raw = b"".join(encode_message(headers, payload) for headers, payload in messages)
    assert [(message.headers, message.payload) for message in decode_messages(raw)] == messages
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    assert [(message.headers, message.payload) for message in buffer] == messages


@given(st.binary(max_size=200))
def test_messages__no_bytes_crash_the_decoder(data: bytes) -> None:
    with contextlib.suppress(SerializationException):
        list(decode_messages(data))


def test_messages__one_changed_bit_is_found() -> None:
    good = encode_message({":event-type": "x"}, b"payload")
    for at in range(len(good)):
        with pytest.raises(SerializationException):
            list(decode_messages(good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :]))


class ResourceInUseException(AwsError):
    pass


def test_streams__an_error_inside_becomes_an_exception_message() -> None:
    operation = models.service("kinesis").operations["SubscribeToShard"]

    def events():
        yield {"SubscribeToShardEvent": {"Records": [], "ContinuationSequenceNumber": "1", "MillisBehindLatest": 0}}
        raise ResourceInUseException("taken")

    response = protocol("json").serialise_response(operation, {"EventStream": events()}, "id-1")
    messages = list(decode_messages(b"".join(response.body)))
    assert [message.headers.get(":event-type") or message.headers[":exception-type"] for message in messages] == [
        "initial-response",
        "SubscribeToShardEvent",
        "ResourceInUseException",
    ]
    assert messages[2].payload == b'{"message":"taken"}'


def test_streams__in_cbor() -> None:
    operation = models.service("kinesis").operations["SubscribeToShard"]
    record = {"SequenceNumber": "1", "ApproximateArrivalTimestamp": 1.5, "Data": b"\xff", "PartitionKey": "p"}
    event = {"SubscribeToShardEvent": {"Records": [record], "ContinuationSequenceNumber": "1", "MillisBehindLatest": 0}}
    response = protocol("cbor").serialise_response(operation, {"EventStream": [event]}, "id-1")
    first, second = decode_messages(b"".join(response.body))  # type: ignore[arg-type]
    assert (first.headers[":event-type"], cbor2.loads(first.payload)) == ("initial-response", {})
    assert second.headers[":content-type"] == "application/x-amz-cbor-1.1"
    read = cbor2.loads(second.payload, semantic_decoders={1: lambda value, *_: value})
    assert read["Records"] == [{**record, "ApproximateArrivalTimestamp": 1500}]
