"""Stacks, resources, events and change sets as CloudFormation answers with them."""

from typing import Any

from headrace.layers import tags
from headrace.services.cloudformation import state

Structure = dict[str, Any]
_HIDDEN = "****"


def stack(row: state.Stack) -> Structure:
    """A stack."""
    answer: Structure = {
        "StackId": row.stack_id,
        "StackName": row.name,
        "CreationTime": row.created_at,
        "StackStatus": row.status,
        "DisableRollback": row.disable_rollback or row.on_failure == "DO_NOTHING",
        "RollbackConfiguration": {},
        "NotificationARNs": [],
        "Tags": [],
        "EnableTerminationProtection": row.protected,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }
    version = row.wanted
    if version is not None:
        answer |= {
            "Parameters": parameter_list(version),
            "Capabilities": version.capabilities,
            "NotificationARNs": version.notifications,
            "Tags": tags.to_list(version.tags),
        }
        _add(answer, Description=version.description, RoleARN=version.role)
    if row.outputs:
        answer["Outputs"] = [_output(output) for output in row.outputs]
    _add(
        answer, StackStatusReason=row.reason, LastUpdatedTime=row.updated_at, DeletionTime=row.deleted_at,
        TimeoutInMinutes=row.timeout_minutes, ChangeSetId=row.change_set, ParentId=row.parent, RootId=row.root,
    )  # fmt: skip
    return answer


def parameter_list(version: state.Version) -> list[Structure]:
    """The parameters of a version, without what NoEcho hides."""
    return [
        {"ParameterKey": name, "ParameterValue": _HIDDEN if name in version.hidden else value}
        for name, value in version.parameters.items()
    ]


def _add(answer: Structure, **values: Any) -> None:
    answer.update({name: value for name, value in values.items() if value is not None})


def _output(output: state.Output) -> Structure:
    found: Structure = {"OutputKey": output.name, "OutputValue": output.value}
    _add(found, Description=output.description, ExportName=output.export)
    return found


def summary(row: state.Stack) -> Structure:
    """A stack in a list."""
    answer: Structure = {
        "StackId": row.stack_id,
        "StackName": row.name,
        "CreationTime": row.created_at,
        "StackStatus": row.status,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }
    description = row.wanted.description if row.wanted is not None else None
    _add(
        answer, StackStatusReason=row.reason, LastUpdatedTime=row.updated_at, DeletionTime=row.deleted_at,
        TemplateDescription=description, ParentId=row.parent, RootId=row.root,
    )  # fmt: skip
    return answer


def resource(row: state.Stack, item: state.Resource, time_member: str) -> Structure:
    """A resource; AWS calls its time Timestamp here and LastUpdatedTimestamp there."""
    answer: Structure = {
        "LogicalResourceId": item.name,
        "ResourceType": item.kind,
        time_member: item.updated_at,
        "ResourceStatus": item.status,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }
    _add(answer, PhysicalResourceId=item.physical_id or None, ResourceStatusReason=item.reason)
    return answer


def event(row: state.Stack, item: state.Event) -> Structure:
    """An event."""
    answer: Structure = {
        "StackId": row.stack_id,
        "EventId": item.event_id,
        "StackName": row.name,
        "LogicalResourceId": item.name,
        "PhysicalResourceId": item.physical_id,
        "ResourceType": item.kind,
        "Timestamp": item.at,
        "ResourceStatus": item.status,
    }
    _add(answer, ResourceStatusReason=item.reason, ClientRequestToken=item.token)
    return answer
