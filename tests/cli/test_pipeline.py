"""The pipeline: links put together into trees."""

from typing import Any

from headrace.cli.pipeline import Node, duration, trees

ACCOUNT = "000000000000"
HOME = ("us-east-1", ACCOUNT)


def arn(service: str, resource: str, region: str = "us-east-1", account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


TABLE = arn("dynamodb", "table/orders")
STREAM = arn("dynamodb", "table/orders/stream/2026-01-01T00:00:00.000")
FUNCTION = arn("lambda", "function:check")
QUEUE = arn("sqs", "dead")


def flow(source: str, target: str, by: str = "link", **more: Any) -> dict[str, Any]:
    return {
        "source": source, "target": target, "by": by, "state": "active", "behind_seconds": None, "waiting": None,
        "problem": "", **more,
    }  # fmt: skip


def plain(node: Node) -> Any:
    return {str(node.thing): [(link.by, plain(link.target)) for link in node.links]} if node.links else str(node.thing)


def test_trees__begin_where_nothing_leads_to() -> None:
    flows = [flow(FUNCTION, QUEUE, "on failure"), flow(STREAM, FUNCTION, "mapping"), flow(arn("sns", "news"), QUEUE)]
    assert [plain(node) for node in trees(flows, {}, HOME)] == [
        {"table orders": [("mapping", {"function check": [("on failure", "queue dead")]})]},
        {"topic news": [("link", "queue dead")]},
    ]


def test_trees__what_is_reached_twice_is_whole_once() -> None:
    flows = [flow(STREAM, FUNCTION), flow(arn("kinesis", "stream/clicks"), FUNCTION), flow(FUNCTION, QUEUE)]
    first, second = trees(flows, {}, HOME)
    whole, again = first.links[0].target, second.links[0].target
    assert (len(whole.links), whole.again) == (1, False)
    assert (len(again.links), again.again) == (0, True)


def test_trees__a_ring_is_shown() -> None:
    here, there = TABLE, arn("dynamodb", "table/orders", "eu-west-1")
    (ring,) = trees([flow(here, there, "replica"), flow(there, here, "replica")], {}, HOME)
    assert plain(ring) == {"table orders": [("replica", {"table orders (eu-west-1)": [("replica", "table orders")]})]}


def test_trees__functions_have_their_calls() -> None:
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/role-of-check/check"
    other = f"arn:aws:sts::{ACCOUNT}:assumed-role/role-of-check/somebody"
    calls = {session: {"ses.SendEmail": 2}, other: {"ses.SendEmail": 5}}
    (tree,) = trees([flow(STREAM, FUNCTION)], calls, HOME)
    assert tree.links[0].target.calls == {"ses.SendEmail": 2}
    assert tree.calls == {}


def test_trees__remarks() -> None:
    (tree,) = trees(
        [
            flow(TABLE, FUNCTION, behind_seconds=0.2),
            flow(TABLE, QUEUE, behind_seconds=75.0, waiting=1200, state="full", problem="it failed"),
            flow(TABLE, arn("sqs", "off"), behind_seconds=0.0, state="disabled"),
        ],
        {},
        HOME,
    )
    assert [list(link.remarks) for link in tree.links] == [
        ["up to date"], ["full", "1,200 wait", "1 min 15 s behind"], ["disabled"],
    ]  # fmt: skip
    assert tree.links[1].problem == "it failed"


def test_duration() -> None:
    assert [duration(seconds) for seconds in (0.25, 9.96, 59, 61, 3700, 90_000)] == [
        "0.2 s", "10.0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h",
    ]  # fmt: skip
