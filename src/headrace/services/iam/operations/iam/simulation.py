"""Trying policies out: what would be allowed, without doing it."""

from collections.abc import Iterable
from typing import Any

from headrace.operation import Context, operation
from headrace.ports import Principal
from headrace.services.iam import errors, limits, permissions, rules, state
from headrace.services.iam.engine import documents
from headrace.services.iam.engine.documents import Policy
from headrace.services.iam.engine.evaluation import Decision, RequestContext
from headrace.services.iam.permissions import Permissions

Structure = dict[str, Any]

_STRICTEST_FIRST = (Decision.EXPLICIT_DENY, Decision.IMPLICIT_DENY, Decision.ALLOWED)


@operation(transaction=False)
def simulate_principal_policy(
    ctx: Context, *, policy_source_arn: str, action_names: list[str], policy_input_list: list[str] | None = None,
    resource_arns: list[str] | None = None, context_entries: list[Structure] | None = None,
) -> Structure:  # fmt: skip
    """Say what the policies of a user or role, and further ones that are given, would decide.

    Differs from AWS: the statements that match and the context keys that are missing are not listed; all comes at once.
    """

    def body(inner: Context) -> Permissions:
        kind, _, name = policy_source_arn.rpartition(":")[2].partition("/")
        if kind not in ("role", "user"):
            raise errors.InvalidInputException(f"Invalid principal: {policy_source_arn}")
        row = state.entity(inner, kind, name.rpartition("/")[2])
        arn = row.arn if kind == "user" else f"arn:aws:sts::{inner.account}:assumed-role/{row.name}/simulated"
        return permissions.find_permissions(inner.tx, Principal(arn, "", inner.account))

    held = ctx.snapshot(body)
    own, *others = held.groups
    held = Permissions(((*own, *_parsed(policy_input_list)), *others), held.tags, held.kinds)
    return _answer(held, action_names, resource_arns, context_entries)


@operation(transaction=False)
def simulate_custom_policy(
    ctx: Context, *, policy_input_list: list[str], action_names: list[str], resource_arns: list[str] | None = None,
    context_entries: list[Structure] | None = None,
) -> Structure:  # fmt: skip
    """Say what the given policies would decide."""
    return _answer(Permissions((_parsed(policy_input_list),), {}), action_names, resource_arns, context_entries)


def _parsed(texts: Iterable[str] | None) -> tuple[Policy, ...]:
    found = list(texts or ())
    for text in found:
        rules.check_document(text)
    return tuple(documents.parse(text) for text in found)


def _answer(held: Permissions, actions: list[str], resources: list[str] | None, entries: list[Structure] | None) -> Structure:
    context = {one["ContextKeyName"].lower(): tuple(one.get("ContextKeyValues") or ()) for one in entries or ()}
    listed = resources or ["*"]
    if len(actions) * len(listed) > limits.SIMULATED_DECISIONS_MAX:
        raise errors.InvalidInputException(f"At most {limits.SIMULATED_DECISIONS_MAX} decisions can be asked for at once.")
    results = [_result(held, action, listed, context) for action in actions]
    return {"EvaluationResults": results, "IsTruncated": False}


def _result(held: Permissions, action: str, resources: list[str], context: RequestContext) -> Structure:
    """One action's result: the most restrictive decision of all resources, and that of each."""
    decisions = [held.decide(action, resource, context) for resource in resources]
    specific = [
        {"EvalResourceName": resource, "EvalResourceDecision": decision.value}
        for resource, decision in zip(resources, decisions, strict=True)
    ]
    return {
        "EvalActionName": action,
        "EvalResourceName": resources[0] if len(resources) == 1 else "*",
        "EvalDecision": next(one for one in _STRICTEST_FIRST if one in decisions).value,
        "MatchedStatements": [],
        "MissingContextValues": [],
        "ResourceSpecificResults": specific,
    }
