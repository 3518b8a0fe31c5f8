"""Did the robot move from one frame to the next? Then the picture should change as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from etude.data.checks.blocks import RowBlock, signal_columns
from etude.data.checks.findings import Finding, warning
from etude.data.sources.layout import DatasetLayout, EpisodeRecord
from etude.extras import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Motion", "judge_stills"]

MOVED_SHARE = 0.01
"""A step over this share of a dimension's range is a movement that a camera should see."""


class Motion:
    """Which steps of which episode are movements, from `observation.state` (where there is none: unknown).

    Only the proprioceptive state counts: an action is a wish, and the rest may not be in the picture.
    """

    def __init__(self, layout: DatasetLayout) -> None:
        self.layout = layout
        self.moved: dict[int, npt.NDArray[np.bool_]] = {}

    def see(self, block: RowBlock) -> None:
        numpy = require("numpy", "imitation")
        state = next(
            (values for feature, values in signal_columns(self.layout, block) if feature.name == "observation.state"),
            None,
        )
        if state is None or not len(state):
            return
        span = numpy.nanmax(state, axis=0) - numpy.nanmin(state, axis=0)
        limits = numpy.where(span > 0, MOVED_SHARE * span, numpy.inf)
        for record, start, end in block.spans:
            steps = numpy.abs(numpy.diff(state[start:end], axis=0))
            self.moved[record.index] = (steps > limits).any(axis=1)


def judge_stills(
    camera: str, record: EpisodeRecord, same: npt.NDArray[np.bool_], motion: Motion, fps: float
) -> Iterator[Finding]:
    """Pictures that equal the one before, in one episode.

    Args:
        same: `(frames - 1,)`, whether a picture equals the one before it.
    """
    numpy = require("numpy", "imitation")
    moved = motion.moved.get(record.index)
    if moved is None or len(moved) != len(same):
        start, length = _longest(same)
        enough = fps if length == len(same) else max(10, 2 * fps)
        if length and length >= enough:
            yield _frozen(camera, record, start, length, fps, "")
        return
    stuck = same & moved
    start, length = _longest_holding(same, moved)
    if length >= max(5, fps / 2):
        yield _frozen(camera, record, start, length, fps, " while the robot moves")
        return
    share = float(stuck.sum() / max(1, moved.sum()))
    if moved.sum() >= 10 and share >= 0.2:
        frames = numpy.flatnonzero(stuck)
        yield warning(
            "video-duplicated",
            f"episode {record.index}: {camera} repeats the picture before in {share:.0%} of the frames in "
            "which the "
            f"robot moves (first at frame {int(frames[0]) + 1})",
            episode=record.index,
            fix="the camera is slower than the recording, or drops frames: record at the camera's own rate",
        )


def _frozen(camera: str, record: EpisodeRecord, start: int, length: int, fps: float, when: str) -> Finding:
    return warning(
        "video-frozen",
        f"episode {record.index}: {camera} stands still for {length + 1} frames ({(length + 1) / fps:.1f} "
        f"s){when}, "
        f"from frame {start}",
        episode=record.index,
        fix=f"look at it; if the camera hung, leave the episode out: --dataset.exclude_episodes='[{record.index}]'",
    )


def _runs(flags: Any) -> list[tuple[int, int]]:
    """Start and length of each stretch of True."""
    numpy = require("numpy", "imitation")
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate([[False], flags, [False]]).astype(numpy.int8)))
    return [(int(start), int(end - start)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _longest(flags: Any) -> tuple[int, int]:
    return max(_runs(flags), key=lambda run: run[1], default=(0, 0))


def _longest_holding(same: Any, moved: Any) -> tuple[int, int]:
    """The longest stretch of equal pictures in at least half of which the robot moves."""
    candidates = [run for run in _runs(same) if moved[run[0] : run[0] + run[1]].mean() >= 0.5]
    return max(candidates, key=lambda run: run[1], default=(0, 0))
