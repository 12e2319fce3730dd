"""Schemas, found by a sample."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import discovery

Members = dict[str, Any]


@operation(transaction=False)
def discover_input_schema(
    ctx: Context, *, service_execution_role: str, resource_arn: str | None = None,
    input_starting_position_configuration: Members | None = None,
    s3_configuration: Members | None = None, input_processing_configuration: Members | None = None,
) -> Members:  # fmt: skip
    """Find the schema of a Kinesis stream, a delivery stream or an object in S3 by a sample of it."""
    return discovery.discover(
        ctx,
        service_execution_role,
        resource_arn,
        input_starting_position_configuration,
        s3_configuration,
        input_processing_configuration,
    )  # fmt: skip
