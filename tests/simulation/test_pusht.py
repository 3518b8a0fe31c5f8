"""Our PushT is gym-pusht's, number for number and pixel for pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from etude.simulation import EnvironmentSpec, resolve
from etude.simulation.pusht import IMAGE, KEYPOINTS, STATE, create

module = pytest.importorskip("gym_pusht.envs.pusht")


@pytest.mark.parametrize("seed", range(4))
def test_states_rewards_and_pictures_are_those_of_gym_pusht(seed: int) -> None:
    theirs = module.PushTEnv(obs_type="environment_state_agent_pos", visualization_height=120, visualization_width=200)
    observed = {STATE: (2,), KEYPOINTS: (16,), IMAGE: (3, 96, 96)}
    ours = create(resolve(EnvironmentSpec("pusht", observations=observed, video_size=(120, 200))))
    theirs.reset(seed=seed)
    ours.reset(seed)
    generator = np.random.default_rng(seed)
    target: npt.NDArray[np.float32] = np.zeros(2, dtype=np.float32)
    for step in range(40):
        if step % 5 == 0:  # after the block, so that there is contact
            target = (np.array(theirs.block.position) + generator.normal(0, 40, 2)).astype(np.float32)
        seen, reward, done, _, details = theirs.step(target)
        outcome, observation = ours.act(target), ours.observe()
        assert outcome.reward == pytest.approx(reward, rel=1e-12)  # theirs adds areas in the order of a set
        assert (outcome.ended, outcome.success) == (done, details["is_success"])
        np.testing.assert_array_equal(observation[STATE], seen["agent_pos"].astype(np.float32))
        np.testing.assert_array_equal(observation[KEYPOINTS], seen["environment_state"].astype(np.float32))
        np.testing.assert_array_equal(observation[IMAGE], theirs._render())
        np.testing.assert_array_equal(ours.render(), theirs.render())


def test_pictures_are_the_callers_own() -> None:
    environment = create(resolve(EnvironmentSpec("pusht", observations={IMAGE: (3, 512, 512)}, video_size=(512, 512))))
    first = environment.reset(1)[IMAGE]
    kept = first.copy()
    environment.render()[:] = 0
    environment.act(np.array([100.0, 100.0], dtype=np.float32))
    environment.observe()
    np.testing.assert_array_equal(first, kept)
