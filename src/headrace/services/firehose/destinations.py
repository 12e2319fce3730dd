"""Destinations: from AWS's configurations to what is kept, and back to descriptions. Pure.

What can't be done is refused here, when the delivery stream is made or changed: never later, and never silently.
"""

import zoneinfo
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any

import msgspec

from headrace.kit.errors import UnsupportedParameter
from headrace.services.firehose import limits
from headrace.services.firehose.engine import expressions, staging
from headrace.services.firehose.errors import InvalidArgumentException

Members = dict[str, Any]

S3, EXTENDED_S3, REDSHIFT = "S3", "ExtendedS3", "Redshift"
DESTINATION_ID = "destinationId-000000000001"

_EXTENDED = ("FileExtension", "CustomTimeZone", "DataFormatConversionConfiguration", "DynamicPartitioningConfiguration")
_REDSHIFT = ("RoleARN", "ClusterJDBCURL", "CopyCommand", "Username", "Password", "RetryOptions")
_BACKUP = {"S3BackupConfiguration", "S3BackupUpdate", "S3BackupMode"}
_S3_DEFAULTS: Members = {
    "BufferingHints": {},
    "CompressionFormat": "UNCOMPRESSED",
    "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
    "CloudWatchLoggingOptions": {"Enabled": False},
}
_PROCESSORS: dict[str, set[str]] = {
    "Lambda": {"LambdaArn", "NumberOfRetries", "RoleArn", "BufferSizeInMBs", "BufferIntervalInSeconds"},
    "AppendDelimiterToRecord": {"Delimiter"},
}


class Destination(msgspec.Struct, omit_defaults=True):
    """Where a delivery stream delivers. The dicts keep AWS's spelling."""

    kind: str
    s3: Members
    processing: Members = {}
    backup: Members | None = None
    extended: Members = {}
    redshift: Members = {}
    logging: Members = {}

    @property
    def size_max_bytes(self) -> int:
        """How many buffered bytes make a batch."""
        return int(self.s3["BufferingHints"]["SizeInMBs"]) * limits.MIB

    @property
    def interval_seconds(self) -> int:
        """How long a record waits for others."""
        return int(self.s3["BufferingHints"]["IntervalInSeconds"])

    @property
    def roles(self) -> list[str]:
        """The roles that deliveries act with."""
        given = (self.s3, self.backup, self.redshift)
        return sorted({str(members["RoleARN"]) for members in given if members})

    def processor(self, kind: str) -> dict[str, str] | None:
        """The parameters of a processor, if it is there and processing is on."""
        if not self.processing.get("Enabled"):
            return None
        for one in self.processing.get("Processors", ()):
            if one["Type"] == kind:
                return {item["ParameterName"]: item["ParameterValue"] for item in one.get("Parameters", ())}
        return None

    @property
    def delimiter(self) -> bytes:
        """What follows each record."""
        parameters = self.processor("AppendDelimiterToRecord")
        if parameters is None:
            return b""
        text = parameters.get("Delimiter", "\\n")
        for written, meant in (("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t")):
            text = text.replace(written, meant)
        return text.encode()

    @property
    def zone(self) -> tzinfo:
        """The time zone of prefixes and names."""
        name = self.extended.get("CustomTimeZone") or "UTC"
        # UTC without a look at the system's zone files, which a small image may not have.
        return UTC if name == "UTC" else zoneinfo.ZoneInfo(name)


def create(kind: str, given: Mapping[str, Any]) -> Destination:
    """The destination of a configuration; InvalidArgumentException, UnsupportedParameter."""
    return _checked(_merged(Destination(kind, {**_S3_DEFAULTS}), given, "S3Configuration", "S3BackupConfiguration"))


def update(current: Destination, kind: str, given: Mapping[str, Any]) -> Destination:
    """A destination with the members of an update in place of its own."""
    if (kind == REDSHIFT) != (current.kind == REDSHIFT):
        raise InvalidArgumentException("The type of a destination cannot be changed: S3 and Redshift do not replace each other.")
    if current.kind == EXTENDED_S3:
        kind = EXTENDED_S3
    base = msgspec.structs.replace(current, kind=kind)
    return _checked(_merged(base, given, "S3Update", "S3BackupUpdate"))


def describe(destination: Destination) -> Members:
    """The shape DestinationDescription. Passwords stay here."""
    shape: Members = {"DestinationId": DESTINATION_ID}
    shared: Members = {"S3BackupMode": "Enabled" if destination.backup else "Disabled"}
    if destination.processing:
        shared["ProcessingConfiguration"] = destination.processing
    if destination.backup:
        shared["S3BackupDescription"] = destination.backup
    if destination.kind == REDSHIFT:
        shape["RedshiftDestinationDescription"] = {
            **{name: value for name, value in destination.redshift.items() if name != "Password"},
            **shared,
            "S3DestinationDescription": destination.s3,
            "CloudWatchLoggingOptions": destination.logging or {"Enabled": False},
        }
        return shape
    shape["S3DestinationDescription"] = destination.s3
    if destination.kind == EXTENDED_S3:
        shape["ExtendedS3DestinationDescription"] = {**destination.s3, **destination.extended, **shared}
    return shape


def _merged(base: Destination, given: Mapping[str, Any], s3_name: str, backup_name: str) -> Destination:
    if base.kind == REDSHIFT:
        if (given.get("SecretsManagerConfiguration") or {}).get("Enabled"):
            raise UnsupportedParameter("Firehose: SecretsManagerConfiguration is not supported yet; give Username and Password.")
        s3 = {**base.s3, **(given.get(s3_name) or {})}
        redshift = {**base.redshift, **{name: given[name] for name in _REDSHIFT if given.get(name) is not None}}
        logging = given.get("CloudWatchLoggingOptions") or base.logging
        extended: Members = {}
    else:
        own = {*_EXTENDED, *_BACKUP, "ProcessingConfiguration"}
        s3 = {**base.s3, **{name: value for name, value in given.items() if name not in own}}
        redshift, logging = {}, {}
        extended = {**base.extended, **{name: given[name] for name in _EXTENDED if given.get(name) is not None}}
    return msgspec.structs.replace(
        base, s3=s3, redshift=redshift, logging=logging, extended=extended,
        processing=given.get("ProcessingConfiguration") or base.processing,
        backup=_backup(base.backup, given, backup_name),
    )  # fmt: skip


def _backup(current: Members | None, given: Mapping[str, Any], name: str) -> Members | None:
    mode = given.get("S3BackupMode") or ("Enabled" if current else "Disabled")
    if mode == "Disabled":
        return None
    configuration = given.get(name) or current
    if not configuration:
        raise InvalidArgumentException("S3BackupConfiguration cannot be null when S3BackupMode is Enabled.")
    return {**_S3_DEFAULTS, **(current or {}), **configuration}


def _checked(destination: Destination) -> Destination:
    destination.s3 = _checked_s3(destination.s3, destination)
    if destination.backup is not None:
        destination.backup = _checked_s3(destination.backup, None)
    for name in ("DataFormatConversionConfiguration", "DynamicPartitioningConfiguration"):
        member = destination.extended.get(name)
        if member is not None and member.get("Enabled", name == "DataFormatConversionConfiguration"):
            raise UnsupportedParameter(f"Firehose: {name} is not supported yet. Leave it out; see the service's README.")
    try:
        _ = destination.zone
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise InvalidArgumentException(f"CustomTimeZone {destination.extended['CustomTimeZone']} is not known.") from None
    _check_processing(destination)
    if destination.kind == REDSHIFT:
        _check_redshift(destination)
    return destination


def _checked_s3(given: Members, of: Destination | None) -> Members:
    hints = given["BufferingHints"] or {}
    if (given.get("EncryptionConfiguration") or {}).get("KMSEncryptionConfig"):
        raise UnsupportedParameter("Firehose: KMSEncryptionConfig is not supported yet: objects are written as they are.")
    if given["CompressionFormat"] not in staging.EXTENSIONS:
        raise UnsupportedParameter(f"Firehose: CompressionFormat {given['CompressionFormat']} is not supported yet.")
    redshift = of is not None and of.kind == REDSHIFT
    if redshift and given["CompressionFormat"] == "ZIP":
        raise InvalidArgumentException("ZIP compression is not supported for a Redshift destination.")
    complaint = expressions.check(
        given.get("Prefix") or "", given.get("ErrorOutputPrefix") or "", expressions_allowed=not redshift
    )
    if complaint is not None:
        raise InvalidArgumentException(complaint)
    return {
        **given,
        "BufferingHints": {
            "SizeInMBs": hints.get("SizeInMBs") or limits.BUFFER_SIZE_DEFAULT_MIB,
            "IntervalInSeconds": hints.get("IntervalInSeconds", limits.BUFFER_INTERVAL_DEFAULT_SECONDS),
        },
    }


def _check_processing(destination: Destination) -> None:
    if not destination.processing.get("Enabled"):
        return
    for processor in destination.processing.get("Processors", ()):
        known = _PROCESSORS.get(processor["Type"])
        if known is None:
            raise UnsupportedParameter(f"Firehose: the processor {processor['Type']} is not supported yet.")
        for parameter in processor.get("Parameters", ()):
            if parameter["ParameterName"] not in known:
                raise InvalidArgumentException(
                    f"Parameter {parameter['ParameterName']} is not valid for the processor type {processor['Type']}."
                )
    function = destination.processor("Lambda")
    if function is not None:
        _check_lambda(function)


def _check_lambda(parameters: Mapping[str, str]) -> None:
    if "LambdaArn" not in parameters:
        raise InvalidArgumentException("Parameter LambdaArn is required for the processor type Lambda.")
    try:
        size_mib = float(parameters.get("BufferSizeInMBs", limits.TRANSFORM_SIZE_DEFAULT_MIB))
        retries = int(parameters.get("NumberOfRetries", limits.TRANSFORM_RETRIES_DEFAULT))
    except ValueError as error:
        raise InvalidArgumentException(f"A parameter of the processor type Lambda is not a number: {error}.") from None
    if not limits.TRANSFORM_SIZE_MIN_MIB <= size_mib <= limits.TRANSFORM_SIZE_MAX_MIB:
        raise InvalidArgumentException("BufferSizeInMBs must be between 0.2 and 3.")
    if not 0 <= retries <= limits.TRANSFORM_RETRIES_MAX:
        raise InvalidArgumentException(f"NumberOfRetries must be between 0 and {limits.TRANSFORM_RETRIES_MAX}.")


def _check_redshift(destination: Destination) -> None:
    redshift = destination.redshift
    if not redshift.get("Username") or not redshift.get("Password"):
        raise InvalidArgumentException("Username and Password are required when SecretsManagerConfiguration is not enabled.")
    try:
        staging.parse_jdbc_url(redshift["ClusterJDBCURL"])
    except ValueError as error:
        raise InvalidArgumentException(f"{error}.") from None
    redshift.setdefault("RetryOptions", {"DurationInSeconds": limits.REDSHIFT_RETRY_DEFAULT_SECONDS})
