"""The tabular part of a dataset as contiguous arrays, one row a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as pads
import torch

from etude.errors import DatasetError

__all__ = ["FrameTable", "Rows"]

type Rows = npt.NDArray[np.int64]
type Column = torch.Tensor | list[str] | Any  # Any: pyarrow's ChunkedArray, which has no types


@dataclass
class FrameTable:
    """Frames of the chosen episodes.

    Attributes:
        columns: feature name to a tensor `(frames, *shape)` (scalars are `(frames,)`), a list of strings, or for
            image features the encoded pictures as they lie in the file.
        episode_start, episode_end: for each row, the first row of its episode and the one after its last.
        episode: for each row, its episode's number in the dataset.
    """

    columns: dict[str, Column]
    episode_start: Rows
    episode_end: Rows
    episode: Rows

    def __len__(self) -> int:
        return len(self.episode)

    @classmethod
    def load(cls, root: Path, features: dict[str, dict[str, Any]], episodes: Sequence[int] | None) -> FrameTable:
        """Read the parquet files below `root/data`.

        Args:
            features: the `features` of `info.json`; video features are not in the tables.
            episodes: which to read; None means all.

        Raises:
            DatasetError: a file is unreadable, a column is missing, or rows of an episode lie apart.
        """
        names = [name for name, feature in features.items() if feature["dtype"] != "video"]
        files = sorted((root / "data").glob("*/*.parquet"))
        if not files:
            raise DatasetError(f"{root / 'data'} holds no parquet file", hint=f"etude data check {root}")
        chosen = None if episodes is None else pads.field("episode_index").isin(list(episodes))
        try:
            table = pads.dataset(files, format="parquet").to_table(columns=names, filter=chosen)
        except (pa.ArrowException, OSError) as error:
            raise DatasetError(f"cannot read {root / 'data'}: {error}", hint=f"etude data check {root}") from error
        return cls.of(table, features)

    @classmethod
    def of(cls, table: pa.Table, features: dict[str, dict[str, Any]]) -> FrameTable:
        """Take the columns that are features from a table of whole episodes."""
        names = [name for name in table.column_names if name in features]
        columns = {name: _column(table.column(name), features[name]) for name in names}
        episode = table.column("episode_index").to_numpy()
        start, end = _episode_bounds(episode)
        return cls(columns, start, end, episode)

    def rows_of(self, episodes: Sequence[int], drop_last: int = 0) -> Rows:
        """Rows that may start a sample of these episodes, leaving out the last `drop_last` frames of each."""
        wanted = np.isin(self.episode, np.asarray(episodes))
        rows = np.flatnonzero(wanted)
        return rows[rows < self.episode_end[rows] - drop_last]


def _episode_bounds(episode: Rows) -> tuple[Rows, Rows]:
    changes = np.flatnonzero(np.diff(episode)) + 1
    starts = np.concatenate(([0], changes)).astype(np.int64)
    ends = np.concatenate((changes, [len(episode)])).astype(np.int64)
    if len(np.unique(episode[starts])) != len(starts):
        raise DatasetError("the rows of an episode do not lie together", hint="run `etude data check` on it")
    lengths = ends - starts
    return np.repeat(starts, lengths), np.repeat(ends, lengths)


def _column(values: pa.ChunkedArray, feature: dict[str, Any]) -> Column:
    if feature["dtype"] == "image":
        return values
    if feature["dtype"] == "string" or pa.types.is_string(values.type):
        return [str(value) for value in values.to_pylist()]
    rows = len(values)
    flat = values.combine_chunks()
    while pa.types.is_nested(flat.type):
        flat = flat.flatten() if not isinstance(flat.type, pa.ExtensionType) else flat.storage
    shape = tuple(feature["shape"])
    array = flat.to_numpy(zero_copy_only=False)
    array = array.reshape(rows) if shape == (1,) else array.reshape(rows, *shape)
    return torch.from_numpy(_torch_kind(array).copy())


def _torch_kind(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # The types that torch.tensor() gives Python numbers, which is what LeRobot's reader returns.
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, dtype=np.float32)
    if array.dtype.kind in "iu":
        return np.ascontiguousarray(array, dtype=np.int64)
    return np.ascontiguousarray(array)
