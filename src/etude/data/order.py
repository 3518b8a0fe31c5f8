"""Which frames make up which batch: a pure function of seed and step.

The permutation of an epoch is LeRobot's own (`EpisodeAwareSampler`), so a run here sees the batches that
`lerobot-train` sees. Nothing is consumed and nothing is remembered, so a resumed run continues exactly, and every
process of a distributed run knows its share without asking.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["BatchOrder", "Position", "SampleOrder", "Share"]

type Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Position:
    """A place in the stream of samples: the epoch, and how many of its samples were used."""

    epoch: int = 0
    sample: int = 0


@dataclass(frozen=True)
class Share:
    """One process's part of one global batch.

    Attributes:
        rows: table rows to load, never empty, so that every process takes part in the exchange of gradients.
        weight: what the mean loss over `rows` must be multiplied by, so that the average over all shares of the
            global batch is the mean over its samples. 1.0 except at the end of an epoch; 0.0 for a filler.
    """

    rows: Rows
    weight: float


class SampleOrder(ABC):
    """Which samples the batch of each step holds.

    Args:
        shares: parts of a global batch: processes times accumulated batches.
        share_size: samples in a part.
        start: where step `first_step` begins.
        first_step: steps already done when this order begins.
    """

    def __init__(self, *, share_size: int, shares: int = 1, start: Position | None = None, first_step: int = 0) -> None:
        self._share_size = share_size
        self.shares = shares
        self._start = start or Position()
        self._first_step = first_step

    @property
    def global_batch(self) -> int:
        return self._share_size * self.shares

    @property
    @abstractmethod
    def num_samples(self) -> int:
        """Samples of an epoch."""

    @abstractmethod
    def rows_of(self, step: int) -> Rows:
        """All rows of the global batch, which is shorter at the end of an epoch."""

    @abstractmethod
    def share(self, step: int, index: int) -> Share:
        """Part `index` of the global batch."""

    def position(self, step: int) -> Position:
        """Where the batch of this step (0 is the first update) begins."""
        left_in_first = -(-(self.num_samples - self._start.sample) // self.global_batch)
        ahead = step - self._first_step
        if ahead < left_in_first:
            return Position(self._start.epoch, self._start.sample + ahead * self.global_batch)
        per_epoch = -(-self.num_samples // self.global_batch)
        epochs, batches = divmod(ahead - left_in_first, per_epoch)
        return Position(self._start.epoch + 1 + epochs, batches * self.global_batch)

    def starts_epoch(self, step: int) -> bool:
        """Whether the batch of this step is an epoch's first."""
        return self.position(step).sample == 0


class BatchOrder(SampleOrder):
    """A permutation of all rows for each epoch.

    Args:
        rows: table rows that may start a sample, in the data's order.
        seed: of the permutations.
        shares, share_size, start, first_step: as `SampleOrder` has them.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        seed: int,
        share_size: int,
        shares: int = 1,
        start: Position | None = None,
        first_step: int = 0,
    ) -> None:
        super().__init__(share_size=share_size, shares=shares, start=start, first_step=first_step)
        self._rows = rows
        self._seed = seed
        self._permutation = lru_cache(maxsize=2)(self._make_permutation)

    @property
    def num_samples(self) -> int:
        return len(self._rows)

    def rows_of(self, step: int) -> Rows:
        """All rows of the global batch, which is shorter at the end of an epoch."""
        place = self.position(step)
        return self._permutation(place.epoch)[place.sample : place.sample + self.global_batch]

    def share(self, step: int, index: int) -> Share:
        """Part `index` of the global batch."""
        rows = self.rows_of(step)
        mine = rows[index * self._share_size : (index + 1) * self._share_size]
        if len(rows) == self.global_batch:
            return Share(mine, 1.0)
        if len(mine) == 0:
            return Share(rows[:1], 0.0)
        return Share(mine, len(mine) * self.shares / len(rows))

    def _make_permutation(self, epoch: int) -> Rows:
        words = np.random.SeedSequence([self._seed, epoch]).generate_state(1, dtype=np.uint64)
        generator = torch.Generator().manual_seed(int(words[0]))
        rows: Rows = self._rows[torch.randperm(self.num_samples, generator=generator).numpy()]
        return rows
