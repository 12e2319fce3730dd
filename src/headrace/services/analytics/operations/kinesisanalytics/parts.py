"""The parts of an application: inputs and their functions, outputs, references, logging."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import applications

Members = dict[str, Any]


def _add(ctx: Context, name: str, version: int, kind: str, part: Members) -> None:
    applications.change(ctx, name, version, lambda application: applications.take_parts(application, kind, [part]))


@operation(transaction=False)
def add_application_input(ctx: Context, *, application_name: str, current_application_version_id: int, input: Members) -> None:
    """Add an input. An application has one."""
    _add(ctx, application_name, current_application_version_id, "inputs", input)


@operation(transaction=False)
def add_application_input_processing_configuration(
    ctx: Context, *, application_name: str, current_application_version_id: int, input_id: str,
    input_processing_configuration: Members,
) -> None:  # fmt: skip
    """Let a function look at an input's records before the SQL does."""
    what = applications.processing(input_id, input_processing_configuration)
    applications.change(ctx, application_name, current_application_version_id, what)


@operation(transaction=False)
def delete_application_input_processing_configuration(
    ctx: Context, *, application_name: str, current_application_version_id: int, input_id: str
) -> None:
    """Take an input's function away."""
    applications.change(ctx, application_name, current_application_version_id, applications.processing(input_id, None))


@operation(transaction=False)
def add_application_output(ctx: Context, *, application_name: str, current_application_version_id: int, output: Members) -> None:
    """Add an output: an in-application stream and where its rows go."""
    _add(ctx, application_name, current_application_version_id, "outputs", output)


@operation(transaction=False)
def delete_application_output(
    ctx: Context, *, application_name: str, current_application_version_id: int, output_id: str
) -> None:
    """Take an output away."""
    applications.change(ctx, application_name, current_application_version_id, applications.remove_part("outputs", output_id))


@operation(transaction=False)
def add_application_reference_data_source(
    ctx: Context, *, application_name: str, current_application_version_id: int, reference_data_source: Members
) -> None:
    """Add a reference table, read from an object in S3 when the application starts or is updated."""
    _add(ctx, application_name, current_application_version_id, "references", reference_data_source)


@operation(transaction=False)
def delete_application_reference_data_source(
    ctx: Context, *, application_name: str, current_application_version_id: int, reference_id: str
) -> None:
    """Take a reference table away."""
    applications.change(
        ctx, application_name, current_application_version_id, applications.remove_part("references", reference_id)
    )


@operation(transaction=False)
def add_application_cloud_watch_logging_option(
    ctx: Context, *, application_name: str, current_application_version_id: int, cloud_watch_logging_option: Members
) -> None:
    """Name the log stream that takes the application's problems."""
    _add(ctx, application_name, current_application_version_id, "logging", cloud_watch_logging_option)


@operation(transaction=False)
def delete_application_cloud_watch_logging_option(
    ctx: Context, *, application_name: str, current_application_version_id: int, cloud_watch_logging_option_id: str
) -> None:
    """Take the log stream away."""
    what = applications.remove_part("logging", cloud_watch_logging_option_id)
    applications.change(ctx, application_name, current_application_version_id, what)
