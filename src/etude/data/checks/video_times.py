"""The times of a video's frames against the times at which LeRobot will ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etude.data.checks.findings import Finding, error
from etude.data.checks.rows import TOLERANCE_S
from etude.data.sources.info import Feature
from etude.data.sources.layout import DatasetLayout, EpisodeRecord
from etude.extras import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["FrameMatch", "check_offsets", "check_truncation", "late_frames", "match_frames"]


@dataclass(frozen=True)
class FrameMatch:
    """For each row of an episode the video frame nearest in time.

    Attributes:
        positions: `(rows,)` of that frame among all frames of the file.
        off_s: `(rows,)` its distance in seconds, in the precision in which LeRobot compares.
        absent: rows without a frame within half a frame's time.
    """

    positions: npt.NDArray[np.int64]
    off_s: npt.NDArray[np.float64]
    absent: npt.NDArray[np.int64]


def match_frames(
    layout: DatasetLayout, feature: Feature, record: EpisodeRecord, times_s: npt.NDArray[np.float64]
) -> FrameMatch:
    """Match an episode's rows with frames; `times_s` are the frames' times in rising order."""
    numpy = require("numpy", "imitation")
    fps = layout.info.fps
    asked = record.videos[feature.name].start_s + numpy.arange(record.length) / fps
    if not len(times_s):
        rows = numpy.arange(record.length)
        return FrameMatch(numpy.zeros(record.length, numpy.int64), numpy.full(record.length, numpy.inf), rows)
    right = numpy.searchsorted(times_s, asked).clip(1, max(len(times_s) - 1, 1)).clip(max=len(times_s) - 1)
    left = (right - 1).clip(0)
    positions = numpy.where(abs(times_s[left] - asked) <= abs(times_s[right] - asked), left, right)
    off_s = abs(times_s[positions].astype(numpy.float32) - asked.astype(numpy.float32)).astype(numpy.float64)
    return FrameMatch(positions, off_s, numpy.flatnonzero(off_s > 0.5 / fps))


def late_frames(
    layout: DatasetLayout, feature: Feature, file: str, record: EpisodeRecord, found: FrameMatch
) -> Iterator[Finding]:
    """Frames that are there, but too far from where the row's timestamp will look for them."""
    numpy = require("numpy", "imitation")
    fps = layout.info.fps
    late = numpy.flatnonzero((found.off_s > TOLERANCE_S) & (found.off_s <= 0.5 / fps))
    if late.size:
        worst = found.off_s[late].max()
        yield error(
            "video-timestamps",
            f"episode {record.index}: {late.size} frames of {feature.name} in {file} are up to {worst:.4g} "
            "s away from "
            f"the rows' times (first: frame {int(late[0])}), and loading dies there",
            episode=record.index,
            fix=f"encode the video again at a constant {fps:g} frames per second, or correct from_timestamp "
            "in "
            "meta/episodes",
        )


def check_offsets(
    layout: DatasetLayout, feature: Feature, file: str, records: list[EpisodeRecord]
) -> Iterator[Finding]:
    """Episodes that start off the grid of 1/fps: only the packets' times tell whether frames are there."""
    numpy = require("numpy", "imitation")
    fps = layout.info.fps
    starts = [(record, record.videos[feature.name].start_s) for record in records]
    between = [record for record, start_s in starts if abs(start_s - round(start_s * fps) / fps) > TOLERANCE_S]
    if not between:
        return
    times = numpy.array(packet_times(layout, file))
    for record in between:
        yield from late_frames(layout, feature, file, record, match_frames(layout, feature, record, times))


def check_truncation(
    layout: DatasetLayout, feature: Feature, file: str, records: list[EpisodeRecord]
) -> Iterator[Finding]:
    """A video that ends before its own table of contents says, as a download that broke off leaves it."""
    numpy = require("numpy", "imitation")
    if not _is_cut_off(layout.root / file):
        return
    times = numpy.array(packet_times(layout, file))
    for record in records:
        absent = match_frames(layout, feature, record, times).absent
        if absent.size or record is records[-1]:
            yield error(
                "video-truncated",
                f"episode {record.index}: {file} is cut off; {absent.size or 'the last'} frames of "
                f"{feature.name} "
                "are not in it",
                episode=record.index,
                fix=f"copy or download it again: {file}",
            )


def _is_cut_off(path: Path) -> bool:
    """Whether a box of an MP4 file reaches past the file's end (ISO/IEC 14496-12, section 4.2)."""
    size = path.stat().st_size
    start = 0
    with open(path, "rb") as file:
        while start + 8 <= size:
            file.seek(start)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if start == 0 and kind != b"ftyp":
                return False  # another container
            if length == 0:  # the last box, to the end of the file
                return False
            start += int.from_bytes(header[8:16], "big") if length == 1 else max(length, 8)
    return start > size


def packet_times(layout: DatasetLayout, file: str) -> list[float]:
    """The times of all frames of a video, in seconds, without decoding them."""
    av = require("av", "imitation")
    times = []
    try:
        with av.open(str(layout.root / file)) as opened:
            stream = opened.streams.video[0]
            for packet in opened.demux(stream):
                if packet.pts is not None:
                    times.append(float(packet.pts * packet.time_base))
    except av.FFmpegError:
        pass  # what cannot be read is told where frames are decoded
    return sorted(times)
