"""What the choice of a form depends on, found out without decoding anything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.data.frames.choose import CameraFacts, Facts
from etude.data.frames.location import cache_folder
from etude.data.frames.space import disk_is_local, free_disk, free_memory
from etude.data.table import FrameTable

if TYPE_CHECKING:
    from etude.data.frames.opening import PictureSettings

__all__ = ["gather_facts"]


def gather_facts(meta: Any, table: FrameTable, keys: Sequence[str], settings: PictureSettings) -> Facts:
    """The facts about these cameras and this machine."""
    folder = cache_folder(Path(settings.frames.path) if settings.frames.path else None)
    return Facts(
        cameras=tuple(_camera(meta, table, key, settings) for key in keys),
        folder=str(folder),
        free_disk=free_disk(folder),
        free_memory=free_memory(),
        disk_is_local=disk_is_local(folder),
        reads=None if settings.expected_reads is None else settings.expected_reads * settings.processes * len(keys),
        processes=settings.processes,
        cores=len(os.sched_getaffinity(0)),
        resized=settings.frames.width is not None,
    )


def _camera(meta: Any, table: FrameTable, key: str, settings: PictureSettings) -> CameraFacts:
    height, width, channels = _size(meta.features[key])
    if settings.frames.width is not None and settings.frames.height is not None:
        height, width = settings.frames.height, settings.frames.width
    item = 2 if key in meta.depth_keys else 1
    return CameraFacts(key, len(table), (channels, height, width), item)


def _size(feature: dict[str, Any]) -> tuple[int, int, int]:
    """Height, width and channels of a camera, by the names of its axes."""
    names = [str(name) for name in (feature.get("names") or ("height", "width", "channels"))]
    sizes = dict(zip(names, feature["shape"], strict=True))
    channels = sizes.get("channels", sizes.get("channel"))
    if channels is None or "height" not in sizes:
        return tuple(int(size) for size in feature["shape"])  # type: ignore[return-value]
    return int(sizes["height"]), int(sizes["width"]), int(channels)
