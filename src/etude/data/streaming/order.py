"""The order of a stream: shuffled, yet read forwards, and still a pure function of seed and step.

A permutation of all frames asks for every file at any time. A stream may only look at a few places at once, so an
epoch is dealt out in three steps, all of them arithmetic on the metadata:

1. The data files come in a random order, and so do the episodes of each; their frames, one after another, are
   the epoch.
2. Each process takes a contiguous part of it, and reads that part in `LANES` places, each of them forwards.
3. The next `LANE_FRAMES` frames of every lane make a block, and each block is shuffled.

LeRobot's reader picks frames from a buffer of about the same size, but what it picks depends on all that it read
before. Here a run continues at any step without reading anything twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from etude.data.order import Position, Rows, SampleOrder, Share

__all__ = ["EpisodeIndex", "StreamOrder"]

LANES = 8
LANE_FRAMES = 128


@dataclass(frozen=True)
class EpisodeIndex:
    """Where each episode's frames lie, from the metadata alone. A row is a frame's number in the whole dataset.

    Attributes:
        start, length: for each episode, its first row and its number of frames.
        file: for each episode, which of `paths` its frames are in.
        paths: the data files, relative to the dataset, sorted.
    """

    start: Rows
    length: Rows
    file: Rows
    paths: tuple[str, ...]

    @classmethod
    def of(cls, meta: Any) -> EpisodeIndex:
        """Read LeRobot's metadata."""
        episodes = meta.episodes
        start = np.asarray(episodes["dataset_from_index"], dtype=np.int64)
        end = np.asarray(episodes["dataset_to_index"], dtype=np.int64)
        places = np.stack(
            [np.asarray(episodes[f"data/{part}_index"], dtype=np.int64) for part in ("chunk", "file")], axis=1
        )
        files, number = np.unique(places, axis=0, return_inverse=True)
        paths = tuple(
            str(meta.info.data_path).format(chunk_index=chunk, file_index=file) for chunk, file in files.tolist()
        )
        return cls(start, end - start, number.reshape(-1).astype(np.int64), paths)

    def episode_of(self, rows: Rows) -> Rows:
        """The episode of each row."""
        episodes: Rows = np.searchsorted(self.start, rows, side="right") - 1
        return episodes

    def rows_of(self, episodes: list[int], drop_last: int = 0) -> Rows:
        """Rows that may start a sample of these episodes, leaving out the last `drop_last` frames of each."""
        spans = [np.arange(self.start[e], self.start[e] + self.length[e] - drop_last) for e in sorted(episodes)]
        return np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class _Epoch:
    """Episodes in the order in which an epoch reads them: first rows, and ends counted in samples of the epoch."""

    start: Rows
    ends: Rows

    def rows(self, places: Rows) -> Rows:
        """The rows of these samples of the epoch."""
        number = np.searchsorted(self.ends, places, side="right")
        before = np.concatenate(([0], self.ends))[number]
        rows: Rows = self.start[number] + places - before
        return rows


class StreamOrder(SampleOrder):
    """Random blocks of frames from a few places that move forwards.

    Args:
        index: where the episodes lie.
        episodes: those to learn from.
        drop_last: how many of each episode's last frames start no sample.
        seed: of everything random.
        readers: processes; each takes its own part of the epoch, so that no two of them fetch the same file.
        lanes, lane_frames: places that a process reads at the same time, and frames of each of them in a block.
        shares, share_size, start, first_step: as `SampleOrder` has them.
    """

    def __init__(
        self,
        index: EpisodeIndex,
        episodes: list[int],
        *,
        drop_last: int = 0,
        seed: int,
        share_size: int,
        shares: int = 1,
        readers: int = 1,
        start: Position | None = None,
        first_step: int = 0,
        lanes: int = LANES,
        lane_frames: int = LANE_FRAMES,
    ) -> None:
        super().__init__(share_size=share_size, shares=shares, start=start, first_step=first_step)
        chosen = np.asarray(sorted(episodes), dtype=np.int64)
        self._length = np.maximum(index.length[chosen] - drop_last, 0)
        self._first = index.start[chosen]
        self._file = index.file[chosen]
        self._seed = seed
        self._readers = readers
        self._lanes = lanes
        self._lane_frames = lane_frames
        self._num_samples = int(self._length.sum())
        self._epoch = lru_cache(maxsize=2)(self._make_epoch)
        self._block = lru_cache(maxsize=2 * readers)(self._make_block)

    @property
    def num_samples(self) -> int:
        return self._num_samples

    def rows_of(self, step: int) -> Rows:
        """All rows of the global batch, which is shorter at the end of an epoch."""
        return np.concatenate([self._rows_of_reader(step, reader) for reader in range(self._readers)])

    def share(self, step: int, index: int) -> Share:
        """Part `index` of the global batch."""
        reader, part = divmod(index, self.shares // self._readers)
        first, end = self._span(step)
        rows = self._rows_of_reader(step, reader)
        mine = rows[part * self._share_size : (part + 1) * self._share_size]
        if len(mine) == 0:
            return Share((rows if len(rows) else self.rows_of(step))[:1], 0.0)
        return Share(mine, len(mine) * self.shares / (end - first))

    def _span(self, step: int) -> tuple[int, int]:
        """The samples of the epoch that this step uses, counted over all readers."""
        first = self.position(step).sample
        return first, min(first + self.global_batch, self.num_samples)

    def _rows_of_reader(self, step: int, reader: int) -> Rows:
        epoch = self.position(step).epoch
        first, end = (self._dealt(count, reader) for count in self._span(step))
        size = self._lanes * self._lane_frames
        blocks = [self._block(epoch, reader, number) for number in range(first // size, -(-end // size))]
        if not blocks:
            return np.empty(0, dtype=np.int64)
        skipped = first // size * size
        return np.concatenate(blocks)[first - skipped : end - skipped]

    def _dealt(self, samples: int, reader: int) -> int:
        """How many of the epoch's first `samples` samples are this reader's."""
        return samples // self._readers + (reader < samples % self._readers)

    def _make_epoch(self, epoch: int) -> _Epoch:
        generator = self._generator(epoch)
        files, number = np.unique(self._file, return_inverse=True)
        turn = torch.randperm(len(files), generator=generator).numpy()[number.reshape(-1)]
        order = np.lexsort((torch.randperm(len(turn), generator=generator).numpy(), turn))
        return _Epoch(self._first[order], np.cumsum(self._length[order]))

    def _make_block(self, epoch: int, reader: int, number: int) -> Rows:
        size = self._dealt(self.num_samples, reader)
        begin = sum(self._dealt(self.num_samples, other) for other in range(reader))
        lengths = size // self._lanes + (np.arange(self._lanes) < size % self._lanes)
        starts = begin + np.cumsum(lengths) - lengths
        # Lanes differ by one frame at most, so that all blocks are full but the last.
        done = np.minimum(number * self._lane_frames, lengths)
        until = np.minimum(done + self._lane_frames, lengths)
        places = np.concatenate(
            [np.arange(start + a, start + b) for start, a, b in zip(starts, done, until, strict=True)]
        )
        rows = self._epoch(epoch).rows(places)
        shuffled: Rows = rows[torch.randperm(len(rows), generator=self._generator(epoch, reader, number)).numpy()]
        return shuffled

    def _generator(self, *what: int) -> torch.Generator:
        words = np.random.SeedSequence([self._seed, *what]).generate_state(1, dtype=np.uint64)
        return torch.Generator().manual_seed(int(words[0]))
