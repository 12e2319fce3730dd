"""Resource types of CloudWatch Logs, Redshift, SES and CloudFormation itself."""

from typing import Any

from headrace.kit.errors import AwsError
from headrace.services.cloudformation.resources.kind import (
    Attributes,
    Call,
    Gone,
    Kind,
    Naming,
    Properties,
    ResourceFailed,
    changed,
    pairs,
    pick,
    tag_changes,
    tags_of,
)  # fmt: skip


def _create_group(call: Call, name: str, properties: Properties) -> str:
    call("logs", "CreateLogGroup", logGroupName=name, tags=tags_of(properties) or None)
    return name


def _finish_group(call: Call, name: str, properties: Properties) -> None:
    if "RetentionInDays" in properties:
        call("logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=properties["RetentionInDays"])


def _read_group(call: Call, name: str, properties: Properties) -> Attributes:
    return {"Arn": f"arn:aws:logs:{call.region}:{call.account}:log-group:{name}:*"}


def _update_group(call: Call, name: str, new: Properties, old: Properties) -> None:
    if "RetentionInDays" in old and "RetentionInDays" not in new:
        call("logs", "DeleteRetentionPolicy", logGroupName=name)
    _finish_group(call, name, new)
    added, removed = tag_changes(new, old)
    if added:
        call("logs", "TagLogGroup", logGroupName=name, tags=added)
    if removed:
        call("logs", "UntagLogGroup", logGroupName=name, tags=removed)


def _delete_group(call: Call, name: str, properties: Properties) -> None:
    call("logs", "DeleteLogGroup", logGroupName=name)


_CLUSTER_FIXED = ("ClusterIdentifier", "DBName", "MasterUsername", "Port", "ClusterSubnetGroupName")
_CLUSTER = (
    "ClusterType", "NodeType", "NumberOfNodes", "MasterUserPassword", "PubliclyAccessible", "Encrypted", "IamRoles",
    "AutomatedSnapshotRetentionPeriod", "PreferredMaintenanceWindow", "AllowVersionUpgrade", "ClusterVersion",
    "EnhancedVpcRouting", "VpcSecurityGroupIds", "ClusterParameterGroupName",
)  # fmt: skip


def _create_cluster(call: Call, name: str, properties: Properties) -> str:
    settings = pick(properties, *_CLUSTER, *_CLUSTER_FIXED[1:])
    if settings.get("ClusterType") == "single-node":
        settings.pop("NumberOfNodes", None)
    call("redshift", "CreateCluster", ClusterIdentifier=name, Tags=pairs(tags_of(properties)) or None, **settings)
    return name


def _describe_cluster(call: Call, name: str) -> dict[str, Any]:
    found: dict[str, Any] = call("redshift", "DescribeClusters", ClusterIdentifier=name)["Clusters"][0]
    return found


def _read_cluster(call: Call, name: str, properties: Properties) -> Attributes:
    found = _describe_cluster(call, name)
    endpoint = found.get("Endpoint") or {}
    return {
        "Id": name,
        "Endpoint.Address": endpoint.get("Address", ""),
        "Endpoint.Port": str(endpoint.get("Port", "")),
        "ClusterNamespaceArn": found.get("ClusterNamespaceArn", ""),
    }


def _cluster_ready(call: Call, name: str, properties: Properties) -> bool:
    status = _describe_cluster(call, name)["ClusterStatus"]
    if status in ("hardware-failure", "incompatible-network", "storage-full"):
        raise ResourceFailed(f"The cluster {name} is in the status {status}")
    return bool(status == "available")


def _update_cluster(call: Call, name: str, new: Properties, old: Properties) -> bool:
    if not _cluster_ready(call, name, new):
        return False
    settings = {key: new[key] for key in _CLUSTER if key != "IamRoles" and key in new and changed(new, old, key)}
    if settings:
        call("redshift", "ModifyCluster", ClusterIdentifier=name, **settings)
    if changed(new, old, "IamRoles"):
        wanted, had = new.get("IamRoles") or [], old.get("IamRoles") or []
        call(
            "redshift", "ModifyClusterIamRoles", ClusterIdentifier=name, AddIamRoles=[role for role in wanted if role not in had],
            RemoveIamRoles=[role for role in had if role not in wanted],
        )  # fmt: skip
    added, removed = tag_changes(new, old)
    if added or removed:
        arn = f"arn:aws:redshift:{call.region}:{call.account}:cluster:{name}"
        if added:
            call("redshift", "CreateTags", ResourceName=arn, Tags=pairs(added))
        if removed:
            call("redshift", "DeleteTags", ResourceName=arn, TagKeys=removed)
    return True


def _delete_cluster(call: Call, name: str, properties: Properties) -> None:
    call("redshift", "DeleteCluster", ClusterIdentifier=name, SkipFinalClusterSnapshot=True)


def _create_identity(call: Call, name: str, properties: Properties) -> str:
    identity = str(properties["EmailIdentity"])
    configuration_set = (properties.get("ConfigurationSetAttributes") or {}).get("ConfigurationSetName")
    call(
        "sesv2", "CreateEmailIdentity", EmailIdentity=identity, ConfigurationSetName=configuration_set,
        Tags=pairs(tags_of(properties)) or None,
    )  # fmt: skip
    return identity


def _adopt_identity(call: Call, name: str, properties: Properties) -> str | None:
    return str(properties["EmailIdentity"])


def _read_identity(call: Call, name: str, properties: Properties) -> Attributes:
    call("sesv2", "GetEmailIdentity", EmailIdentity=name)
    return {}


def _update_identity(call: Call, name: str, new: Properties, old: Properties) -> None:
    if changed(new, old, "ConfigurationSetAttributes"):
        call(
            "sesv2", "PutEmailIdentityConfigurationSetAttributes", EmailIdentity=name,
            ConfigurationSetName=(new.get("ConfigurationSetAttributes") or {}).get("ConfigurationSetName"),
        )  # fmt: skip


def _delete_identity(call: Call, name: str, properties: Properties) -> None:
    call("sesv2", "DeleteEmailIdentity", EmailIdentity=name)


def _create_template(call: Call, name: str, properties: Properties) -> str:
    call("ses", "CreateTemplate", Template={**properties["Template"], "TemplateName": _template_name(name, properties)})
    return _template_name(name, properties)


def _template_name(name: str, properties: Properties) -> str:
    return str(properties["Template"].get("TemplateName", name))


def _adopt_template(call: Call, name: str, properties: Properties) -> str | None:
    return _template_name(name, properties)


def _read_template(call: Call, name: str, properties: Properties) -> Attributes:
    call("ses", "GetTemplate", TemplateName=name)
    return {"Id": name}


def _update_template(call: Call, name: str, new: Properties, old: Properties) -> None:
    call("ses", "UpdateTemplate", Template={**new["Template"], "TemplateName": name})


def _other_template_name(new: Properties, old: Properties) -> bool:
    return bool(new["Template"].get("TemplateName") != old["Template"].get("TemplateName"))


def _delete_template(call: Call, name: str, properties: Properties) -> None:
    call("ses", "DeleteTemplate", TemplateName=name)


_SET = ("TrackingOptions", "DeliveryOptions", "ReputationOptions", "SendingOptions", "SuppressionOptions")


def _create_set(call: Call, name: str, properties: Properties) -> str:
    tags = pairs(tags_of(properties)) or None
    call("sesv2", "CreateConfigurationSet", ConfigurationSetName=name, Tags=tags, **pick(properties, *_SET))
    return name


def _read_set(call: Call, name: str, properties: Properties) -> Attributes:
    call("sesv2", "GetConfigurationSet", ConfigurationSetName=name)
    return {}


def _delete_set(call: Call, name: str, properties: Properties) -> None:
    call("sesv2", "DeleteConfigurationSet", ConfigurationSetName=name)


def _create_stack(call: Call, name: str, properties: Properties) -> str:
    answer = call(
        "cloudformation", "CreateStack", StackName=name, Tags=pairs(tags_of(properties)) or None, **_stack_settings(properties),
        OnFailure="DO_NOTHING", Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )  # fmt: skip
    return str(answer["StackId"])


def _stack_settings(properties: Properties) -> dict[str, Any]:
    parameters = [
        {"ParameterKey": key, "ParameterValue": ",".join(map(str, value)) if isinstance(value, list) else value}
        for key, value in (properties.get("Parameters") or {}).items()
    ]
    return {"Parameters": parameters, **pick(properties, "TemplateURL", "NotificationARNs")}


def _describe_stack(call: Call, stack_id: str) -> dict[str, Any]:
    found: dict[str, Any] = call("cloudformation", "DescribeStacks", StackName=stack_id)["Stacks"][0]
    return found


def _adopt_stack(call: Call, name: str, properties: Properties) -> str | None:
    return str(_describe_stack(call, name)["StackId"])


def _stack_ready(call: Call, stack_id: str, properties: Properties) -> bool:
    status = _describe_stack(call, stack_id)["StackStatus"]
    if status.endswith("_FAILED") or "ROLLBACK" in status:
        raise ResourceFailed(f"Embedded stack {stack_id} was not successfully created: its status is {status}")
    return bool(status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"))


def _read_stack(call: Call, stack_id: str, properties: Properties) -> Attributes:
    found = _describe_stack(call, stack_id)
    if found["StackStatus"] == "DELETE_COMPLETE":
        raise Gone(stack_id)
    if found["StackStatus"] == "DELETE_FAILED":
        raise ResourceFailed(f"Embedded stack {stack_id} was not deleted: {found.get('StackStatusReason', '')}")
    outputs = found.get("Outputs") or []
    return {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in outputs}


def _update_stack(call: Call, stack_id: str, new: Properties, old: Properties) -> None:
    if _describe_stack(call, stack_id)["StackStatus"].endswith("_IN_PROGRESS"):
        return
    settings = {**_stack_settings(new), "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]}
    try:
        call("cloudformation", "UpdateStack", StackName=stack_id, **settings)
    except AwsError as error:
        if "No updates are to be performed" not in error.message:
            raise


def _delete_stack(call: Call, stack_id: str, properties: Properties) -> None:
    call("cloudformation", "DeleteStack", StackName=stack_id)


def _create_handle(call: Call, name: str, properties: Properties) -> str:
    return f"https://cloudformation-waitcondition-{call.region}.s3.amazonaws.com/{name}"


def _nothing(call: Call, name: str, properties: Properties) -> Attributes:
    return {}


def _keep(call: Call, name: str, properties: Properties) -> None:
    """A handle is only a name."""


KINDS = (
    Kind(
        type="AWS::Logs::LogGroup",
        naming=Naming("LogGroupName", 512),
        fixed=("LogGroupName",),
        mutable=("RetentionInDays", "Tags"),
        attributes=("Arn",),
        create=_create_group, finish=_finish_group, read=_read_group, update=_update_group, delete=_delete_group,
    ),
    Kind(
        type="AWS::Redshift::Cluster",
        naming=Naming("ClusterIdentifier", 63, lower=True),
        required=("ClusterType", "DBName", "MasterUsername", "NodeType"),
        fixed=_CLUSTER_FIXED,
        mutable=(*_CLUSTER, "Tags"),
        attributes=("Id", "Endpoint.Address", "Endpoint.Port", "ClusterNamespaceArn"),
        create=_create_cluster, ready=_cluster_ready, read=_read_cluster, update=_update_cluster, delete=_delete_cluster,
        slow=True,
    ),
    Kind(
        type="AWS::SES::EmailIdentity",
        required=("EmailIdentity",),
        fixed=("EmailIdentity",),
        mutable=("ConfigurationSetAttributes", "Tags"),
        create=_create_identity, adopt=_adopt_identity, read=_read_identity, update=_update_identity, delete=_delete_identity,
    ),
    Kind(
        type="AWS::SES::Template",
        required=("Template",),
        mutable=("Template",),
        attributes=("Id",),
        create=_create_template, adopt=_adopt_template, read=_read_template, update=_update_template, delete=_delete_template,
        replaces=_other_template_name,
    ),
    Kind(
        type="AWS::SES::ConfigurationSet",
        naming=Naming("Name", 64),
        fixed=("Name", "Tags", *_SET),
        create=_create_set, read=_read_set, delete=_delete_set,
    ),
    Kind(
        type="AWS::CloudFormation::Stack",
        required=("TemplateURL",),
        mutable=("TemplateURL", "Parameters", "NotificationARNs", "Tags"),
        create=_create_stack, adopt=_adopt_stack, ready=_stack_ready, read=_read_stack, update=_update_stack,
        delete=_delete_stack, slow=True,
    ),
    Kind(
        type="AWS::CloudFormation::WaitConditionHandle",
        create=_create_handle, read=_nothing, delete=_keep,
    ),
)  # fmt: skip
