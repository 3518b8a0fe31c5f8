"""Small generated datasets, and stores of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from etude.data.frames.store import FrameStore
from etude.data.pictures import ImageColumn, VideoFiles
from etude.data.table import FrameTable
from tests.data.frames.build_program import FINGERPRINT

__all__ = ["FINGERPRINT", "files_of", "from_the_dataset", "make_videos", "metadata", "table_of"]


def metadata(root: Path) -> Any:
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

    return LeRobotDatasetMetadata("some/name", root=root)


def table_of(meta: Any, episodes: list[int] | None = None) -> FrameTable:
    return FrameTable.load(Path(meta.root), meta.features, episodes)


def from_the_dataset(meta: Any, camera: str, table: FrameTable, rows: Any, unit: str = "mm") -> torch.Tensor:
    """The frames of these rows as LeRobot decodes them from the dataset's own files."""
    if camera in meta.video_keys:
        reader: Any = VideoFiles(meta, camera, table, backend="pyav", tolerance_s=1e-4, depth_unit=unit)
    else:
        reader = ImageColumn(meta, camera, table, depth_unit=unit)
    return reader.read(np.asarray(rows, np.int64))


def files_of(store: FrameStore) -> dict[str, bytes]:
    """The content of every file in a store's folder, but for the one that says when it was made."""
    return {path.name: path.read_bytes() for path in sorted(store.folder.iterdir())}


def make_videos(
    root: Path,
    *,
    cameras: dict[str, tuple[int, int]],
    lengths: list[int],
    seed: int = 0,
    files: int = 1,
) -> Any:
    """A dataset of moving pictures, one video file for all episodes or one for each."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    axes = ["height", "width", "channels"]
    features: dict[str, Any] = {
        f"observation.images.{name}": {"dtype": "video", "shape": (*size, 3), "names": axes}
        for name, size in cameras.items()
    }
    vector = {"dtype": "float32", "shape": (2,), "names": None}
    features |= {"observation.state": vector, "action": dict(vector)}
    dataset = LeRobotDataset.create("some/name", fps=10, root=root, features=features)
    if files > 1:
        # A new file as soon as the one before holds anything.
        dataset.meta.update_chunk_settings(video_files_size_in_mb=0.0001)
    random = np.random.default_rng(seed)
    for length in lengths:
        pictures = {
            name: random.integers(0, 255, (4, 4, 3), dtype=np.uint8).repeat(size[0] // 4, 0).repeat(size[1] // 4, 1)
            for name, size in cameras.items()
        }
        for frame in range(length):
            motion = np.float32([np.sin(frame), np.cos(frame)])
            sample: dict[str, Any] = {"observation.state": motion, "action": -motion, "task": "move"}
            for name in cameras:
                sample[f"observation.images.{name}"] = np.roll(pictures[name], 3 * frame, axis=1)
            dataset.add_frame(sample)
        dataset.save_episode()
    dataset.finalize()
    return metadata(root)
