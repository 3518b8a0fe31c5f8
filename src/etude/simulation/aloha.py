"""ALOHA: two ViperX arms transfer a cube or insert a peg (gym-aloha, MuJoCo)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etude.errors import SimulationError
from etude.extras import require
from etude.simulation.base import EnvironmentInfo, EnvironmentSpec, Observation, Outcome, Step
from etude.simulation.rendering import choose_backend, prepare_rendering

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Aloha", "create", "info", "offers", "tasks"]

DEFAULT_TASK = "AlohaInsertion-v0"
MAX_STEPS = 400
STATE, IMAGES = "observation.state", "observation.images."
CAMERAS = ("top", "angle", "front_close")
DEFAULT_OBSERVATIONS = {STATE: (14,), f"{IMAGES}top": (3, 480, 640)}

_TASKS = {
    "AlohaInsertion-v0": ("insertion", "Insert the peg into the socket"),
    "AlohaTransferCube-v0": (
        "transfer_cube",
        "Pick up the cube with the right arm and pass it to the left arm",
    ),
}


def tasks() -> list[str]:
    return list(_TASKS)


def offers() -> dict[str, tuple[int, ...] | None]:
    """The joints of both arms and three cameras."""
    return {STATE: (14,), **{f"{IMAGES}{camera}": None for camera in CAMERAS}}


def info(spec: EnvironmentSpec) -> EnvironmentInfo:
    task = spec.task or DEFAULT_TASK
    joints = tuple(
        f"{side}_{joint}"
        for side in ("left", "right")
        for joint in (
            "waist",
            "shoulder",
            "elbow",
            "forearm_roll",
            "wrist_angle",
            "wrist_rotate",
            "gripper",
        )
    )
    return EnvironmentInfo(
        type="aloha",
        task=task,
        description=_TASKS[task][1],
        fps=50,
        max_steps=spec.max_steps or MAX_STEPS,
        action_names=joints,
        state_names={STATE: joints},
    )


def create(spec: EnvironmentSpec) -> Aloha:
    return Aloha(spec)


class Aloha:
    """gym-aloha's simulation, rendering the cameras that are read instead of all three at every step.

    Joints in rad, grippers from 0 (closed) to 1 (open). The reward counts stages; 4 of 4 is a success.
    """

    def __init__(self, spec: EnvironmentSpec) -> None:
        prepare_rendering()
        module = require("gym_aloha.env", extra="sim")
        self.info = info(spec)
        self._name = _TASKS[self.info.task][0]
        self._observations = dict(spec.observations or DEFAULT_OBSERVATIONS)
        self._video_size = spec.video_size
        self._module = module
        self._env = module.AlohaEnv(self._name, obs_type="pixels_agent_pos")._env
        self._env.task.get_observation = lambda physics: {}  # it draws at every step; `observe` does when asked

    def reset(self, seed: int) -> Observation:
        self._place_objects(seed)
        self._env.task._random.seed(seed % 2**32)
        self._env.reset()
        return self.observe()

    def step(self, action: npt.NDArray[Any]) -> Step:
        outcome = self.act(action)
        return Step(self.observe(), outcome.reward, outcome.success, outcome.ended)

    def act(self, action: npt.NDArray[Any]) -> Outcome:
        from dm_control.rl.control import PhysicsError

        try:
            _, reward, _, _ = self._env.step(action)
        except PhysicsError as error:
            raise SimulationError(f"the physics became unstable: {error}") from error
        success = reward == self._env.task.max_reward
        return Outcome(float(reward), success, success)

    def render(self) -> npt.NDArray[Any]:
        return self._picture("top", *self._video_size)

    def close(self) -> None:
        self._env.close()

    def _place_objects(self, seed: int) -> None:
        # gym-aloha hands the objects' poses over in a module-level list, read at the next reset.
        import numpy as np

        if self._name == "transfer_cube":
            self._module.BOX_POSE[0] = self._module.sample_box_pose(seed)
        else:
            self._module.BOX_POSE[0] = np.concatenate(self._module.sample_insertion_pose(seed))

    def observe(self) -> Observation:
        import numpy as np

        given: Observation = {}
        for name, shape in self._observations.items():
            if name == STATE:
                given[name] = self._env.task.get_qpos(self._env.physics).astype(np.float32)
            else:
                given[name] = self._picture(name.removeprefix(IMAGES), *shape[1:])
        return given

    def _picture(self, camera: str, height: int, width: int) -> npt.NDArray[Any]:
        choose_backend()
        picture: npt.NDArray[Any] = self._env.physics.render(height=height, width=width, camera_id=camera)
        return picture
