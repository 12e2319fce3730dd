"""Provisioned concurrency, as templates give it to versions and aliases."""

from typing import Any

from headrace.kit.errors import AwsError
from headrace.services.cloudformation.resources.kind import Call, Properties, ResourceFailed, is_missing


def reconcile(call: Call, arn: str, properties: Properties) -> bool:
    """Ask for what the template says, unless that was done; whether all of it is there. May be repeated."""
    function, _, qualifier = arn.rpartition(":")
    named = {"FunctionName": function, "Qualifier": qualifier}
    given = properties.get("ProvisionedConcurrencyConfig") or {}
    wanted = int(given.get("ProvisionedConcurrentExecutions") or 0)
    kept = _kept(call, named)
    if not wanted:
        if kept is not None:
            call("lambda", "DeleteProvisionedConcurrencyConfig", **named)
        return True
    if kept is None or kept["RequestedProvisionedConcurrentExecutions"] != wanted:
        call("lambda", "PutProvisionedConcurrencyConfig", **named, ProvisionedConcurrentExecutions=wanted)
        return False
    if kept["Status"] == "FAILED":
        raise ResourceFailed(f"Provisioned concurrency of {arn} could not be allocated: {kept.get('StatusReason')}")
    return bool(kept["Status"] == "READY")


def _kept(call: Call, named: dict[str, str]) -> dict[str, Any] | None:
    try:
        return call("lambda", "GetProvisionedConcurrencyConfig", **named)
    except AwsError as error:
        if is_missing(error):
            return None
        raise
