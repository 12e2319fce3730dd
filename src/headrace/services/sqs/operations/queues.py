"""Operations on queues: create, find, list, delete, attributes, purge."""

from typing import Any

from headrace.layers import tags as tag_rows
from headrace.operation import Context, operation
from headrace.ports import RESOURCE_POLICIES_TOPIC, MalformedPolicy
from headrace.services.sqs import access, errors, limits, naming, rules, state


@operation
def create_queue(
    ctx: Context, *, queue_name: str, attributes: dict[str, str] | None = None, tags: dict[str, str] | None = None
) -> dict[str, Any]:
    """Create a standard queue; one that is there with the same attributes is left as it is.

    Differs from AWS: a name can be used again at once after its queue was deleted.
    """
    rules.check_name(queue_name)
    given = rules.check_attributes(attributes or {})
    _check_redrive(ctx, given)
    before = state.QUEUES.get(ctx.tx, ctx.account, ctx.region, queue_name)
    if before is not None:
        for name, value in given.items():
            if _effective(before, name) != value:
                raise errors.QueueNameExists(
                    f"A queue already exists with the same name and a different value for attribute {name}"
                )
        return {"QueueUrl": naming.url(ctx, before)}
    now = ctx.clock.now()
    _check_policy(ctx, given)
    queue = state.Queue(queue_name, ctx.ids.hex(16), ctx.account, ctx.region, now, now, given)
    state.save(ctx.tx, queue)
    if tags:
        tag_rows.add(ctx.tx, queue.arn, tags)
    return {"QueueUrl": naming.url(ctx, queue)}


def _check_policy(ctx: Context, attributes: dict[str, str]) -> None:
    """InvalidAttributeValue unless a policy can be evaluated; what was decided by the old one is forgotten."""
    if access.POLICY not in attributes:
        return
    if attributes[access.POLICY]:
        try:
            ctx.ports.authority.check_policy(attributes[access.POLICY])
        except MalformedPolicy:
            raise errors.bad_attribute(access.POLICY) from None
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


def _effective(queue: state.Queue, name: str) -> str:
    default = str(rules.NUMBERS[name][0]) if name in rules.NUMBERS else ""
    return queue.attributes.get(name, default)


def _check_redrive(ctx: Context, attributes: dict[str, str]) -> None:
    redrive = rules.redrive(attributes.get("RedrivePolicy"))
    if redrive is not None:
        try:
            state.by_arn(ctx, redrive.target_arn)
        except (errors.QueueDoesNotExist, errors.AccessDenied):
            raise errors.InvalidParameterValue(
                f"Value {attributes['RedrivePolicy']} for parameter RedrivePolicy is invalid. Reason: Dead letter target does "
                "not exist."
            ) from None


@operation(read_only=True)
def get_queue_url(ctx: Context, *, queue_name: str, queue_owner_aws_account_id: str | None = None) -> dict[str, Any]:
    """The URL of a queue."""
    if queue_owner_aws_account_id not in (None, ctx.account):
        raise errors.no_such_queue()
    return {"QueueUrl": naming.url(ctx, state.by_name(ctx.tx, ctx.account, ctx.region, queue_name))}


@operation(read_only=True)
def list_queues(
    ctx: Context, *, queue_name_prefix: str | None = None, next_token: str | None = None, max_results: int | None = None
) -> dict[str, Any]:
    """The queues of the account and region, by name."""
    if max_results is not None and not 1 <= max_results <= limits.LIST_MAX:
        raise errors.bad_value("MaxResults", max_results, f"Must be between 1 and {limits.LIST_MAX}.")
    wanted = max_results or limits.LIST_MAX
    prefix = queue_name_prefix or ""
    start = naming.decode_token(next_token) if next_token else ""
    found = []
    for _, queue in state.QUEUES.scan(ctx.tx, ctx.account, ctx.region, after=(ctx.account, ctx.region, start)):
        if queue.name.startswith(prefix):
            found.append(queue)
        if len(found) > wanted or queue.name > prefix + "\uffff":
            break
    answer: dict[str, Any] = {"QueueUrls": [naming.url(ctx, queue) for queue in found[:wanted]]}
    if len(found) > wanted and max_results is not None:
        answer["NextToken"] = naming.encode_token(found[wanted - 1].name)
    return answer


@operation(read_only=True)
def list_dead_letter_source_queues(
    ctx: Context, *, queue_url: str, next_token: str | None = None, max_results: int | None = None
) -> dict[str, Any]:
    """The queues whose dead letters go to this one."""
    target = state.find(ctx, queue_url)
    wanted = min(max_results or limits.LIST_MAX, limits.LIST_MAX)
    start = naming.decode_token(next_token) if next_token else ""
    found = []
    for _, queue in state.QUEUES.scan(ctx.tx, ctx.account, ctx.region, after=(ctx.account, ctx.region, start)):
        redrive = rules.redrive(queue.attributes.get("RedrivePolicy"))
        if redrive is not None and redrive.target_arn == target.arn:
            found.append(queue)
            if len(found) > wanted:
                break
    answer: dict[str, Any] = {"queueUrls": [naming.url(ctx, queue) for queue in found[:wanted]]}
    if len(found) > wanted:
        answer["NextToken"] = naming.encode_token(found[wanted - 1].name)
    return answer


@operation
def delete_queue(ctx: Context, *, queue_url: str) -> None:
    """Delete a queue with its messages. Differs from AWS: it is gone at once."""
    queue = state.find(ctx, queue_url)
    state.QUEUES.delete(ctx.tx, queue.account, queue.region, queue.name)
    tag_rows.drop(ctx.tx, queue.arn)
    state.doom(ctx.tx, queue)
    ctx.tx.announce(queue.topic)
    ctx.tx.announce(RESOURCE_POLICIES_TOPIC)


@operation(transaction=False)
def get_queue_attributes(ctx: Context, *, queue_url: str, attribute_names: list[str] | None = None) -> dict[str, Any]:
    """Settings of a queue, and how many messages it has: the numbers are exact at the moment they are read."""
    asked = attribute_names or []
    known = (*rules.NUMBERS, *rules.TEXTS, *rules.COUNTED, *rules.TIMES)
    for name in asked:
        if name not in (*known, "All", "FifoQueue", "ContentBasedDeduplication", "KmsMasterKeyId"):
            raise errors.InvalidAttributeName(f"Unknown Attribute {name}.")
    counted = "All" in asked or any(name in asked for name in rules.COUNTED)

    def body(inner: Context) -> tuple[state.Queue, tuple[int, int, int]]:
        queue = state.find(inner, queue_url)
        return queue, state.counts(inner.tx, queue, inner.clock.now()) if counted else (0, 0, 0)

    queue, counts = ctx.snapshot(body)
    values = {name: str(queue.number(name)) for name in rules.NUMBERS}
    values.update({name: value for name, value in queue.attributes.items() if name in rules.TEXTS and value})
    values["CreatedTimestamp"] = str(int(queue.created_at))
    values["LastModifiedTimestamp"] = str(int(queue.modified_at))
    values["QueueArn"] = queue.arn
    if counted:
        values.update({name: str(number) for name, number in zip(rules.COUNTED, counts, strict=True)})
    chosen = {name: value for name, value in values.items() if "All" in asked or name in asked}
    return {"Attributes": chosen or None}


@operation
def set_queue_attributes(ctx: Context, *, queue_url: str, attributes: dict[str, str]) -> None:
    """Change settings of a queue, at once. An empty text takes a policy away."""
    queue = state.find(ctx, queue_url)
    given = rules.check_attributes(attributes)
    _check_redrive(ctx, given)
    _check_policy(ctx, given)
    queue.attributes = {name: value for name, value in {**queue.attributes, **given}.items() if value}
    queue.modified_at = ctx.clock.now()
    state.save(ctx.tx, queue)


@operation
def purge_queue(ctx: Context, *, queue_url: str) -> None:
    """Remove all messages of a queue, those in flight too; at once."""
    queue = state.find(ctx, queue_url)
    now = ctx.clock.now()
    if queue.purged_at + limits.PURGE_PAUSE_SECONDS > now:
        raise errors.PurgeQueueInProgress(
            f"Only one PurgeQueue operation on {queue.name} is allowed every {limits.PURGE_PAUSE_SECONDS:.0f} seconds."
        )
    state.doom(ctx.tx, queue)
    queue.id, queue.purged_at = ctx.ids.hex(16), now
    state.save(ctx.tx, queue)
