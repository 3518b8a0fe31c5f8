"""A dataset opened for training: episodes split, statistics, and a source of batches for each side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from etude.data.batches import BatchSource
from etude.data.pictures import ImageColumn, InMemory, PictureReader, VideoFiles, memory_available
from etude.data.split import EpisodeSplit
from etude.data.statistics import episode_statistics
from etude.data.table import FrameTable
from etude.errors import UsageError

__all__ = ["Demonstrations", "PictureSettings"]

logger = logging.getLogger(__name__)

FILL_SHARE_OF_FREE_MEMORY = 0.25


@dataclass(frozen=True)
class PictureSettings:
    """How camera frames are read.

    Attributes:
        cache: auto | memory | off, as `--frames.cache`.
        memory_bytes: most that decoded frames may take; None means a quarter of what is free.
        expected_reads: frames the run will ask for; decoding everything pays only when this is of the same order.
        threads: decoding threads.
        backend: torchcodec | pyav | None (what works).
    """

    cache: str = "auto"
    memory_bytes: int | None = None
    expected_reads: int | None = None
    threads: int = 2
    backend: str | None = None
    tolerance_s: float = 1e-4
    depth_unit: str = "mm"


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
        if restrict_statistics:
            meta.stats = episode_statistics(Path(meta.root), split.train, meta.features, meta.stats or {})
        if meta.stats:
            meta.rescale_depth_stats(depth_unit)
        if imagenet:
            _use_imagenet_statistics(meta)
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
        readers = {key: self._reader(key, settings) for key in keys}
        rows = np.arange(len(self.table))
        needed = sum(len(rows) * _frame_bytes(self.meta.features[key], key in self.meta.depth_keys) for key in keys)
        if keys and self._fits(needed, settings):
            done = 0

            def advance(count: int) -> None:
                nonlocal done
                done += count
                if progress is not None:
                    progress("decoding videos into memory", done, len(rows) * len(keys))

            for key, reader in readers.items():
                self._readers[key] = InMemory(reader, rows, threads=settings.threads, advance=advance)
            self.notes.append(f"{len(rows) * len(keys)} frames decoded once into memory ({needed / 2**30:.1f} GiB)")
        else:
            self._readers.update(readers)
            if keys:
                self.notes.append("frames are decoded for each batch")

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

    def _reader(self, key: str, settings: PictureSettings) -> VideoFiles | ImageColumn:
        if key in self.meta.video_keys:
            return VideoFiles(
                self.meta,
                key,
                self.table,
                backend=settings.backend,
                tolerance_s=settings.tolerance_s,
                threads=settings.threads,
                depth_unit=settings.depth_unit,
            )
        return ImageColumn(self.meta, key, self.table, threads=settings.threads, depth_unit=settings.depth_unit)

    def _fits(self, needed: int, settings: PictureSettings) -> bool:
        if settings.cache == "off":
            return False
        free = memory_available()
        budget = settings.memory_bytes if settings.memory_bytes is not None else int(free * FILL_SHARE_OF_FREE_MEMORY)
        if settings.cache == "memory":
            if needed > free:
                raise UsageError(
                    f"--frames.cache=memory needs {needed / 2**30:.1f} GiB; {free / 2**30:.1f} GiB are free",
                    hint="use --frames.cache=auto or off",
                )
            return True
        worth_it = settings.expected_reads is None or settings.expected_reads >= len(self.table) // 2
        return needed <= budget and worth_it


def _frame_bytes(feature: dict[str, Any], depth: bool) -> int:
    return int(np.prod(feature["shape"])) * (4 if depth else 1)


def _use_imagenet_statistics(meta: Any) -> None:
    import torch
    from lerobot.utils.constants import IMAGENET_STATS

    for key in meta.camera_keys:
        if key in meta.depth_keys:
            continue
        for name, values in IMAGENET_STATS.items():
            meta.stats.setdefault(key, {})[name] = torch.tensor(values, dtype=torch.float32)
