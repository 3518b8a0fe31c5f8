"""Videos frame by frame: each decodes, stands where its row expects it, and differs from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from etude.data.checks.findings import Finding, error
from etude.data.checks.motion import Motion, judge_stills
from etude.data.checks.video_times import late_frames, match_frames
from etude.data.sources.info import Feature
from etude.data.sources.layout import DatasetLayout, EpisodeRecord
from etude.extras import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["check_video_frames", "differs"]

VISIBLE_LEVELS = 8
"""Brightness differences up to this (of 255) are a codec's noise on a still picture (7 measured on H.264)."""


def check_video_frames(
    layout: DatasetLayout,
    feature: Feature,
    file: str,
    records: list[EpisodeRecord],
    motion: Motion,
    advance: Callable[[], None],
) -> Iterator[Finding]:
    """Decode one video file completely.

    Args:
        advance: called once a frame.
    """
    numpy = require("numpy", "imitation")
    times_s: list[float] = []
    same: list[bool] = []
    broken_at_s: list[float] = []
    before: Any = None
    for stamp_s, picture in _pictures(layout, file, broken_at_s):
        advance()
        times_s.append(stamp_s)
        same.append(before is not None and not differs(before, picture))
        before = picture
    times, still = numpy.array(times_s), numpy.array(same, dtype=bool)
    for record in records:
        found = match_frames(layout, feature, record, times)
        yield from _presence(feature, file, record, found.absent, broken_at_s, layout.info.fps)
        yield from late_frames(layout, feature, file, record, found)
        if not found.absent.size:
            yield from judge_stills(feature.name, record, still[found.positions][1:], motion, layout.info.fps)


def _pictures(layout: DatasetLayout, file: str, broken_at_s: list[float]) -> Iterator[tuple[float, Any]]:
    """Time and brightness of each frame that decodes; times of packets that do not go to `broken_at_s`."""
    av = require("av", "imitation")
    with av.open(str(layout.root / file)) as opened:
        stream = opened.streams.video[0]
        stream.thread_type = "AUTO"
        packets = opened.demux(stream)
        while True:
            stamp_s = -1.0
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                stamp_s = float(packet.pts * packet.time_base) if packet.pts is not None else -1.0
                frames = packet.decode()
            except av.FFmpegError:
                broken_at_s.append(stamp_s)
                if stamp_s < 0:
                    return
                continue
            for frame in frames:
                if frame.pts is not None:
                    yield float(frame.pts * stream.time_base), _brightness(frame)


def _brightness(frame: Any) -> npt.NDArray[Any]:
    """The first plane, `(height, width)`: brightness in YUV and grey formats, one colour in others."""
    numpy = require("numpy", "imitation")
    if not frame.format.is_planar and len(frame.planes) == 1 and frame.format.name not in _GREY:
        return frame.to_ndarray(format="gray")  # type: ignore[no-any-return]
    plane = frame.planes[0]
    deep = frame.format.components[0].bits > 8
    kind = numpy.uint16 if deep else numpy.uint8
    rows = numpy.frombuffer(plane, kind).reshape(plane.height, -1)
    return rows[:, : plane.width].copy()  # type: ignore[no-any-return]


_GREY = ("gray", "gray8", "gray10le", "gray12le", "gray16le")


def differs(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> bool:
    """Whether a person could tell the two pictures apart: some pixel differs by more than a codec's noise."""
    numpy = require("numpy", "imitation")
    if before.shape != after.shape:
        return True
    if before.dtype != numpy.uint8:
        return bool((before != after).any())
    larger, smaller = numpy.maximum(before, after), numpy.minimum(before, after)
    return bool(((larger - smaller) > VISIBLE_LEVELS).any())


def _presence(
    feature: Feature,
    file: str,
    record: EpisodeRecord,
    absent: npt.NDArray[np.int64],
    broken_at_s: list[float],
    fps: float,
) -> Iterator[Finding]:
    span = record.videos[feature.name]
    broken = [stamp for stamp in broken_at_s if span.start_s - 0.5 / fps <= stamp < span.end_s - 0.5 / fps]
    fix = f"copy the video again, or leave the episode out: --dataset.exclude_episodes='[{record.index}]'"
    if absent.size:
        yield error(
            "video-undecodable",
            f"episode {record.index}: {absent.size} of {record.length} frames of {feature.name} cannot be "
            "decoded "
            f"from {file} (first: frame {int(absent[0])})",
            episode=record.index,
            fix=fix,
        )
    elif broken:
        frame = round((broken[0] - span.start_s) * fps)
        yield error(
            "video-undecodable",
            f"episode {record.index}: {file} is damaged near frame {frame} of {feature.name}",
            episode=record.index,
            fix=fix,
        )
