"""From `--frames.*` to a reader for each camera: a store that is there, or built now, else the dataset's own files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etude.config.options import FramesOptions
from etude.data.frames.choose import Choice, choose
from etude.data.frames.facts import gather_facts
from etude.data.pictures import ImageColumn, InMemory, PictureReader, VideoFiles
from etude.data.table import FrameTable

__all__ = ["PictureSettings", "open_readers"]

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PictureSettings:
    """How camera frames are read.

    Attributes:
        frames: `--frames.*`.
        fingerprint: the dataset's identity; None finds it out.
        expected_reads: frames that this process will ask for of each camera; decoding everything pays only when
            this is of the same order.
        threads: reading and decoding threads.
        backend: torchcodec | pyav | None (what works), for frames that are not stored.
        processes: processes of the run on this machine.
        is_builder: whether this process builds while the others of this machine wait.
        agree: gives every process's value, by rank; of one process, a list of one.
    """

    frames: FramesOptions = field(default_factory=FramesOptions)
    fingerprint: str | None = None
    expected_reads: int | None = None
    threads: int = 2
    backend: str | None = None
    tolerance_s: float = 1e-4
    depth_unit: str = "mm"
    processes: int = 1
    is_builder: bool = True
    agree: Callable[[Any], list[Any]] = lambda value: [value]


def open_readers(
    meta: Any,
    table: FrameTable,
    keys: Sequence[str],
    settings: PictureSettings,
    *,
    episodes: Sequence[int],
    progress: Progress | None = None,
) -> tuple[Mapping[str, PictureReader], list[str]]:
    """A reader for each of these cameras, and what a user should know about them.

    Args:
        meta: LeRobot's dataset metadata.
        episodes: those that `table` holds.
        progress: called with a sentence, the frames finished and the frames in all.

    Raises:
        StorageError: a form was asked for that does not fit.
    """
    if not keys:
        return {}, []
    options = settings.frames
    facts = gather_facts(meta, table, keys, settings)
    choice: Choice = settings.agree(
        choose(
            facts,
            options.store if options.store == "video" else "off",
            quality=options.quality,
            memory_gib=options.memory_gib,
            disk_gib=options.disk_gib,
        )
    )[0]
    readers = {key: _from_files(meta, table, key, settings) for key in keys}
    if choice.form == "memory":
        return _in_memory(readers, np.arange(len(table)), settings.threads, progress), [choice.sentence]
    return readers, [choice.sentence]


def _from_files(meta: Any, table: FrameTable, key: str, settings: PictureSettings) -> VideoFiles | ImageColumn:
    if key in meta.video_keys:
        return VideoFiles(
            meta,
            key,
            table,
            backend=settings.backend,
            tolerance_s=settings.tolerance_s,
            threads=settings.threads,
            depth_unit=settings.depth_unit,
        )
    return ImageColumn(meta, key, table, threads=settings.threads, depth_unit=settings.depth_unit)


def _in_memory(
    readers: Mapping[str, VideoFiles | ImageColumn], rows: Any, threads: int, progress: Progress | None
) -> dict[str, PictureReader]:
    total, done = len(rows) * len(readers), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress("decoding videos into memory", done, total)

    return {key: InMemory(reader, rows, threads=threads, advance=advance) for key, reader in readers.items()}
