"""What a template says of a Flink application, as the service's update has it."""

from collections.abc import Mapping
from typing import Any

from headrace.services.cloudformation.resources.kind import Properties

_PARTS = ("CheckpointConfiguration", "MonitoringConfiguration", "ParallelismConfiguration")
_SWITCHES = ("ApplicationSnapshotConfiguration", "ApplicationSystemRollbackConfiguration")
# What a part is when the template does not speak of it any more.
_WITHOUT = {"ApplicationSnapshotConfiguration": {"SnapshotsEnabled": True},
            "ApplicationSystemRollbackConfiguration": {"RollbackEnabled": False}}  # fmt: skip


def is_flink(properties: Properties) -> bool:
    """Whether an application is one of Flink."""
    return str(properties.get("RuntimeEnvironment", "")).startswith("FLINK-")


def update_of(new: Properties, old: Properties, now: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of UpdateApplication; none when nothing changes. One that runs gets its RunConfiguration, too."""
    configuration = _configuration(_of(new), _of(old))
    found: dict[str, Any] = {}
    if configuration:
        found["ApplicationConfigurationUpdate"] = configuration
    for name in ("RuntimeEnvironment", "ServiceExecutionRole"):
        if new.get(name) != old.get(name):
            found[f"{name}Update"] = new[name]
    run = new.get("RunConfiguration")
    if found and run and now["ApplicationStatus"] == "RUNNING":
        found["RunConfigurationUpdate"] = run
    return found


def _of(properties: Properties) -> Mapping[str, Any]:
    found: Mapping[str, Any] = properties.get("ApplicationConfiguration") or {}
    return found


def _suffixed(value: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{key}Update": one for key, one in value.items() if one is not None}


def _configuration(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    flink, before = (one.get("FlinkApplicationConfiguration") or {} for one in (new, old))
    parts = {
        f"{name}Update": _suffixed(flink.get(name) or {"ConfigurationType": "DEFAULT"})
        for name in _PARTS
        if flink.get(name) != before.get(name)
    }
    if parts:
        found["FlinkApplicationConfigurationUpdate"] = parts
    if new.get("EnvironmentProperties") != old.get("EnvironmentProperties"):
        found["EnvironmentPropertyUpdates"] = new.get("EnvironmentProperties") or {"PropertyGroups": []}
    for name in _SWITCHES:
        if new.get(name) != old.get(name):
            found[f"{name}Update"] = _suffixed(new.get(name) or _WITHOUT[name])
    code = (new.get("ApplicationCodeConfiguration") or {}).get("CodeContent") or {}
    if code and new.get("ApplicationCodeConfiguration") != old.get("ApplicationCodeConfiguration"):
        content: dict[str, Any] = {f"{key}Update": one for key, one in code.items() if key != "S3ContentLocation"}
        if code.get("S3ContentLocation"):
            content["S3ContentLocationUpdate"] = _suffixed(code["S3ContentLocation"])
        found["ApplicationCodeConfigurationUpdate"] = {"CodeContentUpdate": content}
    return found
