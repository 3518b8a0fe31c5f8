"""Do the rows agree with the episode table, and do their timestamps follow the frame rate?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from etude.data.checks.blocks import RowBlock
from etude.data.checks.findings import Finding, error, numbered, warning
from etude.data.sources.layout import DatasetLayout, EpisodeRecord
from etude.extras import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["RowAgreement", "check_timestamps"]

TOLERANCE_S = 1e-4
"""How far a row's timestamp may be from a frame's before LeRobot refuses to load it."""


class RowAgreement:
    """The bookkeeping columns against the episode table. A shift runs through all later rows, so the first
    episode that differs is named and the others are counted.
    """

    def __init__(self, layout: DatasetLayout, whole: bool) -> None:
        self.layout = layout
        self.whole = whole
        self.wrong: dict[str, dict[int, int]] = {}

    def see(self, block: RowBlock) -> None:
        numpy = require("numpy", "imitation")
        owners = block.owners()
        expected = {
            "index": numpy.arange(block.first_row, block.first_row + block.rows),
            "episode_index": owners,
            "frame_index": _frame_numbers(block),
        }
        for name, wanted in expected.items():
            if name in block.columns:
                self._note(name, owners, block.columns[name][:, 0] != wanted)
        if "task_index" in block.columns:
            known = numpy.array([number for number, _ in self.layout.tasks], dtype=numpy.int64)
            self._note("task_index", owners, ~numpy.isin(block.columns["task_index"][:, 0], known))
        if self.whole:
            self._note("unclaimed", owners, owners < 0)

    def _note(self, name: str, owners: npt.NDArray[np.int64], differs: npt.NDArray[np.bool_]) -> None:
        numpy = require("numpy", "imitation")
        if name != "unclaimed":
            differs = differs & (owners >= 0)
        counted = self.wrong.setdefault(name, {})
        for episode, count in zip(*numpy.unique(owners[differs], return_counts=True), strict=True):
            counted[int(episode)] = counted.get(int(episode), 0) + int(count)

    def findings(self) -> Iterator[Finding]:
        for name, (code, words) in _ROW_CODES.items():
            counted = self.wrong.get(name)
            if not counted:
                continue
            if name == "unclaimed":
                yield error(code, f"{sum(counted.values())} rows belong to no episode", fix=_FIX)
                continue
            episodes = sorted(counted)
            yield error(
                code,
                f"{name} {words} in episode {numbered(episodes)} ({sum(counted.values())} rows)",
                episode=episodes[0],
                fix=_FIX,
            )


_FIX = "copy or download the dataset again; after a repair of your own, number the rows anew"
_ROW_CODES = {
    "index": ("index-not-contiguous", "does not count the rows"),
    "episode_index": ("episode-index-mismatch", "differs from the episode table"),
    "frame_index": ("frame-index-not-contiguous", "does not count the frames from 0"),
    "task_index": ("task-unknown", "points to no task of the task table"),
    "unclaimed": ("rows-unclaimed", ""),
}


def _frame_numbers(block: RowBlock) -> npt.NDArray[np.int64]:
    numpy = require("numpy", "imitation")
    numbers = numpy.zeros(block.rows, dtype=numpy.int64)
    for _, start, end in block.spans:
        numbers[start:end] = numpy.arange(end - start)
    return numbers  # type: ignore[no-any-return]


def check_timestamps(layout: DatasetLayout, block: RowBlock) -> Iterator[Finding]:
    """Each row's timestamp must be its frame's number divided by fps.

    With video, LeRobot looks for a frame at `start of the episode in the file + timestamp` and dies where
    there is none within 0.1 ms; the sums are formed here in its precision. Without video it never looks, so
    that only gaps of half a frame and more are errors: a chunk of actions would have holes.
    """
    if "timestamp" not in block.columns:
        return
    numpy = require("numpy", "imitation")
    stamps = block.columns["timestamp"][:, 0].astype(numpy.float64)
    for record, start, end in block.spans:
        if end > start:
            yield from _episode_timestamps(layout, record, stamps[start:end])


def _episode_timestamps(
    layout: DatasetLayout, record: EpisodeRecord, stamps: npt.NDArray[np.float64]
) -> Iterator[Finding]:
    numpy = require("numpy", "imitation")
    fps = layout.info.fps
    if not numpy.isfinite(stamps).all():
        first = int(numpy.flatnonzero(~numpy.isfinite(stamps))[0])
        yield error(
            "timestamps-irregular",
            f"episode {record.index}: the timestamp of frame {first} is not a number",
            episode=record.index,
            fix=_STAMP_FIX,
        )
        return
    grid = numpy.arange(len(stamps)) / fps
    starts = [span.start_s for span in record.videos.values()] or [0.0]
    off = numpy.max([_distance(start_s, stamps, grid) for start_s in starts], axis=0)
    bad = numpy.flatnonzero(off > TOLERANCE_S)
    if not bad.size:
        return
    worst = float(off.max())
    message = (
        f"episode {record.index}: {bad.size} of {len(stamps)} timestamps are not multiples of 1/{fps:g} s "
        f"(first at frame {int(bad[0])}, off by up to {worst:.4g} s)"
    )
    steps = numpy.diff(stamps) * fps
    if record.videos:
        yield error("timestamps-irregular", f"{message}; loading dies there", episode=record.index, fix=_STAMP_FIX)
    elif steps.size and (abs(steps - 1) > 0.5).any():
        yield error("timestamps-irregular", f"{message}; frames are missing", episode=record.index, fix=_STAMP_FIX)
    else:
        yield warning("timestamps-jitter", message, episode=record.index, fix=_STAMP_FIX)


def _distance(start_s: float, stamps: Any, grid: Any) -> Any:
    numpy = require("numpy", "imitation")
    asked = (start_s + stamps).astype(numpy.float32)
    there = (start_s + grid).astype(numpy.float32)
    return abs(asked - there)


_STAMP_FIX = (
    "record at a steady rate, or set timestamp to frame_index / fps if the frames were recorded at a "
    "steady rate; "
    "or leave the episode out with --dataset.exclude_episodes"
)
