"""Streams of Kinesis Video: made, described, listed, changed, deleted."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import REGION, HeadraceServer

Client = Callable[..., Any]


@pytest.fixture
def video(client: Client) -> Any:
    return client("kinesisvideo")


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


def test_create_stream__is_described(video: Any, account: str) -> None:
    arn = video.create_stream(
        StreamName="door", DeviceName="d", MediaType="video/h264", DataRetentionInHours=5, Tags={"room": "hall"}
    )["StreamARN"]
    assert re.fullmatch(rf"arn:aws:kinesisvideo:{REGION}:{account}:stream/door/\d{{13}}", arn)
    by_name = video.describe_stream(StreamName="door")["StreamInfo"]
    assert by_name == video.describe_stream(StreamARN=arn)["StreamInfo"]
    assert by_name["StreamARN"] == arn
    assert (by_name["DeviceName"], by_name["MediaType"], by_name["DataRetentionInHours"]) == ("d", "video/h264", 5)
    assert by_name["Status"] == "ACTIVE"
    assert video.list_tags_for_stream(StreamName="door")["Tags"] == {"room": "hall"}
    with pytest.raises(ClientError) as refused:
        video.create_stream(StreamName="door")
    assert code(refused) == "ResourceInUseException"


def test_streams__are_their_accounts_and_regions_own(server: HeadraceServer, video: Any, account: str) -> None:
    arn = video.create_stream(StreamName="mine")["StreamARN"]
    for other in (server.client("kinesisvideo", account, region="eu-west-1"), server.client("kinesisvideo", "111122223333")):
        with pytest.raises(ClientError) as refused:
            other.describe_stream(StreamName="mine")
        assert code(refused) == "ResourceNotFoundException"
    with pytest.raises(ClientError) as refused:
        server.client("kinesisvideo", "111122223333").describe_stream(StreamARN=arn)
    assert code(refused) == "ResourceNotFoundException"


def test_list_streams__in_pages_and_by_beginning(video: Any) -> None:
    names = ["a", "b-1", "b-2", "b-3", "c", "b"]
    for name in names:
        video.create_stream(StreamName=name)
    assert [one["StreamName"] for one in video.list_streams()["StreamInfoList"]] == sorted(names)
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = video.list_streams(
            MaxResults=2, StreamNameCondition={"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": "b"}, **token
        )
        assert len(page["StreamInfoList"]) <= 2
        seen += [one["StreamName"] for one in page["StreamInfoList"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert seen == ["b", "b-1", "b-2", "b-3"]
    with pytest.raises(ClientError, match="NextToken"):
        video.list_streams(NextToken="bm9uZQ==")


def test_update_stream__asks_for_the_current_version(video: Any) -> None:
    video.create_stream(StreamName="door", DeviceName="old")
    version = video.describe_stream(StreamName="door")["StreamInfo"]["Version"]
    video.update_stream(StreamName="door", CurrentVersion=version, DeviceName="new")
    shown = video.describe_stream(StreamName="door")["StreamInfo"]
    assert shown["DeviceName"] == "new"
    assert shown["Version"] != version
    with pytest.raises(ClientError) as refused:
        video.update_stream(StreamName="door", CurrentVersion=version, DeviceName="newer")
    assert code(refused) == "VersionMismatchException"
    with pytest.raises(ClientError) as refused:
        video.delete_stream(StreamARN=shown["StreamARN"], CurrentVersion=version)
    assert code(refused) == "VersionMismatchException"


def test_update_data_retention__up_and_down(video: Any) -> None:
    video.create_stream(StreamName="door", DataRetentionInHours=2)

    def change(operation: str, hours: int) -> int:
        version = video.describe_stream(StreamName="door")["StreamInfo"]["Version"]
        video.update_data_retention(
            StreamName="door", CurrentVersion=version, Operation=operation, DataRetentionChangeInHours=hours
        )
        return int(video.describe_stream(StreamName="door")["StreamInfo"]["DataRetentionInHours"])

    assert change("INCREASE_DATA_RETENTION", 3) == 5
    assert change("DECREASE_DATA_RETENTION", 5) == 0
    for operation, hours in (("DECREASE_DATA_RETENTION", 1), ("INCREASE_DATA_RETENTION", 87_601)):
        with pytest.raises(ClientError) as refused:
            change(operation, hours)
        assert code(refused) == "InvalidArgumentException"


def test_tags__are_added_and_taken_away(video: Any) -> None:
    arn = video.create_stream(StreamName="door", Tags={"a": "1"})["StreamARN"]
    video.tag_stream(StreamARN=arn, Tags={"b": "2", "a": "3"})
    video.untag_stream(StreamName="door", TagKeyList=["b"])
    assert video.list_tags_for_stream(StreamARN=arn)["Tags"] == {"a": "3"}
    with pytest.raises(ClientError) as refused:
        video.tag_stream(StreamName="door", Tags={f"k{number}": "" for number in range(50)})
    assert code(refused) == "TagsPerResourceExceededLimitException"


def test_delete_stream__a_new_one_of_the_name_is_another(video: Any) -> None:
    arn = video.create_stream(StreamName="door", Tags={"a": "1"})["StreamARN"]
    video.delete_stream(StreamARN=arn)
    again = video.create_stream(StreamName="door")["StreamARN"]
    assert again != arn
    assert video.list_tags_for_stream(StreamName="door")["Tags"] == {}
    with pytest.raises(ClientError) as refused:
        video.delete_stream(StreamARN=arn)
    assert code(refused) == "ResourceNotFoundException"


def test_get_data_endpoint__is_this_server(server: HeadraceServer, video: Any) -> None:
    video.create_stream(StreamName="door")
    for name in ("PUT_MEDIA", "GET_MEDIA", "LIST_FRAGMENTS", "GET_HLS_STREAMING_SESSION_URL", "GET_CLIP"):
        assert video.get_data_endpoint(StreamName="door", APIName=name)["DataEndpoint"] == server.url
    with pytest.raises(ClientError) as refused:
        video.get_data_endpoint(StreamName="none", APIName="PUT_MEDIA")
    assert code(refused) == "ResourceNotFoundException"
    with pytest.raises(ClientError, match="Either StreamName or StreamARN"):
        video.get_data_endpoint(APIName="PUT_MEDIA")


IMAGES = {
    "Status": "ENABLED",
    "ImageSelectorType": "PRODUCER_TIMESTAMP",
    "DestinationConfig": {"Uri": "s3://pictures/door", "DestinationRegion": REGION},
    "SamplingInterval": 1000,
    "Format": "JPEG",
    "FormatConfig": {"JPEGQuality": "80"},
    "WidthPixels": 320,
}


def test_image_generation__is_kept(video: Any) -> None:
    video.create_stream(StreamName="door", DataRetentionInHours=1)
    assert "ImageGenerationConfiguration" not in video.describe_image_generation_configuration(StreamName="door")
    video.update_image_generation_configuration(StreamName="door", ImageGenerationConfiguration=IMAGES)
    assert video.describe_image_generation_configuration(StreamName="door")["ImageGenerationConfiguration"] == IMAGES
    video.update_image_generation_configuration(StreamName="door")
    assert "ImageGenerationConfiguration" not in video.describe_image_generation_configuration(StreamName="door")


@pytest.mark.parametrize(
    "change",
    [
        {"DestinationConfig": {"Uri": "http://pictures/door", "DestinationRegion": REGION}},
        {"DestinationConfig": {"Uri": "s3://pictures/door", "DestinationRegion": "eu-west-1"}},
        {"SamplingInterval": 199},
        {"FormatConfig": {"JPEGQuality": "101"}},
    ],
)
def test_image_generation__refuses(video: Any, change: dict[str, Any]) -> None:
    video.create_stream(StreamName="door", DataRetentionInHours=1)
    with pytest.raises(ClientError) as refused:
        video.update_image_generation_configuration(StreamName="door", ImageGenerationConfiguration={**IMAGES, **change})
    assert code(refused) == "InvalidArgumentException"


def test_configurations__need_retention(video: Any) -> None:
    video.create_stream(StreamName="door")
    with pytest.raises(ClientError) as refused:
        video.update_image_generation_configuration(StreamName="door", ImageGenerationConfiguration=IMAGES)
    assert code(refused) == "NoDataRetentionException"


def test_notifications__are_kept(video: Any, account: str) -> None:
    video.create_stream(StreamName="door", DataRetentionInHours=1)
    wanted = {"Status": "ENABLED", "DestinationConfig": {"Uri": f"arn:aws:sns:{REGION}:{account}:bell"}}
    video.update_notification_configuration(StreamName="door", NotificationConfiguration=wanted)
    assert video.describe_notification_configuration(StreamName="door")["NotificationConfiguration"] == wanted
    with pytest.raises(ClientError) as refused:
        video.update_notification_configuration(
            StreamName="door", NotificationConfiguration={**wanted, "DestinationConfig": {"Uri": "s3://bell"}}
        )
    assert code(refused) == "InvalidArgumentException"


def test_storage_tiers__are_refused(video: Any) -> None:
    with pytest.raises(ClientError) as refused:
        video.create_stream(StreamName="door", StreamStorageConfiguration={"DefaultStorageTier": "WARM"})
    assert code(refused) == "NotImplemented"
