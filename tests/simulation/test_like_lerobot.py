"""Observations equal those of LeRobot's own environments: policies of public datasets evaluate alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etude.simulation import EnvironmentSpec, make_environments

lerobot_envs = pytest.importorskip("lerobot.envs")


def assert_same(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    batch = lerobot_envs.preprocess_observation(theirs)
    assert batch.keys() == ours.keys()
    for name, values in ours.items():
        expected = batch[name][0].numpy()
        if values.dtype == np.uint8:
            expected = np.rint(expected.transpose(1, 2, 0) * 255).astype(np.uint8)
        np.testing.assert_array_equal(values, expected, err_msg=name)


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        (EnvironmentSpec("pusht"), {}),
        (
            EnvironmentSpec("pusht", observations={"observation.state": (2,), "observation.environment_state": (16,)}),
            {"obs_type": "environment_state_agent_pos"},
        ),
        (EnvironmentSpec("metaworld", "drawer-open-v3"), {"task": "drawer-open-v3"}),
        pytest.param(EnvironmentSpec("aloha"), {}, marks=pytest.mark.slow),
    ],
    ids=["pusht", "pusht-keypoints", "metaworld", "aloha"],
)
def test_the_same_seed_and_actions_give_the_same_observations(spec: EnvironmentSpec, settings: dict[str, Any]) -> None:
    config = lerobot_envs.make_env_config(spec.type, **settings)
    theirs = next(iter(next(iter(lerobot_envs.make_env(config, n_envs=1).values())).values()))
    ours = make_environments(spec, 1)
    expected, _ = theirs.reset(seed=[5])
    observation = ours.reset({0: 5})[0]
    assert_same(expected, observation)
    generator = np.random.default_rng(0)
    for _ in range(3):
        action = generator.uniform(-1, 1, ours.info.action_size).astype(np.float32)
        if spec.type == "pusht":
            action = action * 200 + 256
        expected, reward, *_ = theirs.step(action[None])
        step = ours.step({0: action})[0]
        assert_same(expected, step.observation)
        assert step.reward == pytest.approx(float(reward[0]))
    theirs.close()
    ours.close()
