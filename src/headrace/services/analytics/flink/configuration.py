"""The configuration of Flink applications: as AWS's shapes say, with its defaults, and as it is described. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headrace.services.analytics import errors, limits
from headrace.services.analytics.state import Application, Flink

Members = Mapping[str, Any]

PREFIXES = ("FLINK-1_", "FLINK-2_")
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "CheckpointConfiguration": {
        "ConfigurationType": "DEFAULT", "CheckpointingEnabled": True, "CheckpointInterval": 60_000,
        "MinPauseBetweenCheckpoints": 5_000,
    },
    "MonitoringConfiguration": {"ConfigurationType": "DEFAULT", "MetricsLevel": "APPLICATION", "LogLevel": "INFO"},
    "ParallelismConfiguration": {
        "ConfigurationType": "DEFAULT", "Parallelism": 1, "ParallelismPerKPU": 1, "AutoScalingEnabled": True,
    },
}  # fmt: skip
_FIELDS = {
    "CheckpointConfiguration": "checkpoint", "MonitoringConfiguration": "monitoring",
    "ParallelismConfiguration": "parallelism",
}  # fmt: skip
_NOT_FOR_FLINK = ("SqlApplicationConfiguration", "ZeppelinApplicationConfiguration")
_REFUSED = ("VpcConfigurations", "ApplicationEncryptionConfiguration")
RESTORES = ("SKIP_RESTORE_FROM_SNAPSHOT", "RESTORE_FROM_LATEST_SNAPSHOT", "RESTORE_FROM_CUSTOM_SNAPSHOT")


def is_flink(runtime: str) -> bool:
    """Whether a runtime environment is one of Flink (and not of Studio)."""
    return runtime.startswith(PREFIXES)


def new(given: Members) -> Flink:
    """What is kept of an ApplicationConfiguration, but for its code; InvalidArgumentException."""
    _refuse(given, "")
    found = Flink(**{field: dict(_DEFAULTS[name]) for name, field in _FIELDS.items()})  # type: ignore[arg-type]
    for name, value in (given.get("FlinkApplicationConfiguration") or {}).items():
        setattr(found, _FIELDS[name], _filled(name, {}, value or {}))
    if given.get("EnvironmentProperties") is not None:
        found.properties = _groups(given["EnvironmentProperties"]["PropertyGroups"])
    snapshots = given.get("ApplicationSnapshotConfiguration")
    if snapshots is not None:
        _check_mode(snapshots.get("SnapshotMode"))
        found.snapshots = bool(snapshots["SnapshotsEnabled"])
    rollback = given.get("ApplicationSystemRollbackConfiguration")
    if rollback is not None:
        found.rollback = bool(rollback["RollbackEnabled"])
    return found


def updated(old: Flink, update: Members) -> Flink:
    """The configuration after an ApplicationConfigurationUpdate, but for its code; InvalidArgumentException."""
    _refuse(update, "Update")
    found = msgspec.structs.replace(old)
    for name, value in (update.get("FlinkApplicationConfigurationUpdate") or {}).items():
        kind = name.removesuffix("Update")
        given = {key.removesuffix("Update"): one for key, one in (value or {}).items()}
        setattr(found, _FIELDS[kind], _filled(kind, getattr(old, _FIELDS[kind]), given))
    if update.get("EnvironmentPropertyUpdates") is not None:
        found.properties = _groups(update["EnvironmentPropertyUpdates"]["PropertyGroups"])
    snapshots = update.get("ApplicationSnapshotConfigurationUpdate")
    if snapshots is not None:
        _check_mode(snapshots.get("SnapshotModeUpdate"))
        found.snapshots = bool(snapshots["SnapshotsEnabledUpdate"])
    rollback = update.get("ApplicationSystemRollbackConfigurationUpdate")
    if rollback is not None:
        found.rollback = bool(rollback["RollbackEnabledUpdate"])
    return found


def _refuse(given: Members, suffix: str) -> None:
    for name in _NOT_FOR_FLINK:
        if given.get(name + suffix) is not None:
            raise errors.InvalidArgumentException(f"{name}{suffix} is not supported for Flink applications.")
    for name in _REFUSED:
        if given.get(name + suffix) is not None or given.get(name.removesuffix("s") + "Updates") is not None:
            raise errors.InvalidArgumentException(f"Headrace does not support {name}{suffix} yet.")


def _check_mode(mode: str | None) -> None:
    if mode not in (None, "APPLICATION_SNAPSHOTS_LEGACY"):
        raise errors.InvalidArgumentException(f"Headrace does not support the snapshot mode {mode} yet.")


def _filled(kind: str, old: Members, given: Members) -> dict[str, Any]:
    """A part of the configuration with its defaults: they hold whatever is given, unless the type is CUSTOM."""
    found = {**_DEFAULTS[kind], **old, **{name: value for name, value in given.items() if value is not None}}
    if found["ConfigurationType"] != "CUSTOM":
        return dict(_DEFAULTS[kind])
    if kind == "ParallelismConfiguration" and found["Parallelism"] > limits.PARALLELISM_MAX:
        raise errors.InvalidArgumentException(f"Parallelism is at most {limits.PARALLELISM_MAX}.")
    return found


def _groups(given: Sequence[Members]) -> list[dict[str, Any]]:
    names = [one["PropertyGroupId"] for one in given]
    if len(set(names)) != len(names):
        raise errors.InvalidArgumentException("Two property groups have the same PropertyGroupId.")
    return [dict(one) for one in given]


def restore(given: Members | None) -> dict[str, Any]:
    """An ApplicationRestoreConfiguration as it is kept: the newest snapshot where none is given; InvalidArgumentException."""
    if given is None:
        return {"ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT"}
    if given.get("SnapshotArn"):
        raise errors.InvalidArgumentException("Headrace does not support SnapshotArn yet: name the snapshot by SnapshotName.")
    custom = given["ApplicationRestoreType"] == "RESTORE_FROM_CUSTOM_SNAPSHOT"
    if custom != bool(given.get("SnapshotName")):
        raise errors.InvalidArgumentException(
            "SnapshotName must be given when, and only when, ApplicationRestoreType is RESTORE_FROM_CUSTOM_SNAPSHOT."
        )
    return {name: value for name, value in given.items() if value is not None}


def code_location(given: Members | None, suffix: str = "", old: Members | None = None) -> dict[str, Any] | None:
    """Where in S3 the code is, from ApplicationCodeConfiguration (or its update, over the old one); None: nothing is said."""
    if given is None:
        return None
    kind = given.get("CodeContentType" + suffix)
    content = given.get("CodeContent" + suffix) or {}
    if kind == "PLAINTEXT" or content.get("TextContent" + suffix) is not None:
        raise errors.InvalidArgumentException("The code of a Flink application is a ZIPFILE: a jar, or a zip file, in S3.")
    if content.get("ZipFileContent" + suffix) is not None:
        raise errors.InvalidArgumentException("Headrace does not support ZipFileContent yet: give S3ContentLocation.")
    location = content.get("S3ContentLocation" + suffix)
    if location is None:
        if suffix:
            return None
        raise errors.InvalidArgumentException("The code of a Flink application is given as S3ContentLocation.")
    named = {name.removesuffix("Update"): value for name, value in location.items() if value is not None}
    if named.get("ObjectVersion"):
        raise errors.InvalidArgumentException("Headrace does not support ObjectVersion yet: the newest version is taken.")
    found = {**(old or {}), **named}
    if not found.get("BucketARN", "").startswith("arn:aws:s3:::") or not found.get("FileKey"):
        raise errors.InvalidArgumentException("S3ContentLocation needs BucketARN and FileKey.")
    return found


def run_options(flink: Flink) -> Members:
    """What AWS keeps in the property group kinesis.analytics.flink.run.options: the script of a Python program, say."""
    for one in flink.properties:
        if one["PropertyGroupId"] == "kinesis.analytics.flink.run.options":
            found: Members = one["PropertyMap"]
            return found
    return {}


def described(application: Application) -> dict[str, Any]:
    """An application's configuration as it is described."""
    flink = application.flink
    assert flink is not None
    found: dict[str, Any] = {
        "FlinkApplicationConfigurationDescription": {
            "CheckpointConfigurationDescription": flink.checkpoint,
            "MonitoringConfigurationDescription": flink.monitoring,
            "ParallelismConfigurationDescription": {
                **flink.parallelism, "CurrentParallelism": flink.parallelism["Parallelism"],
            },
        },
        "ApplicationSnapshotConfigurationDescription": {"SnapshotsEnabled": flink.snapshots},
        "ApplicationSystemRollbackConfigurationDescription": {"RollbackEnabled": flink.rollback},
    }  # fmt: skip
    if flink.properties:
        found["EnvironmentPropertyDescriptions"] = {"PropertyGroupDescriptions": flink.properties}
    if flink.code:
        found["ApplicationCodeConfigurationDescription"] = {
            "CodeContentType": "ZIPFILE",
            "CodeContentDescription": {
                "CodeMD5": flink.md5, "CodeSize": flink.size_bytes, "S3ApplicationCodeLocationDescription": flink.code,
            },
        }  # fmt: skip
    if flink.restore:
        found["RunConfigurationDescription"] = {
            "ApplicationRestoreConfigurationDescription": flink.restore,
            "FlinkRunConfigurationDescription": {"AllowNonRestoredState": flink.non_restored},
        }
    return found


def job_options(flink: Flink) -> dict[str, str]:
    """The options of Flink's that come of the configuration: given with the job."""
    found = {"execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION"}
    if flink.checkpoint["CheckpointingEnabled"]:
        found["execution.checkpointing.interval"] = f"{flink.checkpoint['CheckpointInterval']} ms"
        found["execution.checkpointing.min-pause"] = f"{flink.checkpoint['MinPauseBetweenCheckpoints']} ms"
    return found
