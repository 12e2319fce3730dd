"""Signaling channels: their settings, and what is relayed between a master and its viewers."""

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import ROOT_SECRET, HeadraceServer, eventually
from tests.services.video.websocket import Refused, WebSocket, signed

from headrace.kit.accounts import account_credentials
from headrace.services.video.signaling import ice, messages

Client = Callable[..., Any]
OFFER = base64.b64encode(json.dumps({"type": "offer", "sdp": "v=0"}).encode()).decode()


@pytest.fixture
def channel(client: Client) -> str:
    return str(client("kinesisvideo").create_signaling_channel(ChannelName="door")["ChannelARN"])


@pytest.fixture
def connect(client: Client, account: str, channel: str) -> Callable[..., WebSocket]:
    """connect() is the master, connect("id") a viewer."""
    endpoint = endpoints(client, channel)["WSS"]
    key, secret = account_credentials(ROOT_SECRET, account)

    def opened(client_id: str = "", arn: str = channel, **more: Any) -> WebSocket:
        query = {"X_Amz_ChannelARN": arn, **({"X_Amz_ClientId": client_id} if client_id else {})}
        return WebSocket(signed(endpoint, more.pop("key", key), more.pop("secret", secret), **more, **query))

    return opened


def endpoints(client: Client, channel: str, role: str = "MASTER") -> dict[str, str]:
    found = client("kinesisvideo").get_signaling_channel_endpoint(
        ChannelARN=channel, SingleMasterChannelEndpointConfiguration={"Protocols": ["WSS", "HTTPS"], "Role": role}
    )["ResourceEndpointList"]
    return {one["Protocol"]: one["ResourceEndpoint"] for one in found}


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_channels__are_made_changed_listed_and_deleted(client: Client, account: str) -> None:
    video = client("kinesisvideo")
    arns = [
        video.create_signaling_channel(ChannelName=f"door-{number}", Tags=[{"Key": "floor", "Value": "1"}])["ChannelARN"]
        for number in range(3)
    ]
    assert arns[0].startswith(f"arn:aws:kinesisvideo:us-east-1:{account}:channel/door-0/")
    info = video.describe_signaling_channel(ChannelName="door-0")["ChannelInfo"]
    assert (info["ChannelType"], info["ChannelStatus"]) == ("SINGLE_MASTER", "ACTIVE")
    assert info["SingleMasterConfiguration"] == {"MessageTtlSeconds": 60}
    assert refused(video.create_signaling_channel, ChannelName="door-0") == "ResourceInUseException"
    assert refused(video.create_signaling_channel, ChannelName="x", ChannelType="FULL_MESH") == "InvalidArgumentException"
    change = {"ChannelARN": arns[0], "SingleMasterConfiguration": {"MessageTtlSeconds": 5}}
    assert refused(video.update_signaling_channel, CurrentVersion="old", **change) == "VersionMismatchException"
    video.update_signaling_channel(CurrentVersion=info["Version"], **change)
    after = video.describe_signaling_channel(ChannelARN=arns[0])["ChannelInfo"]
    assert after["SingleMasterConfiguration"] == {"MessageTtlSeconds": 5}
    assert after["Version"] != info["Version"]
    first = video.list_signaling_channels(MaxResults=2)
    rest = video.list_signaling_channels(MaxResults=2, NextToken=first["NextToken"])
    assert [one["ChannelARN"] for one in first["ChannelInfoList"] + rest["ChannelInfoList"]] == arns
    assert "NextToken" not in rest
    named = {"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": "door-2"}
    found = video.list_signaling_channels(ChannelNameCondition=named)["ChannelInfoList"]
    assert [one["ChannelName"] for one in found] == ["door-2"]
    video.tag_resource(ResourceARN=arns[1], Tags=[{"Key": "house", "Value": "2"}])
    video.untag_resource(ResourceARN=arns[1], TagKeyList=["floor"])
    assert video.list_tags_for_resource(ResourceARN=arns[1])["Tags"] == {"house": "2"}
    assert refused(video.delete_signaling_channel, ChannelARN=arns[0], CurrentVersion="old") == "VersionMismatchException"
    video.delete_signaling_channel(ChannelARN=arns[0])
    assert refused(video.describe_signaling_channel, ChannelARN=arns[0]) == "ResourceNotFoundException"


def test_channel__media_is_not_stored_and_says_so(client: Client, channel: str) -> None:
    video = client("kinesisvideo")
    found = video.describe_media_storage_configuration(ChannelARN=channel)["MediaStorageConfiguration"]
    assert found == {"Status": "DISABLED"}
    stream = video.create_stream(StreamName="s", DataRetentionInHours=1)["StreamARN"]
    storage = {"Status": "ENABLED", "StreamARN": stream}
    code = refused(video.update_media_storage_configuration, ChannelARN=channel, MediaStorageConfiguration=storage)
    assert code == "NotImplemented"
    ingestion = {"Protocols": ["WEBRTC"], "Role": "MASTER"}
    code = refused(video.get_signaling_channel_endpoint, ChannelARN=channel, SingleMasterChannelEndpointConfiguration=ingestion)
    assert code == "InvalidArgumentException"


def test_messages__go_between_the_master_and_the_viewer_they_name(connect: Callable[..., WebSocket]) -> None:
    with connect() as master, connect("one") as one, connect("two") as two:
        one.say(action="SDP_OFFER", messagePayload=OFFER)
        assert master.receive() == {"senderClientId": "one", "messageType": "SDP_OFFER", "messagePayload": OFFER}
        master.say(action="SDP_ANSWER", messagePayload=OFFER, recipientClientId="one")
        assert one.receive() == {"messageType": "SDP_ANSWER", "messagePayload": OFFER}
        two.say(action="ICE_CANDIDATE", messagePayload=OFFER)
        assert master.receive()["senderClientId"] == "two"
        master.say(action="ICE_CANDIDATE", messagePayload=OFFER, recipientClientId="two")
        assert two.receive()["messageType"] == "ICE_CANDIDATE"
        assert one.silent()


def test_messages__wait_for_who_is_not_there(connect: Callable[..., WebSocket]) -> None:
    with connect("one") as one:
        one.say(action="SDP_OFFER", messagePayload=OFFER)
        one.say(action="ICE_CANDIDATE", messagePayload=OFFER)
        with connect() as master:
            assert [master.receive()["messageType"] for _ in range(2)] == ["SDP_OFFER", "ICE_CANDIDATE"]
        with connect() as master:
            assert master.silent(), "what was delivered is not delivered again"


def test_messages__that_are_wrong_are_answered_if_they_can_be_told_apart(connect: Callable[..., WebSocket]) -> None:
    with connect() as master, connect("one") as one:
        cases: list[tuple[WebSocket, dict[str, str]]] = [
            (one, {"action": "SHOUT", "messagePayload": OFFER}),
            (one, {"action": "SDP_OFFER", "messagePayload": "not base64!"}),
            (one, {"action": "SDP_OFFER", "messagePayload": "A" * 10_241}),
            (one, {"action": "SDP_OFFER", "messagePayload": OFFER, "recipientClientId": "two"}),
            (master, {"action": "SDP_ANSWER", "messagePayload": OFFER}),
        ]
        for sender, message in cases:
            sender.say(**message, correlationId="c-1")
            status = sender.receive()
            assert status["messageType"] == "STATUS_RESPONSE"
            assert status["statusResponse"]["correlationId"] == "c-1"
            assert status["statusResponse"]["errorType"] == "InvalidArgumentException"
            assert status["statusResponse"]["statusCode"] == "400"
            sender.say(**message)
        one.send("{")
        assert one.receive()["statusResponse"]["errorType"] == "BadRequestException"
        one.send("")
        one.say(action="SDP_OFFER", messagePayload=OFFER)
        assert master.receive()["messageType"] == "SDP_OFFER"


def test_messages__that_are_too_many_are_refused(connect: Callable[..., WebSocket]) -> None:
    with connect() as master, connect("one") as one:
        for number in range(6):
            one.say(action="SDP_OFFER", messagePayload=OFFER, correlationId=str(number))
        assert one.receive()["statusResponse"]["errorType"] == "LimitExceededException"
        for _ in range(5):
            assert master.receive()["messageType"] == "SDP_OFFER"


def test_connection__takes_the_place_of_the_older_one(client: Client, channel: str, connect: Callable[..., WebSocket]) -> None:
    with connect() as old, connect() as new, connect("one") as one:
        assert old.receive() == {"messagePayload": "", "messageType": "GO_AWAY"}
        assert old.receive() is None
        one.say(action="SDP_OFFER", messagePayload=OFFER)
        assert new.receive()["senderClientId"] == "one"
        client("kinesisvideo").delete_signaling_channel(ChannelARN=channel)
        assert [peer.receive()["messageType"] for peer in (new, one)] == ["GO_AWAY"] * 2


def test_connection__viewers_are_ten(connect: Callable[..., WebSocket]) -> None:
    viewers = [connect(f"viewer-{number}") for number in range(10)]
    with pytest.raises(Refused) as caught:
        connect("viewer-10")
    assert caught.value.status == 400
    viewers.pop().close()

    def one_more() -> bool:
        try:
            viewers.append(connect("viewer-10"))
        except Refused:
            return False
        return True

    eventually(one_more)
    for viewer in viewers:
        viewer.close()


def test_connection__needs_a_signature_for_this_channel(
    client: Client, account: str, channel: str, connect: Callable[..., WebSocket]
) -> None:
    def status(**arguments: Any) -> int:
        with pytest.raises(Refused) as caught:
            connect(**arguments)
        return caught.value.status

    assert status(secret="wrong") == 403
    assert status(service="s3") == 403
    other, other_secret = account_credentials(ROOT_SECRET, "123123123123")
    assert status(key=other, secret=other_secret) == 404
    assert status(arn=channel[:-1] + ("1" if channel[-1] != "1" else "2")) == 404
    assert status(arn="arn:nonsense") == 400
    assert status(client_id="not an id") == 400
    iam = client("iam")
    iam.create_user(UserName="camera")
    allowed = {"Effect": "Allow", "Action": "kinesisvideo:ConnectAsMaster", "Resource": channel}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="camera", PolicyName="master", PolicyDocument=policy)
    made = iam.create_access_key(UserName="camera")["AccessKey"]
    keys = {"key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
    assert status(client_id="one", **keys) == 403
    connect(**keys).close()


def test_alexa__offer_is_answered_by_the_master(
    client: Client, account: str, channel: str, connect: Callable[..., WebSocket]
) -> None:
    signaling = client("kinesis-video-signaling")
    offer = {"ChannelARN": channel, "SenderClientId": "alexa", "MessagePayload": OFFER}
    assert refused(signaling.send_alexa_offer_to_master, **offer) == "InvalidArgumentException"
    with connect() as master:

        def answer() -> None:
            assert master.receive()["senderClientId"] == "alexa"
            master.say(action="SDP_ANSWER", messagePayload="YW5zd2Vy", recipientClientId="alexa")

        answering = threading.Thread(target=answer)
        answering.start()
        assert signaling.send_alexa_offer_to_master(**offer)["Answer"] == "YW5zd2Vy"
        answering.join()


def test_server__hangs_up_when_it_stops_and_names_its_ice_servers(tmp_path: Path) -> None:
    server = HeadraceServer(
        tmp_path / "data", environment={"HEADRACE_VIDEO_ICE_SERVERS": "stun:s:3478 turn:u:p@t:3478?transport=udp"}
    ).start()
    key, secret = account_credentials(ROOT_SECRET, "000000000000")
    arn = server.client("kinesisvideo").create_signaling_channel(ChannelName="door")["ChannelARN"]
    found = server.client("kinesis-video-signaling").get_ice_server_config(ChannelARN=arn)["IceServerList"]
    assert found == [
        {"Uris": ["stun:s:3478"]}, {"Uris": ["turn:t:3478?transport=udp"], "Username": "u", "Password": "p", "Ttl": 300},
    ]  # fmt: skip
    with WebSocket(signed(server.url.replace("http", "ws"), key, secret, X_Amz_ChannelARN=arn)) as master:
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert master.receive() is None
    stopping.join()


def test_ice_servers__that_can_not_be_read_are_refused() -> None:
    assert ice.servers("") == []
    with pytest.raises(ValueError, match="no STUN or TURN server"):
        ice.servers("http://example.com")


@pytest.mark.parametrize("text", ["[]", '"x"', "1", '{"action": 1}', '{"action": "SDP_OFFER", "correlationId": "a b"}'])
def test_messages__of_no_sense_are_refused(text: str) -> None:
    with pytest.raises(messages.Refused):
        messages.read(text)
