"""IAM's resource types."""

from collections.abc import Iterable
from typing import Any

from headrace.kit.errors import AwsError
from headrace.services.cloudformation.resources.kind import (
    Attributes,
    Call,
    Kind,
    Naming,
    Properties,
    changed,
    is_missing,
    pairs,
    pick,
    tag_changes,
    tags_of,
)  # fmt: skip


def _create_role(call: Call, name: str, properties: Properties) -> str:
    call(
        "iam", "CreateRole", RoleName=name, Tags=pairs(tags_of(properties)) or None,
        **pick(properties, "AssumeRolePolicyDocument", "Path", "Description", "MaxSessionDuration", "PermissionsBoundary"),
    )  # fmt: skip
    return name


def _finish_role(call: Call, name: str, properties: Properties) -> None:
    _set_policies(call, name, properties, {})


def _set_policies(call: Call, name: str, new: Properties, old: Properties) -> None:
    for arn in old.get("ManagedPolicyArns") or []:
        if arn not in (new.get("ManagedPolicyArns") or []):
            _quietly(call, "DetachRolePolicy", RoleName=name, PolicyArn=arn)
    for arn in new.get("ManagedPolicyArns") or []:
        call("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn)
    wanted = {policy["PolicyName"] for policy in new.get("Policies") or []}
    for policy in old.get("Policies") or []:
        if policy["PolicyName"] not in wanted:
            _quietly(call, "DeleteRolePolicy", RoleName=name, PolicyName=policy["PolicyName"])
    for policy in new.get("Policies") or []:
        call("iam", "PutRolePolicy", RoleName=name, **policy)


def _quietly(call: Call, operation: str, **parameters: Any) -> None:
    """Take something away that may be gone already."""
    try:
        call("iam", operation, **parameters)
    except AwsError as error:
        if not is_missing(error):
            raise


def _read_role(call: Call, name: str, properties: Properties) -> Attributes:
    role = call("iam", "GetRole", RoleName=name)["Role"]
    return {"Arn": role["Arn"], "RoleId": role["RoleId"]}


def _update_role(call: Call, name: str, new: Properties, old: Properties) -> None:
    if changed(new, old, "AssumeRolePolicyDocument"):
        call("iam", "UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=new["AssumeRolePolicyDocument"])
    if changed(new, old, "Description", "MaxSessionDuration"):
        settings = {"Description": new.get("Description", ""), "MaxSessionDuration": new.get("MaxSessionDuration", 3600)}
        call("iam", "UpdateRole", RoleName=name, **settings)
    if changed(new, old, "PermissionsBoundary"):
        if "PermissionsBoundary" in new:
            call("iam", "PutRolePermissionsBoundary", RoleName=name, PermissionsBoundary=new["PermissionsBoundary"])
        else:
            call("iam", "DeleteRolePermissionsBoundary", RoleName=name)
    _set_policies(call, name, new, old)
    added, removed = tag_changes(new, old)
    if added:
        call("iam", "TagRole", RoleName=name, Tags=pairs(added))
    if removed:
        call("iam", "UntagRole", RoleName=name, TagKeys=removed)


def _delete_role(call: Call, name: str, properties: Properties) -> None:
    for policy in call("iam", "ListAttachedRolePolicies", RoleName=name)["AttachedPolicies"]:
        call("iam", "DetachRolePolicy", RoleName=name, PolicyArn=policy["PolicyArn"])
    for policy_name in call("iam", "ListRolePolicies", RoleName=name)["PolicyNames"]:
        call("iam", "DeleteRolePolicy", RoleName=name, PolicyName=policy_name)
    call("iam", "DeleteRole", RoleName=name)


# An inline policy of several roles and users. Its physical id is a name of its own.


def _holders(properties: Properties) -> list[tuple[str, str]]:
    return [(kind, str(name)) for kind in ("Role", "User") for name in properties.get(f"{kind}s") or []]


def _put_policy(call: Call, name: str, properties: Properties) -> str:
    document = pick(properties, "PolicyName", "PolicyDocument")
    for kind, holder in _holders(properties):
        call("iam", f"Put{kind}Policy", **{f"{kind}Name": holder}, **document)
    return name


def _update_policy(call: Call, name: str, new: Properties, old: Properties) -> None:
    _put_policy(call, name, new)
    gone = set(_holders(old)) - set(_holders(new)) if new["PolicyName"] == old["PolicyName"] else set(_holders(old))
    _remove_policy(call, gone, old["PolicyName"])


def _remove_policy(call: Call, holders: Iterable[tuple[str, str]], name: str) -> None:
    for kind, holder in holders:
        _quietly(call, f"Delete{kind}Policy", **{f"{kind}Name": holder}, PolicyName=name)


def _delete_policy(call: Call, name: str, properties: Properties) -> None:
    _remove_policy(call, _holders(properties), properties["PolicyName"])


def _read_nothing(call: Call, name: str, properties: Properties) -> Attributes:
    return {}


def _create_managed(call: Call, name: str, properties: Properties) -> str:
    answer = call("iam", "CreatePolicy", PolicyName=name, **pick(properties, "PolicyDocument", "Path", "Description"))
    return str(answer["Policy"]["Arn"])


def _adopt_managed(call: Call, name: str, properties: Properties) -> str | None:
    return f"arn:aws:iam::{call.account}:policy{properties.get('Path', '/')}{name}"


def _attach(call: Call, arn: str, properties: Properties) -> None:
    for kind, holder in _holders(properties):
        call("iam", f"Attach{kind}Policy", **{f"{kind}Name": holder}, PolicyArn=arn)


def _read_managed(call: Call, arn: str, properties: Properties) -> Attributes:
    policy = call("iam", "GetPolicy", PolicyArn=arn)["Policy"]
    return {"PolicyArn": arn, "PolicyId": policy["PolicyId"], "DefaultVersionId": policy["DefaultVersionId"]}


def _update_managed(call: Call, arn: str, new: Properties, old: Properties) -> None:
    if changed(new, old, "PolicyDocument"):
        versions = call("iam", "ListPolicyVersions", PolicyArn=arn)["Versions"]
        for version in versions:
            if not version["IsDefaultVersion"] and len(versions) > 1:
                call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])
        call("iam", "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=new["PolicyDocument"], SetAsDefault=True)
    for kind, holder in set(_holders(old)) - set(_holders(new)):
        _quietly(call, f"Detach{kind}Policy", **{f"{kind}Name": holder}, PolicyArn=arn)
    _attach(call, arn, new)


def _delete_managed(call: Call, arn: str, properties: Properties) -> None:
    for kind, holder in _holders(properties):
        _quietly(call, f"Detach{kind}Policy", **{f"{kind}Name": holder}, PolicyArn=arn)
    for version in call("iam", "ListPolicyVersions", PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])
    call("iam", "DeletePolicy", PolicyArn=arn)


def named(kind: str, properties: Properties) -> bool:
    """Whether the resource needs CAPABILITY_NAMED_IAM: it has a name of its own."""
    return any(name in properties for name in _NAMES.get(kind, ()))


def is_iam(kind: str) -> bool:
    """Whether the resource needs CAPABILITY_IAM."""
    return kind in _NAMES


_NAMES = {
    "AWS::IAM::Role": ("RoleName",),
    "AWS::IAM::Policy": (),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName",),
}

KINDS = (
    Kind(
        type="AWS::IAM::Role",
        naming=Naming("RoleName", 64),
        required=("AssumeRolePolicyDocument",),
        fixed=("RoleName", "Path"),
        mutable=(
            "AssumeRolePolicyDocument", "Description", "ManagedPolicyArns", "MaxSessionDuration", "PermissionsBoundary",
            "Policies", "Tags",
        ),
        attributes=("Arn", "RoleId"),
        create=_create_role, finish=_finish_role, read=_read_role, update=_update_role, delete=_delete_role,
    ),
    Kind(
        type="AWS::IAM::Policy",
        required=("PolicyName", "PolicyDocument"),
        mutable=("PolicyName", "PolicyDocument", "Roles", "Users"),
        attributes=("Id",),
        create=_put_policy, read=_read_nothing, update=_update_policy, delete=_delete_policy,
    ),
    Kind(
        type="AWS::IAM::ManagedPolicy",
        naming=Naming("ManagedPolicyName", 128),
        required=("PolicyDocument",),
        fixed=("ManagedPolicyName", "Path", "Description"),
        mutable=("PolicyDocument", "Roles", "Users"),
        attributes=("PolicyArn", "PolicyId", "DefaultVersionId"),
        create=_create_managed, adopt=_adopt_managed, finish=_attach, read=_read_managed, update=_update_managed,
        delete=_delete_managed,
    ),
)  # fmt: skip
