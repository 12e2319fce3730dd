"""Whose request is this: service, operation and protocol, before anything else is known of it."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from headrace.kit.errors import AwsError
from headrace.wire import models
from headrace.wire.body import decode_body
from headrace.wire.models import OperationModel, ServiceModel
from headrace.wire.request import HttpRequest
from headrace.wire.router import router

NO_LABELS: dict[str, str] = {}

# A compressed form is unpacked to find its Action; no service takes a larger one.
FORM_BYTES_MAX = 16 << 20

FORM = "application/x-www-form-urlencoded"


class Target(NamedTuple):
    """What a request asks for."""

    service: ServiceModel
    operation: OperationModel
    protocol: str
    labels: dict[str, str]


class Unidentified(AwsError):
    """No operation fits the request. `protocol` and `service` say how to write the answer."""

    status = 404

    def __init__(self, code: str, message: str, status: int, service: str, protocol: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]
        self.status = status  # type: ignore[misc]
        self.service = models.service(service)
        self.protocol = protocol


def needs_body(request: HttpRequest) -> bool:
    """Whether the operation is named in the body (a form post), so that it must be read before `identify`."""
    headers = request.headers
    return "x-amz-target" not in headers and headers.get("content-type", "").startswith(FORM)


def identify(request: HttpRequest) -> Target:
    """The request's service, operation and protocol, and for REST the labels of its path. Raises Unidentified."""
    headers = request.headers
    named = headers.get("x-amz-target")
    if named is not None:
        return _by_target(named, "cbor" in headers.get("content-type", ""))
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return _by_rpc_path(request.raw_path)
    signing_name = _signing_name(headers.get("authorization", ""), request.query_string)
    action = _action(request, signing_name)
    if action is not None:
        return _by_action(action[0], action[1], signing_name)
    return _by_path(request, signing_name)


@lru_cache(4096)
def _by_target(named: str, cbor: bool) -> Target:
    prefix, _, operation_name = named.partition(".")
    protocol = "cbor" if cbor else "json"
    name = _services_by_target().get(prefix)
    if name is None or operation_name not in models.service(name).operations:
        raise Unidentified("UnknownOperationException", "", 400, name or "kinesis", protocol)
    service = models.service(name)
    return Target(service, service.operations[operation_name], protocol, NO_LABELS)


_RPC_PATH = re.compile(r"/service/([A-Za-z0-9_.]+)/operation/([A-Za-z0-9_]+)\Z")


@lru_cache(1024)
def _by_rpc_path(path: str) -> Target:
    found = _RPC_PATH.search(path)
    name = _services_by_target().get(found.group(1).rpartition(".")[2]) if found else None
    protocol = "smithy-rpc-v2-cbor"
    if found is None or name is None or found.group(2) not in models.service(name).operations:
        raise Unidentified("UnknownOperationException", "", 404, name or "cloudwatch", protocol)
    service = models.service(name)
    return Target(service, service.operations[found.group(2)], protocol, NO_LABELS)


def _by_action(action: str, version: str, signing_name: str) -> Target:
    name = _query_services().get(version) or _query_services().get(signing_name)
    service = models.service(name or "sts")
    if name is None or action not in service.operations:
        text = f"Could not find operation {action} for version {version or 'NO_VERSION_SPECIFIED'}"
        raise Unidentified("InvalidAction", text, 400, service.name, "query")
    return Target(service, service.operations[action], "query", NO_LABELS)


_VIDEO = (
    "kinesisvideo", "kinesis-video-media", "kinesis-video-archived-media", "kinesis-video-signaling", "kinesis-video-put-media",
)  # fmt: skip


def _by_path(request: HttpRequest, signing_name: str) -> Target:
    query = dict(parse_qsl(request.query_string, keep_blank_values=True)) if request.query_string else {}
    name = _rest_service(signing_name, request.raw_path)
    if name == "s3" and signing_name in _other_services():
        text = "Unable to determine the operation: X-Amz-Target (or, in the query protocol, Action) is absent"
        raise Unidentified("UnknownOperationException", text, 404, _other_services()[signing_name], "json")
    path = request.raw_path
    if name == "s3":
        bucket = bucket_of_host(request.headers.get("host", ""))
        if bucket is not None:
            path = f"/{bucket}{path}"
    names = _VIDEO if name == "kinesisvideo" else (name,)
    for candidate in names:
        found = router(candidate).match(request.method, path, query, request.headers)
        if found is not None:
            service = models.service(candidate)
            return Target(service, found[0], service.protocols[0], found[1])
    if name == "s3":
        text = "The specified method is not allowed against this resource."
        raise Unidentified("MethodNotAllowed", text, 405, "s3", "rest-xml")
    raise Unidentified("UnknownOperationException", "", 404, name, "rest-json")


_LAMBDA_PATH = re.compile(r"/20\d\d-\d\d-\d\d/(functions|layers|event-source-mappings|tags|account|code-signing)")


def _rest_service(signing_name: str, path: str) -> str:
    if signing_name == "lambda" or (not signing_name and _LAMBDA_PATH.match(path)):
        return "lambda"
    if signing_name == "kinesisvideo":
        return "kinesisvideo"
    if signing_name == "ses" or (not signing_name and path.startswith("/v2/email/")):
        return "sesv2"
    return "s3"


def _signing_name(authorization: str, query_string: str) -> str:
    # Cut, not searched by an expression: one that looks at every place again takes seconds on a long and hostile text.
    if authorization:
        credential = authorization.partition("Credential=")[2].partition(",")[0].strip()
    else:
        credential = unquote_plus(query_string.partition("X-Amz-Credential=")[2].partition("&")[0])
    parts = credential.rsplit("/", 4)
    whole = len(parts) == 5 and parts[4] == "aws4_request" and len(parts[1]) == 8 and parts[1].isdecimal()
    return parts[3] if whole else ""


_ACTION = re.compile(r"(?:^|&)Action=([^&]*)")
_VERSION = re.compile(r"(?:^|&)Version=([^&]*)")


def _action(request: HttpRequest, signing_name: str) -> tuple[str, str] | None:
    """Action and Version of a query request, or None if it is none."""
    if signing_name == "s3":
        return None
    text = request.query_string
    if request.headers.get("content-type", "").startswith(FORM) and isinstance(request.body, bytes):
        form = decode_body(request.headers, request.body, FORM_BYTES_MAX).decode("latin-1")
        text = f"{form}&{text}" if text else form
    action, version = _ACTION.search(text), _VERSION.search(text)
    if action is None or not (version is not None or signing_name in _query_services()):
        return None
    return unquote_plus(action.group(1)), unquote_plus(version.group(1)) if version else ""


@cache
def _services_by_target() -> Mapping[str, str]:
    found = {meta["targetPrefix"]: name for name, meta in models.index().items() if "targetPrefix" in meta}
    return found


@cache
def _query_services() -> Mapping[str, str]:
    """Query services by their version, which no two share, and by their signing name."""
    found = {}
    for name, meta in models.index().items():
        # SQS was spoken in query as well once, but its model no longer says how.
        if "query" in meta.get("protocols", ()):
            found[meta["apiVersion"]] = name
            found[meta.get("signingName") or meta["endpointPrefix"]] = name
    return found


@cache
def _other_services() -> Mapping[str, str]:
    """The services that are not REST, by their signing name."""
    found = {}
    for name, meta in models.index().items():
        if not meta.get("protocols", ["rest"])[0].startswith("rest"):
            found[meta.get("signingName") or meta["endpointPrefix"]] = name
    return {signing_name: name for signing_name, name in found.items() if signing_name != "ses"}


_S3_HOST = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)*(?:\.amazonaws\.com(?:\.cn)?|\.localhost(?:\.localstack\.cloud)?)\Z"
)
HOST_LENGTH_MAX = 255 + len(":65535")
_LOCAL_HOST = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.localhost\Z")


def bucket_of_host(host: str) -> str | None:
    """The bucket that a virtual-hosted S3 address names, or None for a path-style one."""
    return _bucket_of_host(host) if len(host) <= HOST_LENGTH_MAX else None


@lru_cache(1024)
def _bucket_of_host(host: str) -> str | None:
    name = host.rsplit(":", 1)[0] if host.rsplit(":", 1)[-1].isdecimal() else host
    name = name.lower()
    found = _S3_HOST.match(name) or _LOCAL_HOST.match(name)
    bucket = found.group("bucket") if found else None
    return None if bucket == "s3" or (bucket or "").startswith("s3.") else bucket
