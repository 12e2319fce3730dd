"""Applications as the two models show them."""

from typing import Any

from headrace.services.analytics import configuration
from headrace.services.analytics.flink import configuration as flink
from headrace.services.analytics.state import Application


def summary(application: Application) -> dict[str, Any]:
    """An application in a list of the first model."""
    return {
        "ApplicationName": application.name,
        "ApplicationARN": application.arn,
        "ApplicationStatus": application.status,
    }


def summary_v2(application: Application) -> dict[str, Any]:
    """An application in a list of the second model."""
    return {
        **summary(application),
        "ApplicationVersionId": application.version,
        "RuntimeEnvironment": application.runtime,
        "ApplicationMode": application.mode or None,
    }


def _shared(application: Application) -> dict[str, Any]:
    return {
        **summary(application),
        "ApplicationDescription": application.description or None,
        "ApplicationVersionId": application.version,
        "CreateTimestamp": application.created_at,
        "LastUpdateTimestamp": application.updated_at,
        "CloudWatchLoggingOptionDescriptions": [dict(one) for one in application.logging] or None,
    }


def detail(application: Application) -> dict[str, Any]:
    """An application as the first model's DescribeApplication shows it."""
    return {
        **_shared(application),
        "ApplicationCode": application.code,
        "InputDescriptions": inputs(application),
        "OutputDescriptions": outputs(application),
        "ReferenceDataSourceDescriptions": references(application),
    }


def detail_v2(application: Application) -> dict[str, Any]:
    """An application as the second model shows it."""
    return {
        **_shared(application),
        "RuntimeEnvironment": application.runtime,
        "ServiceExecutionRole": application.role or None,
        "ApplicationMode": application.mode or None,
        "ApplicationVersionUpdatedFrom": application.updated_from,
        "ApplicationVersionRolledBackFrom": application.rolled_back_from,
        "ApplicationVersionRolledBackTo": application.rolled_back_to,
        "ApplicationMaintenanceConfigurationDescription": (
            {
                "ApplicationMaintenanceWindowStartTime": application.window,
                "ApplicationMaintenanceWindowEndTime": window_end(application.window),
            }
            if application.window
            else None
        ),
        "ApplicationConfigurationDescription": flink.described(application) if application.flink else _sql(application),
    }


def _sql(application: Application) -> dict[str, Any]:
    return {
        "SqlApplicationConfigurationDescription": {
            "InputDescriptions": inputs(application),
            "OutputDescriptions": outputs(application),
            "ReferenceDataSourceDescriptions": references(application),
        },
        "ApplicationCodeConfigurationDescription": {
            "CodeContentType": "PLAINTEXT",
            "CodeContentDescription": {"TextContent": application.code},
        },
    }


def window_end(start: str) -> str:
    """Maintenance windows have eight hours."""
    hours, _, minutes = start.partition(":")
    return f"{(int(hours) + 8) % 24:02d}:{minutes}"


def inputs(application: Application) -> list[dict[str, Any]]:
    """The inputs, described."""
    return [configuration.described_input(application, part) for part in application.inputs]


def outputs(application: Application) -> list[dict[str, Any]]:
    """The outputs, described."""
    return [configuration.described(part) for part in application.outputs]


def references(application: Application) -> list[dict[str, Any]]:
    """The reference data sources, described."""
    return [configuration.described(part) for part in application.references]
