"""Operations on fragments that are kept: list them, and get some of them."""

from typing import Any

from headrace.operation import Context, Longer, on_event_loop, operation
from headrace.services.video import errors, limits, naming, reading, rules, state


@operation(read_only=True)
def list_fragments(
    ctx: Context,
    *,
    stream_name: str | None = None,
    stream_arn: str | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    fragment_selector: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A page of a stream's fragments, by producer or server time; what it costs does not depend on the stream's length.

    Differs from AWS: they come in the order of their times (AWS promises no order). Without a selector: all, by server time.
    """
    wanted = max_results or limits.LIST_FRAGMENTS_DEFAULT
    if wanted > limits.LIST_FRAGMENTS_AT_ONCE and on_event_loop():
        raise Longer
    stream = state.find_stream(ctx, stream_name, stream_arn)
    kind, start_ms, end_ms = _range(fragment_selector)
    list_of = f"fragments {stream.id} {kind} {start_ms} {end_ms}"
    after = naming.read_token(next_token, list_of, tuple[int, int]) if next_token else None
    by_server = kind == "SERVER_TIMESTAMP"
    find = state.fragments_by_server_time if by_server else state.fragments_by_producer_time
    found = find(ctx.tx, stream, start_ms, end_ms, wanted + 1, after)
    answer: dict[str, Any] = {"Fragments": [_shown(fragment) for fragment in found[:wanted]]}
    if len(found) > wanted:
        last = found[wanted - 1]
        answer["NextToken"] = naming.write_token(list_of, (last.server_ms if by_server else last.producer_ms, last.place))
    return answer


@operation(transaction=False)
def get_media_for_fragment_list(
    ctx: Context, *, fragments: list[str], stream_name: str | None = None, stream_arn: str | None = None
) -> dict[str, Any]:
    """The fragments of up to 1,000 numbers, each a small Matroska document with tags, in the order of the list."""
    stream = ctx.snapshot(lambda inner: state.find_stream(inner, stream_name, stream_arn))
    for number in fragments:
        if rules.ordinal_of(number) is None:
            raise errors.InvalidArgumentException(f"{number} is not a valid fragment number.")
    parts = reading.documents(ctx, stream, fragments)
    return {"ContentType": reading.CONTENT_TYPE, "Payload": reading.Media(parts)}


def _range(selector: dict[str, Any] | None) -> tuple[str, int, int | None]:
    """(kind, first millisecond, the one behind the last)."""
    if selector is None:
        return "SERVER_TIMESTAMP", 0, None
    between = selector["TimestampRange"]
    start_ms, end_ms = round(between["StartTimestamp"] * 1000), round(between["EndTimestamp"] * 1000)
    if start_ms > end_ms:
        raise errors.InvalidArgumentException("StartTimestamp must not be after EndTimestamp.")
    return selector["FragmentSelectorType"], max(0, start_ms), max(0, end_ms + 1)


def _shown(fragment: state.Fragment) -> dict[str, Any]:
    return {
        "FragmentNumber": fragment.number,
        "FragmentSizeInBytes": fragment.size_bytes,
        "ProducerTimestamp": fragment.producer_ms / 1000,
        "ServerTimestamp": fragment.server_ms / 1000,
        "FragmentLengthInMilliseconds": fragment.duration_ms,
    }
