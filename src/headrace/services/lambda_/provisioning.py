"""Provisioned concurrency: environments of a version or alias that are initialised before anybody calls, and stay so.

What is wanted lies in the store; the environments are this process's. A worker compares the two: it makes what is missing, also
after a restart, when an alias names another version, or when an environment ended; and it ends what is too much.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec

from headrace.operation import Context
from headrace.services.lambda_ import invocations, limits, naming, shapes, state
from headrace.services.lambda_.engine.engine import Engine
from headrace.services.lambda_.engine.function import Function, Stopped, Throttled
from headrace.services.lambda_.engine.pool import key_of
from headrace.services.lambda_.engine.provided import Kept
from headrace.services.lambda_.errors import InvalidParameterValueException
from headrace.services.lambda_.invocations import RUNTIME, Target
from headrace.services.lambda_.metering import METER
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import Provisioned, Version

LOOK_SECONDS = 2.0
FAILURE_WAIT_SECONDS = 60.0
MAKING_MAX = 4
WORKER = "lambda-provisioned"
INIT_FAILED = "FUNCTION_ERROR_INIT_FAILURE"

log = logging.getLogger(__name__)


class Wish(NamedTuple):
    """Some environments of one version."""

    account: str
    region: str
    target: Target
    wanted: int


class Provisioner:
    """Makes and ends environments as the store wants them."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._failed: dict[str, float] = {}
        self._began_at: float | None = None
        self._wanted: dict[str, int] = {}
        self.wake: Callable[[], None] = lambda: None

    def step(self, ctx: Context) -> float | None:
        """Compare, begin to make what is missing, end what is too much, and count what is paid for."""
        wishes = ctx.snapshot(lambda inner: list(_wishes(inner)))
        if not wishes and not self._wanted:
            return None
        if self._began_at is None:
            self._began_at = ctx.clock.now()
        engine = RUNTIME.engine(ctx)
        functions = [(ctx.at(wish.account, wish.region), wish, _function(ctx, wish)) for wish in wishes]
        wanted: dict[str, int] = {}
        for _, wish, function in functions:
            wanted[key_of(function)] = wanted.get(key_of(function), 0) + wish.wanted
        self._wanted = wanted
        engine.want(wanted)
        for at, wish, function in functions:
            self._fill(at, engine, wish, function)
        began_at = self._began_at
        for account, region, version, seconds in ctx.transact(lambda inner: _bill(inner, began_at)):
            METER.keep(ctx.at(account, region), version, seconds)
        return LOOK_SECONDS if wishes else None

    def stop(self) -> None:
        """Make no more."""
        with self._lock:
            threads, self._threads = self._threads, None
            self._failed.clear()
        self._wanted, self._began_at = {}, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    def forgive(self, function_arn: str) -> None:
        """Try again what failed: it was asked for anew."""
        with self._lock:
            self._failed = {key: at for key, at in self._failed.items() if not key.startswith(function_arn + "\n")}

    def failed(self, key: str) -> bool:
        """Whether a version's code could not be initialised when that was last tried."""
        return key in self._failed

    def _fill(self, ctx: Context, engine: Engine, wish: Wish, function: Function) -> None:
        key = key_of(function)
        with self._lock:
            if time.monotonic() - self._failed.get(key, -FAILURE_WAIT_SECONDS) < FAILURE_WAIT_SECONDS:
                return
            if self._threads is None:
                self._threads = ThreadPoolExecutor(MAKING_MAX, thread_name_prefix=WORKER)
            while engine.provided.begin(key):
                self._threads.submit(self._make, ctx, engine, wish, function)

    def _make(self, ctx: Context, engine: Engine, wish: Wish, function: Function) -> None:
        key, failure = key_of(function), ""
        group = shapes.log_group(wish.target.version)
        try:
            failure = engine.provide(function, lambda stream, lines: RUNTIME.reporter.lines(ctx, group, stream, lines))
        except Throttled:
            log.info("there is no room yet for a provisioned environment of %s", function.arn)
        except Stopped:
            return
        except Exception:
            log.exception("an environment of %s could not be provisioned", function.arn)
            failure = "error"
        finally:
            engine.provided.end(key)
        with self._lock:
            if failure:
                self._failed[key] = time.monotonic()
            else:
                self._failed.pop(key, None)
        if failure:
            log.warning("version %s of %s could not be initialised: %s", function.version, function.arn, failure)


PROVISIONER = Provisioner()


def shares(ctx: Context, name: FunctionName, wanted: int) -> list[tuple[Version, int]]:
    """The versions behind a version or alias, and how many of the environments each gets: as the alias's weights say."""
    alias = state.ALIASES.get(ctx.tx, *name[:3], name.qualifier or "")
    if alias is None:
        return [(state.find_version(ctx.tx, name, name.qualifier or ""), wanted)]
    found, left = [], wanted
    for version, weight in alias.weights.items():
        count = min(left, round(wanted * weight))
        found.append((state.find_version(ctx.tx, name, version), count))
        left -= count
    return [(state.find_version(ctx.tx, name, alias.version), left), *found]


def describe(ctx: Context, name: FunctionName, config: Provisioned) -> dict[str, Any]:
    """What the operations say of a config: what is there now."""
    engine, failed = RUNTIME.started(), False
    allocated = available = 0
    before = _wanted_before(ctx, name)
    for version, count in shares(ctx, name, config.wanted):
        key = _key(name, version)
        kept = engine.provided.kept(key) if engine is not None else Kept(0, 0)
        mine = min(count, max(0, kept.allocated - before.get(key, 0)))
        allocated += mine
        available += min(mine, kept.available)
        failed = failed or (mine < count and PROVISIONER.failed(key))
    result: dict[str, Any] = {
        "RequestedProvisionedConcurrentExecutions": config.wanted,
        "AvailableProvisionedConcurrentExecutions": available,
        "AllocatedProvisionedConcurrentExecutions": allocated,
        "Status": "FAILED" if failed else "READY" if allocated == config.wanted else "IN_PROGRESS",
        "LastModified": shapes.timestamp(config.modified_at),
    }
    if failed:
        result["StatusReason"] = INIT_FAILED
    return result


def check_wanted(ctx: Context, name: FunctionName, wanted: int) -> None:
    """AWS's limits on provisioned concurrency: within what is reserved, or what the account may use."""
    function = state.find_function(ctx.tx, name)
    others = sum(one.wanted for key, one in state.PROVISIONED.scan(ctx.tx, *name[:3]) if key[-1] != name.qualifier)
    if function.reserved is not None and wanted + others > function.reserved:
        raise InvalidParameterValueException(
            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
        )
    everywhere = sum(one.wanted for key, one in state.PROVISIONED.scan(ctx.tx) if key != (*name[:3], name.qualifier))
    free = ctx.settings.lambda_concurrency - everywhere
    if wanted > free:
        raise InvalidParameterValueException(
            f"Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{free}]."
        )
    if free - wanted < limits.UNRESERVED_CONCURRENCY_MIN:
        raise InvalidParameterValueException(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum "
            f"value of [{limits.UNRESERVED_CONCURRENCY_MIN}]."
        )


def check_reserved(ctx: Context, name: FunctionName, reserved: int) -> None:
    """InvalidParameterValueException when a function's versions have more provisioned than shall be reserved."""
    total = sum(one.wanted for _, one in state.PROVISIONED.scan(ctx.tx, *name[:3]))
    if total > reserved:
        raise InvalidParameterValueException(
            f" ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned concurrency "
            f"[{total}]."
        )


def _wanted_before(ctx: Context, name: FunctionName) -> dict[str, int]:
    """What the configs before this one get of the versions that they share with it, by version."""
    found: dict[str, int] = {}
    for key, other in state.PROVISIONED.scan(ctx.tx, *name[:3]):
        if key[-1] == name.qualifier:
            break
        for version, count in shares(ctx, name._replace(qualifier=str(key[-1])), other.wanted):
            found[_key(name, version)] = found.get(_key(name, version), 0) + count
    return found


def _key(name: FunctionName, version: Version) -> str:
    return f"{naming.function_arn(*name[:3])}\n{version.version}\n{version.revision_id}"


def _wishes(ctx: Context) -> Iterator[Wish]:
    for key, config in state.PROVISIONED.scan(ctx.tx):
        account, region, function, qualifier = (str(part) for part in key)
        name = FunctionName(account, region, function, qualifier)
        at = ctx.at(account, region)
        for version, count in shares(at, name, config.wanted):
            layers = tuple(invocations.layer_code(at, layer) for layer in version.layers)
            if count:
                yield Wish(account, region, Target(version, None, layers), count)


def _function(ctx: Context, wish: Wish) -> Function:
    found = RUNTIME.prepared(ctx.at(wish.account, wish.region), wish.target)
    told = {**found.environment, "AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency"}
    return dataclasses.replace(found, environment=told)


def _bill(ctx: Context, began_at: float) -> list[tuple[str, str, Version, float]]:
    """Count the seconds that are paid for: each begun piece of five minutes, as at AWS, while this server runs."""
    now, found = ctx.clock.now(), []
    for key, config in list(state.PROVISIONED.scan(ctx.tx)):
        if config.billed_until > now:
            continue
        account, region, function, qualifier = (str(part) for part in key)
        begin = max(config.billed_until, config.modified_at, began_at)
        pieces = int((now - begin) // limits.PROVISIONED_BILLED_SECONDS) + 1
        seconds = pieces * limits.PROVISIONED_BILLED_SECONDS
        for version, count in shares(ctx, FunctionName(account, region, function, qualifier), config.wanted):
            found.append((account, region, version, count * seconds))
        state.PROVISIONED.put(ctx.tx, msgspec.structs.replace(config, billed_until=begin + seconds), *key)
    return found
