"""Episodes become a LeRobot dataset, complete or absent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from etude.data.recording import EpisodeFrames, RecordingPlan, read_origin, write_dataset
from etude.errors import DatasetError

PLAN = RecordingPlan(
    fps=10,
    task="Do it",
    vectors={"observation.state": ["x", "y"], "action": ["dx", "dy"]},
    robot="robot",
    origin={"environment": {"type": "pusht"}},
)
WITH_CAMERA = RecordingPlan(
    fps=10, task="Do it", vectors=PLAN.vectors, cameras={"observation.image": (32, 48)}, origin={}
)


def frames(count: int, camera: bool = False, seed: int = 0) -> Iterator[dict[str, npt.NDArray[Any]]]:
    generator = np.random.default_rng(seed)
    for index in range(count):
        frame: dict[str, npt.NDArray[Any]] = {
            "observation.state": generator.normal(size=2).astype(np.float32),
            "action": generator.normal(size=2).astype(np.float32),
            "next.reward": np.array([index], dtype=np.float32),
            "next.success": np.array([index == count - 1]),
            "next.done": np.array([index == count - 1]),
        }
        if camera:
            frame["observation.image"] = np.full((32, 48, 3), 20 * index, dtype=np.uint8)
        yield frame


def test_lerobot_reads_what_was_written(tmp_path: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    heard: list[tuple[int, int]] = []
    recorded = write_dataset(
        tmp_path / "data",
        "local/data",
        PLAN,
        [EpisodeFrames(frames(4), 11), EpisodeFrames(frames(6, seed=1), 12)],
        lambda episodes, count: heard.append((episodes, count)),
    )
    assert (recorded.episodes, recorded.frames, recorded.seeds) == (2, 10, (11, 12))
    assert heard == [(1, 4), (2, 10)]
    dataset = LeRobotDataset("local/data", root=tmp_path / "data")
    assert len(dataset) == 10
    assert dataset.meta.features["action"]["names"] == ["dx", "dy"]
    for index, expected in enumerate([*frames(4), *frames(6, seed=1)]):
        item = dataset[index]
        assert item["task"] == "Do it"
        np.testing.assert_array_equal(item["observation.state"].numpy(), expected["observation.state"])
        np.testing.assert_array_equal(item["action"].numpy(), expected["action"])
    origin = read_origin(tmp_path / "data")
    assert origin == {"environment": {"type": "pusht"}, "seeds": [11, 12]}


def test_a_camera_becomes_a_video_with_every_frame(tmp_path: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    write_dataset(tmp_path / "data", "local/data", WITH_CAMERA, [EpisodeFrames(frames(8, camera=True), 1)])
    dataset = LeRobotDataset("local/data", root=tmp_path / "data")
    brightness = [float(dataset[index]["observation.image"].mean()) * 255 for index in range(8)]
    assert brightness == pytest.approx([20 * index for index in range(8)], abs=4)
    assert not (tmp_path / "data" / "images").exists()


def test_a_recording_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def breaking() -> Iterator[EpisodeFrames]:
        yield EpisodeFrames(frames(3), 1)
        raise RuntimeError("the simulator died")

    with pytest.raises(RuntimeError, match="the simulator died"):
        write_dataset(tmp_path / "data", "local/data", PLAN, breaking())
    assert list(tmp_path.iterdir()) == []


def test_an_episode_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="without frames"):
        write_dataset(tmp_path / "data", "local/data", PLAN, [EpisodeFrames([], 1)])
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").write_text("x")
    with pytest.raises(DatasetError, match="exists already"):
        write_dataset(tmp_path / "data", "local/data", PLAN, [EpisodeFrames(frames(3), 1)])
    assert (tmp_path / "data" / "precious").read_text() == "x"


def test_a_dataset_from_elsewhere_has_no_origin(tmp_path: Path) -> None:
    assert read_origin(tmp_path) is None
