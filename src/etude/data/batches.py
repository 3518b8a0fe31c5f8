"""Whole batches gathered from contiguous arrays, equal to what LeRobot's loader collates, key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from etude.data.buffers import BufferPool
from etude.data.pictures import PictureReader
from etude.data.table import FrameTable, Rows

__all__ = ["Batch", "BatchSource", "Source"]

Batch = dict[str, Any]


class Source(Protocol):
    """Makes batches of rows, whatever a row is counted in."""

    def batch(self, rows: Rows) -> Batch:
        """The batch of samples that start at these rows."""
        ...

    def unpadded(self, key: str, rows: Rows) -> int:
        """How many frames in these rows' windows lie inside their episodes."""
        ...

    def episodes(self, rows: Rows) -> Rows:
        """The number of each row's episode."""
        ...

    def will_batch(self, rows: Rows) -> None:
        """A hint: the batch of these rows is asked for soon."""
        ...


@runtime_checkable
class DirectReader(Protocol):
    """Pictures that can be written straight into a batch, and asked for in advance: those of a frame store."""

    shape: tuple[int, int, int]
    dtype: torch.dtype

    def read(self, rows: Rows, out: torch.Tensor | None = None) -> torch.Tensor:
        """Frames `(len(rows), *shape)`, in `out` where it is given."""
        ...

    def will_read(self, rows: Rows) -> None:
        """A hint: these rows are asked for soon."""
        ...


class BatchSource:
    """Makes batches of samples: observations, action chunks, padding masks, the task.

    Args:
        table: the rows.
        pictures: a reader for each camera that is wanted.
        delta_indices: for each windowed feature the frame offsets of its window, e.g. `{"action": range(100)}`.
            A window never leaves its episode: it repeats the edge frame and marks it in `KEY_is_pad`.
        tasks: task strings by task index.
        squeeze: cameras whose window of one frame has no time axis (LeRobot's way with videos).

    Attributes:
        pin: make pictures in pinned memory, for a device that copies from there.
    """

    def __init__(
        self,
        table: FrameTable,
        pictures: Mapping[str, PictureReader],
        *,
        delta_indices: Mapping[str, Sequence[int]] | None,
        tasks: Sequence[str],
        squeeze: frozenset[str] = frozenset(),
    ) -> None:
        self.table = table
        self._pictures = dict(pictures)
        deltas = delta_indices or {}
        self._deltas = {key: np.asarray(list(value), dtype=np.int64) for key, value in deltas.items()}
        self._tasks = list(tasks)
        self._squeeze = squeeze
        self._direct = {key: reader for key, reader in pictures.items() if isinstance(reader, DirectReader)}
        self._buffers = BufferPool()
        self.pin = False

    def batch(self, rows: Rows) -> Batch:
        """The batch of samples that start at these rows.

        Returns:
            Feature name to tensor: scalars `(batch,)`, vectors `(batch, dim)`, windows `(batch, chunk, dim)`,
            pictures `(batch, [time,] channels, height, width)` in uint8 (depth: float32),
            `KEY_is_pad` `(batch, chunk)`, and `task`, a list of strings.
        """
        batch: Batch = {key: self._frames(key, rows) for key in self._pictures}
        places = torch.from_numpy(rows)
        for key, column in self.table.columns.items():
            if key in self._pictures:
                continue
            if isinstance(column, list):
                batch[key] = [column[row] for row in rows.tolist()]
            elif isinstance(column, torch.Tensor):
                batch[key] = self._values(key, column, rows) if key in self._deltas else column.index_select(0, places)
        for key in self._deltas:
            if key in batch:
                batch[f"{key}_is_pad"] = torch.from_numpy(self._padding(key, rows))
        batch["task"] = [self._tasks[index] for index in batch["task_index"].tolist()]
        return batch

    @property
    def is_stored(self) -> bool:
        """Whether every picture comes from a frame store."""
        return len(self._direct) == len(self._pictures)

    def will_batch(self, rows: Rows) -> None:
        """A hint: the batch of these rows is asked for soon."""
        for key, reader in self._direct.items():
            reader.will_read(self._window(key, rows).reshape(-1) if key in self._deltas else rows)

    def unpadded(self, key: str, rows: Rows) -> int:
        """How many frames in these rows' windows lie inside their episodes."""
        return int((~self._padding(key, rows)).sum())

    def episodes(self, rows: Rows) -> Rows:
        """The number of each row's episode in the dataset."""
        return self.table.episode[rows]

    def _values(self, key: str, column: torch.Tensor, rows: Rows) -> torch.Tensor:
        window = self._window(key, rows)
        found = column.index_select(0, torch.from_numpy(window.reshape(-1)))
        return found.reshape(*window.shape, *column.shape[1:])

    def _frames(self, key: str, rows: Rows) -> torch.Tensor:
        if key not in self._deltas:
            return self._read(key, rows)
        window = self._window(key, rows)
        frames = self._read(key, window.reshape(-1))
        frames = frames.reshape(*window.shape, *frames.shape[1:])
        return frames.squeeze(1) if key in self._squeeze and window.shape[1] == 1 else frames

    def _read(self, key: str, rows: Rows) -> torch.Tensor:
        if key not in self._direct:
            return self._pictures[key].read(rows)
        reader = self._direct[key]
        shape = (len(rows), *reader.shape)
        if self.pin:
            return reader.read(rows, torch.empty(shape, dtype=reader.dtype, pin_memory=True))
        return reader.read(rows, self._buffers.empty(shape, reader.dtype))

    def _window(self, key: str, rows: Rows) -> Rows:
        wanted = rows[:, None] + self._deltas[key][None, :]
        return np.clip(wanted, self.table.episode_start[rows, None], self.table.episode_end[rows, None] - 1)

    def _padding(self, key: str, rows: Rows) -> npt.NDArray[np.bool_]:
        wanted = rows[:, None] + self._deltas[key][None, :]
        return (wanted < self.table.episode_start[rows, None]) | (wanted >= self.table.episode_end[rows, None])
