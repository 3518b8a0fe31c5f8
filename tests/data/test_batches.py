"""Our batches against LeRobot's own, key by key and bit by bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etude.config.options import FramesOptions
from etude.data.demonstrations import Demonstrations, PictureSettings
from etude.data.order import BatchOrder
from etude.data.split import EpisodeSplit

ACT = {"action": list(range(20))}
DIFFUSION = {"observation.state": [-1, 0], "action": list(range(-1, 15)), "CAMERAS": [-1, 0]}
SMOLVLA = {"observation.state": [0], "action": list(range(50)), "CAMERAS": [0]}
TDMPC = {"observation.state": list(range(6)), "action": list(range(5)), "CAMERAS": list(range(6))}


def metadata(root: Path) -> Any:
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

    return LeRobotDatasetMetadata("some/name", root=root)


def with_cameras(deltas: dict[str, list[int]], meta: Any) -> dict[str, list[int]]:
    windows = {key: value for key, value in deltas.items() if key != "CAMERAS"}
    if "CAMERAS" in deltas:
        windows |= dict.fromkeys(meta.camera_keys, deltas["CAMERAS"])
    return windows


def assert_equal_batches(root: Path, deltas: dict[str, list[int]], episodes: list[int], store: str) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from lerobot.datasets.sampler import EpisodeAwareSampler

    meta = metadata(root)
    windows = with_cameras(deltas, meta)
    theirs = LeRobotDataset(
        "some/name",
        root=root,
        episodes=episodes,
        delta_timestamps={key: [offset / meta.fps for offset in value] for key, value in windows.items()},
        return_uint8=True,
    )
    sampler = EpisodeAwareSampler(
        meta.episodes["dataset_from_index"],
        meta.episodes["dataset_to_index"],
        episode_indices_to_use=episodes,
        drop_n_last_frames=3,
        shuffle=True,
        seed=7,
        absolute_to_relative_idx=theirs.absolute_to_relative_idx,
    )
    loader = torch.utils.data.DataLoader(theirs, batch_size=5, sampler=sampler)
    demonstrations = Demonstrations.open(
        metadata(root), EpisodeSplit(episodes, []), restrict_statistics=False, imagenet=False
    )
    demonstrations.open_pictures(meta.camera_keys, PictureSettings(FramesOptions(store=store)))
    source = demonstrations.source(windows)
    order = BatchOrder(demonstrations.table.rows_of(episodes, 3), seed=7, share_size=5)
    for step, expected in zip(range(4), loader, strict=False):
        ours = source.batch(order.share(step, 0).rows)
        for key, value in expected.items():
            if isinstance(value, torch.Tensor):
                found = to_unit(ours[key]) if key in meta.image_keys else ours[key]
                assert found.dtype == value.dtype, key
                assert torch.equal(found, value), key
            else:
                assert ours[key] == value, key
        assert ours.keys() == expected.keys()


def to_unit(frames: torch.Tensor) -> torch.Tensor:
    """LeRobot hands stored pictures out as float32 in [0, 1], ours are bytes until they reach the device."""
    return frames.to(torch.float32) / 255 if frames.dtype == torch.uint8 else frames


@pytest.mark.parametrize("store", ["video", "off"])
@pytest.mark.parametrize("deltas", [ACT, DIFFUSION, SMOLVLA, TDMPC], ids=["act", "diffusion", "smolvla", "tdmpc"])
def test_pusht(shared_data: Path, deltas: dict[str, list[int]], store: str) -> None:
    assert_equal_batches(shared_data / "pusht-human", deltas, [0, 3, 205], store)


@pytest.mark.parametrize("store", ["video", "off", "raw", "zstd"])
def test_a_real_arm(shared_data: Path, store: str) -> None:
    assert_equal_batches(shared_data / "cr5-real-v30", DIFFUSION, [1, 4], store)


@pytest.mark.parametrize("store", ["video", "off", "raw", "zstd"])
@pytest.mark.parametrize("deltas", [ACT, DIFFUSION], ids=["act", "diffusion"])
def test_pictures_in_the_tables_and_odd_features(tmp_path: Path, deltas: dict[str, list[int]], store: str) -> None:
    root = tmp_path / "set"
    make_image_dataset(root)
    assert_equal_batches(root, deltas, [0, 2], store)


@pytest.mark.parametrize("store", ["video", "off", "raw", "zstd"])
def test_depth_in_videos_and_in_pictures(tmp_path: Path, store: str) -> None:
    root = tmp_path / "set"
    make_depth_dataset(root)
    assert_equal_batches(root, DIFFUSION, [0, 2], store)


def make_depth_dataset(root: Path) -> None:
    """Three short episodes with a colour video, a depth video and depth pictures in metres."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    axes, size = ["height", "width", "channels"], (48, 64)
    depth = {"is_depth_map": True}
    features = {
        "observation.images.near": {"dtype": "video", "shape": (*size, 1), "names": axes, "info": depth},
        "observation.images.far": {
            "dtype": "image", "shape": (*size, 1), "names": axes, "info": {**depth, "depth_unit": "m"},
        },
        "observation.images.colour": {"dtype": "video", "shape": (*size, 3), "names": axes},
        "observation.state": {"dtype": "float32", "shape": (3,), "names": None},
        "action": {"dtype": "float32", "shape": (2,), "names": None},
    }  # fmt: skip
    dataset = LeRobotDataset.create("some/name", fps=10, root=root, features=features)
    random = np.random.default_rng(0)
    for _ in range(3):
        for frame in range(12):
            slope = np.linspace(500, 3000, size[0] * size[1]).reshape(*size, 1) + 10 * frame
            dataset.add_frame(
                {
                    "observation.images.near": slope.astype(np.uint16),
                    "observation.images.far": slope.astype(np.uint16),
                    "observation.images.colour": random.integers(0, 255, (*size, 3), dtype=np.uint8),
                    "observation.state": random.normal(size=3).astype(np.float32),
                    "action": random.normal(size=2).astype(np.float32),
                    "task": "measure",
                }
            )
        dataset.save_episode()
    dataset.finalize()


def make_image_dataset(root: Path) -> None:
    """Three short episodes, two PNG cameras of different sizes, a matrix, a boolean and two tasks."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    features = {
        "observation.images.left": {
            "dtype": "image",
            "shape": (12, 16, 3),
            "names": ["height", "width", "channel"],
        },
        "observation.images.right": {
            "dtype": "image",
            "shape": (8, 8, 3),
            "names": ["height", "width", "channel"],
        },
        "observation.state": {"dtype": "float32", "shape": (3,), "names": None},
        "observation.tactile": {"dtype": "float32", "shape": (2, 4), "names": None},
        "action": {"dtype": "float32", "shape": (2,), "names": None},
        "next.done": {"dtype": "bool", "shape": (1,), "names": None},
    }
    dataset = LeRobotDataset.create("some/name", fps=10, root=root, features=features, use_videos=False)
    random = np.random.default_rng(0)
    for episode in range(3):
        for frame in range(12 + episode):
            dataset.add_frame(
                {
                    "observation.images.left": random.integers(0, 255, (12, 16, 3), dtype=np.uint8),
                    "observation.images.right": random.integers(0, 255, (8, 8, 3), dtype=np.uint8),
                    "observation.state": random.normal(size=3).astype(np.float32),
                    "observation.tactile": random.normal(size=(2, 4)).astype(np.float32),
                    "action": random.normal(size=2).astype(np.float32),
                    "next.done": np.array([frame == 11 + episode]),
                    "task": f"task {episode % 2}",
                }
            )
        dataset.save_episode()
    dataset.finalize()


def test_two_threads_read_the_same_video(shared_data: Path) -> None:
    """As training's prefetcher and a validation do; LeRobot hands both the same decoder."""
    meta = metadata(shared_data / "pusht-human")
    demonstrations = Demonstrations.open(meta, EpisodeSplit([0, 1, 2], []), restrict_statistics=False, imagenet=False)
    demonstrations.open_pictures(meta.camera_keys, PictureSettings(FramesOptions(store="video"), threads=4))
    source = demonstrations.source(ACT)
    batches = [np.random.default_rng(seed).choice(len(demonstrations.table), 8) for seed in range(16)]
    expected = [source.batch(rows)["observation.image"] for rows in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda rows: source.batch(rows)["observation.image"], batches * 3))
    assert all(torch.equal(a, b) for a, b in zip(found, expected * 3, strict=True))


def test_cameras_that_nobody_asked_for_are_not_decoded(shared_data: Path) -> None:
    meta = metadata(shared_data / "cr5-real-v30")
    demonstrations = Demonstrations.open(meta, EpisodeSplit([0], []), restrict_statistics=False, imagenet=False)
    demonstrations.open_pictures([], PictureSettings())
    batch = demonstrations.source({"action": [0, 1], "observation.images.top": [0]}).batch(np.arange(4))
    assert "observation.images.top" not in batch
    assert batch["action"].shape[:2] == (4, 2)


def test_statistics_of_training_episodes_only(shared_data: Path) -> None:
    """Exactly the mean and the extremes of the training frames; nothing of the held-out ones."""
    meta = metadata(shared_data / "pusht-human")
    demonstrations = Demonstrations.open(meta, EpisodeSplit([0, 1, 2], [3]), restrict_statistics=True, imagenet=False)
    rows = demonstrations.table.rows_of([0, 1, 2])
    state = demonstrations.table.columns["observation.state"]
    assert isinstance(state, torch.Tensor)
    frames = state[torch.from_numpy(rows)].double().numpy()
    found = meta.stats["observation.state"]
    np.testing.assert_allclose(found["mean"], frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["std"], frames.std(0), rtol=1e-4)
    np.testing.assert_array_equal(found["min"], frames.min(0).astype(np.float32))
    np.testing.assert_array_equal(found["max"], frames.max(0).astype(np.float32))
    assert meta.stats["observation.image"]["mean"].shape == (3, 1, 1)
