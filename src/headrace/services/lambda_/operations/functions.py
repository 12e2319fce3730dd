"""Functions: made, read, changed, removed."""

from typing import Any

from headrace.layers import tags as tag_layer
from headrace.operation import Context, operation
from headrace.services.lambda_ import destinations, downloads, invocations, limits, naming, packages, rules, shapes, state
from headrace.services.lambda_.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
)
from headrace.services.lambda_.naming import LATEST, FunctionName
from headrace.services.lambda_.state import Function, Version

_MAY_NOT_SEND = "The provided execution role does not have permissions to call {action} on {service}"


@operation(transaction=False)
def create_function(
    ctx: Context, *, function_name: str, role: str, code: dict[str, Any], runtime: str | None = None, handler: str | None = None,
    description: str | None = None, timeout: int | None = None, memory_size: int | None = None, publish: bool | None = None,
    package_type: str | None = None, environment: dict[str, Any] | None = None, tags: dict[str, str] | None = None,
    layers: list[str] | None = None, architectures: list[str] | None = None, ephemeral_storage: dict[str, int] | None = None,
    logging_config: dict[str, str] | None = None, dead_letter_config: dict[str, str] | None = None,
    tracing_config: dict[str, str] | None = None, durable_config: dict[str, Any] | None = None,
    snap_start: dict[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Make a function from a zip file.

    Differs from AWS: active at once; a runtime runs on the version that the machine has; no images, no VPCs.
    """
    name = _unqualified(naming.parse(ctx, function_name))
    if package_type not in (None, "Zip"):
        raise InvalidParameterValueException("Container images are not supported: the package type must be Zip.")
    if handler is None:
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    settings = _settings(environment, layers, ephemeral_storage, logging_config, dead_letter_config, tracing_config, timeout)
    rules.check_runtime(runtime)
    ctx.snapshot(lambda inner: _refuse_existing(inner, name))
    _check_others_layers(ctx, layers or [])
    invocations.check_role(ctx, role, name.name)
    package = packages.take(ctx, code)

    def make(inner: Context) -> dict[str, Any]:
        _refuse_existing(inner, name)
        now = inner.clock.now()
        values: dict[str, Any] = {
            "timeout_seconds": limits.TIMEOUT_SECONDS_DEFAULT,
            "memory_mib": memory_size or limits.MEMORY_MIB_DEFAULT,
            "temporary_mib": limits.TEMPORARY_MIB_DEFAULT,
            "architectures": architectures or ["x86_64"],
            **settings,
            "durable": rules.durable(durable_config),
            "snap_start": (snap_start or {}).get("ApplyOn") or "None",
        }
        latest = Version(
            name=name.name, version=LATEST, role=role, handler=handler, runtime=rules.check_runtime(runtime), code=package,
            description=description or "", modified_at=now, revision_id=inner.ids.uuid(), **values,
        )  # fmt: skip
        _check_layers(inner, latest)
        _check_dead_letters(inner, latest)
        state.FUNCTIONS.put(inner.tx, Function(name.name, created_at=now), *name[:3])
        state.VERSIONS.put(inner.tx, latest, *name[:3], 0)
        tag_layer.add(inner.tx, naming.function_arn(*name[:3]), tags or {})
        if publish:
            return configuration(inner, state.publish(inner, name, None), qualified=True)
        return configuration(inner, latest)

    made = ctx.transact(make)
    invocations.RUNTIME.warm_up(ctx)
    return made


@operation(read_only=True)
def get_function(ctx: Context, *, function_name: str, qualifier: str | None = None) -> dict[str, Any]:
    """A version's configuration, and where its code can be fetched from for ten minutes."""
    name = naming.parse(ctx, function_name, qualifier)
    version = state.resolve(ctx.tx, name)
    function = state.find_function(ctx.tx, name)
    result: dict[str, Any] = {
        "Configuration": configuration(ctx, version, qualified=name.qualifier is not None, name=name),
        "Code": {"RepositoryType": "S3", "Location": downloads.location(ctx, version.code)},
    }
    if found := tag_layer.get(ctx.tx, naming.function_arn(*name[:3])):
        result["Tags"] = found
    if function.reserved is not None:
        result["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved}
    return result


@operation(read_only=True)
def get_function_configuration(ctx: Context, *, function_name: str, qualifier: str | None = None) -> dict[str, Any]:
    """A version's configuration."""
    name = naming.parse(ctx, function_name, qualifier)
    return configuration(ctx, state.resolve(ctx.tx, name), qualified=name.qualifier is not None, name=name)


@operation(transaction=False)
def update_function_code(
    ctx: Context, *, function_name: str, zip_file: bytes | None = None, s3_bucket: str | None = None, s3_key: str | None = None,
    image_uri: str | None = None, architectures: list[str] | None = None, publish: bool | None = None,
    dry_run: bool | None = None, revision_id: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Give a function other code. The next invocation runs it; those that run now finish with the old one."""
    name = _unqualified(naming.parse(ctx, function_name))
    ctx.snapshot(lambda inner: _check_revision(state.find_version(inner.tx, name), revision_id))
    package = packages.take(ctx, {"ZipFile": zip_file, "S3Bucket": s3_bucket, "S3Key": s3_key, "ImageUri": image_uri})

    def change(inner: Context) -> dict[str, Any]:
        old = state.find_version(inner.tx, name)
        _check_revision(old, revision_id)
        new = _changed(inner, old, {"code": package, **({"architectures": architectures} if architectures else {})})
        if dry_run:
            return configuration(inner, new)
        state.VERSIONS.put(inner.tx, new, *name[:3], 0)
        if publish:
            return configuration(inner, state.publish(inner, name, None), qualified=True)
        return configuration(inner, new)

    result = ctx.transact(change)
    invocations.RUNTIME.retire(naming.function_arn(*name[:3]))
    return result


@operation(transaction=False)
def update_function_configuration(
    ctx: Context, *, function_name: str, role: str | None = None, handler: str | None = None, description: str | None = None,
    timeout: int | None = None, memory_size: int | None = None, environment: dict[str, Any] | None = None,
    runtime: str | None = None, dead_letter_config: dict[str, str] | None = None, tracing_config: dict[str, str] | None = None,
    revision_id: str | None = None, layers: list[str] | None = None, ephemeral_storage: dict[str, int] | None = None,
    logging_config: dict[str, str] | None = None, durable_config: dict[str, Any] | None = None,
    snap_start: dict[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Change what is given; the rest stays."""
    name = _unqualified(naming.parse(ctx, function_name))
    changes = _settings(environment, layers, ephemeral_storage, logging_config, dead_letter_config, tracing_config, timeout)
    plain = {"role": role, "handler": handler, "description": description, "memory_mib": memory_size}
    changes.update({key: value for key, value in plain.items() if value is not None})
    if runtime is not None:
        changes["runtime"] = rules.check_runtime(runtime)
    _check_others_layers(ctx, layers or [])
    if snap_start is not None:
        changes["snap_start"] = snap_start.get("ApplyOn") or "None"
    if role is not None:
        invocations.check_role(ctx, role, name.name)

    def change(inner: Context) -> dict[str, Any]:
        old = state.find_version(inner.tx, name)
        _check_revision(old, revision_id)
        durable = old.durable if durable_config is None else rules.changed_durable(old.durable, durable_config)
        new = _changed(inner, old, {**changes, "durable": durable})
        _check_layers(inner, new)
        if "dead_letter_arn" in changes or role is not None:
            _check_dead_letters(inner, new)
        state.VERSIONS.put(inner.tx, new, *name[:3], 0)
        return configuration(inner, new)

    result = ctx.transact(change)
    invocations.RUNTIME.retire(naming.function_arn(*name[:3]))
    return result


def _check_dead_letters(ctx: Context, version: Version) -> None:
    if version.dead_letter_arn:
        destinations.check(ctx, version.dead_letter_arn, version.role, _MAY_NOT_SEND, "dead letter")


@operation(transaction=False)
def delete_function(ctx: Context, *, function_name: str, qualifier: str | None = None) -> dict[str, Any]:
    """Remove a function, or one of its versions that no alias names. Invocations that run now finish."""
    name = naming.parse(ctx, function_name, qualifier)

    def remove(inner: Context) -> None:
        if name.qualifier is None:
            state.find_function(inner.tx, name)
            state.delete_function(inner, name)
            return
        if name.qualifier == LATEST:
            raise InvalidParameterValueException("$LATEST version cannot be deleted without deleting the function.")
        if not name.qualifier.isdigit():
            raise InvalidParameterValueException("Deletion of aliases is not currently supported.")
        state.find_version(inner.tx, name, name.qualifier)
        _refuse_named_by_alias(inner, name)
        state.VERSIONS.delete(inner.tx, *name[:3], int(name.qualifier))
        state.drop_provisioned(inner, name, name.qualifier)

    ctx.transact(remove)
    invocations.RUNTIME.retire(naming.function_arn(*name[:3]))
    return {"StatusCode": 204}


@operation(read_only=True, accepts=("master_region",))
def list_functions(
    ctx: Context, *, function_version: str | None = None, marker: str | None = None, max_items: int | None = None
) -> dict[str, Any]:
    """Functions by name, or with FunctionVersion=ALL all their versions."""
    limit = min(max_items or limits.PAGE_FUNCTIONS_MAX, limits.PAGE_FUNCTIONS_MAX)
    every = function_version == "ALL"
    found: list[Version] = []
    after = _marker(ctx, marker)
    for key, version in state.VERSIONS.scan(ctx.tx, ctx.account, ctx.region, after=after):
        if not every and key[-1] != 0:
            continue
        if len(found) == limit:
            last = found[-1]
            break
        found.append(version)
    else:
        return {"Functions": [configuration(ctx, version, qualified=True) for version in found]}
    return {
        "Functions": [configuration(ctx, version, qualified=True) for version in found],
        "NextMarker": f"{last.name}:{state.number_of(last.version)}",
    }


def configuration(ctx: Context, version: Version, *, qualified: bool = False, name: FunctionName | None = None) -> dict[str, Any]:
    """A version's configuration. Asked for by an alias (`name`), its ARN ends in the alias."""
    sizes = {}
    for layer in version.layers:
        sizes[layer] = invocations.layer_code(ctx, layer).size_bytes
    result = shapes.configuration(ctx, version, qualified=qualified, layer_sizes=sizes)
    if name is not None and name.qualifier:
        result["FunctionArn"] = naming.named_arn(name)
    return result


def _marker(ctx: Context, marker: str | None) -> tuple[Any, ...] | None:
    if not marker:
        return None
    name, _, number = marker.rpartition(":")
    if not name or not number.isdigit():
        raise InvalidParameterValueException("Invalid marker")
    return ctx.account, ctx.region, name, int(number)


def _unqualified(name: FunctionName) -> FunctionName:
    if name.qualifier not in (None, LATEST):
        raise InvalidParameterValueException(
            "This operation is permitted on the latest version only; the ARN must have no qualifier."
        )
    return name._replace(qualifier=None)


def _refuse_existing(ctx: Context, name: FunctionName) -> None:
    if state.FUNCTIONS.get(ctx.tx, *name[:3]) is not None:
        raise ResourceConflictException(f"Function already exist: {name.name}")


def _refuse_named_by_alias(ctx: Context, name: FunctionName) -> None:
    for _, alias in state.ALIASES.scan(ctx.tx, *name[:3]):
        if name.qualifier in (alias.version, *alias.weights):
            raise ResourceConflictException(
                f"Version {name.qualifier} is currently in use by alias {alias.name} and can not be deleted."
            )


def _check_revision(version: Version, revision_id: str | None) -> None:
    if revision_id is not None and revision_id != version.revision_id:
        raise PreconditionFailedException.revision()


def _check_layers(ctx: Context, version: Version) -> None:
    if len(version.layers) > limits.LAYERS_MAX:
        raise InvalidParameterValueException("Cannot reference more than 5 layers.")
    for layer in version.layers:
        invocations.layer_code(ctx, layer)


def _check_others_layers(ctx: Context, layers: list[str]) -> None:
    """AccessDenied unless the caller may have the layers of other accounts. In its own account a function may have all."""
    for layer in layers:
        head, _, number = layer.rpartition(":")
        if head.count(":") == 6 and head.split(":")[4] != ctx.account and number.isdigit():
            wanted = {"LayerName": head, "VersionNumber": int(number)}
            ctx.ports.authority.check(ctx, ctx.principal, "lambda", "GetLayerVersion", wanted)


def _changed(ctx: Context, version: Version, changes: dict[str, Any]) -> Version:
    values = {field: getattr(version, field) for field in version.__struct_fields__}
    return Version(**{**values, "modified_at": ctx.clock.now(), "revision_id": ctx.ids.uuid(), **changes})


def _settings(
    environment: dict[str, Any] | None, layers: list[str] | None, ephemeral_storage: dict[str, int] | None,
    logging_config: dict[str, str] | None, dead_letter_config: dict[str, str] | None, tracing_config: dict[str, str] | None,
    timeout: int | None,
) -> dict[str, Any]:  # fmt: skip
    """The fields of a version that these members set."""
    found: dict[str, Any] = {}
    if environment is not None:
        found["environment"] = rules.check_environment(environment.get("Variables") or {}) or None
    if layers is not None:
        found["layers"] = layers
    if ephemeral_storage is not None:
        found["temporary_mib"] = ephemeral_storage["Size"]
    if logging_config is not None:
        found["log_group"] = logging_config.get("LogGroup")
        found["log_settings"] = rules.check_log_settings(logging_config)
    if dead_letter_config is not None:
        found["dead_letter_arn"] = dead_letter_config.get("TargetArn") or None
    if tracing_config is not None:
        found["tracing"] = tracing_config.get("Mode") or "PassThrough"
    if timeout is not None:
        found["timeout_seconds"] = rules.check_timeout(timeout)
    return found
