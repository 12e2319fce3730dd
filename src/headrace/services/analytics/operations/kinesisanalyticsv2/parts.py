"""The parts of an application: inputs and their functions, outputs, references, logging."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import applications, configuration, errors, shapes
from headrace.services.analytics.state import Application

Members = dict[str, Any]


def _version(given: int | None) -> int:
    if given is None:
        raise errors.InvalidArgumentException("CurrentApplicationVersionId is required.")
    return given


def _add(ctx: Context, name: str, version: int, kind: str, part: Members) -> Application:
    return applications.change(ctx, name, version, lambda application: applications.take_parts(application, kind, [part]))


def _answer(application: Application, **more: Any) -> Members:
    return {"ApplicationARN": application.arn, "ApplicationVersionId": application.version, **more}


@operation(transaction=False)
def add_application_input(ctx: Context, *, application_name: str, current_application_version_id: int, input: Members) -> Members:
    """Add an input. An application has one."""
    changed = _add(ctx, application_name, current_application_version_id, "inputs", input)
    return _answer(changed, InputDescriptions=shapes.inputs(changed))


@operation(transaction=False)
def add_application_input_processing_configuration(
    ctx: Context, *, application_name: str, current_application_version_id: int, input_id: str,
    input_processing_configuration: Members,
) -> Members:  # fmt: skip
    """Let a function look at an input's records before the SQL does."""
    what = applications.processing(input_id, input_processing_configuration)
    changed = applications.change(ctx, application_name, current_application_version_id, what)
    part = configuration.described(applications.find_part(changed, "inputs", input_id))
    found = part["InputProcessingConfigurationDescription"]
    return _answer(changed, InputId=input_id, InputProcessingConfigurationDescription=found)


@operation(transaction=False)
def delete_application_input_processing_configuration(
    ctx: Context, *, application_name: str, current_application_version_id: int, input_id: str
) -> Members:
    """Take an input's function away."""
    what = applications.processing(input_id, None)
    return _answer(applications.change(ctx, application_name, current_application_version_id, what))


@operation(transaction=False)
def add_application_output(
    ctx: Context, *, application_name: str, current_application_version_id: int, output: Members
) -> Members:
    """Add an output: an in-application stream and where its rows go."""
    changed = _add(ctx, application_name, current_application_version_id, "outputs", output)
    return _answer(changed, OutputDescriptions=shapes.outputs(changed))


@operation(transaction=False)
def delete_application_output(
    ctx: Context, *, application_name: str, current_application_version_id: int, output_id: str
) -> Members:
    """Take an output away."""
    what = applications.remove_part("outputs", output_id)
    return _answer(applications.change(ctx, application_name, current_application_version_id, what))


@operation(transaction=False)
def add_application_reference_data_source(
    ctx: Context, *, application_name: str, current_application_version_id: int, reference_data_source: Members
) -> Members:
    """Add a reference table, read from an object in S3 when the application starts or is updated."""
    changed = _add(ctx, application_name, current_application_version_id, "references", reference_data_source)
    return _answer(changed, ReferenceDataSourceDescriptions=shapes.references(changed))


@operation(transaction=False)
def delete_application_reference_data_source(
    ctx: Context, *, application_name: str, current_application_version_id: int, reference_id: str
) -> Members:
    """Take a reference table away."""
    what = applications.remove_part("references", reference_id)
    return _answer(applications.change(ctx, application_name, current_application_version_id, what))


@operation(transaction=False, accepts=("conditional_token",))
def add_application_cloud_watch_logging_option(
    ctx: Context, *, application_name: str, cloud_watch_logging_option: Members,
    current_application_version_id: int | None = None,
) -> Members:  # fmt: skip
    """Name the log stream that takes the application's problems."""
    version = _version(current_application_version_id)
    changed = _add(ctx, application_name, version, "logging", cloud_watch_logging_option)
    return _answer(changed, CloudWatchLoggingOptionDescriptions=[dict(one) for one in changed.logging])


@operation(transaction=False, accepts=("conditional_token",))
def delete_application_cloud_watch_logging_option(
    ctx: Context, *, application_name: str, cloud_watch_logging_option_id: str,
    current_application_version_id: int | None = None,
) -> Members:  # fmt: skip
    """Take the log stream away."""
    what = applications.remove_part("logging", cloud_watch_logging_option_id)
    changed = applications.change(ctx, application_name, _version(current_application_version_id), what)
    return _answer(changed, CloudWatchLoggingOptionDescriptions=[dict(one) for one in changed.logging])
