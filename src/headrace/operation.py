"""What an AWS operation is: one typed function, found by its name in the service's model.

`@operation` only marks the function. `Service` reads a service's folder of operations, finds each marked function in the AWS
model by its name in snake case, and refuses to bind when a parameter is no member, or a required member has a default.
"""

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, overload

import msgspec

from headrace.kit.clock import Clock
from headrace.kit.errors import UnsupportedParameter
from headrace.kit.ids import Ids
from headrace.kit.settings import Settings
from headrace.ports import Ports, Principal
from headrace.store.api import ReadTransaction, Store, Transaction
from headrace.store.blobs import Blobs
from headrace.wire import models
from headrace.workers import Runner, Worker

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Context:
    """On whose behalf, where, when, and in which transaction an operation or a worker runs. Satisfies `ports.Scope`."""

    __slots__ = (
        "_tx", "account", "blobs", "clock", "ids", "ports", "principal", "region", "request_id", "service", "settings",
        "store", "trace_id",
    )  # fmt: skip

    def __init__(
        self, *, account: str, region: str, service: str, request_id: str, principal: Principal, store: Store,
        blobs: Blobs, clock: Clock, ids: Ids, settings: Settings, ports: Ports, tx: Any = None,
        trace_id: str = "",
    ) -> None:  # fmt: skip
        self.account = account
        self.region = region
        self.service = service
        self.request_id = request_id
        self.principal = principal
        self.store = store
        self.blobs = blobs
        self.clock = clock
        self.ids = ids
        self.settings = settings
        self.ports = ports
        # AWS's X-Amzn-Trace-Id of the request: inside a function, SDKs send on the one of the invocation.
        self.trace_id = trace_id
        self._tx = tx

    @property
    def tx(self) -> Transaction:
        """The running transaction. In a `snapshot` it can only be read."""
        if self._tx is None:
            raise RuntimeError("no transaction runs here: use ctx.transact or ctx.snapshot")
        return self._tx  # type: ignore[no-any-return]

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction runs."""
        return self._tx is not None

    def within(self, tx: Transaction | ReadTransaction) -> "Context":
        """This context in a transaction."""
        return self._copy(tx=tx)

    def at(self, account: str | None = None, region: str | None = None, principal: Principal | None = None) -> "Context":
        """This context for another account, region or principal; in the same transaction."""
        return self._copy(account=account, region=region, principal=principal, tx=self._tx)

    def transact(self, body: Callable[["Context"], T]) -> T:
        """Run body(ctx) in the running transaction, or in one of its own that is durable on return."""
        if self._tx is not None:
            return body(self)
        return self.store.transact(lambda tx: body(self._copy(tx=tx)))

    def snapshot(self, body: Callable[["Context"], T]) -> T:
        """Run body(ctx) in the running transaction, or on one consistent view."""
        if self._tx is not None:
            return body(self)
        return self.store.snapshot(lambda tx: body(self._copy(tx=tx)))

    def _copy(
        self, *, tx: Any, account: str | None = None, region: str | None = None, principal: Principal | None = None
    ) -> "Context":
        # Made for every transaction of the hot path, hence by hand.
        new = Context.__new__(Context)
        new.account = self.account if account is None else account
        new.region = self.region if region is None else region
        new.service = self.service
        new.request_id = self.request_id
        new.principal = self.principal if principal is None else principal
        new.store = self.store
        new.blobs = self.blobs
        new.clock = self.clock
        new.ids = self.ids
        new.settings = self.settings
        new.ports = self.ports
        new.trace_id = self.trace_id
        new._tx = tx
        return new


class Longer(Exception):
    """A read-only operation found more to do than the event loop should wait for: it is run again, in a thread.

    Raised before anything is given back, and only where `on_event_loop()`.
    """


def on_event_loop() -> bool:
    """Whether an event loop waits for this code."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Mark(msgspec.Struct, frozen=True):
    """What `@operation` says of a function."""

    transaction: bool
    read_only: bool
    accepts: tuple[str, ...]


@overload
def operation(function: F, /) -> F: ...
@overload
def operation(*, transaction: bool = True, read_only: bool = False, accepts: tuple[str, ...] = ()) -> Callable[[F], F]: ...
def operation(
    function: Any = None, /, *, transaction: bool = True, read_only: bool = False, accepts: tuple[str, ...] = ()
) -> Any:
    """Mark a function as the AWS operation of its name.

    It runs inside one durable transaction. With `read_only` it sees one consistent view, and is quick and bounded, because it
    runs on the event loop (it may raise `Longer`). With `transaction=False` it runs in a thread and opens short transactions
    itself: for effects and for streams of bytes. `accepts` names members (snake case) that are taken without effect.
    """

    def mark(marked: Any) -> Any:
        marked.headrace_operation = Mark(transaction and not read_only, read_only, accepts)
        return marked

    return mark if function is None else mark(function)


class BoundOperation(msgspec.Struct, frozen=True):
    """A function with its place in the AWS model."""

    name: str
    model: models.OperationModel
    function: Callable[..., Any]
    mark: Mark
    parameters: Mapping[str, str]

    def call(self, ctx: Context, values: Mapping[str, Any]) -> Any:
        """Call the function with the members of a request, given in AWS's spelling."""
        parameters = self.parameters
        try:
            arguments = {parameters[name]: value for name, value in values.items()}
        except KeyError:
            arguments = self._accepted(values)
        return self.function(ctx, **arguments)

    def call_within(self, ctx: Context, values: Mapping[str, Any], tx: Transaction | ReadTransaction) -> Any:
        """As `call`, in a transaction that ends with it. A request has its context for itself, so it is lent, not copied."""
        ctx._tx = tx
        try:
            return self.call(ctx, values)
        finally:
            ctx._tx = None

    def _accepted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        arguments = {}
        for name, value in values.items():
            if name in self.parameters:
                arguments[self.parameters[name]] = value
            elif models.snake(name) not in self.mark.accepts and value is not None:
                raise UnsupportedParameter(
                    f"{self.name}: Headrace does not support the member {name} yet. Leave it out; see the service's README."
                )
        return arguments


class PageRequest(msgspec.Struct, frozen=True):
    """What a page is asked: the path behind its prefix, the query's values, the method and the body."""

    path: str
    query: Mapping[str, str]
    method: str
    body: bytes


class PageAnswer(NamedTuple):
    """What a page answers."""

    status: int
    content_type: str
    body: bytes


# A page is found by the longest prefix of the path. It runs in a thread, with a context of the root account.
Page = Callable[["Context", PageRequest], PageAnswer]


class OpenAnswer(NamedTuple):
    """What an open page answers."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


# A page for everybody who has what its query must hold (a token, say): found by its exact path, it decides itself who may see it.
# It runs in a thread, with a context of the root account.
OpenPage = Callable[["Context", PageRequest], OpenAnswer]


class SiteRequest(msgspec.Struct):
    """A request to a site, as it was on the wire, but for a path prefix that named the site. `principal` signed it, if any."""

    name: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    client: str
    principal: Principal | None


class SiteAnswer(NamedTuple):
    """What a site answers; a body in parts is read in a thread."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | Iterator[bytes]


class Site(NamedTuple):
    """Web sites of a service, each with a name of its own that lies in the host (before `host_part`) or in the path.

    `answer` runs in a thread, with a context of the root account, and decides itself who may see what.
    """

    host_part: str
    path_prefix: str
    body_size_max_bytes: int
    answer: Callable[["Context", SiteRequest], SiteAnswer]


class Line(Protocol):
    """The service's end of a WebSocket. Its methods return at once, and may be called on any thread."""

    def send(self, text: str) -> None:
        """Say a text."""

    def hang_up(self) -> None:
        """End the conversation, after what was said."""


class Conversation(Protocol):
    """What a service does with a WebSocket that is open. Called in threads, one call after another."""

    def received(self, text: str) -> None:
        """A text came."""

    def ended(self) -> None:
        """The other side is gone, or was hung up on."""


class Socket(NamedTuple):
    """A WebSocket that a service offers: the name its URLs are signed for, and what opens it (AwsError refuses)."""

    signing_name: str
    open: Callable[["Context", Mapping[str, str], Line], Conversation]


class BodyReader(Protocol):
    """A request's body that is still arriving. Reading raises AwsError when it proves to be cut off or forged."""

    length: int | None

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes (all with -1); empty at the end. Blocks: only for operations that run in a thread."""

    def __iter__(self) -> Iterator[bytes]:
        """The rest, chunk by chunk."""


class EndlessReader(BodyReader, Protocol):
    """A body of an operation that streams in both directions: it is answered while it arrives."""

    def receive(self, timeout_seconds: float) -> bytes | None:
        """What has come: None when nothing did within the time, empty at the end. ConnectionError when it was cut off."""


class BindingError(Exception):
    """A function does not fit the AWS model it was written for."""


class Service(msgspec.Struct):
    """A service: its AWS models, the package of its operations, and what it offers to others.

    With one model the operations lie in `operations/*.py`, with several in `operations/<model>/*.py`. They are read when the
    service is first called, so that services nobody uses cost no start-up time; `tests/house` binds all of them.

    `offers` names what it gives to `Ports`: a field ("invoker"), or an entry of a field that is a dict ("sources.dynamodb").
    `workers` run by themselves; `pages` are paths below `/_headrace/` (or `/_aws/`) with their handlers; `open_pages` are whole
    paths, each with the name in the query that tells its requests from those of AWS's protocols, and so are `sockets`;
    `on_start` is called before the first request, and opens no transaction; `on_stopping` when the server begins to stop (end
    there what workers and requests wait for), and `on_stop` after the last request and step.
    """

    models: tuple[str, ...]
    operations: str
    offers: Mapping[str, Any] = msgspec.field(default_factory=dict)
    workers: Sequence[Worker] = ()
    pages: Mapping[str, Page] = msgspec.field(default_factory=dict)
    open_pages: Mapping[tuple[str, str], OpenPage] = msgspec.field(default_factory=dict)
    sockets: Mapping[tuple[str, str], Socket] = msgspec.field(default_factory=dict)
    sites: Sequence[Site] = ()
    on_start: Callable[[Context, Runner], None] | None = None
    on_stopping: Callable[[], None] | None = None
    on_stop: Callable[[], None] | None = None
    _bound: dict[str, dict[str, BoundOperation]] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the first model."""
        return self.models[0]

    def bound(self, model: str) -> Mapping[str, BoundOperation]:
        """The operations of a model by their AWS names; BindingError says what does not fit."""
        found = self._bound.get(model)
        if found is None:
            found = self._bound[model] = self._bind(model)
        return found

    def _bind(self, model: str) -> dict[str, BoundOperation]:
        package = self.operations if len(self.models) == 1 else f"{self.operations}.{model.replace('-', '_')}"
        service_model = models.service(model)
        by_snake = {models.snake(name): name for name in service_model.operations}
        bound: dict[str, BoundOperation] = {}
        for information in pkgutil.iter_modules(importlib.import_module(package).__path__):
            module = importlib.import_module(f"{package}.{information.name}")
            for function in vars(module).values():
                mark = getattr(function, "headrace_operation", None)
                if not isinstance(mark, Mark) or function.__module__ != module.__name__:
                    continue
                where = f"{module.__name__}.{function.__name__}"
                name = by_snake.get(function.__name__)
                if name is None:
                    raise BindingError(f"{where}: {model} has no such operation")
                if name in bound:
                    raise BindingError(f"{where}: {name} stands in two places")
                bound[name] = _bind_one(where, service_model.operations[name], function, mark)
        return bound


def _bind_one(where: str, model: models.OperationModel, function: Callable[..., Any], mark: Mark) -> BoundOperation:
    if not inspect.getdoc(function):
        raise BindingError(f"{where}: no docstring")
    members = model.input.members if model.input is not None else {}
    required = set(model.input.required) if model.input is not None else set()
    by_snake = {models.snake(name): name for name in members}
    parameters: dict[str, str] = {}
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        name = by_snake.get(parameter.name)
        if name is None:
            raise BindingError(f"{where}: {parameter.name} is no member of {model.name}")
        if name in required and parameter.default is not inspect.Parameter.empty:
            raise BindingError(f"{where}: {parameter.name} is required by AWS, so it takes no default")
        if name not in required and parameter.default is inspect.Parameter.empty:
            raise BindingError(f"{where}: {parameter.name} is optional in AWS, so it needs a default")
        parameters[name] = parameter.name
    for name in mark.accepts:
        if name not in by_snake:
            raise BindingError(f"{where}: accepts {name}, which is no member")
    for name in required:
        if name not in parameters and models.snake(name) not in mark.accepts:
            raise BindingError(f"{where}: the required member {name} is not taken")
    return BoundOperation(model.name, model, function, mark, parameters)
