"""What resources are called."""

from headrace.kit.things import Thing, thing

ACCOUNT = "000000000000"
HOME = ("us-east-1", ACCOUNT)


def arn(service: str, resource: str, region: str = "us-east-1", account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def test_thing__named_as_a_person_does() -> None:
    assert thing(arn("dynamodb", "table/orders"), HOME) == Thing("table", "orders")
    assert thing(arn("dynamodb", "table/orders/stream/2026-01-01T00:00:00.000"), HOME) == Thing("table", "orders")
    assert thing(arn("kinesis", "stream/clicks/consumer/app:1"), HOME) == Thing("stream", "clicks")
    assert thing(arn("lambda", "function:check:live"), HOME) == Thing("function", "check:live")
    assert thing("arn:aws:s3:::pictures", HOME) == Thing("bucket", "pictures")
    assert thing(arn("firehose", "deliverystream/late"), HOME) == Thing("delivery stream", "late")
    assert str(thing(arn("redshift", "table:wh/bank/public.late"), HOME)) == "warehouse table public.late (wh, database bank)"
    assert str(thing(arn("sqs", "dead", "eu-west-1", "123456789012"), HOME)) == "queue dead (eu-west-1, 123456789012)"
    assert thing("nothing", HOME) == Thing("", "nothing")
