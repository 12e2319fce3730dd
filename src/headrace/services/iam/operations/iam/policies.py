"""Managed policies and their versions."""

from collections.abc import Iterator
from typing import Any

from headrace.kit.errors import ValidationError
from headrace.layers import tags
from headrace.operation import Context, operation
from headrace.services.iam import errors, limits, managed, rules, state

Structure = dict[str, Any]


@operation
def create_policy(
    ctx: Context, *, policy_name: str, policy_document: str, path: str = "/", description: str | None = None,
    tags: list[dict[str, str]] | None = None,
) -> Structure:  # fmt: skip
    """Create a managed policy; its first version is v1."""
    if state.POLICIES.get(ctx.tx, ctx.account, policy_name) is not None:
        raise errors.EntityAlreadyExistsException(
            f"A policy called {policy_name} already exists. Duplicate names are not allowed."
        )
    _check(policy_document)
    state.check_room(ctx, state.POLICIES, "PoliciesPerAccount")
    now = float(int(ctx.clock.now()))
    policy = state.ManagedPolicy(
        name=policy_name,
        path=path,
        policy_id=rules.identifier(ctx.ids, "policy"),
        arn=rules.entity_arn(ctx.account, "policy", path, policy_name),
        created_at=now,
        updated_at=now,
        default=1,
        versions={1: (policy_document, now)},
        description=description,
    )
    _put(ctx, policy)
    state.add_tags(ctx, policy.arn, tags)
    return {"Policy": _show(ctx, policy, full=True)}


@operation(read_only=True)
def get_policy(ctx: Context, *, policy_arn: str) -> Structure:
    """Describe a managed policy, also one of AWS's."""
    return {"Policy": _show(ctx, state.policy(ctx, policy_arn), full=True)}


@operation(read_only=True)
def list_policies(
    ctx: Context, *, scope: str = "All", only_attached: bool = False, path_prefix: str = "/",
    policy_usage_filter: str | None = None, marker: str | None = None, max_items: int | None = None,
) -> Structure:  # fmt: skip
    """List managed policies: the account's (Local), AWS's (AWS), or both.

    Differs from AWS: PermissionsBoundary as a usage filter is refused; AWS's policies are those that concern Headrace.
    """
    if policy_usage_filter == "PermissionsBoundary":
        raise ValidationError("The policy usage filter PermissionsBoundary is not supported here.")
    limit = max_items or limits.PAGE_ITEMS_DEFAULT
    found: list[state.ManagedPolicy] = []
    for policy in _all(ctx, scope, rules.read_marker(marker)):
        if not policy.path.startswith(path_prefix) or (only_attached and not state.attachments(ctx, policy.arn, 1)):
            continue
        found.append(policy)
        if len(found) > limit:
            break
    shown, more = rules.page([policy.arn for policy in found], max_items)
    return {"Policies": [_show(ctx, policy, full=False) for policy in found[: len(shown)]], **more}


@operation
def delete_policy(ctx: Context, *, policy_arn: str) -> None:
    """Delete a managed policy that has one version and is attached to nothing."""
    policy = state.own_policy(ctx, policy_arn)
    if state.attachments(ctx, policy_arn, 1):
        raise errors.DeleteConflictException("Cannot delete a policy attached to entities.")
    if len(policy.versions) > 1:
        raise errors.DeleteConflictException(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
    state.POLICIES.delete(ctx.tx, ctx.account, policy.name)
    tags.drop(ctx.tx, policy_arn)
    state.changed(ctx)


@operation
def create_policy_version(ctx: Context, *, policy_arn: str, policy_document: str, set_as_default: bool = False) -> Structure:
    """Add a version to a managed policy."""
    policy = state.own_policy(ctx, policy_arn)
    _check(policy_document)
    if len(policy.versions) >= limits.MANAGED_POLICY_VERSIONS_MAX:
        raise errors.LimitExceededException(
            f"A managed policy can have up to {limits.MANAGED_POLICY_VERSIONS_MAX} versions. Before you create a new "
            "version, you must delete an existing version."
        )
    policy.last_version += 1
    policy.versions[policy.last_version] = (policy_document, float(int(ctx.clock.now())))
    if set_as_default:
        policy.default = policy.last_version
    policy.updated_at = float(int(ctx.clock.now()))
    _put(ctx, policy)
    return {"PolicyVersion": _show_version(policy, policy.last_version)}


@operation(read_only=True)
def get_policy_version(ctx: Context, *, policy_arn: str, version_id: str) -> Structure:
    """Show a version of a managed policy with its document."""
    policy = state.policy(ctx, policy_arn)
    number = _version(policy, version_id)
    return {"PolicyVersion": {**_show_version(policy, number), "Document": rules.on_wire(policy.versions[number][0])}}


@operation(read_only=True)
def list_policy_versions(ctx: Context, *, policy_arn: str, marker: str | None = None, max_items: int | None = None) -> Structure:
    """List the versions of a managed policy, the newest first; there are five at most."""
    policy = state.policy(ctx, policy_arn)
    numbers = sorted(policy.versions, reverse=True)
    return {"Versions": [_show_version(policy, number) for number in numbers], "IsTruncated": False}


@operation
def delete_policy_version(ctx: Context, *, policy_arn: str, version_id: str) -> None:
    """Delete a version that is not the default one."""
    policy = state.own_policy(ctx, policy_arn)
    number = _version(policy, version_id)
    if number == policy.default:
        raise errors.DeleteConflictException("Cannot delete the default version of a policy.")
    del policy.versions[number]
    _put(ctx, policy)


@operation
def set_default_policy_version(ctx: Context, *, policy_arn: str, version_id: str) -> None:
    """Choose the version that is in force."""
    policy = state.own_policy(ctx, policy_arn)
    policy.default = _version(policy, version_id)
    policy.updated_at = float(int(ctx.clock.now()))
    _put(ctx, policy)


@operation
def tag_policy(ctx: Context, *, policy_arn: str, tags: list[dict[str, str]]) -> None:
    """Add tags to a managed policy."""
    state.add_tags(ctx, state.own_policy(ctx, policy_arn).arn, tags)


@operation
def untag_policy(ctx: Context, *, policy_arn: str, tag_keys: list[str]) -> None:
    """Take tags from a managed policy."""
    tags.remove(ctx.tx, state.own_policy(ctx, policy_arn).arn, tag_keys)


@operation(read_only=True)
def list_policy_tags(ctx: Context, *, policy_arn: str, marker: str | None = None, max_items: int | None = None) -> Structure:
    """List a managed policy's tags, all of them at once."""
    return {"Tags": tags.to_list(tags.get(ctx.tx, state.policy(ctx, policy_arn).arn)), "IsTruncated": False}


def _all(ctx: Context, scope: str, after: str | None) -> Iterator[state.ManagedPolicy]:
    """The policies of a scope in the order of their listing: the account's own, then AWS's."""
    past_own = after is not None and managed.is_aws(after)
    if scope != "AWS" and not past_own:
        start = None if after is None else (ctx.account, after.rpartition("/")[2])
        for _, policy in state.POLICIES.scan(ctx.tx, ctx.account, after=start):
            yield policy
    if scope != "Local":
        for arn in managed.names():
            if (not past_own or after is None or arn > after) and (found := state.find_policy(ctx.tx, arn)):
                yield found


def _check(document: str) -> None:
    if rules.size(document) > limits.MANAGED_POLICY_CHARACTERS_MAX:
        raise errors.quota("PolicySize", limits.MANAGED_POLICY_CHARACTERS_MAX)
    rules.check_document(document)


def _put(ctx: Context, policy: state.ManagedPolicy) -> None:
    state.POLICIES.put(ctx.tx, policy, ctx.account, policy.name)
    state.changed(ctx)


def _version(policy: state.ManagedPolicy, version_id: str) -> int:
    number = int(version_id[1:].split(".", maxsplit=1)[0]) if version_id[1:].split(".", maxsplit=1)[0].isdecimal() else 0
    if number not in policy.versions:
        raise errors.NoSuchEntityException(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")
    return number


def _show(ctx: Context, policy: state.ManagedPolicy, *, full: bool) -> Structure:
    answer: Structure = {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": f"v{policy.default}",
        "AttachmentCount": state.attachments(ctx, policy.arn, limits.ENTITIES_PER_ACCOUNT_MAX),
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": policy.created_at,
        "UpdateDate": policy.updated_at,
    }
    if full:
        if policy.description is not None:
            answer["Description"] = policy.description
        answer["Tags"] = tags.to_list(tags.get(ctx.tx, policy.arn))
    return answer


def _show_version(policy: state.ManagedPolicy, number: int) -> Structure:
    return {
        "VersionId": f"v{number}",
        "IsDefaultVersion": number == policy.default,
        "CreateDate": policy.versions[number][1],
    }
