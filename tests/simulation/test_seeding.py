"""An episode depends on its seed and its actions, on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from etude.errors import UsageError
from etude.simulation import (
    Environments,
    EnvironmentSpec,
    demonstration_seed,
    evaluation_seeds,
    make_environments,
)

METAWORLD = EnvironmentSpec(
    "metaworld",
    "reach-v3",
    observations={"observation.state": (4,), "observation.environment_state": (39,)},
)
PUSHT = EnvironmentSpec("pusht", observations={"observation.state": (2,), "observation.environment_state": (16,)})
BOTH = pytest.mark.parametrize("spec", [METAWORLD, PUSHT], ids=lambda spec: spec.type)
SEEDS = [7, 8, 9, 10]

type Trajectory = list[dict[str, npt.NDArray[Any]]]


def actions(environments: Environments, seed: int, steps: int) -> npt.NDArray[np.float32]:
    scale = 256.0 if environments.info.type == "pusht" else 1.0
    drawn = np.random.default_rng(seed).uniform(-1, 1, (steps, environments.info.action_size))
    return (drawn * scale + (scale if scale > 1 else 0)).astype(np.float32)


def play(environments: Environments, seeds: list[int], steps: int = 5) -> dict[int, Trajectory]:
    """Seed to what was seen, a batch of as many as there are slots at a time."""
    seen: dict[int, Trajectory] = {}
    for first in range(0, len(seeds), environments.count):
        slots = dict(enumerate(seeds[first : first + environments.count]))
        for slot, observation in environments.reset(slots).items():
            seen[slots[slot]] = [observation]
        for step in range(steps):
            chosen = {slot: actions(environments, seed, steps)[step] for slot, seed in slots.items()}
            for slot, outcome in environments.step(chosen).items():
                seen[slots[slot]].append(outcome.observation)
    return seen


def assert_equal(one: dict[int, Trajectory], other: dict[int, Trajectory]) -> None:
    assert one.keys() == other.keys()
    for seed in one:
        for left, right in zip(one[seed], other[seed], strict=True):
            assert left.keys() == right.keys()
            for name in left:
                np.testing.assert_array_equal(left[name], right[name], err_msg=f"seed {seed}, {name}")


@BOTH
def test_the_batch_size_does_not_matter(spec: EnvironmentSpec) -> None:
    one, three = make_environments(spec, 1), make_environments(spec, 3)
    assert_equal(play(one, SEEDS), play(three, SEEDS))
    one.close()
    three.close()


@BOTH
def test_what_was_played_before_does_not_matter(spec: EnvironmentSpec) -> None:
    environments = make_environments(spec, 2)
    fresh = play(environments, SEEDS)
    play(environments, [100, 101], steps=20)
    assert_equal(fresh, play(environments, SEEDS))
    assert_equal({7: fresh[7]}, play(environments, [7]))


def test_processes_do_not_matter() -> None:
    alone, spread = make_environments(METAWORLD, 1), make_environments(METAWORLD, 3, processes=2)
    try:
        assert_equal(play(alone, SEEDS), play(spread, SEEDS))
    finally:
        spread.close()


@BOTH
def test_global_randomness_is_neither_read_nor_moved(spec: EnvironmentSpec) -> None:
    environments = make_environments(spec, 1)
    np.random.seed(1)
    first = play(environments, [7])
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    np.random.seed(2)
    assert_equal(first, play(environments, [7]))
    np.random.seed(1)
    play(environments, [7])
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[index]


@BOTH
def test_seeds_give_different_initial_states(spec: EnvironmentSpec) -> None:
    environments = make_environments(spec, 1)
    seen = play(environments, SEEDS, steps=0)
    states = {tuple(seen[seed][0]["observation.environment_state"]) for seed in SEEDS}
    assert len(states) == len(SEEDS)


def test_metaworlds_goal_is_visible_and_moves_with_the_seed() -> None:
    seen = play(make_environments(METAWORLD, 1), SEEDS, steps=1)
    goals = [seen[seed][0]["observation.environment_state"][36:] for seed in SEEDS]
    assert all(np.abs(goal).max() > 0 for goal in goals)
    assert len({tuple(goal) for goal in goals}) == len(SEEDS)
    for seed, goal in zip(SEEDS, goals, strict=True):
        np.testing.assert_array_equal(goal, seen[seed][1]["observation.environment_state"][36:])


def test_evaluation_and_demonstrations_share_no_seed() -> None:
    evaluated = evaluation_seeds(2**31 - 1000, 1000)
    recorded = {demonstration_seed(seed, attempt) for seed in range(20) for attempt in range(100)}
    assert len(recorded) == 2000
    assert min(recorded) > max(evaluated)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(UsageError, match="out of range"):
        evaluation_seeds(seed, 1)
