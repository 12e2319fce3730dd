"""An application acts with the rights of the roles that it was given: for each input, output and object, or for all of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.operation import Context
from headrace.roles import Roles
from headrace.services.analytics import configuration, errors
from headrace.services.analytics.state import Application

ROLES = Roles("kinesisanalytics.amazonaws.com", "analytics")

READS = {"kinesis": "kinesis:GetRecords", "firehose": "firehose:GetRecords"}
_WRITES = {"kinesis": "kinesis:PutRecords", "firehose": "firehose:PutRecordBatch", "lambda": "lambda:InvokeFunction"}


def needs(application: Application) -> Iterator[tuple[str, str, str]]:
    """(role, action, resource) of all that the application does."""
    for part in application.inputs:
        service, arn = configuration.source_of(part)
        yield _role(application, configuration.origin_of(part)), READS[service], arn
        processor = (part.get("InputProcessingConfiguration") or {}).get("InputLambdaProcessor")
        if processor is not None:
            yield _role(application, processor), "lambda:InvokeFunction", processor["ResourceARN"]
    for part in application.outputs:
        service, arn = configuration.target_of(part)
        yield _role(application, configuration.destination_of(part)), _WRITES[service], arn
    for part in application.references:
        source = part["S3ReferenceDataSource"]
        role = source.get("ReferenceRoleARN") or application.role
        yield role, "s3:GetObject", f"{source['BucketARN']}/{source['FileKey']}"


def _role(application: Application, part: Mapping[str, Any]) -> str:
    return str(part.get("RoleARN") or application.role)


def check(ctx: Context, application: Application) -> None:
    """RoleRefused unless the application's roles allow all that it does."""
    for role, action, resource in needs(application):
        ROLES.check(ctx, role, action, resource)


def check_roles(ctx: Context, application: Application) -> None:
    """InvalidArgumentException unless every role is there and trusts the service."""
    for role in {role for role, _, _ in needs(application)} | ({application.role} - {""}):
        if not role or not ROLES.can_be_assumed(ctx, role):
            raise errors.InvalidArgumentException(
                f"Kinesis Analytics service doesn't have sufficient privileges to assume the role {role or '(none was given)'}"
            )
