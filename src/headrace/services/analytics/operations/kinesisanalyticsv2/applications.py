"""Applications in the second model: SQL applications, the same as the first one's, and those of Flink."""

from typing import Any

from headrace.operation import Context, operation
from headrace.services.analytics import applications, errors, shapes, state
from headrace.services.analytics.flink import applications as flink
from headrace.services.analytics.flink.configuration import is_flink
from headrace.services.analytics.state import Application

Members = dict[str, Any]

_SQL = "SQL-1_0"
_FLINK_ONLY = (
    "FlinkApplicationConfiguration", "EnvironmentProperties", "ApplicationSnapshotConfiguration", "VpcConfigurations",
    "ApplicationSystemRollbackConfiguration", "ZeppelinApplicationConfiguration", "ApplicationEncryptionConfiguration",
)  # fmt: skip


def _code(content: Members | None) -> str:
    if content is None:
        return ""
    if content.get("TextContent") is None:
        raise errors.InvalidArgumentException("A SQL application's code is given as TextContent.")
    return str(content["TextContent"])


def _refuse_flink(configuration: Members, suffix: str = "") -> None:
    for name in _FLINK_ONLY:
        if configuration.get(name + suffix) is not None:
            raise errors.InvalidArgumentException(f"{name}{suffix} is not supported for SQL applications.")


@operation(transaction=False)
def create_application(
    ctx: Context, *, application_name: str, runtime_environment: str, service_execution_role: str,
    application_description: str | None = None, application_configuration: Members | None = None,
    cloud_watch_logging_options: list[Members] | None = None, tags: list[Members] | None = None,
    application_mode: str | None = None,
) -> Members:  # fmt: skip
    """Make an application. SQL is compiled at once; the code of Flink applications is copied from S3. Studio's are refused."""
    if application_mode == "INTERACTIVE" or not (runtime_environment == _SQL or is_flink(runtime_environment)):
        raise errors.studio_not_here(runtime_environment)
    given = application_configuration or {}
    application = applications.new(ctx, application_name)
    application.runtime = runtime_environment
    application.description = application_description or ""
    application.role = service_execution_role
    application.mode = application_mode or ""
    if is_flink(runtime_environment):
        made = flink.create(ctx, application, given, tags, cloud_watch_logging_options)
        return {"ApplicationDetail": shapes.detail_v2(made)}
    _refuse_flink(given)
    sql = given.get("SqlApplicationConfiguration") or {}
    application.code = _code((given.get("ApplicationCodeConfiguration") or {}).get("CodeContent"))

    def parts(made: Application) -> None:
        applications.take_parts(made, "inputs", sql.get("Inputs"))
        applications.take_parts(made, "outputs", sql.get("Outputs"))
        applications.take_parts(made, "references", sql.get("ReferenceDataSources"))
        applications.take_parts(made, "logging", cloud_watch_logging_options)

    return {"ApplicationDetail": shapes.detail_v2(applications.create(ctx, application, tags, parts))}


@operation(read_only=True, accepts=("include_additional_details",))
def describe_application(ctx: Context, *, application_name: str) -> Members:
    """Show an application. The additional details (the plan of a Flink job) are not there."""
    return {"ApplicationDetail": shapes.detail_v2(state.find(ctx, application_name))}


@operation(read_only=True)
def list_applications(ctx: Context, *, limit: int | None = None, next_token: str | None = None) -> Members:
    """List applications."""
    found, more = applications.listed(ctx, next_token, limit or 50)
    return {
        "ApplicationSummaries": [shapes.summary_v2(one) for one in found],
        "NextToken": found[-1].name if more else None,
    }


@operation(transaction=False, accepts=("conditional_token",))
def update_application(
    ctx: Context, *, application_name: str, current_application_version_id: int | None = None,
    application_configuration_update: Members | None = None, service_execution_role_update: str | None = None,
    run_configuration_update: Members | None = None, cloud_watch_logging_option_updates: list[Members] | None = None,
    runtime_environment_update: str | None = None,
) -> Members:  # fmt: skip
    """Change an application. One that runs goes on at once: from where it has read to, or (Flink) from a snapshot."""
    current = ctx.snapshot(lambda inner: state.find(inner, application_name))
    if runtime_environment_update is not None and is_flink(runtime_environment_update) != is_flink(current.runtime):
        raise errors.InvalidArgumentException(f"{current.runtime} can't become {runtime_environment_update}.")
    if current_application_version_id is None:
        raise errors.InvalidArgumentException("CurrentApplicationVersionId is required.")
    if current.flink is not None:
        changed, operation_id = flink.update(
            ctx, application_name, current_application_version_id, application_configuration_update or {},
            runtime_environment_update, service_execution_role_update, run_configuration_update,
            cloud_watch_logging_option_updates,
        )  # fmt: skip
        return {"ApplicationDetail": shapes.detail_v2(changed), "OperationId": operation_id}
    if run_configuration_update is not None:
        raise errors.InvalidArgumentException("RunConfigurationUpdate is not supported for SQL applications.")
    update = application_configuration_update or {}
    _refuse_flink(update, "Update")
    sql = update.get("SqlApplicationConfigurationUpdate") or {}
    content = (update.get("ApplicationCodeConfigurationUpdate") or {}).get("CodeContentUpdate")

    def what(application: Application) -> None:
        if content is not None:
            application.code = _code({"TextContent": content.get("TextContentUpdate")})
        if service_execution_role_update is not None:
            application.role = service_execution_role_update
        applications.update_parts(application, "inputs", sql.get("InputUpdates"))
        applications.update_parts(application, "outputs", sql.get("OutputUpdates"))
        applications.update_parts(application, "references", sql.get("ReferenceDataSourceUpdates"))
        applications.update_parts(application, "logging", cloud_watch_logging_option_updates)

    return {
        "ApplicationDetail": shapes.detail_v2(applications.change(ctx, application_name, current_application_version_id, what))
    }


@operation(transaction=False)
def start_application(ctx: Context, *, application_name: str, run_configuration: Members | None = None) -> Members:
    """Let an application run. A Flink application that is STARTING runs when its job does."""
    given = run_configuration or {}
    if _is_flink(ctx, application_name):
        return {"OperationId": flink.start(ctx, application_name, given)}
    for name in ("FlinkRunConfiguration", "ApplicationRestoreConfiguration"):
        if given.get(name) is not None:
            raise errors.InvalidArgumentException(f"{name} is not supported for SQL applications.")
    positions = {
        one["InputId"]: str(one["InputStartingPositionConfiguration"].get("InputStartingPosition") or "NOW")
        for one in given.get("SqlRunConfigurations") or ()
    }
    applications.start(ctx, application_name, positions)
    return {}


@operation
def stop_application(ctx: Context, *, application_name: str, force: bool | None = None) -> Members:
    """Let an application rest. That of Flink is saved as a snapshot, unless Force is given."""
    if _is_flink(ctx, application_name):
        return {"OperationId": flink.stop(ctx, application_name, bool(force))}
    if force:
        raise errors.InvalidArgumentException("Force is not supported for SQL applications.")
    applications.stop(ctx, application_name)
    return {}


@operation
def delete_application(ctx: Context, *, application_name: str, create_timestamp: float) -> None:
    """Delete an application, running or not."""
    if _is_flink(ctx, application_name):
        flink.delete(ctx, application_name, create_timestamp)
        return
    applications.delete(ctx, application_name, create_timestamp)


def _is_flink(ctx: Context, name: str) -> bool:
    return ctx.snapshot(lambda inner: state.find(inner, name)).flink is not None


@operation
def update_application_maintenance_configuration(
    ctx: Context, *, application_name: str, application_maintenance_configuration_update: Members
) -> Members:
    """Keep when maintenance may begin. Nothing is maintained here, so nothing happens then."""
    application = state.find(ctx, application_name)
    application.window = application_maintenance_configuration_update["ApplicationMaintenanceWindowStartTimeUpdate"]
    state.save(ctx, application)
    return {
        "ApplicationARN": application.arn,
        "ApplicationMaintenanceConfigurationDescription": {
            "ApplicationMaintenanceWindowStartTime": application.window,
            "ApplicationMaintenanceWindowEndTime": shapes.window_end(application.window),
        },
    }
