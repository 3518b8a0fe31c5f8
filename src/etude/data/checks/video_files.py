"""Video files by their headers: are they there, and do they hold the frames that the rows count on?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.data.checks.findings import Finding, error, numbered
from etude.data.checks.video_times import check_offsets, check_truncation
from etude.data.sources.info import Feature
from etude.data.sources.layout import DatasetLayout, EpisodeRecord
from etude.extras import require

__all__ = ["Container", "check_video_file", "check_video_spans", "read_container"]


@dataclass(frozen=True)
class Container:
    """What a video file's header says; `frames` is 0 where it does not say."""

    frames: int
    fps: float
    duration_s: float
    height: int
    width: int
    codec: str


def read_container(path: Path) -> Container:
    """Read a video's header.

    Raises:
        ValueError: it is not a video; the message says why.
    """
    av = require("av", "imitation")
    try:
        with av.open(str(path)) as opened:
            if not opened.streams.video:
                raise ValueError("it has no video stream")
            stream = opened.streams.video[0]
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            return Container(
                frames=stream.frames,
                fps=rate,
                duration_s=_duration_s(opened, stream),
                height=stream.height,
                width=stream.width,
                codec=str(stream.codec_context.name),
            )
    except av.FFmpegError as problem:
        raise ValueError(problem.strerror or str(problem)) from problem


def _duration_s(opened: Any, stream: Any) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(opened.duration or 0) / 1e6


def check_video_spans(layout: DatasetLayout) -> Iterator[Finding]:
    """The episode table alone: does each episode's part of the video last as long as its rows?"""
    fps = layout.info.fps
    for camera, files in layout.video_files().items():
        for records in files.values():
            ends_s, before = float("-inf"), None
            for record in records:
                span = record.videos[camera]
                frames = (span.end_s - span.start_s) * fps
                if abs(frames - record.length) > 0.5:
                    yield error(
                        "video-span",
                        f"episode {record.index}: {camera} covers {span.start_s:g} to {span.end_s:g} s, "
                        "that is "
                        f"{frames:.1f} frames, for {record.length} rows",
                        episode=record.index,
                        fix="copy or download the dataset again, or leave the episode out",
                    )
                if before is not None and span.start_s < ends_s - 0.5 / fps:
                    yield error(
                        "video-overlap",
                        f"episode {record.index}: {camera} starts at {span.start_s:g} s of {span.file}, "
                        "before "
                        f"episode {before} ends ({ends_s:g} s)",
                        episode=record.index,
                        fix="copy or download the dataset again, or leave the episode out",
                    )
                ends_s, before = max(ends_s, span.end_s), record.index


def check_video_file(
    layout: DatasetLayout, feature: Feature, file: str, records: list[EpisodeRecord], *, is_alone: bool
) -> Iterator[Finding]:
    """One video file, by its header.

    Args:
        records: the episodes in it that are checked, in order of time.
        is_alone: whether the file holds one episode in all.
    """
    path = layout.root / file
    concerned = numbered(record.index for record in records)
    first = min(record.index for record in records)
    if not path.is_file():
        yield error(
            "video-missing",
            f"{path} is missing ({feature.name} of episode {concerned})",
            episode=first,
            fix=f"copy or download it again: {file}",
        )
        return
    try:
        container = read_container(path)
    except ValueError as problem:
        yield error(
            "video-unreadable",
            f"{path} is not readable as a video: {problem} ({feature.name} of episode {concerned})",
            episode=first,
            fix=f"copy or download it again: {file}",
        )
        return
    yield from _against_declared(layout, feature, file, container, first)
    yield from _length(layout, feature, file, container, records, is_alone)
    yield from check_truncation(layout, feature, file, records)
    yield from check_offsets(layout, feature, file, records)


def _against_declared(
    layout: DatasetLayout, feature: Feature, file: str, container: Container, episode: int
) -> Iterator[Finding]:
    fps = layout.info.fps
    if container.fps and abs(container.fps - fps) > 0.001 * fps:
        yield error(
            "video-fps",
            f"{file} runs at {container.fps:g} frames per second, the dataset at {fps:g}",
            episode=episode,
            fix="encode the video at the dataset's rate, or correct fps in meta/info.json",
        )
    declared = feature.height_width
    if declared is not None and declared != (container.height, container.width):
        yield error(
            "video-size",
            f"{file} has pictures of {container.height} x {container.width} pixels, {feature.name} is "
            "declared "
            f"{declared[0]} x {declared[1]}",
            episode=episode,
            fix="correct the feature's shape in meta/info.json, or encode the video again",
        )


def _length(
    layout: DatasetLayout,
    feature: Feature,
    file: str,
    container: Container,
    records: list[EpisodeRecord],
    is_alone: bool,
) -> Iterator[Finding]:
    """Episodes that reach past the end of their file; an episode alone in its file must fill it."""
    fps = layout.info.fps
    held = container.frames or round(container.duration_s * fps)
    for record in records:
        needed = round(record.videos[feature.name].start_s * fps) + record.length
        if needed > held:
            yield error(
                "video-frames",
                f"episode {record.index}: {feature.name} needs frames up to {needed} of {file}, which holds {held}",
                episode=record.index,
                fix="copy or download the video again; if it was recorded so, leave the episode out",
            )
    last = records[-1]
    spare = held - round(last.videos[feature.name].start_s * fps) - last.length
    if spare > 0 and is_alone and last.videos[feature.name].start_s == 0:
        yield error(
            "video-frames",
            f"episode {last.index}: {file} holds {held} frames for {last.length} rows, so that pictures and "
            "rows "
            "do not belong together",
            episode=last.index,
            fix="record the episode again, or leave it out",
        )
