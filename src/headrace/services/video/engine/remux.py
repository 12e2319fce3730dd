"""The remuxing process: reads jobs from the descriptor that it is given, one at a time, and answers each.

A job and an answer are MessagePack behind four bytes of length. A clip's fragments come one by one, and its file goes back in
pieces, so that neither side holds more than it must.
"""

import importlib
import logging
import pkgutil
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import av
import msgspec

from headrace.services.video.engine import remux_images, remux_media
from headrace.services.video.engine.remux_confine import confine
from headrace.services.video.engine.remux_tracks import MediaError

PIECE_BYTES = 1 << 20
JOB_SECONDS_MAX = 120
FRAME_BYTES_MAX = 128 << 20


def main(descriptor: int) -> None:
    """Serve until the other side hangs up."""
    connection = socket.socket(fileno=descriptor)
    reader = connection.makefile("rb", buffering=1 << 16)
    av.logging.set_level(None)
    logging.disable()
    _warm_up()
    held = confine()
    _send(connection, ["ready", held])
    clip: list[remux_media.Clip] = []
    while job := _read(reader):
        # The server ends a process that takes too long; this is for one whose server has died.
        signal.alarm(JOB_SECONDS_MAX)
        try:
            for answer in _answers(job, clip):
                _send(connection, ["ok", answer])
        except MediaError as error:
            clip.clear()
            _send(connection, [error.kind, str(error)])
        except (av.FFmpegError, MemoryError, ValueError, IndexError, struct.error, OverflowError, ZeroDivisionError) as error:
            clip.clear()
            _send(connection, ["frame", f"{type(error).__name__}: {error}"])
        except Exception:
            # An error of ours: nothing can be written anywhere from here, so the server logs it.
            _send(connection, ["failed", traceback.format_exc()])
            return
        signal.alarm(0)


def _answers(job: dict[str, Any], clip: list[remux_media.Clip]) -> Iterator[Any]:
    what = job.pop("job")
    if what == "segment":
        yield remux_media.segment(**job)
    elif what == "probe":
        yield remux_media.probe(**job)
    elif what == "images":
        yield remux_images.images(**job)
    elif what == "clip-add":
        if job["first"]:
            clip[:] = [remux_media.Clip()]
        clip[0].add(job["media"])
        yield None
    elif what == "clip-end":
        file = memoryview(clip.pop().finish())
        yield len(file)
        for at in range(0, len(file), PIECE_BYTES):
            yield file[at : at + PIECE_BYTES]


def _warm_up() -> None:
    """Load now what could not be loaded later: codecs and text encodings."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("h264", "hevc", "aac", "pcm_mulaw", "pcm_alaw"):
        av.CodecContext.create(name, "r")
    for name in ("latin-1", "utf-8", "ascii"):
        b"".decode(name)
    frame = av.VideoFrame(16, 16, "yuv420p")
    for name in ("JPEG", "PNG"):
        remux_images.encode(frame, name, 80, 8, 8)


def _read(reader: Any) -> Any:
    head = reader.read(4)
    if len(head) < 4:
        return None
    (size,) = struct.unpack("!I", head)
    if size > FRAME_BYTES_MAX:
        return None
    return msgspec.msgpack.decode(reader.read(size))


def _send(connection: socket.socket, message: list[Any]) -> None:
    body = msgspec.msgpack.encode(message)
    connection.sendall(struct.pack("!I", len(body)))
    connection.sendall(body)


if __name__ == "__main__":
    main(int(sys.argv[1]))
