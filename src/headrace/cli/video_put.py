"""`headrace video put`: sends a file, a camera or a test picture to a stream, and prints what the server says."""

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import boto3
from av.video.frame import PictureType
from botocore.exceptions import ClientError, EndpointConnectionError

from headrace.cli.connection import credentials
from headrace.cli.video_producer import Producer, PutMediaRefused
from headrace.kit.settings import Settings

TEST_PICTURE = "test"
# What players can play is sent as it is; other pictures are encoded anew, other sound is left out.
COPIED_VIDEO = frozenset({"h264", "hevc"})
COPIED_AUDIO = frozenset({"aac", "pcm_mulaw", "pcm_alaw"})
# A cluster begins at a key frame; these only keep the muxer from beginning others.
CLUSTERS = {"avoid_negative_ts": "disabled", "cluster_time_limit": "19000", "cluster_size_limit": "48000000"}


def add_put_arguments(parser: argparse.ArgumentParser) -> None:
    """What `put` takes."""
    parser.add_argument("name", help="the stream")
    parser.add_argument(
        "source", help=f"a file, a camera's address (rtsp://…) or device (/dev/video0), or `{TEST_PICTURE}`: a test picture"
    )
    parser.add_argument("--create", type=int, metavar="HOURS", help="make the stream if it is not there, kept for so many hours")
    parser.add_argument("--seconds", type=float, help="send so much of the source")
    parser.add_argument("--realtime", action="store_true", help="send a file as slowly as it plays")
    parser.add_argument("--start", type=float, help="when a file was recorded, in seconds since 1970")
    parser.add_argument(
        "--fragment-seconds", type=float, default=2.0, help="the length of a fragment, where pictures are encoded"
    )


def put(arguments: argparse.Namespace, settings: Settings) -> int:
    """Send the source, and print every acknowledgement; 1 when the server refused something."""
    key, secret = credentials(settings)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    url = f"{'https' if settings.tls_certificate else 'http'}://{host}:{settings.port}"
    try:
        video = boto3.client(
            "kinesisvideo", endpoint_url=url, region_name=settings.region, aws_access_key_id=key, aws_secret_access_key=secret,
            verify=settings.tls_certificate or None,
        )  # fmt: skip
        if arguments.create is not None:
            _create(video, arguments.name, arguments.create)
        endpoint = video.get_data_endpoint(StreamName=arguments.name, APIName="PUT_MEDIA")["DataEndpoint"]
        source = _Source(arguments.source, arguments.realtime, arguments.seconds)
        start = arguments.start if arguments.start is not None else source.begun_at()
        # A camera may stand still for a while; the server says every ten seconds that it listens.
        producer = Producer(endpoint, key, secret, settings.region, arguments.name, start=start, silence=120.0)
    except (ClientError, EndpointConnectionError, OSError, av.FFmpegError) as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 1
    told = _Told(producer, as_json=arguments.json)
    try:
        source.send(producer, arguments.fragment_seconds)
        producer.finish()
    except KeyboardInterrupt:
        # What was begun is ended, so that the last fragment is kept.
        producer.finish()
    except (OSError, av.FFmpegError) as error:
        print(f"headrace: {error}", file=sys.stderr)
        producer.close()
        told.wait()
        return 1
    status = told.wait()
    producer.close()
    return status


def _create(video: Any, name: str, hours: int) -> None:
    try:
        video.create_stream(StreamName=name, DataRetentionInHours=hours)
    except video.exceptions.ResourceInUseException:
        return


class _Told:
    """Prints acknowledgements as they come."""

    def __init__(self, producer: Producer, *, as_json: bool) -> None:
        self._producer = producer
        self._as_json = as_json
        self._failed = False
        self._thread = threading.Thread(target=self._print, daemon=True)
        self._thread.start()

    def wait(self) -> int:
        """Wait for the last one; the exit status."""
        self._thread.join()
        return int(self._failed)

    def _print(self) -> None:
        try:
            for one in self._producer.acknowledgements():
                self._failed |= one["EventType"] == "ERROR"
                print(json.dumps(one) if self._as_json else _line(one), flush=True)
        except (PutMediaRefused, OSError) as error:
            print(f"headrace: {error}", file=sys.stderr)
            self._failed = True


def _line(one: dict[str, Any]) -> str:
    at = f"{one['FragmentTimecode'] / 1000:10.3f} s" if "FragmentTimecode" in one else ""
    error = f"{one['ErrorId']} {one['ErrorCode']}" if "ErrorId" in one else ""
    return f"{one['EventType']:<10} {at}  {one.get('FragmentNumber', '')} {error}".rstrip()


class _Source:
    """Something with pictures, as Matroska."""

    def __init__(self, name: str, realtime: bool, seconds: float | None) -> None:
        self._seconds = seconds
        path = Path(name)
        if name == TEST_PICTURE:
            self._container = av.open("testsrc=size=640x360:rate=30", format="lavfi")
            realtime = True
        elif name.startswith("/dev/"):
            self._container = av.open(name, format="v4l2")
        else:
            self._container = av.open(name)
        # Only what lies there whole comes faster than it plays.
        self._live = not path.is_file()
        self._pace = realtime
        if not self._container.streams.video:
            raise OSError(f"{name} has no pictures")

    def begun_at(self) -> float:
        """When the source begins: now, or so that a file that is sent at once ends now."""
        length_seconds = (self._container.duration or 0) / av.time_base
        return time.time() if self._live or self._pace else time.time() - min(length_seconds, self._seconds or length_seconds)

    def send(self, producer: Producer, fragment_seconds: float) -> None:
        """Send everything."""
        with self._container, av.open(_Writer(producer), "w", format="matroska", container_options=CLUSTERS) as output:
            video = self._container.streams.video[0]
            if video.codec_context.name in COPIED_VIDEO:
                self._copy(output)
            else:
                self._encode(output, fragment_seconds)

    def _copy(self, output: Any) -> None:
        streams: list[Any] = [self._container.streams.video[0]]
        streams += [one for one in self._container.streams.audio[:1] if one.codec_context.name in COPIED_AUDIO]
        targets = {one.index: output.add_stream_from_template(one) for one in streams}
        for packet in self._paced(_with_decoding_times(self._container.demux(streams))):
            packet.stream = targets[packet.stream.index]
            output.mux(packet)

    def _encode(self, output: Any, fragment_seconds: float) -> None:
        source = self._container.streams.video[0]
        rate = round(source.average_rate or 30)
        target = output.add_stream(
            "libx264", rate=rate, options={"preset": "veryfast", "tune": "zerolatency", "sc_threshold": "0"}
        )
        target.width, target.height, target.pix_fmt = source.codec_context.width, source.codec_context.height, "yuv420p"
        target.codec_context.gop_size = max(1, round(rate * fragment_seconds))
        for packet in self._paced(self._container.demux(source)):
            for frame in packet.decode():
                # The source's key frames need not be ours.
                frame.pict_type = PictureType.NONE
                output.mux(target.encode(frame))
        output.mux(target.encode(None))

    def _paced(self, packets: Iterator[Any]) -> Iterator[Any]:
        """Packets with a time, each when it is due if they are to be sent as slowly as they play, until there were enough."""
        began = time.monotonic()
        first: float | None = None
        for packet in packets:
            if packet.dts is None:
                continue
            at = float(packet.dts * packet.time_base)
            first = at if first is None else first
            if self._seconds is not None and at - first >= self._seconds:
                return
            if self._pace and (wait := began + at - first - time.monotonic()) > 0:
                time.sleep(wait)
            yield packet


def _with_decoding_times(packets: Iterator[Any]) -> Iterator[Any]:
    """Packets with decoding times. Matroska has none: those before the first that can be told get one just before it."""
    waiting: dict[int, list[Any]] = {}
    for packet in packets:
        before = waiting.setdefault(packet.stream.index, [])
        if packet.dts is None and packet.size:
            before.append(packet)
            continue
        for back, earlier in enumerate(reversed(before), 1):
            earlier.dts = (packet.dts if packet.dts is not None else earlier.pts or 0) - back
        yield from before
        before.clear()
        if packet.size:
            yield packet


class _Writer:
    """A file that a producer sends."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def write(self, data: bytes) -> int:
        """Send the bytes."""
        self._producer.send(bytes(data))
        return len(data)
