"""Scripted experts: successful, seeded, and the same for any number of processes."""

from __future__ import annotations

import numpy as np
import pytest

from etude.errors import SimulationError
from etude.simulation import EnvironmentSpec
from etude.simulation.experts import FRAMES_AFTER_SUCCESS, Demonstration, check_expert, demonstrate

SPEC = EnvironmentSpec(
    "metaworld",
    "reach-v3",
    observations={"observation.state": (4,), "observation.environment_state": (39,)},
)


def same(one: Demonstration, other: Demonstration) -> bool:
    return (
        one.seed == other.seed
        and np.array_equal(one.actions, other.actions)
        and all(np.array_equal(one.observations[name], other.observations[name]) for name in one.observations)
    )


def test_demonstrations_succeed_and_stop_a_little_later() -> None:
    for episode in demonstrate(SPEC, 3, seed=0):
        assert episode.successes[-1]
        assert episode.successes.sum() == FRAMES_AFTER_SUCCESS + 1
        assert (np.abs(episode.actions) <= 1).all()
        assert episode.actions.dtype == np.float32
        frames = list(episode.frames())
        assert len(frames) == len(episode)
        assert frames[0].keys() == {
            *(SPEC.observations or ()),
            "action",
            "next.reward",
            "next.success",
            "next.done",
        }


def test_the_seed_decides_and_processes_do_not() -> None:
    alone = list(demonstrate(SPEC, 3, seed=4))
    spread = list(demonstrate(SPEC, 3, seed=4, processes=2))
    assert all(same(one, other) for one, other in zip(alone, spread, strict=True))
    assert not same(alone[0], next(demonstrate(SPEC, 1, seed=5)))


def test_where_there_is_no_expert_it_says_so() -> None:
    with pytest.raises(SimulationError, match="pusht has no scripted expert"):
        check_expert(EnvironmentSpec("pusht"))


def test_an_expert_that_never_succeeds_ends_with_a_sentence() -> None:
    hurried = EnvironmentSpec("metaworld", "reach-v3", SPEC.observations, max_steps=2)
    with pytest.raises(SimulationError, match="failed 20 times in a row"):
        list(demonstrate(hurried, 1))
