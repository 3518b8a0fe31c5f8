"""A dataset of several data files and several videos: what a stream moves through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

LENGTHS = (12, 15, 9, 14, 11, 13, 10)


def make_many_files(root: Path) -> Path:
    """Seven short episodes with two cameras, two or three episodes in a data file and one or two in a video."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    axes = ["height", "width", "channels"]
    features = {
        "observation.images.front": {"dtype": "video", "shape": (48, 64, 3), "names": axes},
        "observation.images.wrist": {"dtype": "video", "shape": (64, 64, 3), "names": axes},
        "observation.state": {"dtype": "float32", "shape": (3,), "names": None},
        "observation.tactile": {"dtype": "float32", "shape": (2, 4), "names": None},
        "action": {"dtype": "float32", "shape": (2,), "names": None},
    }
    dataset = LeRobotDataset.create("some/name", fps=10, root=root, features=features)
    dataset.meta.update_chunk_settings(data_files_size_in_mb=0.006, video_files_size_in_mb=0.03)
    random = np.random.default_rng(0)
    for number, length in enumerate(LENGTHS):
        for _ in range(length):
            dataset.add_frame(
                {
                    "observation.images.front": random.integers(0, 255, (48, 64, 3), dtype=np.uint8),
                    "observation.images.wrist": random.integers(0, 255, (64, 64, 3), dtype=np.uint8),
                    "observation.state": random.normal(size=3).astype(np.float32),
                    "observation.tactile": random.normal(size=(2, 4)).astype(np.float32),
                    "action": random.normal(size=2).astype(np.float32),
                    "task": f"task {number % 2}",
                }
            )
        dataset.save_episode()
    dataset.finalize()
    return root


@pytest.fixture(scope="session")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_many_files(tmp_path_factory.mktemp("stream") / "many-files")
    assert len(list((root / "data").glob("*/*.parquet"))) >= 3
    assert len(list((root / "videos").glob("*front/*/*.mp4"))) >= 3
    return root
