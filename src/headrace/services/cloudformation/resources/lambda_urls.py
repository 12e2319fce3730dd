"""AWS::Lambda::Url."""

from headrace.services.cloudformation.resources.kind import Attributes, Call, Kind, Properties, pick

_SETTINGS = ("AuthType", "Cors", "InvokeMode")


def _named(properties: Properties) -> dict[str, str]:
    return {"FunctionName": properties["TargetFunctionArn"], **pick(properties, "Qualifier")}


def _create(call: Call, name: str, properties: Properties) -> str:
    return str(call("lambda", "CreateFunctionUrlConfig", **_named(properties), **pick(properties, *_SETTINGS))["FunctionArn"])


def _adopt(call: Call, name: str, properties: Properties) -> str | None:
    return str(call("lambda", "GetFunctionUrlConfig", **_named(properties))["FunctionArn"])


def _read(call: Call, arn: str, properties: Properties) -> Attributes:
    found = call("lambda", "GetFunctionUrlConfig", **_named(properties))
    return {"FunctionUrl": found["FunctionUrl"], "FunctionArn": found["FunctionArn"]}


def _update(call: Call, arn: str, new: Properties, old: Properties) -> None:
    settings = {"Cors": {}, "InvokeMode": "BUFFERED", **pick(new, *_SETTINGS)}
    call("lambda", "UpdateFunctionUrlConfig", **_named(new), **settings)


def _delete(call: Call, arn: str, properties: Properties) -> None:
    call("lambda", "DeleteFunctionUrlConfig", **_named(properties))


KINDS = (
    Kind(
        type="AWS::Lambda::Url",
        required=("TargetFunctionArn", "AuthType"),
        fixed=("TargetFunctionArn", "Qualifier"),
        mutable=_SETTINGS,
        attributes=("FunctionUrl", "FunctionArn"),
        create=_create, adopt=_adopt, read=_read, update=_update, delete=_delete,
    ),
)  # fmt: skip
