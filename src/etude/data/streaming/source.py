"""Batches of a dataset that is never here as a whole: read through LeRobot's streaming reader as a run goes on.

LeRobot's `StreamingLeRobotDataset` opens the stream: the tables by Hugging Face `datasets`, the videos by address.
Samples are put together here, by the code that makes every other batch, because its own iteration (0.6.1)

- looks for a frame at `index / fps` seconds, which lies outside of every video file but the first,
- reads all episodes, whatever `episodes` says,
- looks 100 frames ahead and 99 back, and calls what lies beyond padding,
- decodes a buffer of 1000 samples before it hands out the first, and cannot be continued where it was left.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from etude.data.batches import Batch, BatchSource
from etude.data.pictures import ImageColumn, PictureReader
from etude.data.sources.stream import StreamLocation
from etude.data.streaming.order import LANE_FRAMES, LANES, EpisodeIndex
from etude.data.streaming.videos import StreamedVideo, VideoStreams
from etude.data.table import FrameTable, Rows
from etude.errors import DatasetError

__all__ = ["StreamReading", "StreamSource", "StreamTables"]

logger = logging.getLogger(__name__)

PATIENCE = 2 * LANES * LANE_FRAMES
"""A data file that gave no sample for so many samples, and for `PATIENCE_BATCHES`, is let go."""
PATIENCE_BATCHES = 16
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class StreamReading:
    """How a stream's pictures are decoded.

    Attributes:
        cameras: features to decode; others are not even fetched.
        threads: decoding threads.
        backend: torchcodec | pyav | None (what works), for videos in a folder; from elsewhere it is torchcodec.
    """

    cameras: tuple[str, ...] = ()
    threads: int = 2
    backend: str | None = None
    tolerance_s: float = 1e-4
    depth_unit: str = "mm"


class StreamTables:
    """The data files, one at a time, as LeRobot's streaming reader delivers them.

    Args:
        location: where the stream comes from.
        index: the dataset's episodes.
        features: the features to fetch.

    Raises:
        DatasetError: the stream cannot be opened.
    """

    def __init__(self, location: StreamLocation, index: EpisodeIndex, features: Mapping[str, Any]) -> None:
        self._location = location
        self._index = index
        self._features = {name: feature for name, feature in features.items() if feature["dtype"] != "video"}
        self._stream = location.open_reader().hf_dataset
        if self._stream.num_shards != len(index.paths):
            raise DatasetError(
                f"{location} has {self._stream.num_shards} data files; its metadata names {len(index.paths)}",
                hint=location.check_hint,
            )

    def load(self, number: int) -> FrameTable:
        """All rows of data file `number` of the index."""
        shard = self._stream.shard(num_shards=len(self._index.paths), index=number)
        wanted = shard.select_columns(list(self._features)).with_format("arrow")
        path = self._index.paths[number]
        try:
            table = FrameTable.of(pa.concat_tables(wanted.iter(batch_size=ROWS_AT_ONCE)), self._features)
        except DatasetError:
            raise
        except Exception as error:  # whatever the network, `datasets` or Arrow had to say
            raise DatasetError(
                f"{self._location}: cannot read {path}: {str(error).splitlines()[0] if str(error) else error!r}",
                hint=self._location.retry_hint,
            ) from error
        expected = np.flatnonzero(self._index.file == number)
        if not np.array_equal(np.unique(table.episode), expected):
            raise DatasetError(
                f"{self._location}: {path} does not hold the episodes that the metadata says",
                hint=self._location.check_hint,
            )
        return table


class _DataFile:
    """A data file that was read, and where its episodes begin in it."""

    def __init__(self, source: BatchSource) -> None:
        self._source = source
        self._episodes, self._starts = np.unique(source.table.episode, return_index=True)

    def batch(self, episodes: Rows, frames: Rows) -> Batch:
        """The batch of samples that start at these frames of these episodes."""
        return self._source.batch(self._starts[np.searchsorted(self._episodes, episodes)] + frames)


class StreamSource:
    """Makes the same batches as `BatchSource`, of rows counted over the whole dataset.

    It keeps the data files that rows were lately taken from. One thread may ask it for batches.

    Args:
        tables: where rows come from.
        videos: where video frames come from.
        delta_indices, tasks: as in `BatchSource`.
    """

    def __init__(
        self,
        meta: Any,
        index: EpisodeIndex,
        tables: StreamTables,
        videos: VideoStreams,
        reading: StreamReading,
        delta_indices: Mapping[str, Sequence[int]],
    ) -> None:
        self._meta = meta
        self._index = index
        self._tables = tables
        self._videos = videos
        self._reading = reading
        self._deltas = dict(delta_indices)
        self._open: dict[int, Future[_DataFile]] = {}
        self._last_used: dict[int, int] = {}
        self._served = 0
        self._files = ThreadPoolExecutor(LANES, thread_name_prefix="etude-stream")

    def batch(self, rows: Rows) -> Batch:
        """The batch of samples that start at these rows; keys and shapes as `BatchSource.batch` has them.

        Raises:
            DatasetError: the stream broke off, or is not what the metadata says.
        """
        episodes = self._index.episode_of(rows)
        files = self._index.file[episodes]
        wanted = np.unique(files).tolist()
        frames = rows - self._index.start[episodes]
        self._served += len(rows)
        self._ask_for(wanted)
        self._let_go(max(PATIENCE, PATIENCE_BATCHES * len(rows)))
        opened = [self._opened(file) for file in wanted]
        places = [np.flatnonzero(files == file) for file in wanted]
        parts = self._files.map(lambda file, mine: file.batch(episodes[mine], frames[mine]), opened, places)
        return _merged(list(zip(places, parts, strict=True)), len(rows))

    def unpadded(self, key: str, rows: Rows) -> int:
        """How many frames in these rows' windows lie inside their episodes; known without reading any."""
        episodes = self._index.episode_of(rows)
        first = self._index.start[episodes, None]
        window = rows[:, None] + np.asarray(self._deltas[key], dtype=np.int64)[None, :]
        return int(((window >= first) & (window < first + self._index.length[episodes, None])).sum())

    def episodes(self, rows: Rows) -> Rows:
        """The number of each row's episode in the dataset."""
        return self._index.episode_of(rows)

    def will_batch(self, rows: Rows) -> None:
        """Begin to fetch the data files of rows that will be asked for soon."""
        self._ask_for(np.unique(self._index.file[self._index.episode_of(rows)]).tolist())

    def _ask_for(self, files: list[int]) -> None:
        self._last_used |= dict.fromkeys(files, self._served)
        for file in files:
            if file not in self._open:
                self._open[file] = self._files.submit(self._read, file)

    def _opened(self, file: int) -> _DataFile:
        try:
            return self._open[file].result()
        except DatasetError:
            self._open.pop(file)  # the next batch may have more luck
            raise

    def _let_go(self, patience: int) -> None:
        for file in [file for file, used in self._last_used.items() if used < self._served - patience]:
            self._last_used.pop(file)
            self._open.pop(file, None)

    def _read(self, file: int) -> _DataFile:
        table = self._tables.load(file)
        source = BatchSource(
            table,
            {key: self._camera(key, table) for key in self._reading.cameras},
            delta_indices=self._deltas,
            tasks=[str(name) for name in self._meta.tasks.index],
            squeeze=frozenset(self._meta.video_keys),
        )
        return _DataFile(source)

    def _camera(self, key: str, table: FrameTable) -> PictureReader:
        unit = self._reading.depth_unit
        if key in self._meta.video_keys:
            return StreamedVideo(self._meta, key, table, self._videos, depth_unit=unit)
        return ImageColumn(self._meta, key, table, threads=self._reading.threads, depth_unit=unit)


def _merged(parts: list[tuple[Rows, Batch]], size: int) -> Batch:
    """One batch of several, whose samples go to the given places."""
    if len(parts) == 1:
        return parts[0][1]
    return {key: _joined([(places, batch[key]) for places, batch in parts], size) for key in parts[0][1]}


def _joined(parts: list[tuple[Rows, Any]], size: int) -> Any:
    first = parts[0][1]
    if isinstance(first, torch.Tensor):
        tensor = first.new_empty((size, *first.shape[1:]))
        for places, values in parts:
            tensor[torch.from_numpy(places)] = values
        return tensor
    items: list[Any] = [None] * size
    for places, values in parts:
        for place, value in zip(places.tolist(), values, strict=True):
            items[place] = value
    return items
