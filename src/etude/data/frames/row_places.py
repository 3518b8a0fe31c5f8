"""Which frame of a store belongs to each row of a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from etude.data.frames.camera_files import episode_column, files_of_episodes, is_video
from etude.data.frames.shards import Shard
from etude.data.table import FrameTable, Rows
from etude.errors import DatasetError

__all__ = ["row_places"]


def row_places(
    meta: Any, camera: str, table: FrameTable, shards: Mapping[str, Shard], *, tolerance_s: float
) -> tuple[list[Shard], Rows]:
    """The shards in an order, and for each row its frame's number, counted through the shards in that order.

    A row's frame is, as with LeRobot, the one shown at the time that the row and its episode's metadata give.

    Raises:
        DatasetError: a row has no frame within `tolerance_s` of its time, or none at all.
    """
    episodes = np.unique(table.episode)
    files = {episode: file.as_posix() for episode, file in files_of_episodes(meta, camera, episodes.tolist()).items()}
    used = [shards[name] for name in dict.fromkeys(files.values())]
    bases = dict(zip([shard.source for shard in used], np.cumsum([0, *(s.frames for s in used)])[:-1], strict=True))
    # Rows of each file: the episodes' numbers mapped to their files' numbers, then to the rows.
    number = {name: place for place, name in enumerate(bases)}
    file_of_episode = np.asarray([number[files[int(episode)]] for episode in episodes])
    file_of_row = file_of_episode[np.searchsorted(episodes, table.episode)]
    find = _by_time(meta, camera, table, tolerance_s) if is_video(meta, camera) else _by_place(table)
    places = np.empty(len(table), np.int64)
    for shard in used:
        rows = np.flatnonzero(file_of_row == number[shard.source])
        places[rows] = bases[shard.source] + find(Path(meta.root) / shard.source, shard, rows)
    return used, places


def _by_time(meta: Any, camera: str, table: FrameTable, tolerance_s: float) -> Any:
    starts = episode_column(meta, f"videos/{camera}/from_timestamp").astype(np.float64)
    column = table.columns["timestamp"]
    assert isinstance(column, torch.Tensor)
    timestamps = column.double().numpy()

    def find(path: Path, shard: Shard, rows: Rows) -> Rows:
        wanted = starts[table.episode[rows]] + timestamps[rows]
        times = shard.times_s()
        right = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
        left = right - 1
        right = np.minimum(right, len(times) - 1)
        nearest = np.where(wanted - times[left] <= times[right] - wanted, left, right)
        _refuse_far(path, table, rows, wanted, times[nearest], tolerance_s, meta)
        return nearest

    return find


def _refuse_far(
    path: Path,
    table: FrameTable,
    rows: Rows,
    wanted: npt.NDArray[np.float64],
    found: npt.NDArray[np.float64],
    tolerance_s: float,
    meta: Any,
) -> None:
    # LeRobot compares in single precision, which rounds late times of long videos: what it accepts is accepted.
    exact = np.abs(wanted - found)
    rounded = np.abs(wanted.astype(np.float32) - found.astype(np.float32))
    far = np.flatnonzero(np.minimum(exact, rounded) >= tolerance_s)
    if len(far):
        worst = far[0]
        raise DatasetError(
            f"{path}: episode {int(table.episode[rows[worst]])} needs a frame at {wanted[worst]:.4f} s; the nearest "
            f"one is {exact[worst]:.4f} s away, more than the tolerance of {tolerance_s:g} s",
            hint=f"etude data check {meta.root}",
        )


def _by_place(table: FrameTable) -> Any:
    def find(path: Path, shard: Shard, rows: Rows) -> Rows:
        first = {episode: (start, count) for episode, start, count in shard.episodes}
        places = np.empty(len(rows), np.int64)
        episodes = table.episode[rows]
        for episode in np.unique(episodes).tolist():
            its = np.flatnonzero(episodes == episode)
            start, count = first.get(episode, (0, 0))
            inside = rows[its] - table.episode_start[rows[its]]
            if inside.max() >= count:
                raise DatasetError(f"{path}: episode {episode} has {count} pictures; more rows ask for them")
            places[its] = start + inside
        return places

    return find
