"""Runs functions on behalf of callers: the engine with what the service knows of functions, roles, logs and metrics."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from headrace.kit.errors import AwsError
from headrace.operation import Context
from headrace.ports import Unwired
from headrace.services.lambda_ import answering, limits, lineage, naming, packages, reports, shapes, state
from headrace.services.lambda_.durable import waiting
from headrace.services.lambda_.engine import debugging, runtimes, sandbox
from headrace.services.lambda_.engine.engine import Engine, EngineSettings
from headrace.services.lambda_.engine.function import Function, LogSettings, Outcome, Request, Stopped, Throttled
from headrace.services.lambda_.errors import (
    InvalidParameterValueException,
    RecursiveInvocationException,
    RequestTooLargeException,
    ServiceException,
    TooManyRequestsException,
)
from headrace.services.lambda_.metering import METER
from headrace.services.lambda_.naming import FunctionName
from headrace.services.lambda_.state import Code, Version

PRINCIPAL = "lambda.amazonaws.com"
_PREPARED_MAX = 1000
# How long the code of a version is taken to lie where it was seen: looking costs as much as reading the store.
_LOOK_AGAIN_SECONDS = 1.0

log = logging.getLogger(__name__)
_OF_LANGUAGE: Mapping[str, Mapping[str, str]] = {
    "python": {"PYTHONPATH": "/var/runtime"},
    "node": {"NODE_PATH": "/opt/nodejs/node_modules:/opt/nodejs/node20/node_modules:/var/runtime/node_modules:/var/task"},
    "java": {"CLASSPATH": "/var/task:/var/task/lib/*"},
}


class Target(NamedTuple):
    """What an invocation needs to know, read at once."""

    version: Version
    reserved: int | None
    layers: tuple[Code, ...]
    recursive_loop: str = lineage.TERMINATE


class Runtime:
    """The engine of this process, made when the first function is run, and what was prepared for it."""

    def __init__(self) -> None:
        self.reporter = reports.Reporter()
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        # With when its code was last seen.
        self._prepared: dict[str, tuple[Function, float]] = {}

    def engine(self, ctx: Context) -> Engine:
        """The engine, started if need be."""
        with self._lock:
            if self._engine is None:
                settings = ctx.settings
                self._engine = Engine(
                    EngineSettings(
                        folder=settings.data.absolute() / "lambda" / "run",
                        endpoint_port=settings.port,
                        environments_max=settings.lambda_concurrency,
                        idle_seconds=settings.lambda_idle_seconds,
                        network=settings.lambda_network,
                        now_ms=ctx.clock.now_ms,
                    )
                )
            return self._engine

    def started(self) -> Engine | None:
        """The engine, if anything was run yet."""
        return self._engine

    def warm_up(self, ctx: Context) -> None:
        """Begin to load what the first invocation needs; nobody waits for it."""
        if self._engine is None:
            threading.Thread(target=lambda: self.engine(ctx).warm_up(), name="lambda-warm-up", daemon=True).start()

    def retire(self, arn: str) -> None:
        """A function was changed or removed: stop its idle environments."""
        if self._engine is not None:
            self._engine.retire(arn)

    def begin_to_stop(self) -> None:
        """Run nothing more; what runs has a few seconds to end."""
        engine = self._engine
        if engine is not None:
            engine.stop(limits.STOP_GRACE_SECONDS)

    def stop(self) -> None:
        """Write what functions have said, and forget the engine."""
        with self._lock:
            self._engine = None
            self._prepared.clear()
        self.reporter.stop()

    def prepared(self, ctx: Context, target: Target) -> Function:
        """A version as the engine runs it; its code is unpacked."""
        version = target.version
        arn = naming.function_arn(ctx.account, ctx.region, version.name)
        key = f"{arn}:{version.version}:{version.revision_id}"
        found, looked_at = self._prepared.get(key, (None, 0.0))
        now = time.monotonic()
        if found is None or (now - looked_at > _LOOK_AGAIN_SECONDS and not found.code.is_dir()):
            found = Function(
                arn=arn,
                name=version.name,
                version=version.version,
                revision=version.revision_id,
                handler=version.handler,
                runtime=version.runtime,
                code=packages.ready(ctx, version.code),
                layers=packages.ready_layers(ctx, target.layers),
                memory_mib=version.memory_mib,
                timeout_seconds=version.timeout_seconds,
                temporary_mib=version.temporary_mib,
                environment=environment(ctx, version),
                logs=LogSettings(*shapes.log_settings(version)),
                credentials=lambda: role_variables(ctx, version),
                debug_port=debugging.port_of(ctx.settings.lambda_debug, version.name, version.runtime),
            )
            if found.debug_port:
                if problem := debugging.missing(version.runtime):
                    raise InvalidParameterValueException(problem)
                log.info("%s waits for a debugger on port %d", version.name, found.debug_port)
                found = debugging.prepared(found)
            with self._lock:
                if len(self._prepared) >= _PREPARED_MAX:
                    self._prepared.clear()
        if now - looked_at > _LOOK_AGAIN_SECONDS:
            self._prepared[key] = found, now
        return found

    def run(
        self,
        ctx: Context,
        target: Target,
        invoked_arn: str,
        payload: bytes,
        *,
        request_id: str,
        client_context: str | None = None,
        trace: str | None = None,
        parts: Callable[[str, bytes], None] | None = None,
        answered: Callable[[Outcome], None] | None = None,
    ) -> Outcome:
        """Run a function once, or a durable one to its end. TooManyRequestsException when there is no room."""
        if len(payload) > limits.PAYLOAD_REQUEST_BYTES_MAX:
            raise RequestTooLargeException.payload(len(payload), limits.PAYLOAD_REQUEST_BYTES_MAX)
        if target.version.durable is not None:
            return waiting.run(ctx, target.version, payload, trace=trace or "")[0]
        return self.once(
            ctx, target, invoked_arn, payload, request_id=request_id, client_context=client_context, trace=trace, parts=parts,
            answered=answered,
        )  # fmt: skip

    def once(
        self,
        ctx: Context,
        target: Target,
        invoked_arn: str,
        payload: bytes,
        *,
        request_id: str,
        client_context: str | None = None,
        trace: str | None = None,
        parts: Callable[[str, bytes], None] | None = None,
        answered: Callable[[Outcome], None] | None = None,
    ) -> Outcome:
        """One invocation; `parts` gets a streamed response as it comes, `answered` see Request."""
        version, reporter = target.version, self.reporter
        arn = naming.function_arn(ctx.account, ctx.region, version.name)
        trace = trace or ctx.trace_id or lineage.begin(request_id, ctx.clock.now())
        if target.recursive_loop == lineage.TERMINATE and lineage.passes(trace, arn) >= lineage.PASSES_MAX:
            reporter.metrics(ctx, reports.count("RecursiveInvocationsDropped", version.name))
            raise RecursiveInvocationException.loop(version.name)
        group = shapes.log_group(version)
        request = Request(
            request_id, payload or b"{}", invoked_arn, client_context, lineage.advance(trace, arn),
            lines=lambda stream, lines: reporter.lines(ctx, group, stream, lines), parts=parts,
            answered=answered,
        )  # fmt: skip
        engine = self.engine(ctx)
        try:
            function = self.prepared(ctx, target)
            outcome = engine.invoke(function, request, 1 if function.debug_port else target.reserved)
        except Throttled as throttled:
            reporter.metrics(ctx, reports.count("Throttles", version.name))
            raise TooManyRequestsException.throttled(throttled.reason) from None
        except Stopped:
            raise ServiceException("The server is stopping.") from None
        METER.count(ctx, version, outcome)
        if outcome.share is not None:
            reporter.metrics(ctx, reports.of_share(invoked_arn, version.name, outcome.share))
        running = engine.pool.total_busy() + 1
        reporter.metrics(
            ctx,
            [
                *reports.of_invocation(version.name, outcome.duration_ms, outcome.error is not None),
                *reports.count("ConcurrentExecutions", version.name, running),
                *reports.of_extensions(version.name, outcome.extensions_ms),
            ],
        )
        return outcome

    def answer(
        self,
        ctx: Context,
        target: Target,
        invoked_arn: str,
        payload: bytes,
        *,
        request_id: str,
        client_context: str | None = None,
    ) -> Outcome:
        """Run a function for one who does not wait for what its extensions do after it has answered. Else as `run`."""
        if not target.layers or not sandbox.has_extensions(self.prepared(ctx, target)):
            return self.run(ctx, target, invoked_arn, payload, request_id=request_id, client_context=client_context)
        return answering.first(
            lambda answered: self.run(
                ctx, target, invoked_arn, payload, request_id=request_id, client_context=client_context, answered=answered
            )
        )


RUNTIME = Runtime()


def target(ctx: Context, name: FunctionName) -> Target:
    """Read what an invocation of a function needs. In a transaction or a snapshot."""
    version = state.resolve(ctx.tx, name, ctx.ids.random.random())
    function = state.find_function(ctx.tx, name)
    layers = tuple(layer_code(ctx, layer) for layer in version.layers)
    return Target(version, function.reserved, layers, function.recursive_loop)


def layer_code(ctx: Context, arn: str) -> Code:
    """The package of a layer's version, of whatever account: who may use it is asked when a function is given it."""
    *head, name, number = arn.split(":")
    whole = number.isdigit() and len(head) == 6 and head[3] == ctx.region
    layer = state.LAYERS.get(ctx.tx, head[4], ctx.region, name, int(number)) if whole else None
    if layer is None:
        raise InvalidParameterValueException(f"Layer version {arn} does not exist.")
    return layer.code


def environment(ctx: Context, version: Version) -> Mapping[str, str]:
    """The variables of a function: AWS's, the caller's, and where this server is."""
    scheme = "https" if ctx.settings.tls_certificate else "http"
    log_format, application_level, _ = shapes.log_settings(version)
    return {
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "HOME": "/tmp",  # there is no /etc/passwd to find one in
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        **_OF_LANGUAGE.get(runtimes.language(version.runtime), {}),
        "LD_LIBRARY_PATH": "/var/task:/var/task/lib:/opt/lib",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_ENDPOINT_URL": f"{scheme}://127.0.0.1:{ctx.settings.port}",
        **(version.environment or {}),
        "_HANDLER": version.handler,
        "AWS_REGION": ctx.region,
        "AWS_DEFAULT_REGION": ctx.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": version.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mib),
        "AWS_LAMBDA_LOG_GROUP_NAME": shapes.log_group(version),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": log_format,
        **({"AWS_LAMBDA_LOG_LEVEL": application_level} if log_format == "JSON" else {}),
    }


def role_variables(ctx: Context, version: Version) -> tuple[Mapping[str, str], float]:
    """The execution role's credentials as variables, and for how many seconds they hold."""
    if isinstance(ctx.ports.authority, Unwired):
        return {}, 86_400.0
    credentials = ctx.ports.authority.assume(ctx, version.role, version.name, PRINCIPAL)
    seconds = 86_400.0 if credentials.expires_at is None else max(0.0, credentials.expires_at - ctx.clock.now())
    variables = {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
    }
    if credentials.session_token:
        variables["AWS_SESSION_TOKEN"] = credentials.session_token
    return variables, seconds


def check_role(ctx: Context, role: str, name: str) -> None:
    """InvalidParameterValueException unless functions may take the role on."""
    if isinstance(ctx.ports.authority, Unwired):
        return
    try:
        ctx.ports.authority.assume(ctx, role, name, PRINCIPAL)
    except AwsError:
        raise InvalidParameterValueException("The role defined for the function cannot be assumed by Lambda.") from None
