"""Two policies on the same seeds."""

from __future__ import annotations

import pytest

from etude.errors import UsageError
from etude.evaluation.comparison import compare
from etude.evaluation.statistics import mean_interval, success_interval
from etude.runs.results import EpisodeResult, RolloutResult


def rollout(successes: str, first_seed: int = 0, task: str = "reach-v3") -> RolloutResult:
    episodes = [EpisodeResult(i, first_seed + i, mark == "+", 1.0, 10) for i, mark in enumerate(successes)]
    return RolloutResult(
        policy={"path": successes},
        environment={"type": "metaworld", "task": task},
        episodes=episodes,
        success_rate=success_interval(successes.count("+"), len(successes)),
        mean_reward=mean_interval([1.0] * len(successes)),
    )


def test_pairs_are_counted_episode_by_episode() -> None:
    result = compare(rollout("++--++"), rollout("+-++++"))
    assert result.table == {"both": 3, "only_first": 1, "only_second": 2, "neither": 0}
    assert result.difference.value == pytest.approx(1 / 6)
    assert result.p_value == 1.0
    assert result.seeds == [0, 1, 2, 3, 4, 5]


def test_a_policy_is_as_good_as_itself() -> None:
    result = compare(rollout("+-+-"), rollout("+-+-"))
    assert result.difference.value == 0
    assert result.p_value == 1.0


def test_a_clear_difference_is_found() -> None:
    result = compare(rollout("-" * 20), rollout("+" * 15 + "-" * 5))
    assert result.p_value < 0.001
    assert result.difference.low > 0


def test_other_seeds_or_tasks_are_refused() -> None:
    with pytest.raises(UsageError, match="different seeds"):
        compare(rollout("++"), rollout("++", first_seed=5))
    with pytest.raises(UsageError, match="differ in task"):
        compare(rollout("++"), rollout("++", task="push-v3"))
