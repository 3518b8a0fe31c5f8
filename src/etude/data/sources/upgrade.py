"""A dataset of format v2.1 as v3.0, converted once and kept."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

from etude.data.sources.fingerprint import fingerprint
from etude.data.sources.info import V30
from etude.data.sources.location import DatasetLocation, default_cache

__all__ = ["ensure_v30"]


def ensure_v30(
    location: DatasetLocation,
    cache_dir: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> DatasetLocation:
    """The dataset itself where it is of format v3.0, else a converted copy of it.

    The copy lies in `cache_dir` (default: the user's cache) under the fingerprint of the original, so that it
    is made once, and again when the original changes. It is complete or absent; of several processes one
    makes it.

    Raises:
        DatasetError: the dataset is broken in a way that would survive the conversion.
    """
    if location.version == V30:
        return location
    from etude.data.conversion import convert

    folder = (cache_dir or default_cache()) / "converted"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{location.root.resolve().name}-{fingerprint(location.root)[:16]}"
    with open(folder / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            convert(location.root, target, progress)
    return DatasetLocation(location.repo_id, target, "converted", V30)
