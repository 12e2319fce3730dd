"""Functions behind HTTP: a request becomes an event of format 2.0, and what the function returns becomes the answer."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from headrace.kit.errors import AwsError
from headrace.operation import Context, Site, SiteAnswer, SiteRequest
from headrace.ports import Unwired
from headrace.services.lambda_ import invocations, limits, naming, state
from headrace.services.lambda_.engine.function import Outcome
from headrace.services.lambda_.invocations import RUNTIME
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import Url
from headrace.services.lambda_.streaming import Streaming

PATH_PREFIX = "/_function-url/"
_HOST_PART = ".lambda-url."
_INTEGRATION = "application/vnd.awslambda.http-integration-response"
_PRELUDE_END = bytes(8)
_PRELUDE_BYTES_MAX = 256 * 1024
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "content-length"}


def address(ctx: Context, region: str, url_id: str) -> str:
    """A function's URL on this server."""
    scheme = "https" if ctx.settings.tls_certificate else "http"
    return f"{scheme}://{url_id}{_HOST_PART}{region}.localhost:{ctx.settings.port}/"


def timestamp(seconds: float) -> str:
    """A time as URL configs say it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1_000_000) % 1_000_000:06d}Z"


def answer(root: Context, request: SiteRequest) -> SiteAnswer:
    """Answer a request to a function's URL."""
    found = root.snapshot(lambda inner: _find(inner, request.name))
    if found is None:
        return _message(403, "Forbidden")
    name, url = found
    ctx = root.at(name.account, name.region)
    ctx.trace_id = request.headers.get("x-amzn-trace-id", "")
    cors = _cors(url.cors, request) if url.cors else []
    if url.cors and request.method == "OPTIONS" and "access-control-request-method" in request.headers:
        return SiteAnswer(200, [*cors, ("content-length", "0")], b"")
    if not ctx.snapshot(lambda inner: _allowed(inner, name, url, request)):
        return _message(403, "Forbidden. For troubleshooting Function URL authorization issues, see the policy of the function.")
    request_id = ctx.ids.uuid()
    event = json.dumps(_event(ctx, request, url, request_id)).encode()
    try:
        target = ctx.snapshot(lambda inner: invocations.target(inner, name))
        arn = naming.named_arn(name)
        if url.mode == "RESPONSE_STREAM":
            running = Streaming(lambda parts: RUNTIME.run(ctx, target, arn, event, request_id=request_id, parts=parts))
            running.begin()
            return _streamed(running, request_id, cors)
        outcome = RUNTIME.answer(ctx, target, arn, event, request_id=request_id)
    except AwsError as error:
        return _message(error.status, error.message if error.status == 429 else "Internal Server Error")
    return _buffered(outcome, request_id, cors)


def _find(ctx: Context, url_id: str) -> tuple[FunctionName, Url] | None:
    place = state.URL_OF.get(ctx.tx, url_id)
    if place is None:
        return None
    url = state.URLS.get(ctx.tx, *place)
    account, region, name, qualifier = place
    return None if url is None else (FunctionName(account, region, name, qualifier or None), url)


# What conditions may ask of a request to a URL.
_SIGNED = (("lambda:functionurlauthtype", "AWS_IAM"), ("lambda:invokedviafunctionurl", "true"))
_KNOWN_UNSIGNED = {("StringEquals", "lambda:FunctionUrlAuthType"): "NONE", ("Bool", "lambda:InvokedViaFunctionUrl"): "true"}


def _allowed(ctx: Context, name: FunctionName, url: Url, request: SiteRequest) -> bool:
    """NONE needs a statement that lets everybody in, as on AWS; AWS_IAM a signature of somebody who may."""
    if url.auth == "AWS_IAM":
        principal = request.principal
        if principal is None:
            return False
        if principal.is_root and principal.account == name.account:
            return True
        if isinstance(ctx.ports.authority, Unwired):
            return False
        return ctx.ports.authority.allows(ctx, principal, "lambda:InvokeFunctionUrl", naming.named_arn(name), _SIGNED)
    policy = state.POLICIES.get(ctx.tx, *name[:3], name.qualifier or "")
    for statement in policy.statements if policy is not None else ():
        if statement.get("Action") not in ("lambda:InvokeFunctionUrl", "lambda:*") or statement.get("Effect") != "Allow":
            continue
        if statement.get("Principal") in ("*", {"AWS": "*"}) and _holds_unsigned(statement.get("Condition") or {}):
            return True
    return False


def _holds_unsigned(condition: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a condition holds for a caller who does not say who he is: of him nothing else is known that it could ask."""
    return all(
        _KNOWN_UNSIGNED.get((operator, key)) == value for operator, keys in condition.items() for key, value in keys.items()
    )


def _event(ctx: Context, request: SiteRequest, url: Url, request_id: str) -> dict[str, Any]:
    headers = {key: value for key, value in request.headers.items() if key != "cookie"}
    host = headers.get("host", "").rsplit(":", 1)[0]
    source = request.client.rsplit(":", 1)[0].strip("[]")
    headers.setdefault("x-forwarded-for", source)
    headers.setdefault("x-forwarded-proto", "https" if ctx.settings.tls_certificate else "http")
    headers.setdefault("x-forwarded-port", str(ctx.settings.port))
    now = ctx.clock.now()
    context: dict[str, Any] = {
        "accountId": "anonymous",
        "apiId": url.id,
        "domainName": host,
        "domainPrefix": url.id,
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": "HTTP/1.1",
            "sourceIp": source,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }
    if url.auth == "AWS_IAM" and (who := request.principal) is not None:
        context["accountId"] = who.account
        iam = {"accessKey": who.access_key_id, "accountId": who.account, "callerId": who.user_id, "cognitoIdentity": None}
        context["authorizer"] = {"iam": {**iam, "principalOrgId": None, "userArn": who.arn, "userId": who.user_id}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookie := request.headers.get("cookie"):
        event["cookies"] = [part.strip() for part in cookie.replace(",", ";").split(";") if part.strip()]
    if request.query:
        query: dict[str, str] = {}
        for key, value in parse_qsl(request.query, keep_blank_values=True):
            query[key] = f"{query[key]},{value}" if key in query else value
        event["queryStringParameters"] = query
    if request.body:
        event.update(_body(request.body, headers.get("content-type", "")))
    return event


def _body(body: bytes, content_type: str) -> dict[str, Any]:
    if content_type.startswith(_TEXT_TYPES) or "+json" in content_type or "+xml" in content_type:
        try:
            return {"body": body.decode("utf-8"), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _buffered(outcome: Outcome, request_id: str, cors: list[tuple[str, str]]) -> SiteAnswer:
    if outcome.error is not None:
        return _message(502, "Internal Server Error", cors)
    if outcome.content_type == _INTEGRATION:
        prelude, _, rest = outcome.payload.partition(_PRELUDE_END)
        return _with_prelude(prelude, rest, request_id, cors)
    try:
        value = json.loads(outcome.payload)
    except ValueError:
        return SiteAnswer(200, _headers({"content-type": outcome.content_type}, [], request_id, cors), outcome.payload)
    if not isinstance(value, dict) or "statusCode" not in value:
        return SiteAnswer(200, _headers({"content-type": "application/json"}, [], request_id, cors), outcome.payload)
    body = value.get("body")
    try:
        data = base64.b64decode(body or "") if value.get("isBase64Encoded") else _as_bytes(body)
        headers = _headers(value.get("headers") or {}, value.get("cookies") or [], request_id, cors)
        return SiteAnswer(int(value["statusCode"]), headers, data)
    except (ValueError, TypeError, AttributeError):
        return _message(502, "Internal Server Error", cors)


def _as_bytes(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _streamed(running: Streaming, request_id: str, cors: list[tuple[str, str]]) -> SiteAnswer:
    parts = running.parts()
    if running.outcome is not None and running.outcome.error is not None and not running.content_type:
        return _message(502, "Internal Server Error", cors)
    if running.content_type != _INTEGRATION:
        return SiteAnswer(
            200, _headers({"content-type": running.content_type or "application/octet-stream"}, [], request_id, cors), parts
        )
    head = bytearray()
    for part in parts:
        head += part
        if _PRELUDE_END in head or len(head) > _PRELUDE_BYTES_MAX:
            break
    prelude, _, rest = bytes(head).partition(_PRELUDE_END)

    def body() -> Iterator[bytes]:
        if rest:
            yield rest
        yield from parts

    return _with_prelude(prelude, body(), request_id, cors)


def _with_prelude(prelude: bytes, body: bytes | Iterator[bytes], request_id: str, cors: list[tuple[str, str]]) -> SiteAnswer:
    try:
        said = json.loads(prelude)
        headers = _headers(said.get("headers") or {}, said.get("cookies") or [], request_id, cors)
        return SiteAnswer(int(said.get("statusCode", 200)), headers, body)
    except (ValueError, TypeError, AttributeError):
        return _message(502, "Internal Server Error", cors)


def _headers(given: Mapping[str, Any], cookies: list[Any], request_id: str, cors: list[tuple[str, str]]) -> list[tuple[str, str]]:
    found = [(key.lower(), str(value)) for key, value in given.items() if key.lower() not in _HOP_BY_HOP and value is not None]
    if cors:
        found = [(key, value) for key, value in found if not key.startswith("access-control-") and key != "vary"]
    if all(key != "content-type" for key, _ in found):
        found.append(("content-type", "application/json"))
    found += [("set-cookie", str(cookie)) for cookie in cookies]
    return [*found, ("x-amzn-requestid", request_id), *cors]


def _cors(rules: Mapping[str, Any], request: SiteRequest) -> list[tuple[str, str]]:
    """The headers for browsers; none for an origin that is not let in."""
    origin = request.headers.get("origin")
    origins = rules.get("AllowOrigins") or []
    if origin is None or not ("*" in origins or origin in origins):
        return []
    credentials = bool(rules.get("AllowCredentials"))
    found = [("access-control-allow-origin", origin if credentials or "*" not in origins else "*"), ("vary", "Origin")]
    if credentials:
        found.append(("access-control-allow-credentials", "true"))
    if exposed := rules.get("ExposeHeaders"):
        found.append(("access-control-expose-headers", ",".join(exposed)))
    if request.method == "OPTIONS":
        if allowed := rules.get("AllowHeaders"):
            asked = request.headers.get("access-control-request-headers", "")
            found.append(("access-control-allow-headers", asked if "*" in allowed and asked else ",".join(allowed)))
        if methods := rules.get("AllowMethods"):
            asked = request.headers.get("access-control-request-method", "")
            found.append(("access-control-allow-methods", asked if "*" in methods else ",".join(methods)))
        if rules.get("MaxAge") is not None:
            found.append(("access-control-max-age", str(rules["MaxAge"])))
    return found


def _message(status: int, text: str, cors: list[tuple[str, str]] | None = None) -> SiteAnswer:
    return SiteAnswer(status, [("content-type", "application/json"), *(cors or [])], json.dumps({"Message": text}).encode())


SITE = Site(_HOST_PART, PATH_PREFIX, limits.PAYLOAD_REQUEST_BYTES_MAX, answer)
