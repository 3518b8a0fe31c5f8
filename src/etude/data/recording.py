"""Writing episodes as a LeRobot v3.0 dataset, complete or not at all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.errors import DatasetError
from etude.extras import require
from etude.runs.atomic import atomic_directory, write_json

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["EpisodeFrames", "RecordedDataset", "RecordingPlan", "read_origin", "write_dataset"]

ORIGIN = "meta/etude.json"
"""Where the demonstrations came from: the environment, its settings and each episode's seed."""

# Fast to write and to decode frame by frame: a key frame every second frame, little compression effort.
VIDEO_CODEC = {"vcodec": "h264", "pix_fmt": "yuv420p", "g": 2, "crf": 23, "preset": "ultrafast"}


@dataclass(frozen=True)
class EpisodeFrames:
    """One episode to write: its frames in time order, and the seed of its initial state."""

    frames: Iterable[Mapping[str, npt.NDArray[Any]]]
    seed: int


@dataclass(frozen=True)
class RecordingPlan:
    """What the dataset will hold.

    Attributes:
        fps: control steps a second.
        task: the task in words.
        vectors: name (`action`, `observation.state`, …) to the names of its dimensions.
        cameras: name (`observation.image`, …) to `(height, width)`.
        robot: the robot's name.
        origin: written to `meta/etude.json` beside the seeds.
    """

    fps: int
    task: str
    vectors: Mapping[str, Sequence[str]]
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    robot: str | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    def features(self) -> dict[str, dict[str, Any]]:
        """The features in LeRobot's terms."""
        axes = ["height", "width", "channels"]
        return {
            **{
                name: {"dtype": "float32", "shape": (len(names),), "names": list(names)}
                for name, names in self.vectors.items()
            },
            **{name: {"dtype": "video", "shape": (*size, 3), "names": axes} for name, size in self.cameras.items()},
            "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
            "next.success": {"dtype": "bool", "shape": (1,), "names": None},
            "next.done": {"dtype": "bool", "shape": (1,), "names": None},
        }


@dataclass(frozen=True)
class RecordedDataset:
    root: Path
    repo_id: str
    episodes: int
    frames: int
    seeds: tuple[int, ...]


def write_dataset(
    root: Path,
    repo_id: str,
    plan: RecordingPlan,
    episodes: Iterable[EpisodeFrames],
    progress: Callable[[int, int], None] | None = None,
) -> RecordedDataset:
    """Write `episodes` to the new folder `root`, which appears only when all of them are in it.

    Args:
        progress: called after each episode with the numbers of episodes and frames so far.

    Raises:
        DatasetError: `root` exists and is not an empty folder.
    """
    require("lerobot", extra="imitation")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DatasetError(f"{root} exists already", hint="choose another --root, or remove it")
    seeds: list[int] = []
    with atomic_directory(root) as temporary, _quick_and_quiet():
        temporary.rmdir()  # LeRobot's writer insists on making it
        dataset = _create(temporary, repo_id, plan)
        try:
            for episode in episodes:
                _add_episode(dataset, plan.task, episode.frames)
                seeds.append(episode.seed)
                if progress is not None:
                    progress(dataset.num_episodes, dataset.num_frames)
        finally:
            # Also after a failure: else the writer's own clean-up writes again once the folder is gone.
            dataset.finalize()
        _remove_leftovers(temporary)
        write_json(temporary / ORIGIN, {**plan.origin, "seeds": seeds})
        count, frames = dataset.num_episodes, dataset.num_frames
    return RecordedDataset(root, repo_id, count, frames, tuple(seeds))


def read_origin(root: Path) -> dict[str, Any] | None:
    """What `meta/etude.json` says of a dataset's origin; None where it has none."""
    try:
        origin: dict[str, Any] = json.loads((root / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return origin


def _create(root: Path, repo_id: str, plan: RecordingPlan) -> Any:
    from lerobot.configs.video import RGBEncoderConfig
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset.create(
        repo_id=repo_id,
        fps=plan.fps,
        features=plan.features(),
        root=root,
        robot_type=plan.robot,
        use_videos=bool(plan.cameras),
        rgb_encoder=RGBEncoderConfig(**VIDEO_CODEC) if plan.cameras else None,
        # Frames go straight to the encoder, without a PNG each; a full queue would drop some, so it has room.
        streaming_encoding=bool(plan.cameras),
        encoder_queue_maxsize=100_000,
    )


@contextlib.contextmanager
def _quick_and_quiet() -> Iterator[None]:
    """Let LeRobot's writer write tables without going through every row to embed pictures.

    Pictures here are videos, so there is nothing to embed, and the walk takes most of the writing time. Its
    progress bar, one an episode, and the video encoder's reports are silenced too.
    """
    import av.logging
    from datasets.utils import logging as datasets_logging
    from lerobot.datasets import dataset_writer

    embed = dataset_writer.embed_images
    bars = datasets_logging.is_progress_bar_enabled()
    dataset_writer.embed_images = lambda table: table
    av.logging.set_libav_level(av.logging.ERROR)
    datasets_logging.disable_progress_bar()
    try:
        yield
    finally:
        dataset_writer.embed_images = embed
        if bars:
            datasets_logging.enable_progress_bar()


def _add_episode(dataset: Any, task: str, frames: Iterable[Mapping[str, npt.NDArray[Any]]]) -> None:
    for frame in _not_empty(frames):
        dataset.add_frame({**frame, "task": task})
    dataset.save_episode()


def _not_empty(frames: Iterable[Mapping[str, npt.NDArray[Any]]]) -> Iterator[Mapping[str, npt.NDArray[Any]]]:
    empty = True
    for frame in frames:
        empty = False
        yield frame
    if empty:
        raise DatasetError("an episode without frames cannot be written")


def _remove_leftovers(root: Path) -> None:
    images = root / "images"  # LeRobot's scratch folder for PNG files
    if images.is_dir() and not any(item.is_file() for item in images.rglob("*")):
        for folder in sorted(images.rglob("*"), reverse=True):
            folder.rmdir()
        images.rmdir()
