"""REST with XML bodies, as S3 speaks it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from msgspec.structs import replace

from headrace.kit.errors import AwsError
from headrace.wire.models import OperationModel, ServiceModel, Shape
from headrace.wire.protocols import xml
from headrace.wire.protocols.base import NO_LABELS
from headrace.wire.protocols.faults import describe
from headrace.wire.protocols.rest import Rest
from headrace.wire.request import HttpRequest, Response

CONTENT_TYPE = "application/xml"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

# The root elements that S3 writes where the model names none. Some SDKs go by them.
_ROOTS = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetObjectAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetObjectTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
}


class RestXml(Rest):
    """REST with XML bodies."""

    event_content_type = "text/xml"

    def parse_request(
        self, operation: OperationModel, request: HttpRequest, labels: Mapping[str, str] = NO_LABELS
    ) -> dict[str, Any]:
        """The input's members. aws-chunked is how the body came, and no encoding of the object.

        A presigned URL may hold headers as query parameters: they count as headers.
        """
        if "Signature=" in request.query_string:
            hoisted = {
                name.lower(): value for name, value in parse_qsl(request.query_string) if name.lower().startswith("x-amz-")
            }
            request = replace(request, headers={**hoisted, **request.headers})
        found = super().parse_request(operation, request, labels)
        encoding = found.get("ContentEncoding")
        if encoding and "aws-chunked" in encoding:
            kept = [part.strip() for part in encoding.split(",") if part.strip() and part.strip() != "aws-chunked"]
            found["ContentEncoding"] = ",".join(kept)
            if not kept:
                del found["ContentEncoding"]
        return found

    def read_body(self, operation: OperationModel, body: bytes) -> dict[str, Any]:
        """The members under the document's root, whatever it is called."""
        shape = operation.input
        assert shape is not None
        elsewhere = frozenset(name for name, member in shape.members.items() if member.location is not None)
        return xml.parse_structure(shape, xml.read(body), elsewhere)

    def read_payload(self, operation: OperationModel, shape: Shape, body: bytes) -> Any:
        """The document as one member."""
        return xml.parse(shape, xml.read(body))

    def write_body(self, operation: OperationModel, result: Mapping[str, Any]) -> tuple[str, bytes]:
        """A document of the members that travel in no header; none if the model has none."""
        shape = operation.output
        assert shape is not None
        if operation.name == "GetBucketLocation":
            return CONTENT_TYPE, _location(result.get("LocationConstraint"))
        if all(member.location is not None for member in shape.members.values()):
            return "", b""
        root = _ROOTS.get(operation.name, operation.name + "Result")
        return CONTENT_TYPE, _document(root, shape, result)

    def write_payload(self, operation: OperationModel, name: str, value: Any) -> tuple[str, bytes]:
        """The member's document."""
        assert operation.output is not None
        member = operation.output.members[name]
        return CONTENT_TYPE, _document(member.location_name or member.name, member, value)

    def write_event(self, shape: Shape, value: Any) -> bytes:
        """An event's document."""
        out: list[str] = []
        xml.write_structure(out, shape.name, shape, value)
        return "".join(out).encode("utf-8", "surrogatepass")

    def request_id_headers(self, request_id: str) -> list[tuple[str, str]]:
        """S3's own pair of request ids."""
        return [("x-amz-request-id", request_id), ("x-amz-id-2", request_id)]

    def serialise_response(self, operation: OperationModel, result: Mapping[str, Any] | None, request_id: str) -> Response:
        """The output. A part of an object is 206, which the model does not say."""
        response = super().serialise_response(operation, result, request_id)
        if operation.name in ("GetObject", "HeadObject") and result and result.get("ContentRange"):
            response.status = 206
        return response

    def serialise_error(
        self, service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
    ) -> Response:
        """<Error> without any wrapper; nothing at all where HTTP allows no body."""
        fault = describe(service, error, "rest-xml")
        headers = [*self.request_id_headers(request_id), ("Content-Type", CONTENT_TYPE)]
        if fault.status == 304 or (operation is not None and operation.method == "HEAD"):
            return Response(fault.status, headers)
        out = [DECLARATION, f"<Error><Code>{xml.escape(fault.code)}</Code><Message>{xml.escape(fault.message)}</Message>"]
        for name, value in fault.fields.items():
            if value is not None:
                out.append(f"<{name}>{xml.escape(str(value))}</{name}>")
        out.append(f"<RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>")
        return Response(fault.status, headers, "".join(out).encode("utf-8", "surrogatepass"))


def _document(root: str, shape: Shape, value: Mapping[str, Any]) -> bytes:
    out = [DECLARATION]
    xml.write_structure(out, root, shape, value, NAMESPACE)
    return "".join(out).encode("utf-8", "surrogatepass")


def _location(region: str | None) -> bytes:
    inner = f">{xml.escape(region)}</LocationConstraint>" if region else "/>"
    return f'{DECLARATION}<LocationConstraint xmlns="{NAMESPACE}"{inner}'.encode()
