"""PushT: a round finger pushes a T-shaped block onto its outline (gym-pusht)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from etude.extras import require
from etude.simulation.base import EnvironmentInfo, EnvironmentSpec, Observation, Step

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["PushT", "create", "info", "offers", "tasks"]

DEFAULT_TASK = "PushT-v0"
MAX_STEPS = 300
STATE, KEYPOINTS, IMAGE = "observation.state", "observation.environment_state", "observation.image"
DEFAULT_OBSERVATIONS = {STATE: (2,), IMAGE: (3, 96, 96)}


def tasks() -> list[str]:
    return [DEFAULT_TASK]


def offers() -> dict[str, tuple[int, ...] | None]:
    """The finger's position, the block's eight corners, and the view from above."""
    return {STATE: (2,), KEYPOINTS: (16,), IMAGE: None}


def info(spec: EnvironmentSpec) -> EnvironmentInfo:
    return EnvironmentInfo(
        type="pusht",
        task=DEFAULT_TASK,
        description="Push the T-shaped block onto the T-shaped target",
        fps=10,
        max_steps=spec.max_steps or MAX_STEPS,
        action_names=("x", "y"),
        state_names={
            STATE: ("x", "y"),
            KEYPOINTS: tuple(f"corner{corner}_{axis}" for corner in range(8) for axis in "xy"),
        },
    )


def create(spec: EnvironmentSpec) -> PushT:
    return PushT(spec)


class PushT:
    """gym-pusht's `PushTEnv`, drawn only when a picture is read. Positions in its own pixels, 0 to 512."""

    def __init__(self, spec: EnvironmentSpec) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # pygame's import
            module = require("gym_pusht.envs.pusht", extra="sim")
        self.info = info(spec)
        self._observations = dict(spec.observations or DEFAULT_OBSERVATIONS)
        height, width = spec.video_size
        self._env = module.PushTEnv(
            obs_type="state", render_mode="rgb_array", visualization_height=height, visualization_width=width
        )
        if IMAGE in self._observations:
            _, self._env.observation_height, self._env.observation_width = self._observations[IMAGE]

    def reset(self, seed: int) -> Observation:
        self._env._last_action = None  # else the last episode's target is drawn into this one's first picture
        self._env.reset(seed=seed)
        return self._observe()

    def step(self, action: npt.NDArray[Any]) -> Step:
        _, reward, done, _, details = self._env.step(action)
        return Step(self._observe(), float(reward), bool(details["is_success"]), bool(done))

    def render(self) -> npt.NDArray[Any]:
        picture: npt.NDArray[Any] = self._env.render()
        return picture

    def close(self) -> None:
        self._env.close()

    def _observe(self) -> Observation:
        import numpy as np

        env, given = self._env, {}
        if STATE in self._observations:
            given[STATE] = np.array(env.agent.position, dtype=np.float32)
        if KEYPOINTS in self._observations:
            given[KEYPOINTS] = env.get_keypoints(env._block_shapes).flatten().astype(np.float32)
        if IMAGE in self._observations:
            given[IMAGE] = env._render()
        return given
