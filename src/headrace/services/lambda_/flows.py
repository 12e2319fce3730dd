"""How things flow into functions and out of them: event source mappings, and where outcomes of asynchronous events go."""

from collections.abc import Iterator, Sequence

from headrace import consumer
from headrace.operation import Context
from headrace.ports import Flow, Scope
from headrace.services.lambda_ import mappings, naming, state
from headrace.services.lambda_.state import Mapping


class Links:
    """The links that Lambda keeps."""

    def flows(self, scope: Scope) -> Sequence[Flow]:
        """Event source mappings, destinations and dead letters."""
        assert isinstance(scope, Context)
        ctx = scope
        kept = ctx.snapshot(lambda inner: [mapping for _, mapping in state.MAPPINGS.scan(inner.tx)])
        found = [flow for mapping in kept for flow in _mapping(ctx, mapping)]
        return found + ctx.snapshot(lambda inner: [*_destinations(inner), *_dead_letters(inner)])


def _mapping(ctx: Context, mapping: Mapping) -> Iterator[Flow]:
    function = naming.named_arn(mappings.function_of(mapping))
    backlog = consumer.Backlog()
    is_stream = mappings.source_service(mapping.source_arn) in ctx.ports.sources
    if is_stream:
        backlog = consumer.backlog(ctx, mappings.subscription(mapping))
    problem = backlog.problem or (mapping.last_result if mapping.last_result.startswith("PROBLEM") else "")
    yield Flow(
        mapping.source_arn,
        function,
        "event source mapping",
        "enabled" if mapping.enabled else "disabled",
        backlog.behind_seconds(ctx.clock.now()) if is_stream else None,
        problem=problem,
    )
    if mapping.on_failure:
        yield Flow(function, mapping.on_failure, "batches given up")


def _destinations(ctx: Context) -> Iterator[Flow]:
    for (account, region, name, qualifier), config in state.EVENT_CONFIGS.scan(ctx.tx):
        given = None if qualifier == naming.LATEST else str(qualifier)
        function = naming.function_arn(str(account), str(region), str(name), given)
        for by, target in (("on success", config.on_success), ("on failure", config.on_failure)):
            if target:
                yield Flow(function, target, by)


def _dead_letters(ctx: Context) -> Iterator[Flow]:
    for (account, region, name, version), row in state.VERSIONS.scan(ctx.tx):
        if row.dead_letter_arn and version == 0:  # the one that can be changed
            yield Flow(naming.function_arn(str(account), str(region), str(name)), row.dead_letter_arn, "dead letters")
