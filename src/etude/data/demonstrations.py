"""A dataset opened for training: episodes split, statistics, and a source of batches for each side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.data.batches import BatchSource
from etude.data.frames.opening import PictureSettings, open_readers
from etude.data.order import BatchOrder
from etude.data.pictures import PictureReader
from etude.data.split import EpisodeSplit
from etude.data.statistics import settle_statistics
from etude.data.table import FrameTable, Rows

__all__ = ["Demonstrations", "PictureSettings"]

logger = logging.getLogger(__name__)


@dataclass
class Demonstrations:
    """An opened dataset.

    Attributes:
        meta: LeRobot's metadata; its `stats` are those to normalise with.
        split: the episodes of each side.
        table: frames of both sides.
        notes: what a user should know about how the data is read.
    """

    meta: Any
    split: EpisodeSplit
    table: FrameTable
    notes: list[str] = field(default_factory=list)
    _readers: dict[str, PictureReader] = field(default_factory=dict)

    @classmethod
    def open(
        cls, meta: Any, split: EpisodeSplit, *, restrict_statistics: bool, imagenet: bool, depth_unit: str = "mm"
    ) -> Demonstrations:
        """Read the tables.

        Args:
            meta: a `LeRobotDatasetMetadata`.
            restrict_statistics: normalise with the training episodes' statistics only.
            imagenet: normalise pictures with ImageNet's mean and deviation, as LeRobot does by default.
            depth_unit: what depth is handed out in, and so its statistics too: mm | m.
        """
        everything = sorted({*split.train, *split.val})
        chosen = None if len(everything) == meta.total_episodes else everything
        table = FrameTable.load(Path(meta.root), meta.features, chosen)
        settle_statistics(
            meta, only=split.train if restrict_statistics else None, imagenet=imagenet, depth_unit=depth_unit
        )
        return cls(meta, split, table)

    def open_pictures(
        self,
        keys: Sequence[str],
        settings: PictureSettings,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """Make the readers of these cameras; others are never decoded.

        Args:
            progress: called with a sentence, the frames finished and the frames in all.
        """
        episodes = sorted({*self.split.train, *self.split.val})
        tell = settings.tell or self.notes.append
        self._readers.update(
            open_readers(self.meta, self.table, keys, settings, episodes=episodes, tell=tell, progress=progress)
        )

    def rows_of(self, episodes: Sequence[int], drop_last: int = 0) -> Rows:
        """Rows that may start a sample of these episodes, leaving out the last `drop_last` frames of each."""
        return self.table.rows_of(episodes, drop_last)

    def order(self, drop_last: int = 0, *, readers: int = 1, **how: Any) -> BatchOrder:
        """The order of the training samples; `how` as `BatchOrder` takes it. Every process may read any row."""
        del readers
        return BatchOrder(self.rows_of(self.split.train, drop_last), **how)

    def source(self, delta_indices: Mapping[str, Sequence[int]] | None) -> BatchSource:
        """Batches over this dataset's rows, with these windows."""
        return BatchSource(
            self.table,
            self._readers,
            delta_indices={key: value for key, value in (delta_indices or {}).items() if self._is_read(key)},
            tasks=[str(name) for name in self.meta.tasks.index],
            squeeze=frozenset(self.meta.video_keys),
        )

    def _is_read(self, key: str) -> bool:
        return key in self._readers or key not in self.meta.camera_keys
