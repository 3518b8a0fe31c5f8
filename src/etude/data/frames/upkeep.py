"""Looking after the stores that are there: whose they are, and whether they are still what was written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from etude.data.frames.store import FrameStore, StoreInfo, building_lock, shard_names
from etude.data.sources import fingerprint

__all__ = ["stores_of", "verify_store"]

SHORTEST_FINGERPRINT = 6


def stores_of(dataset: str, stores: Sequence[StoreInfo]) -> list[StoreInfo]:
    """Those of the stores that were built from this dataset.

    Args:
        dataset: a folder, a name on the hub, or the beginning of a fingerprint. A folder also stands for stores that
            were built from it before it was changed, and for those built from a copy of it elsewhere.
    """
    root = Path(dataset).expanduser()
    identity = fingerprint(root) if (root / "meta").is_dir() else None

    def is_meant(info: StoreInfo) -> bool:
        by_digits = len(dataset) >= SHORTEST_FINGERPRINT and info.fingerprint.startswith(dataset.lower())
        by_folder = Path(info.root).resolve() == root.resolve()
        return info.repo_id == dataset or by_folder or by_digits or info.fingerprint == identity

    return [info for info in stores if is_meant(info)]


def verify_store(info: StoreInfo) -> list[str]:
    """Read a store completely; a shard that is not as it was written is dropped, so that it is built again.

    Returns:
        A sentence for each problem.
    """
    problems = FrameStore(info.folder, info, {}).verify()
    wrong = [
        name for name in shard_names(info.folder) if any(text.startswith(f"{info.folder / name}.") for text in problems)
    ]
    if wrong:
        with building_lock(info.folder):
            for name in wrong:
                (info.folder / f"{name}.json").unlink(missing_ok=True)
    return problems
