"""Operations on the policies of streams and consumers. What they let happen is decided where requests are authorised."""

from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC, MalformedPolicy
from headrace.services.kinesis import errors, fanout_state, limits, naming, state


@operation
def put_resource_policy(ctx: Context, *, resource_arn: str, policy: str) -> None:
    """Say who may do what with a stream or a consumer; what was said before is replaced."""
    arn = _resource(ctx, resource_arn)
    if len(policy.encode()) > limits.POLICY_SIZE_MAX_BYTES:
        raise errors.LimitExceededException(f"A resource policy has {limits.POLICY_SIZE_MAX_BYTES} bytes at most.")
    try:
        ctx.ports.authority.check_policy(policy)
    except MalformedPolicy as error:
        raise errors.InvalidArgumentException(f"Invalid resource policy: {error}") from None
    state.POLICIES.put(ctx.tx, state.Policy(policy), arn)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


@operation(read_only=True)
def get_resource_policy(ctx: Context, *, resource_arn: str) -> dict[str, str]:
    """The policy of a stream or a consumer, as it was given."""
    kept = state.POLICIES.get(ctx.tx, _resource(ctx, resource_arn))
    if kept is None:
        raise errors.no_policy(resource_arn)
    return {"Policy": kept.text}


@operation
def delete_resource_policy(ctx: Context, *, resource_arn: str) -> None:
    """Take the policy of a stream or a consumer away."""
    if not state.drop_policy(ctx.tx, _resource(ctx, resource_arn)):
        raise errors.no_policy(resource_arn)


def _resource(ctx: Context, arn: str) -> str:
    if "/consumer/" in arn:
        return fanout_state.find(ctx.tx, ctx, None, None, arn)[1].arn
    stream = state.find(ctx.tx, ctx.account, ctx.region, naming.stream_name(ctx, None, arn))
    return state.stream_arn(ctx.account, ctx.region, stream.name)
