"""Recorded episodes, read frame by frame in this process.

No worker process reads them: a video decoder that was opened before a fork is broken in the child.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.errors import DatasetError

__all__ = ["RecordedEpisode", "Recording", "joint_names"]


@dataclass(frozen=True)
class RecordedEpisode:
    """One episode: its number in the dataset and the rows of its frames.

    Attributes:
        rows: positions of its frames in the opened dataset, in time order.
    """

    index: int
    rows: range


class Recording:
    """A LeRobot dataset, opened for the given episodes.

    Args:
        repo_id: the dataset's id; only a name when `root` is a local folder.
        root: the folder that holds it, or None for the Hugging Face cache.
        episodes: the episodes to open, or None for all.
    """

    def __init__(self, repo_id: str, root: Path | None, episodes: Sequence[int] | None = None) -> None:
        from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

        self.name = str(root) if root else repo_id
        self._repo_id, self._root = repo_id, root
        try:
            self.meta = LeRobotDatasetMetadata(repo_id, root=root)
        except Exception as error:
            raise DatasetError(
                f"cannot read the dataset {self.name}: {_first_line(error)}",
                hint=f"etude data check {self.name}",
            ) from error
        self._check_numbers(episodes)
        self._wanted = None if episodes is None else sorted(set(episodes))
        self._dataset: Any = None

    @property
    def features(self) -> dict[str, Any]:
        """Key to `{"dtype", "shape", "names"}`."""
        return dict(self.meta.features)

    @property
    def fps(self) -> float:
        return float(self.meta.fps)

    @property
    def all_episodes(self) -> list[int]:
        return list(range(self.meta.total_episodes))

    def episodes(self, numbers: Sequence[int]) -> list[RecordedEpisode]:
        """The episodes of these numbers, in this order."""
        self._check_numbers(numbers)
        self._open(sorted(set(numbers)))
        import numpy

        owners = numpy.asarray(self._dataset.hf_dataset.with_format("numpy")["episode_index"]).reshape(-1)
        found = []
        for number in numbers:
            rows = numpy.flatnonzero(owners == number)
            if len(rows) == 0:
                raise DatasetError(
                    f"episode {number} of {self.name} has no frame", hint=f"etude data check {self.name}"
                )
            found.append(RecordedEpisode(int(number), range(int(rows[0]), int(rows[-1]) + 1)))
        return found

    def frames(self, episode: RecordedEpisode, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Each frame of an episode: the tensors of `keys` (unbatched), `action` `(action,)` and `task`.

        Raises:
            DatasetError: a frame cannot be read.
        """
        for position, row in enumerate(episode.rows):
            try:
                item = self._dataset[row]
            except Exception as error:
                raise DatasetError(
                    f"frame {position} of episode {episode.index} of {self.name} cannot be read: {_first_line(error)}",
                    hint=f"etude data check {self.name} --level full",
                ) from error
            yield {**{key: item[key] for key in keys}, "action": item["action"], "task": item.get("task", "")}

    def _open(self, numbers: list[int]) -> None:
        if self._dataset is not None and self._wanted == numbers:
            return
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        try:
            self._dataset = LeRobotDataset(self._repo_id, root=self._root, episodes=numbers)
        except Exception as error:
            raise DatasetError(
                f"cannot read the dataset {self.name}: {_first_line(error)}",
                hint=f"etude data check {self.name}",
            ) from error
        self._wanted = numbers

    def _check_numbers(self, numbers: Sequence[int] | None) -> None:
        wrong = [number for number in numbers or () if not 0 <= number < self.meta.total_episodes]
        if wrong:
            raise DatasetError(
                f"{self.name} has no episode {wrong[0]}: its episodes are 0 to {self.meta.total_episodes - 1}",
                hint="--dataset.episodes=[0,1]",
            )


def joint_names(feature: dict[str, Any]) -> list[str]:
    """A name for each dimension of an action; datasets write them as a list, as a mapping, or not at all."""
    size = int(feature["shape"][0])
    names = feature.get("names")
    if isinstance(names, dict):
        values = list(names.values())
        flat = [name for value in values for name in (value if isinstance(value, list) else [])]
        names = flat or list(names)
    if isinstance(names, (list, tuple)) and len(names) == size:
        return [str(name) for name in names]
    return [f"action_{index}" for index in range(size)]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
