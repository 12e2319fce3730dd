"""An application's inputs, outputs and references: as AWS's shapes say, as they are described, as the engine takes them. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.services.analytics import errors, limits
from headrace.services.analytics.engine.schema import Column, InputSchema, Output, RecordFormat, ReferenceSchema
from headrace.services.analytics.state import Application

Members = Mapping[str, Any]

_SOURCES = ("KinesisStreamsInput", "KinesisFirehoseInput")
_TARGETS = ("KinesisStreamsOutput", "KinesisFirehoseOutput", "LambdaOutput")
_SERVICES = {"KinesisStreamsInput": "kinesis", "KinesisFirehoseInput": "firehose", "KinesisStreamsOutput": "kinesis",
             "KinesisFirehoseOutput": "firehose", "LambdaOutput": "lambda"}  # fmt: skip
# Members that are described under another name than they are given.
_DESCRIBED = {
    name: f"{name}Description" for name in (*_SOURCES, *_TARGETS, "InputProcessingConfiguration", "S3ReferenceDataSource")
}


def check_input(given: Members) -> dict[str, Any]:
    """An input as it is kept, without its id; InvalidArgumentException."""
    sources = [name for name in _SOURCES if given.get(name) is not None]
    if len(sources) != 1:
        raise errors.InvalidArgumentException("An input has exactly one of KinesisStreamsInput and KinesisFirehoseInput.")
    _check_arn(given[sources[0]]["ResourceARN"], _SERVICES[sources[0]])
    processing = given.get("InputProcessingConfiguration")
    if processing is not None:
        _check_arn(processing["InputLambdaProcessor"]["ResourceARN"], "lambda")
    check_schema(given["InputSchema"])
    return {"InputParallelism": {"Count": 1}, **{key: value for key, value in given.items() if value is not None}}


def check_output(given: Members) -> dict[str, Any]:
    """An output as it is kept, without its id; InvalidArgumentException."""
    targets = [name for name in _TARGETS if given.get(name) is not None]
    if len(targets) != 1:
        raise errors.InvalidArgumentException("An output has exactly one destination.")
    _check_arn(given[targets[0]]["ResourceARN"], _SERVICES[targets[0]])
    return {key: value for key, value in given.items() if value is not None}


def check_reference(given: Members) -> dict[str, Any]:
    """A reference data source as it is kept, without its id; InvalidArgumentException."""
    found = given.get("S3ReferenceDataSource") or {}
    if not found.get("BucketARN") or not found.get("FileKey"):
        raise errors.InvalidArgumentException("S3ReferenceDataSource needs BucketARN and FileKey.")
    _check_arn(found["BucketARN"], "s3")
    check_schema(given["ReferenceSchema"])
    return {key: value for key, value in given.items() if value is not None}


def check_schema(schema: Members) -> None:
    """InvalidArgumentException when a schema can't be read by."""
    given = schema["RecordFormat"]
    mapping = given.get("MappingParameters") or {}
    if given["RecordFormatType"] == "CSV" and "CSVMappingParameters" not in mapping:
        raise errors.InvalidArgumentException("A CSV schema needs CSVMappingParameters.")
    names = [column["Name"] for column in schema["RecordColumns"]]
    if len(set(names)) != len(names):
        raise errors.InvalidArgumentException("A schema has two columns of the same name.")


def _check_arn(arn: str, service: str) -> None:
    if arn.split(":", 3)[2:3] != [service]:
        raise errors.InvalidArgumentException(f"{arn} is not the ARN of a resource of {service}.")


def described(part: Members) -> dict[str, Any]:
    """A part of an application as DescribeApplication shows it."""
    found = {_DESCRIBED.get(name, name): value for name, value in part.items()}
    processing = found.pop("InputProcessingConfigurationDescription", None)
    if processing is not None:
        found["InputProcessingConfigurationDescription"] = {"InputLambdaProcessorDescription": processing["InputLambdaProcessor"]}
    return found


def described_input(application: Application, part: Members) -> dict[str, Any]:
    """An input with its in-application streams and where it starts."""
    found = described(part)
    found["InAppStreamNames"] = stream_names(part)
    if part["InputId"] in application.starts:
        found["InputStartingPositionConfiguration"] = {"InputStartingPosition": application.starts[part["InputId"]]}
    return found


def stream_names(part: Members) -> list[str]:
    """The in-application streams of an input: one for each part of its parallelism."""
    return [f"{part['NamePrefix']}_{number:03d}" for number in range(1, part["InputParallelism"]["Count"] + 1)]


def merged(part: Members, update: Members, *, own: Sequence[str]) -> dict[str, Any]:
    """A part with an update laid over it: `XUpdate` changes X, and so within it. `own` names the id."""
    found = dict(part)
    for name, value in update.items():
        if name in own or value is None:
            continue
        target = name.removesuffix("Update")
        if target == "RecordColumnUpdates":
            target = "RecordColumns"
        if isinstance(value, Mapping) and any(key.endswith(("Update", "Updates")) for key in value):
            found[target] = merged(found.get(target) or {}, value, own=())
        else:
            found[target] = value
    for kinds in (_SOURCES, _TARGETS):
        chosen = [name for name in kinds if f"{name}Update" in update and update[f"{name}Update"] is not None]
        if chosen:
            # A new destination takes the old one's place.
            found = {name: value for name, value in found.items() if name not in kinds or name in chosen}
    return found


def inputs_of(application: Application) -> list[InputSchema]:
    """The input streams, for the engine."""
    return [
        InputSchema(name, _columns(part["InputSchema"]), _format(part["InputSchema"]))
        for part in application.inputs
        for name in stream_names(part)
    ]


def references_of(application: Application) -> list[ReferenceSchema]:
    """The reference tables, for the engine."""
    return [
        ReferenceSchema(part["TableName"], _columns(part["ReferenceSchema"]), _format(part["ReferenceSchema"]))
        for part in application.references
    ]


def outputs_of(application: Application) -> list[Output]:
    """What the engine is to write out."""
    found = {part["Name"]: Output(part["Name"], part["DestinationSchema"]["RecordFormatType"]) for part in application.outputs}
    return list(found.values())


def source_of(part: Members) -> tuple[str, str]:
    """(service, ARN) of what an input reads."""
    service, found = _named(part, _SOURCES)
    return service, found["ResourceARN"]


def origin_of(part: Members) -> Members:
    """What an input says of what it reads."""
    return _named(part, _SOURCES)[1]


def target_of(part: Members) -> tuple[str, str]:
    """(service, ARN) of an output's destination."""
    service, found = _named(part, _TARGETS)
    return service, found["ResourceARN"]


def destination_of(part: Members) -> Members:
    """What an output says of its destination."""
    return _named(part, _TARGETS)[1]


def _named(part: Members, names: Sequence[str]) -> tuple[str, Members]:
    """(service, what is said of it): an input or an output has one of these members."""
    name = next(name for name in names if name in part)
    return _SERVICES[name], part[name]


def _columns(schema: Members) -> list[Column]:
    return [Column(column["Name"], column["SqlType"], column.get("Mapping")) for column in schema["RecordColumns"]]


def _format(schema: Members) -> RecordFormat:
    given = schema["RecordFormat"]
    mapping = given.get("MappingParameters") or {}
    encoding = schema.get("RecordEncoding") or "UTF-8"
    if given["RecordFormatType"] == "JSON":
        return RecordFormat("JSON", (mapping.get("JSONMappingParameters") or {}).get("RecordRowPath", "$"), encoding=encoding)
    csv = mapping["CSVMappingParameters"]
    return RecordFormat(
        "CSV", row_delimiter=csv["RecordRowDelimiter"], column_delimiter=csv["RecordColumnDelimiter"], encoding=encoding
    )


_MISSING = re.compile(r"Table '([^']+)' not found")


def can_come_later(application: Application, problem: str) -> bool:
    """Whether code is wrong only as long as there is no reference table: the first model adds it once the application is made."""
    found = _MISSING.match(problem)
    if found is None or application.references:
        return False
    # What rows are inserted into is made by the code itself.
    return re.search(rf'\bINSERT\s+INTO\s+"?{re.escape(found[1])}\b', application.code, re.IGNORECASE) is None


def schema_of(found: RecordFormat, columns: Sequence[Column]) -> dict[str, Any]:
    """A schema in AWS's shape."""
    if found.kind == "JSON":
        mapping: dict[str, Any] = {"JSONMappingParameters": {"RecordRowPath": found.row_path}}
    else:
        mapping = {
            "CSVMappingParameters": {"RecordRowDelimiter": found.row_delimiter, "RecordColumnDelimiter": found.column_delimiter}
        }
    return {
        "RecordFormat": {"RecordFormatType": found.kind, "MappingParameters": mapping},
        "RecordEncoding": found.encoding,
        "RecordColumns": [
            {"Name": column.name, "SqlType": column.sql_type, **({"Mapping": column.mapping} if column.mapping else {})}
            for column in columns
        ],
    }


def check_counts(application: Application) -> None:
    """LimitExceededException when there are more parts than AWS allows; and no two outputs of a stream in different forms."""
    for parts, most, what in (
        (application.inputs, limits.INPUTS_MAX, "inputs"),
        (application.outputs, limits.OUTPUTS_MAX, "outputs"),
        (application.references, limits.REFERENCES_MAX, "reference data sources"),
        (application.logging, limits.LOGGING_OPTIONS_MAX, "CloudWatch logging options"),
    ):
        if len(parts) > most:
            raise errors.LimitExceededException(f"An application has at most {most} {what}.")
    forms = {(part["Name"], part["DestinationSchema"]["RecordFormatType"]) for part in application.outputs}
    if len({name for name, _ in forms}) != len(forms):
        raise errors.InvalidArgumentException("Two outputs of one in-application stream have the same record format.")
