"""Clips and pictures of a stream."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import pytest
from botocore.exceptions import ClientError
from tests.conftest import REGION, ROOT_KEY, ROOT_SECRET, HeadraceServer, eventually
from tests.services.video import pictures
from tests.services.video.playing import now_ms, send

Client = Callable[..., Any]
PRODUCER = "PRODUCER_TIMESTAMP"


@pytest.fixture(scope="module")
def film() -> pictures.Video:
    return pictures.video(6.0, every=2.0, audio="aac")


@pytest.fixture
def stream(client: Client) -> str:
    client("kinesisvideo").create_stream(StreamName="camera", DataRetentionInHours=24)
    return "camera"


def clip(client: Client, start_ms: int, end_ms: int, kind: str = PRODUCER, stream: str = "camera") -> bytes:
    within = {"StartTimestamp": start_ms / 1000, "EndTimestamp": end_ms / 1000}
    answer = client("kinesis-video-archived-media").get_clip(
        StreamName=stream, ClipFragmentSelector={"FragmentSelectorType": kind, "TimestampRange": within}
    )
    assert answer["ContentType"] == "video/mp4"
    return bytes(answer["Payload"].read())


def refused(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    return str(caught.value.response["Error"]["Code"])


def shown(data: bytes) -> list[tuple[int, int]]:
    with av.open(io.BytesIO(data)) as source:
        return [(round(frame.time * 1000), pictures.time_of(frame)) for frame in source.decode(video=0)]


def test_clip__has_the_fragments_that_begin_in_the_range_to_the_frame(
    server: HeadraceServer, client: Client, account: str, stream: str, film: pictures.Video, tmp_path: Path
) -> None:
    start_ms = now_ms() - 10_000
    send(server, account, stream, film, start_ms)
    data = clip(client, start_ms + 1, start_ms + 4000)
    assert shown(data) == [(at - 2000, at) for at in range(2000, 6000, 40)]
    assert [burnt for _, burnt in shown(clip(client, start_ms, start_ms + 3999))] == list(range(0, 4000, 40))
    file = tmp_path / "clip.mp4"
    file.write_bytes(data)
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,duration,nb_frames", "-of", "json", str(file)]
    streams = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
    assert (streams[0]["codec_name"], streams[0]["nb_frames"], float(streams[0]["duration"])) == ("h264", "100", 4.0)
    assert streams[1]["codec_name"] == "aac"
    assert float(streams[1]["duration"]) == pytest.approx(4.0, abs=0.05)


def test_clip__keeps_g711(server: HeadraceServer, client: Client, account: str, stream: str) -> None:
    start_ms = now_ms() - 10_000
    send(server, account, stream, pictures.video(2.0, audio="g711"), start_ms)
    with av.open(io.BytesIO(clip(client, start_ms, start_ms + 1000))) as source:
        assert source.streams.audio[0].codec_context.name == "pcm_mulaw"


def test_clip__is_refused_as_by_aws(
    server: HeadraceServer, client: Client, account: str, stream: str, film: pictures.Video
) -> None:
    client("kinesisvideo").create_stream(StreamName="unkept")
    start_ms = now_ms() - 10_000
    send(server, account, stream, film, start_ms)
    assert refused(clip, client, start_ms, start_ms + 1, stream="nobody") == "ResourceNotFoundException"
    assert refused(clip, client, start_ms, start_ms + 1, stream="unkept") == "NoDataRetentionException"
    assert refused(clip, client, start_ms, start_ms) == "InvalidArgumentException"
    assert refused(clip, client, start_ms, start_ms + 86_400_001) == "InvalidArgumentException"
    assert refused(clip, client, start_ms - 5000, start_ms - 1) == "ResourceNotFoundException"
    assert refused(clip, client, start_ms, now_ms() + 10**6, "SERVER_TIMESTAMP") == "InvalidArgumentException"
    send(server, account, stream, pictures.video(1.0, width=480, height=270, audio="aac"), start_ms + 6000)
    assert refused(clip, client, start_ms, start_ms + 6000) == "InvalidCodecPrivateDataException"
    assert shown(clip(client, start_ms + 6000, start_ms + 6001))


def test_clip__that_is_not_read_to_its_end_does_no_harm(
    server: HeadraceServer, client: Client, account: str, stream: str
) -> None:
    start_ms = now_ms() - 10_000
    send(server, account, stream, pictures.video(4.0, width=1280, height=720), start_ms)
    within = {"StartTimestamp": start_ms / 1000, "EndTimestamp": start_ms / 1000 + 4}
    selector = {"FragmentSelectorType": PRODUCER, "TimestampRange": within}
    for _ in range(5):
        answer = client("kinesis-video-archived-media").get_clip(StreamName=stream, ClipFragmentSelector=selector)
        answer["Payload"].read(10)
        answer["Payload"].close()
    assert len(shown(clip(client, start_ms, start_ms + 4000))) == 100


def test_command__clip_writes_a_file(server: HeadraceServer, film: pictures.Video, tmp_path: Path) -> None:
    account = "000000000000"
    name = f"camera-{now_ms()}"
    server.client("kinesisvideo").create_stream(StreamName=name, DataRetentionInHours=1)
    send(server, account, name, film, now_ms() - 7000)
    environment = {
        "HEADRACE_PORT": str(server.port), "HEADRACE_ROOT_ACCESS_KEY_ID": ROOT_KEY,
        "HEADRACE_ROOT_SECRET_ACCESS_KEY": ROOT_SECRET, "HEADRACE_REGION": REGION, "PYTHONPATH": ":".join(sys.path),
    }  # fmt: skip
    file = tmp_path / "clip.mp4"

    def run(*words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "headrace.cli.main", "video", *words, "--json"]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)
        return dict(json.loads(ran.stdout))

    assert run("clip", name, "--from", "-9", "-o", str(file))["size_bytes"] == file.stat().st_size
    assert [burnt for _, burnt in shown(file.read_bytes())] == list(range(0, 6000, 40))
    # A file with frames out of order is sent whole: its first frames have no decoding time in Matroska.
    source = pictures.video(4.0, b_frames=2)
    (tmp_path / "film.mkv").write_bytes(source.header() + b"".join(source.clusters()))
    put = [sys.executable, "-m", "headrace.cli.main", "video", "put", f"{name}-b", str(tmp_path / "film.mkv"), "--create", "1"]
    subprocess.run(put, env=environment, check=True, timeout=30, stdout=subprocess.DEVNULL)
    # A file is sent faster than it plays: its last fragment begins a little after now.
    run(
        "clip",
        f"{name}-b",
        "--from",
        "-30",
        "--to",
        f"{datetime.now(UTC) + timedelta(seconds=10):%Y-%m-%dT%H:%M:%SZ}",
        "-o",
        str(file),
    )
    assert [burnt for _, burnt in shown(file.read_bytes())] == list(range(0, 4000, 40))
    opened = run("play", name)
    assert opened["page"].split("?")[0] == f"{server.url}/hls/v1/player.html"


def images(client: Client, start_ms: int, end_ms: int, **more: Any) -> dict[str, Any]:
    more.setdefault("Format", "JPEG")
    answer: dict[str, Any] = client("kinesis-video-archived-media").get_images(
        StreamName=more.pop("StreamName", "camera"), ImageSelectorType=PRODUCER, StartTimestamp=start_ms / 1000,
        EndTimestamp=end_ms / 1000, **more,
    )  # fmt: skip
    return answer


def times(answer: dict[str, Any], start_ms: int) -> list[tuple[int, Any]]:
    return [
        (
            round(one["TimeStamp"].timestamp() * 1000) - start_ms,
            one.get("Error") or pictures.burnt_in_ms(base64.b64decode(one["ImageContent"])),
        )
        for one in answer["Images"]
    ]


def test_images__show_the_time_that_they_are_of(
    server: HeadraceServer, client: Client, account: str, stream: str, film: pictures.Video
) -> None:
    start_ms = now_ms() - 10_000
    send(server, account, stream, film, start_ms, which=[0, 2])
    found = images(client, start_ms + 500, start_ms + 6500, SamplingInterval=1000)
    assert "NextToken" not in found
    assert times(found, start_ms) == [
        (500, 480), (1500, 1480), (2500, "NO_MEDIA"), (3500, "NO_MEDIA"), (4500, 4480), (5500, 5480), (6500, "NO_MEDIA"),
    ]  # fmt: skip
    small = images(client, start_ms, start_ms, Format="PNG", WidthPixels=160, HeightPixels=90)
    with av.open(io.BytesIO(base64.b64decode(small["Images"][0]["ImageContent"])), format="png_pipe") as source:
        assert (source.streams.video[0].width, source.streams.video[0].height) == (160, 90)
    qualities = [
        len(images(client, start_ms, start_ms, FormatConfig={"JPEGQuality": text})["Images"][0]["ImageContent"])
        for text in ("1", "100")
    ]
    assert qualities[0] < qualities[1]


def test_images__come_in_pages(server: HeadraceServer, client: Client, account: str, stream: str, film: pictures.Video) -> None:
    start_ms = now_ms() - 10_000
    send(server, account, stream, film, start_ms)
    seen: list[tuple[int, Any]] = []
    more: dict[str, Any] = {}
    sizes = []
    while True:
        found = images(client, start_ms, start_ms + 5990, SamplingInterval=200, MaxResults=100, **more)
        sizes.append(len(found["Images"]))
        seen += times(found, start_ms)
        if "NextToken" not in found:
            break
        more = {"NextToken": found["NextToken"]}
    assert sizes == [25, 5]
    assert seen == [(at, at) for at in range(0, 5990, 200)]


def test_images__are_refused_as_by_aws(client: Client, stream: str) -> None:
    client("kinesisvideo").create_stream(StreamName="unkept")
    start_ms = now_ms()
    assert refused(images, client, start_ms, start_ms, StreamName="nobody") == "ResourceNotFoundException"
    assert refused(images, client, start_ms, start_ms, StreamName="unkept") == "NoDataRetentionException"
    assert refused(images, client, start_ms, start_ms - 1) == "InvalidArgumentException"
    assert refused(images, client, start_ms, start_ms + 300_001) == "InvalidArgumentException"
    assert refused(images, client, start_ms, start_ms, SamplingInterval=199) == "InvalidArgumentException"
    assert refused(images, client, start_ms, start_ms, FormatConfig={"JPEGQuality": "101"}) == "InvalidArgumentException"
    assert refused(images, client, start_ms, start_ms, WidthPixels=100) == "ValidationException"
    assert refused(images, client, start_ms, start_ms, NextToken="bm9uc2Vuc2U=") == "InvalidArgumentException"


def test_events__images_go_to_s3_and_notifications_to_sns(
    server: HeadraceServer, client: Client, account: str, stream: str, film: pictures.Video
) -> None:
    video, s3, sns, sqs = client("kinesisvideo"), client("s3"), client("sns"), client("sqs")
    bucket = f"images-{account}"
    s3.create_bucket(Bucket=bucket)
    topic = sns.create_topic(Name="fragments")["TopicArn"]
    queue = sqs.create_queue(QueueName="fragments")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    said = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue_arn}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [said]})})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    images_wanted = {
        "Status": "ENABLED", "ImageSelectorType": PRODUCER, "SamplingInterval": 1000, "Format": "PNG",
        "DestinationConfig": {"Uri": f"s3://{bucket}/pictures", "DestinationRegion": REGION},
    }  # fmt: skip
    video.update_image_generation_configuration(StreamName=stream, ImageGenerationConfiguration=images_wanted)
    video.update_notification_configuration(
        StreamName=stream, NotificationConfiguration={"Status": "ENABLED", "DestinationConfig": {"Uri": topic}}
    )
    start_ms = now_ms() - 60_000
    tags = {
        1: [("AWS_KINESISVIDEO_IMAGE_GENERATION", ""), ("AWS_KINESISVIDEO_IMAGE_PREFIX", "door"),
            ("AWS_KINESISVIDEO_NOTIFICATION", ""), ("who", "a cat")],
    }  # fmt: skip
    send(server, account, stream, film, start_ms, tags=tags)
    keys = eventually(lambda: _keys(s3, bucket) if len(_keys(s3, bucket)) >= 2 else [])
    for at, key in zip((2000, 3000), keys, strict=True):
        assert key.startswith(f"pictures/door_{account}_{stream}_{start_ms + at}_")
        assert key.endswith(".png")
        found = s3.get_object(Bucket=bucket, Key=key)
        assert pictures.burnt_in_ms(found["Body"].read()) == at
        assert found["ContentType"] == "image/png"
    message = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))[0]
    said = json.loads(message["Body"])
    assert said["FragmentStartProducerTimestamp"] == start_ms + 2000
    assert (said["NotificationType"], said["NotificationPayload"]) == ("PERSISTED", {"who": "a cat"})
    assert said["FragmentNumber"] == found["Metadata"]["aws_kinesisvideostreams_fragment_number"]
    assert len(_keys(s3, bucket)) == 2
    # What came while it was switched off is not made up for.
    video.update_image_generation_configuration(StreamName=stream)
    video.update_notification_configuration(StreamName=stream)
    send(server, account, stream, film, start_ms + 6000, tags=tags)
    video.update_image_generation_configuration(StreamName=stream, ImageGenerationConfiguration=images_wanted)
    send(server, account, stream, film, start_ms + 12_000, tags=tags)
    keys = eventually(lambda: _keys(s3, bucket) if len(_keys(s3, bucket)) >= 4 else [])
    assert [int(key.split("_")[3]) - start_ms for key in keys] == [2000, 3000, 14_000, 15_000]


def _keys(s3: Any, bucket: str) -> list[str]:
    return [str(one["Key"]) for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
