"""Decoding a video in ranges that begin at keyframes, each range by its own single-threaded decoder."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av

__all__ = ["BrokenVideoError", "decode_range", "scan_video"]


class BrokenVideoError(Exception):
    """A video that cannot be decoded as its packets promise; the message says where."""


def scan_video(path: str) -> dict[str, Any]:
    """Read a video's packets, without decoding.

    Returns:
        `pts` of every frame in order, in units of `time_base`; `keys`, a list of [pts, dts, first frame] of the
        places where decoding can begin; `codec`, `pixel_format`, `colours`, `width`, `height`.

    Raises:
        BrokenVideoError: the packets do not say when each frame is shown.
    """
    with _opened(path) as container:
        stream = _video_stream(container)
        times: list[int] = []
        keys: list[tuple[int, int]] = []
        try:
            for packet in container.demux(stream):
                if packet.size == 0 or packet.is_discard:
                    continue
                if packet.pts is None:
                    raise BrokenVideoError(f"packet {len(times)} has no time")
                times.append(packet.pts)
                if packet.is_keyframe and packet.dts is not None and (not keys or packet.pts > keys[-1][0]):
                    keys.append((packet.pts, packet.dts))
        except av.FFmpegError as error:
            raise BrokenVideoError(f"frame {len(times)} cannot be read: {reason(error)}") from error
        in_order = sorted(times)
        if not in_order or not keys:
            raise BrokenVideoError("it holds no frame")
        if len(set(in_order)) != len(in_order):
            raise BrokenVideoError("two of its frames have the same time")
        context = stream.codec_context
        return {
            "pts": in_order,
            "keys": [[pts, dts, bisect_left(in_order, pts)] for pts, dts in keys],
            "time_base": [stream.time_base.numerator, stream.time_base.denominator],
            "codec": stream.codec_context.codec.canonical_name,
            "pixel_format": context.pix_fmt or "",
            "colours": int(context.colorspace),
            "width": context.width,
            "height": context.height,
        }


def decode_range(path: str, times: Sequence[int], key: Sequence[int], first: int, take: Callable[[Any], None]) -> None:
    """Decode the frames shown at `times`, in order, and hand each to `take`.

    Args:
        times: consecutive times (pts) of the video.
        key: pts and dts of the keyframe to begin at.
        first: the number of the first frame, for messages.

    Raises:
        BrokenVideoError: a frame is damaged, or not the one that the packets announced.
    """
    done = 0
    with _opened(path) as container:
        stream = _video_stream(container)
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        try:
            for frame in _frames(container, stream, key, times[0], times[-1], len(times)):
                if frame.pts is None or frame.pts < times[0]:
                    continue  # shown before this range; the range before has it
                if frame.pts != times[done]:
                    raise BrokenVideoError(f"frame {first + done} ({_at(stream, times[done])}) is missing")
                take(frame)
                done += 1
                if done == len(times):
                    return
        except av.FFmpegError as error:
            where = f"frame {first + done} ({_at(stream, times[done])})"
            raise BrokenVideoError(f"{where} cannot be decoded: {reason(error)}") from error
        raise BrokenVideoError(f"it ends before frame {first + done} ({_at(stream, times[done])})")


def _frames(container: Any, stream: Any, key: Sequence[int], start: int, stop: int, expected: int) -> Iterator[Any]:
    """Frames of the packets from the keyframe on, until those of the range are all through the decoder."""
    seen = 0
    for packet in _packets_from(container, stream, key):
        if packet.size == 0:
            break
        yield from packet.decode()
        if not packet.is_discard and start <= packet.pts <= stop:
            seen += 1
            if seen == expected:
                break
    yield from stream.codec_context.decode(None)  # what the decoder still holds back


def _packets_from(container: Any, stream: Any, key: Sequence[int]) -> Iterator[Any]:
    """Packets in the order of the file, the first one being the keyframe."""
    pts, dts = key
    for target in (dts, None):
        # A container without an exact index may land behind the keyframe: then begin with the file.
        if target is None:
            container.seek(0)
        else:
            container.seek(target, stream=stream, backward=True, any_frame=False)
        found = False
        for packet in container.demux(stream):
            if not found:
                if packet.is_keyframe and packet.pts == pts:
                    found = True
                elif packet.size == 0 or (target is not None and packet.dts is not None and packet.dts > dts):
                    break
                else:
                    continue
            yield packet
        if found:
            return
    raise BrokenVideoError("a keyframe that was there is not found again")


def _opened(path: str) -> Any:
    try:
        return av.open(path)
    except (av.FFmpegError, OSError) as error:
        raise BrokenVideoError(f"it cannot be opened: {reason(error)}") from error


def _video_stream(container: Any) -> Any:
    if not container.streams.video:
        raise BrokenVideoError("it has no video stream")
    return container.streams.video[0]


def reason(error: Exception) -> str:
    """What a library says of its failure, without the file's name."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def _at(stream: Any, pts: int) -> str:
    return f"at {float(pts * Fraction(stream.time_base)):.3f} s"
