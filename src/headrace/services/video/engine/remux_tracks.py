"""The tracks of a fragment: what they hold, and what players call it. Imported in the remuxing process only."""

from typing import Any

import av

CODECS = {"h264": "video", "hevc": "video", "aac": "audio", "pcm_mulaw": "audio", "pcm_alaw": "audio"}


class MediaError(Exception):
    """The media can't be used; `kind` is unsupported, missing, invalid or frame."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def of(container: "av.container.InputContainer") -> list[dict[str, Any]]:
    """What is known of each track, in order. MediaError when a track can't be played or clipped."""
    found = [_describe(stream) for stream in container.streams if stream.type in ("video", "audio")]
    others = [stream for stream in container.streams if stream.type not in ("video", "audio")]
    if not found or others or sum(track["kind"] == "video" for track in found) > 1 or len(found) > 2:
        raise MediaError("unsupported", "the fragment must hold one video track, one audio track, or one of each")
    return found


def _describe(stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    name = context.name if context is not None else ""

    if CODECS.get(name) != stream.type:
        raise MediaError("unsupported", f"track {stream.index + 1} holds {name or 'an unknown codec'}")
    private = context.extradata or b""
    track = {"kind": stream.type, "codec": name, "private": private}
    if stream.type == "video":
        _check_video(name, private, stream.index + 1)
        rate = stream.average_rate or stream.guessed_rate
        return {
            **track, "width": context.width, "height": context.height, "rate": float(rate) if rate else 0.0,
            "name": _avc_name(private) if name == "h264" else _hevc_name(private),
        }  # fmt: skip
    if name == "aac" and len(private) < 2:
        raise MediaError("missing", f"track {stream.index + 1} has no codec private data")
    codec_name = f"mp4a.40.{private[0] >> 3}" if name == "aac" else {"pcm_mulaw": "ulaw", "pcm_alaw": "alaw"}[name]
    return {**track, "sample_rate": context.sample_rate, "channels": context.layout.nb_channels, "name": codec_name}


def _check_video(name: str, private: bytes, number: int) -> None:
    if not private:
        raise MediaError("missing", f"track {number} has no codec private data")
    # An ISO/IEC 14496-15 record begins with its version, 1; Annex B parameter sets begin with a start code.
    if private[0] != 1 or len(private) < (7 if name == "h264" else 23):
        raise MediaError("invalid", f"the codec private data of track {number} is not in the format of ISO/IEC 14496-15")


def _avc_name(private: bytes) -> str:
    return f"avc1.{private[1:4].hex()}"


def _hevc_name(private: bytes) -> str:
    """RFC 6381, by ISO/IEC 14496-15 annex E."""
    space, tier, profile = "ABC"[(private[1] >> 6) - 1] if private[1] >> 6 else "", private[1] >> 5 & 1, private[1] & 31
    compatible = int(f"{int.from_bytes(private[2:6], 'big'):032b}"[::-1], 2)
    constraints = [f"{byte:x}" for byte in private[6:12].rstrip(b"\0")]
    return ".".join([f"hvc1.{space}{profile}", f"{compatible:x}", f"{'H' if tier else 'L'}{private[12]}", *constraints])
