"""What Lambda keeps.

("lambda", "function", account, region, name)                     → Function: what all versions share
("lambda", "version", account, region, name, number)              → Version; number 0 is $LATEST
("lambda", "alias", account, region, name, alias)                 → Alias
("lambda", "event-config", account, region, name, qualifier)      → EventConfig: how asynchronous events are retried
("lambda", "provisioned", account, region, name, qualifier)       → Provisioned: environments that are kept initialised
("lambda", "policy", account, region, name, qualifier)            → Policy; qualifier "" is the function itself
("lambda", "url", account, region, name, qualifier)               → Url; qualifier "" is the function itself
("lambda", "url-of", id)                                          → list of account, region, name and qualifier
("lambda", "runtime-update", account, region, name, qualifier)    → dict: when a function gets a newer runtime
("lambda", "code-signing", account, region, id)                   → CodeSigning
("lambda", "signed-by", account, region, name)                    → str: the id of a function's code signing config
("lambda", "usage", month, account, region, name, memory)         → Usage: what was used, for the bill
("lambda", "layer-policy", account, region, name, number)         → Policy
("lambda", "layer", account, region, name, number)                → Layer
("lambda", "layer-last", account, region, name)                   → int: the last number given to a version of the layer
("lambda", "mapping", id)                                         → Mapping
("lambda", "window", mapping, shard)                              → Window: the tumbling window that is open
("lambda", "mapping-of", account, region, id)                     → True: the index of an account's mappings
queue ("lambda", "events")                                        → events.Event: asynchronous invocations
tags of the ARN                                                   → layers.tags
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from headrace.layers import tags
from headrace.layers.records import Records
from headrace.operation import Context
from headrace.ports import RESOURCE_POLICIES_TOPIC
from headrace.services.lambda_ import naming
from headrace.services.lambda_.errors import ResourceNotFoundException
from headrace.services.lambda_.naming import LATEST, FunctionName
from headrace.store.api import ReadTransaction


class Code(msgspec.Struct, frozen=True):
    """A zip file in the blob store; `digest` (hex SHA-256) is the name of its unpacked copy."""

    blob_id: str
    size_bytes: int
    digest: str


class Function(msgspec.Struct):
    """What all versions of a function share."""

    name: str
    last_version: int = 0
    reserved: int | None = None
    created_at: float = 0.0
    recursive_loop: str = "Terminate"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a function: `$LATEST` can change, the numbered ones can't."""

    name: str
    version: str
    role: str
    handler: str
    runtime: str
    code: Code
    description: str = ""
    timeout_seconds: int
    memory_mib: int
    temporary_mib: int
    environment: dict[str, str] | None = None
    layers: list[str] = []
    log_group: str | None = None
    log_settings: dict[str, str] = {}
    dead_letter_arn: str | None = None
    tracing: str = "PassThrough"
    architectures: list[str] = []
    modified_at: float
    revision_id: str
    durable: dict[str, Any] | None = None
    snap_start: str = "None"


class Alias(msgspec.Struct, frozen=True):
    """A name for a version, and perhaps shares of the calls for others."""

    name: str
    version: str
    description: str
    weights: dict[str, float]
    revision_id: str


class EventConfig(msgspec.Struct, frozen=True):
    """How asynchronous events of a function, version or alias are retried, and where their outcomes go."""

    modified_at: float
    attempts_retried_max: int | None = None
    age_seconds_max: int | None = None
    on_success: str | None = None
    on_failure: str | None = None


class Provisioned(msgspec.Struct, frozen=True):
    """So many environments of a version or alias are kept initialised; paid until `billed_until`."""

    wanted: int
    modified_at: float
    billed_until: float = 0.0


class Policy(msgspec.Struct):
    """Who may invoke, as statements."""

    revision_id: str
    statements: list[dict[str, Any]]


class Url(msgspec.Struct, frozen=True):
    """A function's URL: `id` is the beginning of its host name, `cors` as AWS says it."""

    id: str
    auth: str
    mode: str
    cors: dict[str, Any] | None
    created_at: float
    modified_at: float


class CodeSigning(msgspec.Struct, frozen=True):
    """Who may sign code: versions of signing profiles."""

    id: str
    description: str
    publishers: list[str]
    modified_at: float


class Usage(msgspec.Struct):
    """What a function used in a month with one memory size."""

    requests: int = 0
    billed_ms: int = 0
    init_ms: float = 0.0
    starts: int = 0
    errors: int = 0
    provisioned_billed_ms: int = 0
    provisioned_seconds: float = 0.0


class Layer(msgspec.Struct, frozen=True):
    """One version of a layer."""

    name: str
    version: int
    code: Code
    description: str
    created_at: float
    runtimes: list[str]
    architectures: list[str]
    license: str


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """An event source mapping: which stream feeds which function, and how."""

    id: str
    account: str
    region: str
    source_arn: str
    function: str
    qualifier: str | None
    starting_position: str
    starting_at: float | None = None
    enabled: bool = True
    batch_size: int = 100
    window_seconds: int = 0
    parallel: int = 1
    attempts_retried_max: int = -1
    age_seconds_max: int = -1
    bisect: bool = False
    report_failures: bool = False
    patterns: list[str] = []
    on_failure: str | None = None
    concurrency_max: int | None = None
    pollers: tuple[int, int] | None = None
    metrics: list[str] = []
    tumbling_seconds: int = 0
    modified_at: float
    last_result: str = "No records processed"


class Window(msgspec.Struct, frozen=True):
    """A tumbling window: the function's state as JSON, with all records up to `upto` in it."""

    start: int
    end: int
    state: bytes = b"{}"
    upto: str = ""


FUNCTIONS = Records(("lambda", "function"), Function)
VERSIONS = Records(("lambda", "version"), Version)
ALIASES = Records(("lambda", "alias"), Alias)
EVENT_CONFIGS = Records(("lambda", "event-config"), EventConfig)
PROVISIONED = Records(("lambda", "provisioned"), Provisioned)
POLICIES = Records(("lambda", "policy"), Policy)
URLS = Records(("lambda", "url"), Url)
URL_OF = Records(("lambda", "url-of"), list[str])
RUNTIME_UPDATES = Records(("lambda", "runtime-update"), dict[str, str])
CODE_SIGNINGS = Records(("lambda", "code-signing"), CodeSigning)
SIGNED_BY = Records(("lambda", "signed-by"), str)
LAYER_POLICIES = Records(("lambda", "layer-policy"), Policy)
USAGES = Records(("lambda", "usage"), Usage)
LAYERS = Records(("lambda", "layer"), Layer)
LAYER_LAST = Records(("lambda", "layer-last"), int)
MAPPINGS = Records(("lambda", "mapping"), Mapping)
WINDOWS = Records(("lambda", "window"), Window)
MAPPINGS_OF = Records(("lambda", "mapping-of"), bool)
EVENTS = ("lambda", "events")
MAPPINGS_TOPIC = b"lambda:mappings"
_KEPT_MAX = 1000
PROVISIONED_TOPIC = b"lambda:provisioned"


# Both are read at every invocation. Versions don't change, so what was decoded once from the same bytes is the same.
_function_key = lru_cache(_KEPT_MAX)(FUNCTIONS.key)
_version_key = lru_cache(_KEPT_MAX)(VERSIONS.key)
_version = lru_cache(_KEPT_MAX)(VERSIONS.decode)


def number_of(version: str) -> int:
    """The key of a version: 0 is $LATEST."""
    return 0 if version == LATEST else int(version)


def find_function(tx: ReadTransaction, name: FunctionName) -> Function:
    """The function, or AWS's error."""
    raw = tx.get(_function_key(*name[:3]))
    if raw is None:
        raise ResourceNotFoundException.function(naming.named_arn(name))
    return FUNCTIONS.decode(raw)


def find_version(tx: ReadTransaction, name: FunctionName, version: str = LATEST) -> Version:
    """One version of a function, or AWS's error."""
    raw = tx.get(_version_key(*name[:3], number_of(version)))
    if raw is None:
        raise ResourceNotFoundException.function(naming.named_arn(name))
    return _version(raw)


def find_alias(tx: ReadTransaction, name: FunctionName, alias: str) -> Alias:
    """An alias of a function, or AWS's error."""
    found = ALIASES.get(tx, *name[:3], alias)
    if found is None:
        raise ResourceNotFoundException(f"Cannot find alias arn: {naming.function_arn(*name[:3], alias)}")
    return found


def resolve(tx: ReadTransaction, name: FunctionName, chance: float = 1.0) -> Version:
    """The version that a caller means: by number, by alias (`chance` in 0..1 decides between weighted ones), or the latest."""
    qualifier = name.qualifier
    if qualifier is None or qualifier == LATEST or qualifier.isdigit():
        return find_version(tx, name, qualifier or LATEST)
    alias = ALIASES.get(tx, *name[:3], qualifier)
    if alias is None:
        raise ResourceNotFoundException.function(naming.named_arn(name))
    for version, weight in alias.weights.items():
        if chance < weight:
            return find_version(tx, name, version)
        chance -= weight
    return find_version(tx, name, alias.version)


def versions(tx: ReadTransaction, name: FunctionName) -> Iterator[Version]:
    """All versions of a function, $LATEST first."""
    return (version for _, version in VERSIONS.scan(tx, *name[:3]))


def publish(ctx: Context, name: FunctionName, description: str | None) -> Version:
    """Publish $LATEST, in the running transaction."""
    function = find_function(ctx.tx, name)
    latest = find_version(ctx.tx, name)
    previous = VERSIONS.get(ctx.tx, *name[:3], function.last_version) if function.last_version else None
    if previous is not None and _content(previous) == _content(latest):
        return previous
    function.last_version += 1
    published = msgspec.structs.replace(
        latest,
        version=str(function.last_version),
        description=latest.description if description is None else description,
        revision_id=ctx.ids.uuid(),
    )
    VERSIONS.put(ctx.tx, published, *name[:3], function.last_version)
    FUNCTIONS.put(ctx.tx, function, *name[:3])
    return published


def _content(version: Version) -> tuple[Any, ...]:
    """What makes a version another one."""
    apart = {"version", "revision_id", "modified_at", "description", "code"}
    fields = [getattr(version, field) for field in version.__struct_fields__ if field not in apart]
    return (*fields, version.code.digest)


def delete_function(ctx: Context, name: FunctionName) -> None:
    """Remove a function with all that hangs on it. Its code is swept later, when nobody uses it."""
    for _, url in URLS.scan(ctx.tx, *name[:3]):
        URL_OF.delete(ctx.tx, url.id)
    for family in (VERSIONS, ALIASES, EVENT_CONFIGS, PROVISIONED, POLICIES, URLS, RUNTIME_UPDATES):
        family.delete_all(ctx.tx, *name[:3])
    FUNCTIONS.delete(ctx.tx, *name[:3])
    SIGNED_BY.delete(ctx.tx, *name[:3])
    ctx.tx.announce(PROVISIONED_TOPIC)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)
    tags.drop(ctx.tx, naming.function_arn(*name[:3]))


def drop_provisioned(ctx: Context, name: FunctionName, qualifier: str) -> None:
    """Keep no environments of a version or alias any more."""
    PROVISIONED.delete(ctx.tx, *name[:3], qualifier)
    ctx.tx.announce(PROVISIONED_TOPIC)


def used_codes(tx: ReadTransaction) -> Iterator[Code]:
    """The code of every version of every function and layer."""
    for _, version in VERSIONS.scan(tx):
        yield version.code
    for _, layer in LAYERS.scan(tx):
        yield layer.code


def put_mapping(ctx: Context, mapping: Mapping) -> None:
    """Write a mapping and wake whoever reads for mappings."""
    MAPPINGS.put(ctx.tx, mapping, mapping.id)
    MAPPINGS_OF.put(ctx.tx, True, mapping.account, mapping.region, mapping.id)
    ctx.tx.announce(MAPPINGS_TOPIC)


def find_mapping(ctx: Context, mapping_id: str) -> Mapping:
    """A mapping of this account and region, or AWS's error."""
    found = MAPPINGS.get(ctx.tx, mapping_id)
    if found is None or (found.account, found.region) != (ctx.account, ctx.region):
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return found


def delete_mapping(ctx: Context, mapping: Mapping) -> None:
    """Remove a mapping."""
    WINDOWS.delete_all(ctx.tx, mapping.id)
    MAPPINGS.delete(ctx.tx, mapping.id)
    MAPPINGS_OF.delete(ctx.tx, mapping.account, mapping.region, mapping.id)
    ctx.tx.announce(MAPPINGS_TOPIC)
