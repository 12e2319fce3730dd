"""AWS::Lambda::LayerVersion and AWS::Lambda::LayerVersionPermission: neither changes in place."""

from headrace.services.cloudformation.resources.kind import Attributes, Call, Kind, Properties, pick

_SETTINGS = ("Content", "Description", "CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo")
_PERMISSION = ("Action", "Principal", "OrganizationId")


def _create(call: Call, name: str, properties: Properties) -> str:
    # Without a name the layer keeps one over its replacements: the stack's and the resource's, not the suffix.
    layer = properties.get("LayerName") or name.rpartition("-")[0]
    return str(call("lambda", "PublishLayerVersion", LayerName=layer, **pick(properties, *_SETTINGS))["LayerVersionArn"])


def _read(call: Call, arn: str, properties: Properties) -> Attributes:
    call("lambda", "GetLayerVersionByArn", Arn=arn)
    return {"LayerVersionArn": arn}


def _delete(call: Call, arn: str, properties: Properties) -> None:
    layer, _, number = arn.rpartition(":")
    call("lambda", "DeleteLayerVersion", LayerName=layer, VersionNumber=int(number))


def _version(properties: Properties) -> dict[str, object]:
    layer, _, number = str(properties["LayerVersionArn"]).rpartition(":")
    return {"LayerName": layer, "VersionNumber": number}


def _permit(call: Call, name: str, properties: Properties) -> str:
    call("lambda", "AddLayerVersionPermission", **_version(properties), StatementId=name, **pick(properties, *_PERMISSION))
    return f"{properties['LayerVersionArn']}#{name}"


def _adopt_permission(call: Call, name: str, properties: Properties) -> str:
    return f"{properties['LayerVersionArn']}#{name}"


def _read_permission(call: Call, name: str, properties: Properties) -> Attributes:
    return {"Id": name}


def _forbid(call: Call, name: str, properties: Properties) -> None:
    call("lambda", "RemoveLayerVersionPermission", **_version(properties), StatementId=name.rpartition("#")[2])


KINDS = (
    Kind(
        type="AWS::Lambda::LayerVersion",
        required=("Content",),
        fixed=("LayerName", *_SETTINGS),
        attributes=("LayerVersionArn",),
        create=_create, read=_read, delete=_delete,
    ),
    Kind(
        type="AWS::Lambda::LayerVersionPermission",
        required=("Action", "LayerVersionArn", "Principal"),
        fixed=("LayerVersionArn", *_PERMISSION),
        attributes=("Id",),
        create=_permit, adopt=_adopt_permission, read=_read_permission, delete=_forbid,
    ),
)  # fmt: skip
