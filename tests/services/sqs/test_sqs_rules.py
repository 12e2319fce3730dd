"""SQS's decisions: attributes, URLs, digests, batches."""

import pytest

from headrace.services.sqs import errors, rules


def test_check_attributes() -> None:
    assert rules.check_attributes({"DelaySeconds": "007", "FifoQueue": "false"}) == {"DelaySeconds": "7"}
    for name, value in (
        ("DelaySeconds", "901"), ("VisibilityTimeout", "-1"), ("MaximumMessageSize", "1023"), ("MessageRetentionPeriod", "x"),
        ("Policy", "[]"), ("SqsManagedSseEnabled", "yes"),
    ):  # fmt: skip
        with pytest.raises(errors.InvalidAttributeValue):
            rules.check_attributes({name: value})
    with pytest.raises(errors.InvalidAttributeName):
        rules.check_attributes({"Color": "red"})
    with pytest.raises(errors.UnsupportedOperation):
        rules.check_attributes({"FifoQueue": "true"})


def test_redrive() -> None:
    good = '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:q","maxReceiveCount":"3"}'
    assert rules.redrive(good) == ("arn:aws:sqs:us-east-1:1:q", 3)
    for bad in (
        '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:q"}',
        '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:q","maxReceiveCount":0}',
        '{"deadLetterTargetArn":"arn:aws:sns:us-east-1:1:q","maxReceiveCount":1}',
        '{"deadLetterTargetArn":"nope","maxReceiveCount":1}',
    ):
        with pytest.raises(errors.InvalidParameterValue):
            rules.redrive(bad)


def test_place_of_url() -> None:
    assert rules.place_of_url("http://sqs.eu-west-1.amazonaws.com/000000000012/q-1") == ("000000000012", "q-1")
    assert rules.place_of_url("https://h:1/x/000000000012/q-1/") == ("000000000012", "q-1")
    for url in ("q", "http://h/q", "http://h/abc/q"):
        with pytest.raises(errors.InvalidAddress):
            rules.place_of_url(url)


def test_check_message_attributes() -> None:
    rules.check_message_attributes({"a.b": {"DataType": "Number.int", "StringValue": "-1.5e3"}})
    for attributes in (
        {"aws.x": {"DataType": "String", "StringValue": "v"}},
        {"a..b": {"DataType": "String", "StringValue": "v"}},
        {"a": {"DataType": "Text", "StringValue": "v"}},
        {"a": {"DataType": "String", "StringValue": ""}},
        {"a": {"DataType": "Number", "StringValue": "one"}},
        {"a": {"DataType": "Binary", "StringValue": "v"}},
        {f"a{n}": {"DataType": "String", "StringValue": "v"} for n in range(11)},
    ):
        with pytest.raises(errors.InvalidParameterValue):
            rules.check_message_attributes(attributes)


def test_wants() -> None:
    assert rules.wants(["foo.*"], "foo.bar")
    assert rules.wants(["All"], "x")
    assert not rules.wants(["foo.*", "b"], "bar")


def test_handle__belongs_to_its_queue() -> None:
    text = rules.encode_handle(rules.Handle("q1", 7, 1 << 62))
    assert rules.decode_handle(text, "q1") == rules.Handle("q1", 7, 1 << 62)
    for handle, queue in ((text, "q2"), ("???", "q1"), ("", "q1"), ("é", "q1")):
        with pytest.raises(errors.ReceiptHandleIsInvalid):
            rules.decode_handle(handle, queue)
