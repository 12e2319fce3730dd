"""The picture of the pipeline, in a real Chromium."""

import json
from pathlib import Path

from tests.browser.test_browser import browser
from tests.conftest import HeadraceServer


def test_pipeline__is_drawn_and_follows_what_changes(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    try:
        sqs, sns = server.client("sqs"), server.client("sns")
        dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})
        sqs.create_queue(QueueName="work", Attributes={"RedrivePolicy": redrive})

        def link() -> None:
            topic = sns.create_topic(Name="news")["TopicArn"]
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=dead_arn.replace("dead", "work"))

        seen = browser("pipeline", link, page=f"{server.url}/_headrace/pipeline")
    finally:
        server.stop()
    assert seen["problems"] == []
    assert (seen["first"]["said"], seen["second"]["said"]) == ("2 things, 1 link", "3 things, 2 links")
    assert seen["first"]["by"] == ["after 3 receipts"]
    places = {(kind, name): left for kind, name, left in seen["second"]["things"]}
    assert places["topic", "news"] < places["queue", "work"] < places["queue", "dead"]
    assert seen["second"]["links"] == ["flows", "flows"]
