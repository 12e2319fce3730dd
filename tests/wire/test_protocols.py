"""Each protocol where botocore does not go: broken input, hostile input, and what AWS answers."""

import contextlib
import json
import struct
from typing import Any
from xml.etree import ElementTree

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.kit.errors import AwsError, SerializationException, ValidationException
from headrace.wire import models
from headrace.wire.protocols import typed, xml
from headrace.wire.protocols.scalars import format_timestamp, parse_timestamp
from headrace.wire.protocols.table import PROTOCOLS, protocol
from headrace.wire.request import HttpRequest, Response, Row


def parse(service: str, operation: str, body: Any, protocol_name: str = "json", **request: Any) -> dict[str, Any]:
    made = HttpRequest("POST", "/", body=body, **request)
    return protocol(protocol_name).parse_request(models.service(service).operations[operation], made)


def answer(service: str, operation: str, result: dict[str, Any] | None, protocol_name: str = "json") -> Response:
    return protocol(protocol_name).serialise_response(models.service(service).operations[operation], result, "id-1")


def body_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


class Record(Row):
    SequenceNumber: str
    ApproximateArrivalTimestamp: float
    Data: bytes
    PartitionKey: str = ""


class ResourceNotFoundException(AwsError):
    pass


class QueueDoesNotExist(AwsError):
    query_code = "AWS.SimpleQueueService.NonExistentQueue"


class NoSuchKey(AwsError):
    status = 404


class ClusterNotFoundFault(AwsError):
    pass


@pytest.mark.parametrize(
    "rest", [{}, {"NextShardIterator": None}, {"NextShardIterator": "null", "ChildShards": [{"ShardId": None}]}]
)
@pytest.mark.parametrize("dialect", ["json", "cbor"])
def test_rows_look_as_the_same_in_dicts_do(dialect: str, rest: dict[str, Any]) -> None:
    # "nullnull" is what these bytes are in base64.
    plain = [{"SequenceNumber": "1", "ApproximateArrivalTimestamp": 5.25, "Data": b"\x9e\xe9\x65" * 2, "PartitionKey": "null"}]
    plain.append({"SequenceNumber": "2", "ApproximateArrivalTimestamp": 6.0, "Data": b""})
    decode = json.loads if dialect == "json" else cbor2.loads
    rows, dicts = (
        decode(body_of(answer("kinesis", "GetRecords", {"Records": records, "MillisBehindLatest": 0, **rest}, dialect)))
        for records in ([Record(**one) for one in plain], plain)
    )
    assert rows == dicts
    assert "NextShardIterator" not in rows or rest["NextShardIterator"]
    alone = body_of(answer("kinesis", "GetRecords", {"Records": [Record(**plain[1])]}, dialect))
    assert decode(alone)["Records"][0]["SequenceNumber"] == "2"


class TestJson:
    def test_dynamodb_attribute_values_stay_as_they_came(self) -> None:
        item = {"b": {"B": "aGk="}, "bs": {"BS": ["aGk="]}, "m": {"M": {"n": {"N": "1"}}}, "z": {"NULL": True}}
        assert parse("dynamodb", "PutItem", json.dumps({"TableName": "t", "Item": item}).encode())["Item"] == item
        assert json.loads(body_of(answer("dynamodb", "GetItem", {"Item": item}))) == {"Item": item}

    def test_kinesis_data_is_bytes(self) -> None:
        assert parse("kinesis", "PutRecord", b'{"Data":"aGk=","PartitionKey":"p"}') == {"Data": b"hi", "PartitionKey": "p"}

    def test_null_and_unknown_members_are_as_good_as_absent(self) -> None:
        read = parse(
            "dynamodb",
            "Query",
            b'{"TableName":"t","Limit":null,"Nope":[1],"KeyConditions":{"a":{"ComparisonOperator":"EQ","X":null}}}',
        )
        assert read == {"TableName": "t", "KeyConditions": {"a": {"ComparisonOperator": "EQ"}}}
        assert json.loads(body_of(answer("dynamodb", "Query", {"Count": 1, "LastEvaluatedKey": None}))) == {"Count": 1}

    def test_an_operation_without_input_takes_none(self) -> None:
        assert parse("dynamodb", "DescribeLimits", b'{"Any":[1]}') == {}

    def test_an_empty_body_is_an_empty_object(self) -> None:
        assert parse("dynamodb", "ListTables", b"") == {}

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b'{"TableName":5}', "NUMBER_VALUE cannot be converted to String"),
            (b'{"TableName":1.5}', "DECIMAL_VALUE cannot be converted to String"),
            (b'{"TableName":true}', "TRUE_VALUE cannot be converted to String"),
            (b'{"TableName":{}}', "Start of structure or map found where not expected."),
            (b'{"TableName":[]}', "Unrecognized collection type class java.lang.String"),
            (b'{"Item":"x"}', "Unexpected value type in payload"),
            (b'{"Item":{"a":{"S":5}}}', "NUMBER_VALUE cannot be converted to String"),
            (b'{"Item":{"a":{"BOOL":"x"}}}', "STRING_VALUE cannot be converted to Boolean"),
            (b'{"Item":{"a":{"B":5}}}', "NUMBER_VALUE cannot be converted to String"),
            (b"[]", "Unrecognized collection type class java.lang.Object"),
            (b"5", "Unexpected value type in payload"),
            (b"{", "Unable to parse the request body as JSON"),
            (b'{"a":1}x', "Unable to parse the request body as JSON"),
            (b"\xff\xfe", "Unable to parse the request body as JSON"),
            (b'{"TableName":"\xff"}', "Unable to parse the request body as JSON"),
            (b'{"x":' + b"[" * 100_000, "Unable to parse the request body as JSON"),
            (b'{"Item":{"a":' + b'{"L":[' * 300 + b"]}" * 300 + b"}}", "The body is nested too deeply"),
        ],
    )
    def test_what_cannot_be_read_is_a_serialisation_exception(self, body: bytes, message: str) -> None:
        with pytest.raises(SerializationException) as found:
            parse("dynamodb", "PutItem", body)
        assert found.value.message == message

    def test_numbers_beyond_64_bits(self) -> None:
        assert parse("dynamodb", "Query", b'{"Limit":123456789012345678901234567890}')["Limit"] == 123456789012345678901234567890
        for number in (b"1e999", b"9" * 100_000, b"1.5"):
            with pytest.raises(SerializationException):
                parse("dynamodb", "Query", b'{"Limit":' + number + b"}")

    @given(st.binary(max_size=300))
    def test_no_bytes_crash_it(self, body: bytes) -> None:
        with contextlib.suppress(SerializationException):
            assert isinstance(parse("dynamodb", "BatchWriteItem", body), dict)

    JSON = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["RequestItems", "PutRequest", "Item", "S", "M", "L", "t"]), inner, max_size=4)
        ),
        max_leaves=20,
    )

    @given(JSON)
    def test_no_json_crashes_it(self, value: Any) -> None:
        with contextlib.suppress(SerializationException):
            assert isinstance(parse("dynamodb", "BatchWriteItem", json.dumps(value).encode()), dict)

    def test_errors_are_named_as_each_service_names_them(self) -> None:
        def fault(service: str, error: AwsError) -> tuple[dict[str, Any], dict[str, str], int]:
            made = protocol("json").serialise_error(models.service(service), None, error, "id-1")
            return json.loads(body_of(made)), dict(made.headers), made.status

        body, headers, status = fault("dynamodb", ResourceNotFoundException("gone"))
        assert body == {"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "gone"}
        assert (headers["Content-Type"], headers["x-amzn-RequestId"], status) == ("application/x-amz-json-1.0", "id-1", 400)
        assert fault("kinesis", ResourceNotFoundException("gone"))[0]["__type"] == "ResourceNotFoundException"
        assert fault("dynamodb", ValidationException("no"))[0]["__type"] == "com.amazon.coral.validate#ValidationException"
        body, headers, status = fault("sqs", QueueDoesNotExist("no queue"))
        assert body["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"
        assert headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"


class TestCbor:
    def test_times_are_milliseconds_and_blobs_are_bytes(self) -> None:
        body = cbor2.dumps({"StreamName": "s", "Timestamp": cbor2.CBORTag(1, 1_700_000_000_123), "ShardId": "x"})
        assert parse("kinesis", "GetShardIterator", body, "cbor")["Timestamp"] == pytest.approx(1_700_000_000.123)
        record = {"Data": b"\x00\xff", "ApproximateArrivalTimestamp": 1_700_000_000.5, "PartitionKey": "p", "SequenceNumber": "1"}
        response = answer("kinesis", "GetRecords", {"Records": [record], "NextShardIterator": None}, "cbor")
        seen = cbor2.loads(body_of(response), semantic_decoders={1: lambda value, *_: ("tag 1", value)})
        assert seen == {"Records": [{**record, "ApproximateArrivalTimestamp": ("tag 1", 1_700_000_000_500)}]}
        assert ("Content-Type", "application/x-amz-cbor-1.1") in response.headers

    def test_rpc_times_are_seconds(self) -> None:
        body = cbor2.dumps({"StartTime": cbor2.CBORTag(1, 1_700_000_000.25)})
        assert parse("cloudwatch", "GetMetricStatistics", body, "smithy-rpc-v2-cbor") == {"StartTime": 1_700_000_000.25}
        response = answer("cloudwatch", "GetMetricStatistics", {"Label": "l"}, "smithy-rpc-v2-cbor")
        assert ("smithy-protocol", "rpc-v2-cbor") in response.headers

    @pytest.mark.parametrize(
        "body",
        [
            b"\xff",
            b"\x81" * 10_000,
            b"\x9b" + b"\x7f" * 8,
            cbor2.dumps({"StreamName": 5}),
            cbor2.dumps([]),
            b"\xd8\x23\x61\x28",
            b"\xa1\x61a\xd8\x1d\x00",
            b"\x61\xff",
            b"\xd8\x1c\x81\xd8\x1d\x00",
            b"\xa1",
        ],
    )
    def test_what_cannot_be_read_is_a_serialisation_exception(self, body: bytes) -> None:
        with pytest.raises(SerializationException):
            parse("kinesis", "PutRecord", body, "cbor")

    @given(st.binary(max_size=200))
    def test_no_bytes_crash_it(self, body: bytes) -> None:
        with contextlib.suppress(SerializationException):
            assert isinstance(parse("kinesis", "PutRecords", body, "cbor"), dict)


class TestQuery:
    def test_lists_maps_and_gaps(self) -> None:
        body = (
            b"Action=X&Attributes.entry.2.key=b&Attributes.entry.2.value=2&Attributes.entry.1.key=a"
            b"&Attributes.entry.1.value=1&Tags.member.10.Key=z&Tags.member.10.Value=&Tags.member.2.Key=y"
            b"&Tags.member.2.Value=v&Name=n%20m"
        )
        assert parse("sns", "CreateTopic", body, "query") == {
            "Name": "n m",
            "Attributes": {"a": "1", "b": "2"},
            "Tags": [{"Key": "y", "Value": "v"}, {"Key": "z", "Value": ""}],
        }

    def test_the_query_string_counts_too(self) -> None:
        assert parse("sts", "AssumeRole", b"", "query", query_string="RoleArn=r&DurationSeconds=900") == {
            "RoleArn": "r",
            "DurationSeconds": 900,
        }

    @pytest.mark.parametrize(
        "body",
        [
            b"DurationSeconds=x",
            b"DurationSeconds=1.5",
            b"Name=%ff",
            b"\xff=1",
            b".".join([b"a"] * 100) + b"=1",
            b"DurationSeconds.x=1",
        ],
    )
    def test_what_cannot_be_read_is_refused(self, body: bytes) -> None:
        with pytest.raises(SerializationException):
            parse("sts", "AssumeRole", body, "query")

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        "Tags",
                        "Tags.member",
                        "Tags.member.1",
                        "Tags.member.1.Key",
                        "Attributes.entry.1.key",
                        "Attributes.entry.1",
                        "Name",
                        "Name.",
                        ".",
                        "",
                    ]
                ),
                st.text(max_size=3),
            )
        )
    )
    def test_no_form_crashes_it(self, fields: list[tuple[str, str]]) -> None:
        body = "&".join(f"{name}={value}" for name, value in fields).encode()
        with contextlib.suppress(SerializationException):
            assert isinstance(parse("sns", "CreateTopic", body, "query"), dict)

    def test_error_document(self) -> None:
        made = protocol("query").serialise_error(models.service("redshift"), None, ClusterNotFoundFault("no <cluster>"), "id-1")
        root = ElementTree.fromstring(body_of(made))
        space = "{http://redshift.amazonaws.com/doc/2012-12-01/}"
        assert [root.findtext(f"{space}Error/{space}{tag}") for tag in ("Type", "Code", "Message")] == [
            "Sender",
            "ClusterNotFound",
            "no <cluster>",
        ]
        assert root.findtext(f"{space}RequestId") == "id-1"
        assert made.status == 404


class TestXml:
    def test_a_document_type_is_refused(self) -> None:
        bomb = (
            b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
            b"<Delete><Object><Key>&b;</Key></Object></Delete>"
        )
        with pytest.raises(SerializationException, match="document type"):
            parse("s3", "DeleteObjects", bomb, "rest-xml")
        external = b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><Delete/>'
        with pytest.raises(SerializationException):
            parse("s3", "DeleteObjects", external, "rest-xml")

    @pytest.mark.parametrize(
        "body",
        [
            b"<a>",
            b"",
            b"x",
            b"<a></b>",
            b"<a>&undefined;</a>",
            b"<a>" * 100 + b"</a>" * 100,
            b"\xff\xfe<",
            b'<?xml version="1.0" encoding="nope"?><a/>',
        ],
    )
    def test_what_cannot_be_read_is_malformed_xml(self, body: bytes) -> None:
        with pytest.raises(SerializationException) as found:
            xml.read(body)
        made = protocol("rest-xml").serialise_error(models.service("s3"), None, found.value, "id-1")
        assert ElementTree.fromstring(body_of(made)).findtext("Code") == "MalformedXML"

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
    def test_any_text_survives(self, text: str) -> None:
        assert xml.read(f"<a>{xml.escape(text)}</a>".encode()).text == text

    @given(st.binary(max_size=200))
    def test_no_bytes_crash_it(self, body: bytes) -> None:
        with contextlib.suppress(SerializationException):
            xml.read(b"<Delete><Object>" + body)

    def test_s3_oddities(self) -> None:
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        assert body_of(answer("s3", "GetBucketLocation", {"LocationConstraint": "eu-west-1"}, "rest-xml")).endswith(
            f'<LocationConstraint xmlns="{space}">eu-west-1</LocationConstraint>'.encode()
        )
        assert body_of(answer("s3", "GetBucketLocation", {}, "rest-xml")).endswith(
            f'<LocationConstraint xmlns="{space}"/>'.encode()
        )
        assert answer("s3", "GetObject", {"Body": b"x", "ContentRange": "bytes 0-0/5"}, "rest-xml").status == 206
        assert answer("s3", "DeleteObject", {}, "rest-xml") == Response(
            204, [("x-amz-request-id", "id-1"), ("x-amz-id-2", "id-1")], b""
        )
        listed = body_of(answer("s3", "ListObjectsV2", {"Name": "b", "KeyCount": 0}, "rest-xml"))
        assert ElementTree.fromstring(listed).tag == f"{{{space}}}ListBucketResult"
        s3 = models.service("s3")
        made = protocol("rest-xml").serialise_error(s3, s3.operations["GetObject"], NoSuchKey("gone", Key="k&"), "id-1")
        root = ElementTree.fromstring(body_of(made))
        assert (made.status, root.tag, root.findtext("Code"), root.findtext("Key"), root.findtext("RequestId")) == (
            404,
            "Error",
            "NoSuchKey",
            "k&",
            "id-1",
        )
        assert protocol("rest-xml").serialise_error(s3, s3.operations["HeadObject"], NoSuchKey("gone"), "id-1").body == b""

    def test_a_header_cannot_begin_another(self) -> None:
        made = answer("s3", "GetObject", {"Metadata": {"a": "x\r\nSet-Cookie: y"}, "ContentType": "t\nX: y"}, "rest-xml")
        assert not any("\r" in value or "\n" in value for _, value in made.headers)

    @pytest.mark.parametrize(("sent", "kept"), [("aws-chunked", None), ("aws-chunked,gzip", "gzip"), ("gzip", "gzip")])
    def test_aws_chunked_is_no_encoding_of_the_object(self, sent: str, kept: str | None) -> None:
        request = HttpRequest("PUT", "/b/k", headers={"content-encoding": sent}, body=b"")
        read = protocol("rest-xml").parse_request(
            models.service("s3").operations["PutObject"], request, {"Bucket": "b", "Key": "k"}
        )
        assert read.get("ContentEncoding") == kept

    def test_a_presigned_url_may_hold_headers(self) -> None:
        query = "x-amz-acl=private&x-amz-meta-colour=blue&X-Amz-Signature=00"
        request = HttpRequest("PUT", "/b/k", query, {}, b"")
        read = protocol("rest-xml").parse_request(
            models.service("s3").operations["PutObject"], request, {"Bucket": "b", "Key": "k"}
        )
        assert (read["ACL"], read["Metadata"]) == ("private", {"colour": "blue"})

    def test_a_streamed_body_is_handed_through(self) -> None:
        stream = object()
        request = HttpRequest("PUT", "/b/k", headers={"x-amz-meta-colour": "blue", "content-type": "t"}, body=stream)
        read = protocol("rest-xml").parse_request(
            models.service("s3").operations["PutObject"], request, {"Bucket": "b", "Key": "k"}
        )
        assert read == {"Bucket": "b", "Key": "k", "Body": stream, "Metadata": {"colour": "blue"}, "ContentType": "t"}


class TestRestJson:
    def test_invoke(self) -> None:
        operation = models.service("lambda").operations["Invoke"]
        request = HttpRequest(
            "POST", "/", headers={"x-amz-invocation-type": "Event"}, query_string="Qualifier=a%2Fb", body=b"[1]"
        )
        read = protocol("rest-json").parse_request(operation, request, {"FunctionName": "f"})
        assert read == {"FunctionName": "f", "InvocationType": "Event", "Qualifier": "a/b", "Payload": b"[1]"}
        made = protocol("rest-json").serialise_response(
            operation, {"StatusCode": 202, "Payload": b"", "FunctionError": "Unhandled"}, "id-1"
        )
        assert (made.status, dict(made.headers)["X-Amz-Function-Error"]) == (202, "Unhandled")

    def test_errors_are_named_in_a_header(self) -> None:
        made = protocol("rest-json").serialise_error(models.service("lambda"), None, ResourceNotFoundException("gone"), "id-1")
        assert (made.status, dict(made.headers)["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")
        assert json.loads(body_of(made)) == {"Message": "gone", "Type": "User"}


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("2015-01-25T08:00:00Z", 1422172800.0),
        ("2015-01-25T08:00:00.123Z", 1422172800.123),
        ("2015-01-25T10:00:00+02:00", 1422172800.0),
        ("2015-01-25", 1422144000.0),
        ("Sun, 25 Jan 2015 08:00:00 GMT", 1422172800.0),
        ("1422172800", 1422172800.0),
        ("1422172800.5", 1422172800.5),
    ],
)
def test_times__in_every_format(text: str, epoch: float) -> None:
    assert parse_timestamp(text) == pytest.approx(epoch)


@pytest.mark.parametrize("text", ["", "yesterday", "2015-13-01T00:00:00Z", "9" * 40, "2015-01-25T25:00:00Z", "inf", "nan"])
def test_times__what_is_none_is_refused(text: str) -> None:
    with pytest.raises(SerializationException):
        parse_timestamp(text)


@given(st.integers(0, 4_000_000_000_000), st.sampled_from(["iso8601", "unixTimestamp"]))
def test_times__milliseconds_survive(millis: int, form: str) -> None:
    assert parse_timestamp(format_timestamp(millis / 1000, form)) == pytest.approx(millis / 1000, abs=1e-6)


def test_deep_values__are_measured_without_recursion() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(SerializationException):
        typed.refuse_deep(value)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_our_own_errors__are_written_by_every_protocol(name: str) -> None:
    for service in models.SERVICES:
        made = protocol(name).serialise_error(models.service(service), None, ValidationException("bad \x01 \ud800 thing"), "id-1")
        assert made.status == 400
        assert struct.pack(">I", len(body_of(made)))
