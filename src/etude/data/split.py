"""Which episodes are learned from and which are held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from etude.errors import DatasetError, UsageError

__all__ = ["EpisodeSplit", "choose_episodes", "split_episodes"]


@dataclass(frozen=True)
class EpisodeSplit:
    """Episode numbers for training and for validation; they never overlap."""

    train: list[int]
    val: list[int]


def choose_episodes(total: int, include: Sequence[int] | None, exclude: Sequence[int]) -> list[int]:
    """The episodes that `--dataset.episodes` and `--dataset.exclude_episodes` leave, in the order given.

    Raises:
        UsageError: a number is outside the dataset, or nothing is left.
    """
    named = [*(include or []), *exclude]
    outside = sorted({episode for episode in named if not 0 <= episode < total})
    if outside:
        raise UsageError(
            f"the dataset has no episode {', '.join(map(str, outside[:5]))}: it has {total}, numbered 0 to {total - 1}",
            hint="see --dataset.episodes and --dataset.exclude_episodes",
        )
    dropped = set(exclude)
    chosen = [episode for episode in (range(total) if include is None else include) if episode not in dropped]
    if not chosen:
        raise UsageError("no episode is left to train on", hint="see --dataset.episodes, --dataset.exclude_episodes")
    return chosen


def split_episodes(episodes: Sequence[int], tasks: Sequence[Sequence[str]], fraction: float) -> EpisodeSplit:
    """Hold out the last `ceil(n * fraction)` episodes of each task, as LeRobot's `dataset.eval_split` does.

    A task with one episode keeps it for training.

    Args:
        episodes: the chosen episodes.
        tasks: each episode's task strings, by episode number.

    Raises:
        DatasetError: nothing would be left to train on.
    """
    if fraction <= 0.0:
        return EpisodeSplit(list(episodes), [])
    by_task: dict[str, list[int]] = {}
    for episode in episodes:
        by_task.setdefault(tasks[episode][0] if tasks[episode] else "", []).append(episode)
    train: list[int] = []
    val: list[int] = []
    for members in by_task.values():
        held_out = min(math.ceil(len(members) * fraction), len(members) - 1)
        train += members[: len(members) - held_out]
        val += members[len(members) - held_out :]
    if not train:
        raise DatasetError(f"dataset.eval_split={fraction} leaves no episode to train on")
    return EpisodeSplit(train, val)
