"""What was acknowledged is there after the server was killed in the middle of its work."""

import threading
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from conftest import HeadraceServer


def test_kill__keeps_what_was_acknowledged(tmp_path: Path) -> None:
    server = HeadraceServer(tmp_path / "data").start()
    server.client("s3").create_bucket(Bucket="bucket")
    queue = server.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    acknowledged: list[str] = []
    sent: list[str] = []
    enough = threading.Event()

    def write(worker: int) -> None:
        s3, sqs = server.client("s3"), server.client("sqs")
        for number in range(10_000):
            key = f"{worker}-{number}"
            try:
                s3.put_object(Bucket="bucket", Key=key, Body=key.encode() * (10 if number % 2 else 5000))
                acknowledged.append(key)
                sqs.send_message(QueueUrl=queue, MessageBody=key)
                sent.append(key)
            except (BotoCoreError, ClientError):
                return
            if len(acknowledged) > 150:
                enough.set()

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    server.kill()
    for thread in threads:
        thread.join()
    server.start()
    try:
        s3, sqs = server.client("s3"), server.client("sqs")
        for key in acknowledged:
            number = int(key.partition("-")[2])
            expected = key.encode() * (10 if number % 2 else 5000)
            assert s3.get_object(Bucket="bucket", Key=key)["Body"].read() == expected
        found: set[str] = set()
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            found |= {one["Body"] for one in messages}
        assert found >= set(sent)
    finally:
        server.stop()
