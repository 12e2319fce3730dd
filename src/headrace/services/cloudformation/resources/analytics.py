"""Resource types of Kinesis Data Analytics, of both models. As on AWS, a stack makes applications, and does not start them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headrace.kit.errors import AwsError
from headrace.services.cloudformation.resources import analytics_flink
from headrace.services.cloudformation.resources.kind import (
    Attributes,
    Call,
    Kind,
    Naming,
    Properties,
    ResourceFailed,
    changed,
    pairs,
    pick,
    tag_changes,
    tags_of,
)

_V1, _V2 = "kinesisanalytics", "kinesisanalyticsv2"
# Several resources of a stack change one application at a time: each asks for its version, and asks again if it was late.
_ATTEMPTS_MAX = 20
_SQL = "SqlApplicationConfiguration"
_TARGETS = ("KinesisStreamsOutput", "KinesisFirehoseOutput", "LambdaOutput")


def _describe(call: Call, service: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = call(service, "DescribeApplication", ApplicationName=name)["ApplicationDetail"]
    return found


def _parts(call: Call, service: str, name: str, kind: str) -> list[dict[str, Any]]:
    """An application's InputDescriptions, OutputDescriptions, …"""
    found = _describe(call, service, name)
    if service == _V2 and kind != "CloudWatchLoggingOptionDescriptions":
        found = found.get("ApplicationConfigurationDescription", {}).get(f"{_SQL}Description", {})
    return list(found.get(kind) or ())


def _change(call: Call, service: str, operation: str, name: str, **parameters: Any) -> None:
    """Call an operation that wants the application's version."""
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        version = _describe(call, service, name)["ApplicationVersionId"]
        try:
            call(service, operation, ApplicationName=name, CurrentApplicationVersionId=version, **parameters)
            return
        except AwsError as error:
            if type(error).__name__ != "ConcurrentModificationException" or attempt == _ATTEMPTS_MAX:
                raise


def _update_of(new: Mapping[str, Any]) -> dict[str, Any]:
    """A resource's members as an update has them: each with Update behind its name."""
    return {f"{key}Update": value for key, value in new.items() if value is not None}


def _input_update(input_id: str, new: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"InputId": input_id, "NamePrefixUpdate": new["NamePrefix"]}
    for source in ("KinesisStreamsInput", "KinesisFirehoseInput"):
        if new.get(source):
            made[f"{source}Update"] = _update_of(new[source])
    schema = new["InputSchema"]
    made["InputSchemaUpdate"] = {
        key: value
        for key, value in (
            ("RecordFormatUpdate", schema["RecordFormat"]),
            ("RecordEncodingUpdate", schema.get("RecordEncoding")),
            ("RecordColumnUpdates", schema["RecordColumns"]),
        )
        if value is not None
    }
    if new.get("InputParallelism"):
        made["InputParallelismUpdate"] = _update_of(new["InputParallelism"])
    if new.get("InputProcessingConfiguration"):
        processor = _update_of(new["InputProcessingConfiguration"]["InputLambdaProcessor"])
        made["InputProcessingConfigurationUpdate"] = {"InputLambdaProcessorUpdate": processor}
    return made


def _input_updates(call: Call, service: str, name: str, new: Sequence[Mapping[str, Any]], old: Sequence[Any]) -> list[Any]:
    """The changes of inputs that are there; one that got or lost its function is changed by `_set_processing`."""
    if new == old:
        return []
    ids = [one["InputId"] for one in _parts(call, service, name, "InputDescriptions")]
    return [_input_update(part_id, part) for part_id, part in zip(ids, new, strict=False)]


def _set_processing(call: Call, service: str, name: str, new: Sequence[Mapping[str, Any]]) -> None:
    """Take away functions before inputs that the template names no more."""
    for part, wanted in zip(_parts(call, service, name, "InputDescriptions"), new, strict=False):
        if "InputProcessingConfigurationDescription" in part and not wanted.get("InputProcessingConfiguration"):
            operation = "DeleteApplicationInputProcessingConfiguration"
            _change(call, service, operation, name, InputId=part["InputId"])


def _create_v1(call: Call, name: str, properties: Properties) -> str:
    settings = pick(properties, "ApplicationCode", "ApplicationDescription", "Inputs")
    call(_V1, "CreateApplication", ApplicationName=name, **settings)
    return name


def _update_v1(call: Call, name: str, new: Properties, old: Properties) -> None:
    if changed(new, old, "ApplicationDescription"):
        raise ResourceFailed("The description of an application can't be changed: the service has no operation for it")
    given: dict[str, Any] = (
        {"ApplicationCodeUpdate": new.get("ApplicationCode", "")} if changed(new, old, "ApplicationCode") else {}
    )
    inputs = _input_updates(call, _V1, name, new["Inputs"], old["Inputs"])
    if inputs:
        given["InputUpdates"] = inputs
    if given:
        _change(call, _V1, "UpdateApplication", name, ApplicationUpdate=given)
    _set_processing(call, _V1, name, new["Inputs"])


def _nothing_to_read(call: Call, name: str, properties: Properties) -> Attributes:
    _describe(call, _V2, name)
    return {}


def _delete(call: Call, name: str, properties: Properties) -> None:
    call(_V2, "DeleteApplication", ApplicationName=name, CreateTimestamp=_describe(call, _V2, name)["CreateTimestamp"])


def _create_v2(call: Call, name: str, properties: Properties) -> str:
    settings = pick(
        properties, "ApplicationDescription", "ApplicationMode", "RuntimeEnvironment", "ServiceExecutionRole",
        "ApplicationConfiguration",
    )  # fmt: skip
    call(_V2, "CreateApplication", ApplicationName=name, Tags=pairs(tags_of(properties)) or None, **settings)
    return name


def _code(properties: Properties) -> Any:
    configuration = properties.get("ApplicationConfiguration") or {}
    return ((configuration.get("ApplicationCodeConfiguration") or {}).get("CodeContent") or {}).get("TextContent")


def _inputs(properties: Properties) -> list[Any]:
    return list(((properties.get("ApplicationConfiguration") or {}).get(_SQL) or {}).get("Inputs") or ())


def _update_v2(call: Call, name: str, new: Properties, old: Properties) -> None:
    if changed(new, old, "ApplicationDescription"):
        raise ResourceFailed("The description of an application can't be changed: the service has no operation for it")
    if analytics_flink.is_flink(new):
        given = analytics_flink.update_of(new, old, _describe(call, _V2, name))
        if given:
            _change(call, _V2, "UpdateApplication", name, **given)
        _retag(call, name, new, old)
        return
    configuration: dict[str, Any] = {}
    if _code(new) != _code(old):
        configuration["ApplicationCodeConfigurationUpdate"] = {"CodeContentUpdate": {"TextContentUpdate": _code(new) or ""}}
    inputs = _input_updates(call, _V2, name, _inputs(new), _inputs(old))
    if inputs:
        configuration[f"{_SQL}Update"] = {"InputUpdates": inputs}
    role = new["ServiceExecutionRole"] if changed(new, old, "ServiceExecutionRole") else None
    if configuration or role:
        _change(
            call, _V2, "UpdateApplication", name, ApplicationConfigurationUpdate=configuration or None,
            ServiceExecutionRoleUpdate=role,
        )  # fmt: skip
    _set_processing(call, _V2, name, _inputs(new))
    _retag(call, name, new, old)


def _retag(call: Call, name: str, new: Properties, old: Properties) -> None:
    added, removed = tag_changes(new, old)
    arn = f"arn:aws:kinesisanalytics:{call.region}:{call.account}:application/{name}"
    if added:
        call(_V2, "TagResource", ResourceARN=arn, Tags=pairs(added))
    if removed:
        call(_V2, "UntagResource", ResourceARN=arn, TagKeys=removed)


def _needs_other_v2(new: Properties, old: Properties) -> bool:
    """Whether a new application must take the old one's place: another engine, or another number of inputs."""
    return (
        analytics_flink.is_flink(new) != analytics_flink.is_flink(old)
        or (not analytics_flink.is_flink(new) and new["RuntimeEnvironment"] != old["RuntimeEnvironment"])
        or len(_inputs(new)) != len(_inputs(old))
    )


def _other_inputs(inputs: Callable[[Properties], Sequence[Any]]) -> Callable[[Properties, Properties], bool]:
    return lambda new, old: len(inputs(new)) != len(inputs(old))


def _target(part: Mapping[str, Any]) -> Any:
    return next((part[name]["ResourceARN"] for name in _TARGETS if part.get(name)), None)


def _described_target(part: Mapping[str, Any]) -> Any:
    return _target({name.removesuffix("Description"): value for name, value in part.items()})


def _part_kind(
    service: str, prefix: str, what: str, member: str, key: str, same: Callable[[Any, Any], bool], update: Any
) -> Kind:  # fmt: skip
    """A resource type that is a part of an application, named by its id there."""

    def find(call: Call, properties: Properties) -> str | None:
        parts = _parts(call, service, properties["ApplicationName"], f"{member}Descriptions")
        return next((str(part[key]) for part in parts if same(part, properties[member])), None)

    def create(call: Call, name: str, properties: Properties) -> str:
        _change(call, service, f"AddApplication{what}", properties["ApplicationName"], **{member: properties[member]})
        found = find(call, properties)
        if found is None:
            raise ResourceFailed(f"The {what} is not in the application {properties['ApplicationName']}")
        return found

    def adopt(call: Call, name: str, properties: Properties) -> str | None:
        return find(call, properties)

    def read(call: Call, part_id: str, properties: Properties) -> Attributes:
        parts = _parts(call, service, properties["ApplicationName"], f"{member}Descriptions")
        if not any(part[key] == part_id for part in parts):
            raise _NotFound(f"The application {properties['ApplicationName']} has no {key} {part_id}")
        return {}

    def delete(call: Call, part_id: str, properties: Properties) -> None:
        _change(call, service, f"DeleteApplication{what}", properties["ApplicationName"], **{key: part_id})

    def change(call: Call, part_id: str, new: Properties, old: Properties) -> None:
        given = {f"{member}Updates": [{key: part_id, **update(new[member])}]}
        name = new["ApplicationName"]
        if service == _V1:
            _change(call, service, "UpdateApplication", name, ApplicationUpdate=given)
        elif member == "CloudWatchLoggingOption":
            _change(call, service, "UpdateApplication", name, **given)
        else:
            configuration = {f"{_SQL}Update": given}
            _change(call, service, "UpdateApplication", name, ApplicationConfigurationUpdate=configuration)

    return Kind(
        type=f"{prefix}::Application{what}", required=("ApplicationName", member), fixed=("ApplicationName",), mutable=(member,),
        create=create, adopt=adopt, read=read, delete=delete, update=change, takes_stack_tags=False,
    )  # fmt: skip


class _NotFound(AwsError):
    """A part of an application is not there: `kind.is_missing` knows it by its code."""

    code = "ResourceNotFoundException"


def _output_update(new: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"NameUpdate": new["Name"], "DestinationSchemaUpdate": new["DestinationSchema"]}
    return {**made, **{f"{name}Update": _update_of(new[name]) for name in _TARGETS if new.get(name)}}


def _reference_update(new: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "TableNameUpdate": new["TableName"],
        "ReferenceSchemaUpdate": new["ReferenceSchema"],
        "S3ReferenceDataSourceUpdate": _update_of(new["S3ReferenceDataSource"]),
    }


def _same_output(part: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return bool(part["Name"] == wanted["Name"] and _described_target(part) == _target(wanted))


def _part_kinds(service: str, prefix: str) -> tuple[Kind, ...]:
    """Outputs and reference tables of a model's applications."""
    return (
        _part_kind(service, prefix, "Output", "Output", "OutputId", _same_output, _output_update),
        _part_kind(
            service, prefix, "ReferenceDataSource", "ReferenceDataSource", "ReferenceId",
            lambda part, wanted: part["TableName"] == wanted["TableName"], _reference_update,
        ),
    )  # fmt: skip


KINDS = (
    Kind(
        type="AWS::KinesisAnalytics::Application",
        naming=Naming("ApplicationName", 128),
        required=("Inputs",),
        fixed=("ApplicationName",),
        mutable=("ApplicationCode", "ApplicationDescription", "Inputs"),
        create=_create_v1, read=_nothing_to_read, update=_update_v1, delete=_delete, takes_stack_tags=False,
        replaces=_other_inputs(lambda properties: list(properties["Inputs"])),
    ),
    *_part_kinds(_V1, "AWS::KinesisAnalytics"),
    Kind(
        type="AWS::KinesisAnalyticsV2::Application",
        naming=Naming("ApplicationName", 128),
        required=("RuntimeEnvironment", "ServiceExecutionRole"),
        fixed=("ApplicationName", "ApplicationMode"),
        mutable=(
            "ApplicationConfiguration", "ApplicationDescription", "RunConfiguration", "RuntimeEnvironment",
            "ServiceExecutionRole", "Tags",
        ),
        create=_create_v2, read=_nothing_to_read, update=_update_v2, delete=_delete, slow=True,
        replaces=_needs_other_v2,
    ),
    *_part_kinds(_V2, "AWS::KinesisAnalyticsV2"),
    _part_kind(
        _V2, "AWS::KinesisAnalyticsV2", "CloudWatchLoggingOption", "CloudWatchLoggingOption", "CloudWatchLoggingOptionId",
        lambda part, wanted: part["LogStreamARN"] == wanted["LogStreamARN"], _update_of,
    ),
)  # fmt: skip
