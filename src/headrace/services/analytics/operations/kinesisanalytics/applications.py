"""SQL applications: made, shown, changed, started, stopped, deleted."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import applications, shapes, state
from headrace.services.analytics.state import Application

Members = dict[str, Any]


@operation(transaction=False)
def create_application(
    ctx: Context, *, application_name: str, application_description: str | None = None, inputs: list[Members] | None = None,
    outputs: list[Members] | None = None, cloud_watch_logging_options: list[Members] | None = None,
    application_code: str | None = None, tags: list[Members] | None = None,
) -> Members:  # fmt: skip
    """Make an application. Its SQL is compiled at once: what is wrong with it is said here, with line and column."""
    application = applications.new(ctx, application_name)
    application.description = application_description or ""
    application.code = application_code or ""

    def parts(made: Application) -> None:
        applications.take_parts(made, "inputs", inputs)
        applications.take_parts(made, "outputs", outputs)
        applications.take_parts(made, "logging", cloud_watch_logging_options)

    return {"ApplicationSummary": shapes.summary(applications.create(ctx, application, tags, parts))}


@operation(read_only=True)
def describe_application(ctx: Context, *, application_name: str) -> Members:
    """Show an application."""
    return {"ApplicationDetail": shapes.detail(state.find(ctx, application_name))}


@operation(read_only=True)
def list_applications(ctx: Context, *, limit: int | None = None, exclusive_start_application_name: str | None = None) -> Members:
    """List applications, 50 at a time."""
    found, more = applications.listed(ctx, exclusive_start_application_name, limit or 50)
    return {"ApplicationSummaries": [shapes.summary(one) for one in found], "HasMoreApplications": more}


@operation(transaction=False)
def update_application(
    ctx: Context, *, application_name: str, current_application_version_id: int, application_update: Members
) -> None:
    """Change code, inputs, outputs, references and logging. One that runs goes on at once, from where it has read to."""

    def what(application: Application) -> None:
        if application_update.get("ApplicationCodeUpdate") is not None:
            application.code = application_update["ApplicationCodeUpdate"]
        applications.update_parts(application, "inputs", application_update.get("InputUpdates"))
        applications.update_parts(application, "outputs", application_update.get("OutputUpdates"))
        applications.update_parts(application, "references", application_update.get("ReferenceDataSourceUpdates"))
        applications.update_parts(application, "logging", application_update.get("CloudWatchLoggingOptionUpdates"))

    applications.change(ctx, application_name, current_application_version_id, what)


@operation(transaction=False)
def start_application(ctx: Context, *, application_name: str, input_configurations: list[Members]) -> None:
    """Let an application run."""
    positions = {one["Id"]: _position(one) for one in input_configurations}
    applications.start(ctx, application_name, positions)


def _position(given: Members) -> str:
    return str(given["InputStartingPositionConfiguration"].get("InputStartingPosition") or "NOW")


@operation
def stop_application(ctx: Context, *, application_name: str) -> None:
    """Let an application rest. LAST_STOPPED_POINT goes on from here, with the windows as they are."""
    applications.stop(ctx, application_name)


@operation
def delete_application(ctx: Context, *, application_name: str, create_timestamp: float) -> None:
    """Delete an application, running or not."""
    applications.delete(ctx, application_name, create_timestamp)
