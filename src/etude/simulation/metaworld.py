"""Meta-World: fifty manipulation tasks of one Sawyer arm (metaworld, MuJoCo)."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.extras import require
from etude.simulation.base import EnvironmentInfo, EnvironmentSpec, Observation, Outcome, Step
from etude.simulation.offscreen import Offscreen
from etude.simulation.rendering import prepare_rendering

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["MetaWorld", "create", "info", "offers", "tasks"]

DEFAULT_TASK = "button-press-topdown-v3"
MAX_STEPS = 500
STATE, FULL_STATE = "observation.state", "observation.environment_state"
IMAGE, IMAGES = "observation.image", "observation.images."
CAMERAS = ("topview", "corner", "corner2", "corner3", "behindGripper", "gripperPOV")
DEFAULT_CAMERA = "corner2"
DEFAULT_OBSERVATIONS = {STATE: (4,), IMAGE: (3, 480, 480)}

# LeRobot's datasets were recorded with this camera moved nearer, and its picture turned upright.
_CORNER2_POSITION = (0.75, 0.075, 0.7)


def tasks() -> list[str]:
    # The import fixes MuJoCo's graphics backend, so that has to be chosen first.
    prepare_rendering()
    return list(require("metaworld.env_dict", extra="sim").ALL_V3_ENVIRONMENTS)


def offers() -> dict[str, tuple[int, ...] | None]:
    """Hand and gripper, the full state with the goal, `corner2` as the image, all cameras by name."""
    return {STATE: (4,), FULL_STATE: (39,), IMAGE: None, **{f"{IMAGES}{camera}": None for camera in CAMERAS}}


def info(spec: EnvironmentSpec) -> EnvironmentInfo:
    task = spec.task or DEFAULT_TASK
    hand = ("hand_x", "hand_y", "hand_z", "gripper")
    now = (
        *hand,
        *(f"object{number}_{part}" for number in (1, 2) for part in ("x", "y", "z", "qx", "qy", "qz", "qw")),
    )
    before = tuple(f"previous_{name}" for name in now)
    return EnvironmentInfo(
        type="metaworld",
        task=task,
        description=_description(task),
        fps=80,
        max_steps=spec.max_steps or MAX_STEPS,
        action_names=("dx", "dy", "dz", "gripper"),
        state_names={STATE: hand, FULL_STATE: (*now, *before, "goal_x", "goal_y", "goal_z")},
    )


@functools.cache
def _description(task: str) -> str:
    """LeRobot's sentence for the task: policies that read language were trained on it."""
    # Read as a file: importing lerobot.envs would load torch into every simulation process.
    package = importlib.util.find_spec("lerobot")
    folders = package.submodule_search_locations if package else None
    try:
        text = (Path((folders or ["."])[0]) / "envs" / "metaworld_config.json").read_text(encoding="utf-8")
        return str(json.loads(text)["TASK_DESCRIPTIONS"][task])
    except (OSError, KeyError):
        return task.removesuffix("-v3").replace("-", " ").capitalize()


def create(spec: EnvironmentSpec) -> MetaWorld:
    return MetaWorld(spec)


class MetaWorld:
    """One Meta-World task, its goal visible, as in the benchmark's MT1 and for its scripted experts.

    `observation.environment_state` is the benchmark's own observation: hand (3), gripper opening (1),
    position and quaternion of two objects (14), the same of the step before (18), goal (3). Lengths in m.
    Actions in [-1, 1]: three hand displacements of 1 cm at most, and the gripper's effort.

    The benchmark's own `reset(seed)` ignores the seed; here the initial state follows it, and nothing else.
    """

    def __init__(self, spec: EnvironmentSpec) -> None:
        prepare_rendering()
        environments = require("metaworld.env_dict", extra="sim").ALL_V3_ENVIRONMENTS
        self.info = info(spec)
        self._observations = dict(spec.observations or DEFAULT_OBSERVATIONS)
        self._video_size, self._shadows = spec.video_size, spec.shadows
        self._env = _randomised(environments[self.info.task])
        self._env.model.cam_pos[CAMERAS.index("corner2")] = _CORNER2_POSITION
        self._state: npt.NDArray[Any] | None = None

    def reset(self, seed: int) -> Observation:
        self._env.seed(seed)
        self._state, _ = self._env.reset()
        return self.observe()

    def step(self, action: npt.NDArray[Any]) -> Step:
        outcome = self.act(action)
        return Step(self.observe(), outcome.reward, outcome.success, outcome.ended)

    def act(self, action: npt.NDArray[Any]) -> Outcome:
        self._state, reward, _, _, details = self._env.step(action)
        success = bool(details["success"])
        return Outcome(float(reward), success, success)

    def render(self) -> npt.NDArray[Any]:
        return self._picture(DEFAULT_CAMERA, *self._video_size, shadows=False)

    def close(self) -> None:
        self._env.close()

    @property
    def full_state(self) -> npt.NDArray[Any]:
        """The benchmark's own observation `(39,)`, float64, which its scripted experts read."""
        assert self._state is not None, "reset first"
        return self._state

    def observe(self) -> Observation:
        import numpy as np

        given: Observation = {}
        for name, shape in self._observations.items():
            if name == STATE:
                given[name] = self.full_state[:4].astype(np.float32)
            elif name == FULL_STATE:
                given[name] = self.full_state.astype(np.float32)
            else:
                camera = DEFAULT_CAMERA if name == IMAGE else name.removeprefix(IMAGES)
                given[name] = self._picture(camera, *shape[1:], shadows=self._shadows)
        return given

    def _picture(self, camera: str, height: int, width: int, *, shadows: bool) -> npt.NDArray[Any]:
        draw = _offscreen(self.info.task, height, width, shadows, self._env.model)
        picture = draw.draw(self._env.model, self._env.data, CAMERAS.index(camera))
        return picture[::-1, ::-1].copy() if camera == "corner2" else picture


def _randomised(environment: Any) -> Any:
    """The task with its goal visible and drawn anew from the seed at each reset.

    `metaworld.MT1` gives the same, after simulating fifty resets to draw tasks that are not used here.
    """
    env = environment()
    env._partially_observable = False
    env.__dict__.pop("sawyer_observation_space", None)  # cached for the hidden goal
    env._set_task_called = True
    env._freeze_rand_vec = False
    env.seeded_rand_vec = True
    return env


_contexts: dict[tuple[str, int, int, bool], Offscreen] = {}


def _offscreen(task: str, height: int, width: int, shadows: bool, model: Any) -> Offscreen:
    key = (task, height, width, shadows)
    if key not in _contexts:
        _contexts[key] = Offscreen(model, height, width, shadows=shadows)
        if len(_contexts) == 1:
            # Registered after MuJoCo's own clean-up, hence run before it: afterwards nothing can be freed.
            atexit.register(_free_contexts)
    return _contexts[key]


def _free_contexts() -> None:
    while _contexts:
        _contexts.popitem()[1].close()
