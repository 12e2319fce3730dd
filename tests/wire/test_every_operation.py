"""Every operation of every model both ways, against botocore's own serialisers and parsers."""

import contextlib
import io
from typing import Any
from urllib.parse import urlencode

import botocore.parsers
import botocore.serialize
import pytest
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.eventstream import EventStream
from tests.wire.sampler import Sampler, botocore_model, for_botocore, from_botocore, lower_headers, without_empty

from headrace.kit.errors import AwsError
from headrace.wire import models
from headrace.wire.identify import identify
from headrace.wire.models import OperationModel
from headrace.wire.protocols.json import RAW_SHAPES
from headrace.wire.protocols.table import protocol
from headrace.wire.request import HttpRequest
from headrace.wire.validate import validate

CASES = [(name, protocol_name) for name in models.SERVICES for protocol_name in models.service(name).protocols]
# GetBucketLocation: botocore reads it in a handler. GetBucketNotification: two of its members share one element.
READ_ELSEWHERE = ("GetBucketLocation", "GetBucketNotification")
# What they send is what their newer twins send; ListDirectoryBuckets differs from ListBuckets by its endpoint alone.
OLDER_TWINS = ("PutBucketLifecycle", "PutBucketNotification", "GetBucketLifecycle", "GetBucketNotification")
OLDER_TWINS += ("ListDirectoryBuckets",)
SIGNED = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=00"


def request_by_botocore(operation: OperationModel, model: Any, protocol_name: str, parameters: dict[str, Any]) -> HttpRequest:
    serialiser = botocore.serialize.create_serializer(protocol_name, include_validation=False)
    made = serialiser.serialize_to_request(parameters, model.operation_model(operation.name))
    made.setdefault("query_string", {})
    made.pop("host_prefix", None)
    prepare_request_dict(made, endpoint_url="http://localhost:4566", user_agent="test")
    path, _, query = made["url"].removeprefix("http://localhost:4566").partition("?")
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body, doseq=True).encode()
    headers = lower_headers(made["headers"])
    headers["host"] = "localhost:4566"
    headers["authorization"] = SIGNED.format(operation.service.signing_name)
    return HttpRequest(made["method"], path or "/", query, headers, body)


def lose_what_the_wire_loses(operation: OperationModel, parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name != operation.streaming_input}


@pytest.mark.parametrize(("name", "protocol_name"), CASES)
def test_requests__what_botocore_sends_is_what_we_read(name: str, protocol_name: str) -> None:
    service, model = models.service(name), botocore_model(name)
    raw = RAW_SHAPES.get(name, frozenset())
    failures = []
    for number, operation in enumerate(service.operations.values()):
        if operation.input is None or operation.name in OLDER_TWINS:
            continue
        for all_members in (True, False):
            parameters = Sampler(number, raw_shapes=raw).structure(operation.input, all_members=all_members)
            sent = for_botocore(operation.input, parameters, raw_shapes=raw)
            request = request_by_botocore(operation, model, protocol_name, sent)
            try:
                target = identify(request)
                read = protocol(target.protocol).parse_request(target.operation, request, target.labels)
            except AwsError as error:
                failures.append((operation.name, repr(error)))
                continue
            expected = lose_what_the_wire_loses(operation, parameters)
            read = lose_what_the_wire_loses(operation, read)
            if protocol_name == "query":
                expected = without_empty(expected)
            payload = operation.input.payload
            if payload and payload not in expected and read.get(payload) == {}:
                del read[payload]  # botocore sends {} for a document that is not there
            if target.operation is not operation or target.protocol != protocol_name:
                failures.append((operation.name, target.operation.name, target.protocol))
            elif read != expected:
                failures.append(
                    (
                        operation.name,
                        {k: (expected.get(k), read.get(k)) for k in {*expected, *read} if expected.get(k) != read.get(k)},
                    )
                )
    assert not failures, f"{len(failures)}: {failures[:5]}"


def read_by_botocore(operation: OperationModel, model: Any, protocol_name: str, response: Any) -> Any:
    shape = model.operation_model(operation.name).output_shape
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    parser = botocore.parsers.create_parser(protocol_name)
    parsed = parser.parse(
        {
            "status_code": response.status,
            "headers": HeadersDict(response.headers),
            "body": body,
            "context": {"operation_name": operation.name},
        },
        shape,
    )
    parsed.pop("ResponseMetadata", None)
    return from_botocore(parsed)


@pytest.mark.parametrize(("name", "protocol_name"), CASES)
def test_responses__what_we_send_is_what_botocore_reads(name: str, protocol_name: str) -> None:
    service, model = models.service(name), botocore_model(name)
    raw = RAW_SHAPES.get(name, frozenset())
    failures = []
    for number, operation in enumerate(service.operations.values()):
        if operation.output is None or operation.eventstream_output is not None:
            continue
        for all_members in (True, False):
            result = Sampler(number, raw_shapes=raw).structure(operation.output, all_members=all_members)
            for field, member in operation.output.members.items():
                if member.location == "statusCode":
                    result[field] = operation.status
            expected = for_botocore(operation.output, result, raw_shapes=raw)
            expected = from_botocore(expected)
            if operation.streaming_output:
                result[operation.streaming_output] = b"stream"
                expected[operation.streaming_output] = "stream"
            payload = operation.output.payload
            if payload and operation.output.members[payload].type == "blob":
                result[payload], expected[payload] = b"payload", "payload"
            response = protocol(protocol_name).serialise_response(operation, result, "request-1")
            try:
                read = read_by_botocore(operation, model, protocol_name, response)
            except Exception as error:
                failures.append((operation.name, repr(error), response.body))
                continue
            if operation.name in READ_ELSEWHERE:
                continue
            if operation.streaming_output and "ContentType" not in expected:
                assert read.pop("ContentType", None) in (None, "binary/octet-stream")
            for field in [field for field, value in read.items() if value in ({}, [], "") and field not in expected]:
                del read[field]
            if read != expected:
                failures.append(
                    (
                        operation.name,
                        {k: (expected.get(k), read.get(k)) for k in {*expected, *read} if expected.get(k) != read.get(k)},
                    )
                )
    assert not failures, f"{len(failures)}: {failures[:5]}"


@pytest.mark.parametrize(("name", "protocol_name"), CASES)
def test_errors__every_error_shape_arrives_with_its_code_and_members(name: str, protocol_name: str) -> None:
    service, model = models.service(name), botocore_model(name)
    operation = next(iter(service.operations.values()))
    codes = {shape.error_code: shape for shape in model.error_shapes}
    failures = []
    for number, shape in enumerate(service.shapes.values()):
        if not shape.is_exception:
            continue
        fields = Sampler(number).structure(shape)
        for taken in ("message", "Message", "Code", "code", "Type", "RequestId", "HostId", "QueryErrorCode", "QueryErrorMessage"):
            fields.pop(taken, None)
        kind = type(shape.name, (AwsError,), {})
        response = protocol(protocol_name).serialise_error(service, operation, kind("What is wrong", **fields), "request-1")
        parser = botocore.parsers.create_parser(protocol_name)
        answer = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": response.body, "context": {}}
        parsed = parser.parse(answer, None)
        code, message = parsed["Error"]["Code"], parsed["Error"]["Message"]
        if operation.method == "HEAD":
            continue
        found = codes.get(code)
        # Two shapes may share a code, as DashboardNotFoundError and ResourceNotFoundException do.
        if found is None or code != shape.error_code or message != "What is wrong":
            failures.append((shape.name, code, message))
            continue
        details = from_botocore(parser.parse(answer, model.shape_for(shape.name)))
        lost = {
            key: (value, details.get(key))
            for key, value in from_botocore(for_botocore(shape, fields)).items()
            if details.get(key) != value
        }
        if lost and protocol_name != "rest-xml":
            failures.append((shape.name, lost))
    assert not failures, f"{len(failures)}: {failures[:5]}"


@pytest.mark.parametrize("name", models.SERVICES)
def test_event_streams__botocore_reads_initial_response_and_events(name: str) -> None:
    service, model = models.service(name), botocore_model(name)
    for number, operation in enumerate(service.operations.values()):
        field = operation.eventstream_output
        if field is None:
            continue
        assert operation.output is not None
        stream = operation.output.members[field]
        sampler = Sampler(number)
        events = [{event: sampler.structure(shape)} for event, shape in stream.members.items() if not shape.is_exception]
        response = protocol(service.protocols[0]).serialise_response(operation, {field: iter(events)}, "request-1")
        raw = b"".join(response.body)
        assert ("Content-Type", "application/vnd.amazon.eventstream") in response.headers
        parser = botocore.parsers.create_parser(service.protocols[0])

        class Raw(io.BytesIO):
            def stream(self):
                yield self.read()

        shape = model.operation_model(operation.name).output_shape
        read = EventStream(Raw(raw), shape.members[field], parser._event_stream_parser, operation.name)
        if service.protocols[0] == "json":
            assert read.get_initial_response().payload == b"{}"
        assert [from_botocore(event) for event in read] == events


@pytest.mark.parametrize("name", models.SERVICES)
def test_validate__samples_never_crash_it(name: str) -> None:
    for number, operation in enumerate(models.service(name).operations.values()):
        if operation.input is None:
            continue
        for parameters in (Sampler(number).structure(operation.input), {}):
            with contextlib.suppress(AwsError):
                validate(operation, parameters)
