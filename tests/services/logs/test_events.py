"""Log groups, streams and events, as boto3 sees them."""

import time

import pytest
from botocore.exceptions import ClientError
from tests.conftest import HeadraceServer, eventually


@pytest.fixture
def logs(client):
    return client("logs")


def refused(code, call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return error["Message"]


@pytest.fixture
def now(server):
    return int(server.page("/_headrace/clock")["now"] * 1000)


def put(logs, messages, start, stream="s", group="g"):
    events = [{"timestamp": start + index, "message": text} for index, text in enumerate(messages)]
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


@pytest.fixture
def stream(logs):
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")


def texts(answer):
    return [event["message"] for event in answer["events"]]


def test_groups__life(logs, account):
    logs.create_log_group(logGroupName="/aws/lambda/f", tags={"team": "bank"})
    assert (
        refused("ResourceAlreadyExistsException", logs.create_log_group, logGroupName="/aws/lambda/f")
        == "The specified log group already exists"
    )
    logs.create_log_group(logGroupName="other")
    logs.put_retention_policy(logGroupName="other", retentionInDays=7)
    refused("InvalidParameterException", logs.put_retention_policy, logGroupName="other", retentionInDays=8)
    groups = logs.describe_log_groups()["logGroups"]
    assert [(one["logGroupName"], one.get("retentionInDays")) for one in groups] == [("/aws/lambda/f", None), ("other", 7)]
    arn = f"arn:aws:logs:us-east-1:{account}:log-group:/aws/lambda/f"
    assert (groups[0]["arn"], groups[0]["logGroupArn"]) == (f"{arn}:*", arn)
    assert [one["logGroupName"] for one in logs.describe_log_groups(logGroupNamePrefix="o")["logGroups"]] == ["other"]
    first = logs.describe_log_groups(limit=1)
    rest = logs.describe_log_groups(nextToken=first["nextToken"])
    assert [one["logGroupName"] for one in rest["logGroups"]] == ["other"]
    logs.tag_resource(resourceArn=arn, tags={"a": "b"})
    logs.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b"}
    logs.delete_log_group(logGroupName="other")
    refused("ResourceNotFoundException", logs.delete_log_group, logGroupName="other")


def test_events__are_read_forward_and_backward(logs, stream, now):
    put(logs, [f"m{number}" for number in range(10)], now)
    names = {"logGroupName": "g", "logStreamName": "s"}
    last = logs.get_log_events(limit=4, **names)
    assert texts(last) == ["m6", "m7", "m8", "m9"]
    earlier = logs.get_log_events(limit=4, nextToken=last["nextBackwardToken"], **names)
    assert texts(earlier) == ["m2", "m3", "m4", "m5"]
    head = logs.get_log_events(limit=4, startFromHead=True, **names)
    assert texts(head) == ["m0", "m1", "m2", "m3"]
    following = logs.get_log_events(limit=100, startFromHead=True, nextToken=head["nextForwardToken"], **names)
    assert texts(following) == ["m4", "m5", "m6", "m7", "m8", "m9"]
    end = logs.get_log_events(startFromHead=True, nextToken=following["nextForwardToken"], **names)
    assert texts(end) == []
    assert end["nextForwardToken"] == following["nextForwardToken"]
    put(logs, ["late"], now + 100)
    assert texts(logs.get_log_events(startFromHead=True, nextToken=end["nextForwardToken"], **names)) == ["late"]
    assert texts(logs.get_log_events(startTime=now + 2, endTime=now + 4, **names)) == ["m2", "m3"]
    refused("InvalidParameterException", logs.get_log_events, nextToken="nonsense", **names)


def test_events__of_one_time_keep_their_order(logs, stream, now):
    events = [{"timestamp": now, "message": f"m{number}"} for number in range(20)]
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)
    put(logs, ["older"], now - 1000)
    found = logs.get_log_events(logGroupName="g", logStreamName="s", startFromHead=True)
    assert texts(found) == ["older", *(f"m{number}" for number in range(20))]


def test_events__long_ones_come_back_whole(logs, stream, now):
    long = "ä☂" * 60_000
    put(logs, ["a", long, "b"], now)
    assert texts(logs.get_log_events(logGroupName="g", logStreamName="s", startFromHead=True)) == ["a", long, "b"]
    assert texts(logs.filter_log_events(logGroupName="g", filterPattern="ä☂")) == [long]


def test_put__checks_the_batch(logs, stream, now):
    def events(*times):
        return [{"timestamp": at, "message": "x"} for at in times]

    names = {"logGroupName": "g", "logStreamName": "s"}
    message = refused("InvalidParameterException", logs.put_log_events, logEvents=events(now, now - 1), **names)
    assert message == "Log events in a single PutLogEvents request must be in chronological order."
    day = 86_400_000
    refused("InvalidParameterException", logs.put_log_events, logEvents=events(now - day - 1, now), **names)
    refused(
        "InvalidParameterException",
        logs.put_log_events,
        logEvents=[{"timestamp": now, "message": "x" * (1024 * 1024)}],
        **names,
    )
    answer = logs.put_log_events(logEvents=events(now - 15 * day, now - 15 * day), **names)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2}
    answer = logs.put_log_events(logEvents=events(now, now + 3 * 3_600_000), **names)
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    assert len(logs.get_log_events(**names)["events"]) == 1
    refused("ResourceNotFoundException", logs.put_log_events, logEvents=events(now), logGroupName="g", logStreamName="t")
    refused("ResourceNotFoundException", logs.put_log_events, logEvents=events(now), logGroupName="h", logStreamName="t")


def test_filter__merges_streams_by_time(logs, stream, now):
    logs.create_log_stream(logGroupName="g", logStreamName="t")
    put(logs, ["ERROR a", "INFO b", "ERROR c"], now)
    put(logs, ["INFO d", "ERROR e"], now + 1, stream="t")
    found = logs.filter_log_events(logGroupName="g")
    assert texts(found) == ["ERROR a", "INFO b", "INFO d", "ERROR c", "ERROR e"]
    assert [event["logStreamName"] for event in found["events"]] == ["s", "s", "t", "s", "t"]
    assert len({event["eventId"] for event in found["events"]}) == 5
    assert texts(logs.filter_log_events(logGroupName="g", filterPattern="ERROR")) == ["ERROR a", "ERROR c", "ERROR e"]
    assert texts(logs.filter_log_events(logGroupName="g", logStreamNames=["t"])) == ["INFO d", "ERROR e"]
    assert texts(logs.filter_log_events(logGroupName="g", logStreamNamePrefix="s", startTime=now + 1)) == ["INFO b", "ERROR c"]
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName="g", PaginationConfig={"PageSize": 2}))
    assert [text for page in pages for text in texts(page)] == texts(found)
    assert len(pages) == 3
    refused("InvalidParameterException", logs.filter_log_events, logGroupName="g", filterPattern="[a]")


def test_streams__are_listed(logs, stream, now):
    for number, name in enumerate(["b", "a"]):
        logs.create_log_stream(logGroupName="g", logStreamName=name)
        put(logs, ["x"], now + number, stream=name)
    rows = logs.describe_log_streams(logGroupName="g")["logStreams"]
    assert [row["logStreamName"] for row in rows] == ["a", "b", "s"]
    assert rows[0]["lastEventTimestamp"] == now + 1
    rows = logs.describe_log_streams(logGroupName="g", orderBy="LastEventTime", descending=True, limit=2)
    assert [row["logStreamName"] for row in rows["logStreams"]] == ["a", "b"]
    rest = logs.describe_log_streams(logGroupName="g", orderBy="LastEventTime", descending=True, nextToken=rows["nextToken"])
    assert [row["logStreamName"] for row in rest["logStreams"]] == ["s"]
    logs.delete_log_stream(logGroupName="g", logStreamName="a")
    refused("ResourceNotFoundException", logs.get_log_events, logGroupName="g", logStreamName="a")
    logs.create_log_stream(logGroupName="g", logStreamName="a")
    assert texts(logs.get_log_events(logGroupName="g", logStreamName="a")) == []


def test_retention__removes_what_expired(tmp_path):
    server = HeadraceServer(tmp_path / "data").start()
    try:
        logs = server.client("logs")
        for group in ("g", "kept"):
            logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName="s")
            put(logs, ["x"], int(time.time() * 1000), group=group)
        logs.put_retention_policy(logGroupName="g", retentionInDays=1)
        server.advance(86_400 + 10)
        eventually(lambda: texts(logs.get_log_events(logGroupName="g", logStreamName="s")) == [])
        assert texts(logs.get_log_events(logGroupName="kept", logStreamName="s")) == ["x"]
    finally:
        server.stop()
