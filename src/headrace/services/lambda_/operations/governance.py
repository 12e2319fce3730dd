"""What is kept of how a function is governed: loops, runtime updates, code signing, who may use a layer."""

import json
from typing import Any

from headrace.kit.arn import arn
from headrace.layers import tags as tag_layer
from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.lambda_ import limits, naming, shapes, state
from headrace.services.lambda_.errors import (
    CodeSigningConfigNotFoundException,
    InvalidParameterValueException,
    PolicyLengthExceededException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import CodeSigning, Policy


@operation
def put_function_recursion_config(ctx: Context, *, function_name: str, recursive_loop: str) -> dict[str, Any]:
    """Say what becomes of loops through a function: stopped after 16 runs (Terminate, as it begins), or not (Allow)."""
    name = naming.parse(ctx, function_name)
    function = state.find_function(ctx.tx, name)
    function.recursive_loop = recursive_loop
    state.FUNCTIONS.put(ctx.tx, function, *name[:3])
    return {"RecursiveLoop": recursive_loop}


@operation(read_only=True)
def get_function_recursion_config(ctx: Context, *, function_name: str) -> dict[str, Any]:
    """What becomes of loops through a function."""
    return {"RecursiveLoop": state.find_function(ctx.tx, naming.parse(ctx, function_name)).recursive_loop}


@operation
def put_runtime_management_config(
    ctx: Context, *, function_name: str, update_runtime_on: str, qualifier: str | None = None,
    runtime_version_arn: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Say when a function gets a newer runtime. Differs from AWS: kept and shown; the machine has one version of each."""
    name = naming.parse(ctx, function_name, qualifier)
    state.resolve(ctx.tx, name)
    if (update_runtime_on == "Manual") != (runtime_version_arn is not None):
        raise InvalidParameterValueException("A runtime version ARN goes with the update mode Manual, and with it alone.")
    kept = {"UpdateRuntimeOn": update_runtime_on}
    if runtime_version_arn is not None:
        kept["RuntimeVersionArn"] = runtime_version_arn
    state.RUNTIME_UPDATES.put(ctx.tx, kept, *name[:3], name.qualifier or naming.LATEST)
    return {**kept, "FunctionArn": _qualified_arn(name)}


@operation(read_only=True)
def get_runtime_management_config(ctx: Context, *, function_name: str, qualifier: str | None = None) -> dict[str, Any]:
    """When a function gets a newer runtime."""
    name = naming.parse(ctx, function_name, qualifier)
    state.resolve(ctx.tx, name)
    kept = state.RUNTIME_UPDATES.get(ctx.tx, *name[:3], name.qualifier or naming.LATEST) or {"UpdateRuntimeOn": "Auto"}
    return {**kept, "FunctionArn": _qualified_arn(name)}


@operation
def create_code_signing_config(
    ctx: Context, *, allowed_publishers: dict[str, Any], description: str | None = None,
    code_signing_policies: dict[str, str] | None = None, tags: dict[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Keep who may sign code. Signatures are not checked here, so a policy that enforces them is refused."""
    _check_policy(code_signing_policies)
    config_id = "csc-" + ctx.ids.uuid().replace("-", "")[:17]
    config = CodeSigning(config_id, description or "", allowed_publishers["SigningProfileVersionArns"], ctx.clock.now())
    state.CODE_SIGNINGS.put(ctx.tx, config, ctx.account, ctx.region, config_id)
    tag_layer.add(ctx.tx, _signing_arn(ctx, config_id), tags or {})
    return {"CodeSigningConfig": _signing(ctx, config)}


@operation(read_only=True)
def get_code_signing_config(ctx: Context, *, code_signing_config_arn: str) -> dict[str, Any]:
    """Who may sign code."""
    return {"CodeSigningConfig": _signing(ctx, _find_signing(ctx, code_signing_config_arn))}


@operation
def update_code_signing_config(
    ctx: Context, *, code_signing_config_arn: str, description: str | None = None,
    allowed_publishers: dict[str, Any] | None = None, code_signing_policies: dict[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Change what is given."""
    _check_policy(code_signing_policies)
    old = _find_signing(ctx, code_signing_config_arn)
    publishers = old.publishers if allowed_publishers is None else allowed_publishers["SigningProfileVersionArns"]
    new = CodeSigning(old.id, old.description if description is None else description, publishers, ctx.clock.now())
    state.CODE_SIGNINGS.put(ctx.tx, new, ctx.account, ctx.region, old.id)
    return {"CodeSigningConfig": _signing(ctx, new)}


@operation
def delete_code_signing_config(ctx: Context, *, code_signing_config_arn: str) -> dict[str, Any]:
    """Remove a config that no function has."""
    config = _find_signing(ctx, code_signing_config_arn)
    if any(kept == config.id for _, kept in state.SIGNED_BY.scan(ctx.tx, ctx.account, ctx.region)):
        raise ResourceConflictException("The code signing configuration is attached to a function and can't be deleted.")
    state.CODE_SIGNINGS.delete(ctx.tx, ctx.account, ctx.region, config.id)
    tag_layer.drop(ctx.tx, _signing_arn(ctx, config.id))
    return {}


@operation(read_only=True, accepts=("marker", "max_items"))
def list_code_signing_configs(ctx: Context) -> dict[str, Any]:
    """All of them at once."""
    found = state.CODE_SIGNINGS.scan(ctx.tx, ctx.account, ctx.region)
    return {"CodeSigningConfigs": [_signing(ctx, config) for _, config in found]}


@operation
def put_function_code_signing_config(ctx: Context, *, code_signing_config_arn: str, function_name: str) -> dict[str, Any]:
    """Give a function a config; it only warns, so nothing is refused by it."""
    name = naming.parse(ctx, function_name)
    state.find_function(ctx.tx, name)
    config = _find_signing(ctx, code_signing_config_arn)
    state.SIGNED_BY.put(ctx.tx, config.id, *name[:3])
    return {"CodeSigningConfigArn": _signing_arn(ctx, config.id), "FunctionName": name.name}


@operation(read_only=True)
def get_function_code_signing_config(ctx: Context, *, function_name: str) -> dict[str, Any]:
    """A function's config; an empty ARN when it has none."""
    name = naming.parse(ctx, function_name)
    state.find_function(ctx.tx, name)
    kept = state.SIGNED_BY.get(ctx.tx, *name[:3])
    return {"CodeSigningConfigArn": _signing_arn(ctx, kept) if kept else "", "FunctionName": name.name}


@operation
def delete_function_code_signing_config(ctx: Context, *, function_name: str) -> None:
    """Take a function's config away."""
    name = naming.parse(ctx, function_name)
    state.find_function(ctx.tx, name)
    state.SIGNED_BY.delete(ctx.tx, *name[:3])


@operation(read_only=True, accepts=("marker", "max_items"))
def list_functions_by_code_signing_config(ctx: Context, *, code_signing_config_arn: str) -> dict[str, Any]:
    """The functions with a config, all at once."""
    config = _find_signing(ctx, code_signing_config_arn)
    found = state.SIGNED_BY.scan(ctx.tx, ctx.account, ctx.region)
    return {
        "FunctionArns": [naming.function_arn(ctx.account, ctx.region, str(key[-1])) for key, kept in found if kept == config.id]
    }


@operation
def add_layer_version_permission(
    ctx: Context, *, layer_name: str, version_number: int, statement_id: str, action: str, principal: str,
    organization_id: str | None = None, revision_id: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Let another account, or all of them, use a version of a layer. Differs from AWS: there are no organizations, so a statement
    for one lets nobody in.
    """
    if action != "lambda:GetLayerVersion":
        raise InvalidParameterValueException(f"{action} is not an action on layers: lambda:GetLayerVersion is.")
    key = _layer_key(ctx, layer_name, version_number)
    policy = state.LAYER_POLICIES.get(ctx.tx, *key) or Policy("", [])
    if revision_id is not None and revision_id != policy.revision_id:
        raise PreconditionFailedException.revision()
    if any(statement["Sid"] == statement_id for statement in policy.statements):
        raise ResourceConflictException(
            f"The statement id ({statement_id}) provided already exists. Please provide a new statement id, "
            "or remove the existing statement."
        )
    whose = "*" if principal == "*" else {"AWS": arn("iam", "", principal, "root") if principal.isdigit() else principal}
    statement: dict[str, Any] = {
        "Sid": statement_id, "Effect": "Allow", "Principal": whose, "Action": action,
        "Resource": naming.layer_arn(ctx, str(key[2]), version_number),
    }  # fmt: skip
    if organization_id is not None:
        statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": organization_id}}
    policy = Policy(ctx.ids.uuid(), [*policy.statements, statement])
    if len(_policy_text(policy).encode()) > limits.POLICY_BYTES_MAX:
        raise PolicyLengthExceededException(f"The final policy size is bigger than the limit ({limits.POLICY_BYTES_MAX}).")
    state.LAYER_POLICIES.put(ctx.tx, policy, *key)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
    return {"Statement": json.dumps(statement, separators=(",", ":")), "RevisionId": policy.revision_id}


@operation
def remove_layer_version_permission(
    ctx: Context, *, layer_name: str, version_number: int, statement_id: str, revision_id: str | None = None
) -> None:
    """Take a statement out of a layer's policy."""
    key = _layer_key(ctx, layer_name, version_number)
    policy = state.LAYER_POLICIES.get(ctx.tx, *key)
    if policy is None or all(statement["Sid"] != statement_id for statement in policy.statements):
        raise ResourceNotFoundException(f"Statement {statement_id} is not found in resource policy.")
    if revision_id is not None and revision_id != policy.revision_id:
        raise PreconditionFailedException.revision()
    left = [statement for statement in policy.statements if statement["Sid"] != statement_id]
    if left:
        state.LAYER_POLICIES.put(ctx.tx, Policy(ctx.ids.uuid(), left), *key)
    else:
        state.LAYER_POLICIES.delete(ctx.tx, *key)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


@operation(read_only=True)
def get_layer_version_policy(ctx: Context, *, layer_name: str, version_number: int) -> dict[str, Any]:
    """A layer's policy."""
    policy = state.LAYER_POLICIES.get(ctx.tx, *_layer_key(ctx, layer_name, version_number))
    if policy is None:
        raise ResourceNotFoundException("No policy is associated with the given resource.")
    return {"Policy": _policy_text(policy), "RevisionId": policy.revision_id}


def _policy_text(policy: Policy) -> str:
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}, separators=(",", ":"))


def _qualified_arn(name: FunctionName) -> str:
    return naming.named_arn(name._replace(qualifier=name.qualifier or naming.LATEST))


def _layer_key(ctx: Context, layer_name: str, number: int) -> tuple[str, str, str, int]:
    name = naming.parse_layer(ctx, layer_name)
    if state.LAYERS.get(ctx.tx, ctx.account, ctx.region, name, number) is None:
        raise ResourceNotFoundException(f"Layer version {naming.layer_arn(ctx, name, number)} does not exist.")
    return ctx.account, ctx.region, name, number


def _check_policy(policies: dict[str, str] | None) -> None:
    if (policies or {}).get("UntrustedArtifactOnDeployment") == "Enforce":
        raise InvalidParameterValueException(
            "Signatures of code are not checked here: UntrustedArtifactOnDeployment must be Warn."
        )


def _signing_arn(ctx: Context, config_id: str) -> str:
    return arn("lambda", ctx.region, ctx.account, f"code-signing-config:{config_id}")


def _find_signing(ctx: Context, config_arn: str) -> CodeSigning:
    found = state.CODE_SIGNINGS.get(ctx.tx, ctx.account, ctx.region, config_arn.rpartition(":")[2])
    if found is None:
        raise CodeSigningConfigNotFoundException("The code signing configuration cannot be found.")
    return found


def _signing(ctx: Context, config: CodeSigning) -> dict[str, Any]:
    return {
        "CodeSigningConfigId": config.id,
        "CodeSigningConfigArn": _signing_arn(ctx, config.id),
        "Description": config.description,
        "AllowedPublishers": {"SigningProfileVersionArns": config.publishers},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
        "LastModified": shapes.timestamp(config.modified_at),
    }
