"""The door of Lambda, and what it offers to other services."""

from collections.abc import Mapping

from headrace.kit.errors import AccessDeniedException
from headrace.operation import Context, Service
from headrace.ports import Invocation, Scope
from headrace.services.lambda_ import access, downloads, events, flows, invocations, metering, naming, urls, workers
from headrace.services.lambda_.durable import workers as durable_workers
from headrace.services.lambda_.invocations import RUNTIME
from headrace.workers import Runner


class Functions:
    """Runs functions for other services."""

    def invoke(self, scope: Scope, function_arn: str, payload: bytes, *, kind: str = "RequestResponse") -> Invocation:
        """Invoke and wait (RequestResponse), or queue durably (Event). AwsError when the function can't be invoked."""
        assert isinstance(scope, Context)
        name = naming.parse_anywhere(function_arn, scope)
        if name.account != scope.account and not _lets_in(scope, name):
            raise AccessDeniedException(
                f"{scope.principal.arn} is not authorized to perform lambda:InvokeFunction on {function_arn}"
            )
        ctx = scope.at(name.account, name.region)
        if kind == "Event":

            def put(inner: Context) -> None:
                invocations.target(inner, name)
                events.put(inner, name, payload, inner.ids.uuid(), None)

            ctx.transact(put)
            return Invocation(202, b"")
        target = ctx.snapshot(lambda inner: invocations.target(inner, name))
        outcome = RUNTIME.run(ctx, target, naming.named_arn(name), payload, request_id=ctx.ids.uuid())
        return Invocation(200, outcome.payload, outcome.error, target.version.version, outcome.log)


def _lets_in(scope: Scope, name: naming.FunctionName) -> bool:
    """Whether a function's policy, and its own, let a principal of another account invoke it."""
    # What a service does without a role is done as root of no account in particular.
    own = scope.principal.account == scope.account
    return own and scope.ports.authority.allows(scope, scope.principal, "lambda:InvokeFunction", naming.named_arn(name))


class FunctionSink:
    """A function as the target of messages: each becomes an asynchronous event."""

    def send(self, scope: Scope, arn: str, body: bytes, *, attributes: Mapping[str, str] | None = None) -> None:
        """Queue the message as an event; with the running transaction, when there is one."""
        FUNCTIONS.invoke(scope, arn, body, kind="Event")


FUNCTIONS = Functions()


def _start(ctx: Context, runner: Runner) -> None:
    workers.start(runner)


def _begin_to_stop() -> None:
    durable_workers.begin_to_stop()
    RUNTIME.begin_to_stop()


def _stop() -> None:
    workers.stop()
    RUNTIME.stop()


SERVICE = Service(
    models=("lambda",),
    operations="headrace.services.lambda_.operations",
    offers={
        "invoker": FUNCTIONS,
        "sinks.lambda": FunctionSink(),
        "policies.lambda": access.FunctionPolicies(),
        "flows.lambda": flows.Links(),
    },
    workers=workers.WORKERS,
    pages={downloads.PREFIX: downloads.page, metering.PAGE: metering.page},
    sites=(urls.SITE,),
    on_start=_start,
    on_stopping=_begin_to_stop,
    on_stop=_stop,
)
