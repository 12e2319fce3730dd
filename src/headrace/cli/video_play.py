"""`headrace video play` and `headrace video clip`: what a stream shows, in a browser or as a file."""

import argparse
import datetime
import json
import sys
import webbrowser
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError, EndpointConnectionError

from headrace.cli.connection import credentials
from headrace.kit.settings import Settings

CHUNK_BYTES = 1 << 20
CLIP_SECONDS = 60.0


def add_play_arguments(parser: argparse.ArgumentParser) -> None:
    """What `play` takes."""
    parser.add_argument("name", help="the stream")
    parser.add_argument("--from", dest="begin", help="play what was recorded: the first moment (ISO 8601, or seconds ago as -90)")
    parser.add_argument("--to", dest="end", help="the last moment; now where it is not given")
    parser.add_argument("--seconds", type=int, default=3600, help="how long the address is good for, 300 to 43200")
    parser.add_argument("--no-open", action="store_true", help="print the address, and open no browser")


def add_clip_arguments(parser: argparse.ArgumentParser) -> None:
    """What `clip` takes."""
    parser.add_argument("name", help="the stream")
    parser.add_argument("--from", dest="begin", default="-60", help="the first moment (ISO 8601, or seconds ago as -90)")
    parser.add_argument("--to", dest="end", help="the last moment; now where it is not given")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the MP4 file to write")


def client(settings: Settings) -> Any:
    """A client of the archive on the server that the settings name."""
    key, secret = credentials(settings)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    scheme = "https" if settings.tls_certificate else "http"
    return boto3.client(
        "kinesis-video-archived-media", endpoint_url=f"{scheme}://{host}:{settings.port}", region_name=settings.region,
        aws_access_key_id=key, aws_secret_access_key=secret, verify=settings.tls_certificate or None,
    )  # fmt: skip


def moment(text: str | None, now: datetime.datetime) -> datetime.datetime:
    """A moment: ISO 8601, or so many seconds ago. SystemExit when it is neither."""
    if text is None:
        return now
    try:
        if text.startswith("-"):
            return now - datetime.timedelta(seconds=float(text[1:]))
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise SystemExit(f"headrace: {text} is no time: 2026-01-31T12:00:00+00:00, or -90 for 90 seconds ago") from None
    return found if found.tzinfo else found.astimezone()


def play(arguments: argparse.Namespace, settings: Settings) -> int:
    """Open a session, and the page that plays it."""
    now = datetime.datetime.now(datetime.UTC)
    asked: dict[str, Any] = {"PlaybackMode": "LIVE", "DiscontinuityMode": "ON_DISCONTINUITY"}
    selector: dict[str, Any] = {"FragmentSelectorType": "PRODUCER_TIMESTAMP"}
    if arguments.begin:
        asked["PlaybackMode"] = "ON_DEMAND"
        selector["TimestampRange"] = {
            "StartTimestamp": moment(arguments.begin, now),
            "EndTimestamp": moment(arguments.end, now),
        }
    try:
        answer = client(settings).get_hls_streaming_session_url(
            StreamName=arguments.name, Expires=arguments.seconds, HLSFragmentSelector=selector, **asked
        )
    except (ClientError, EndpointConnectionError) as error:
        return _problem(error)
    playlist = answer["HLSStreamingSessionURL"]
    page = playlist.replace("getHLSMasterPlaylist.m3u8", "player.html")
    if arguments.json:
        print(json.dumps({"page": page, "playlist": playlist}))
    else:
        print(f"page      {page}\nplaylist  {playlist}")
    if not arguments.no_open and not arguments.json:
        webbrowser.open(page)
    return 0


def clip(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write the fragments that begin within a range of time as one MP4 file."""
    now = datetime.datetime.now(datetime.UTC)
    within = {"StartTimestamp": moment(arguments.begin, now), "EndTimestamp": moment(arguments.end, now)}
    selector = {"FragmentSelectorType": "PRODUCER_TIMESTAMP", "TimestampRange": within}
    try:
        answer = client(settings).get_clip(StreamName=arguments.name, ClipFragmentSelector=selector)
    except (ClientError, EndpointConnectionError) as error:
        return _problem(error)
    size_bytes = 0
    with arguments.output.open("wb") as file:
        for chunk in answer["Payload"].iter_chunks(CHUNK_BYTES):
            size_bytes += file.write(chunk)
    if arguments.json:
        print(json.dumps({"file": str(arguments.output), "size_bytes": size_bytes}))
    else:
        print(f"{arguments.output}  {size_bytes:,} bytes")
    return 0


def _problem(error: Exception) -> int:
    print(f"headrace: {error}", file=sys.stderr)
    return 1
