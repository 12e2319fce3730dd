"""The pages of the pipeline."""

import urllib.error
import urllib.request

import pytest

from conftest import HeadraceServer


def test_page__has_its_parts(server: HeadraceServer) -> None:
    for path, kind in (("", "text/html"), (".js", "text/javascript"), (".css", "text/css")):
        with urllib.request.urlopen(f"{server.url}/_headrace/pipeline{path}") as answer:
            assert answer.headers["content-type"].startswith(kind)
            assert answer.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{server.url}/_headrace/pipeline/more")


def test_flows__are_for_the_machines_own_user(server: HeadraceServer) -> None:
    asked = urllib.request.Request(f"{server.url}/_headrace/flows", headers={"Host": "somewhere.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(asked)


def test_flows__say_what_their_ends_are_called(server: HeadraceServer) -> None:
    sns = server.client("sns")
    topic = sns.create_topic(Name="pipeline-pages")["TopicArn"]
    queue = topic.replace(":sns:", ":sqs:")
    server.client("sqs").create_queue(QueueName="pipeline-pages")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    told = server.page("/_headrace/flows")
    assert {"source": topic, "target": queue, "by": "subscription"}.items() <= next(
        one for one in told["flows"] if one["source"] == topic
    ).items()
    assert told["things"][topic] == {"kind": "topic", "name": "pipeline-pages", "place": ""}
    assert told["things"][queue] == {"kind": "queue", "name": "pipeline-pages", "place": ""}
