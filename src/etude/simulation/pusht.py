"""PushT: a round finger pushes a T-shaped block onto its outline (gym-pusht)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from etude.extras import require
from etude.simulation.base import EnvironmentInfo, EnvironmentSpec, Observation, Outcome, Step

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["PushT", "create", "info", "offers", "tasks"]

DEFAULT_TASK = "PushT-v0"
SIMULATOR = "gym_pusht.envs.pusht"
IMPORTED_EARLY = ("etude.simulation.pusht", SIMULATOR)  # neither starts a thread nor touches graphics
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
    """gym-pusht's world, drawn only when a picture is read. Positions in its own pixels, 0 to 512.

    The same numbers as from `PushTEnv.step`, which would also draw, and go through NumPy for pairs of numbers. Its
    rewards differ in the last bit from one process to the next, since it adds areas in the order of a set.
    """

    def __init__(self, spec: EnvironmentSpec) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # pygame's import
            module = require(SIMULATOR, extra="sim")
        self.info = info(spec)
        self._observations = dict(spec.observations or DEFAULT_OBSERVATIONS)
        self._video_size = spec.video_size
        self._env = module.PushTEnv(obs_type="state", render_mode="rgb_array")
        self._geometry = module.pymunk_to_shapely
        self._goal: Any = None
        self._corners: list[Any] = []
        self._picture: npt.NDArray[Any] | None = None

    def reset(self, seed: int) -> Observation:
        self._env._last_action = None  # else the last episode's target is drawn into this one's first picture
        self._env.reset(seed=seed)
        self._picture = None
        if self._goal is None:
            self._goal = self._geometry(self._env.get_goal_pose_body(self._env.goal_pose), self._env._block_shapes)
            corners = [shape.get_vertices() for shape in self._env._block_shapes]
            self._corners = [[*piece, piece[0]] for piece in corners]
        return self.observe()

    def step(self, action: npt.NDArray[Any]) -> Step:
        outcome = self.act(action)
        return Step(self.observe(), outcome.reward, outcome.success, outcome.ended)

    def act(self, action: npt.NDArray[Any]) -> Outcome:
        self._picture = None
        self._env._last_action = action
        self._push(float(action[0]), float(action[1]))
        covered = self._covered()
        threshold = self._env.success_threshold
        success = covered > threshold
        return Outcome(min(max(covered / threshold, 0.0), 1.0), success, success)

    def observe(self) -> Observation:
        import numpy as np

        env, given = self._env, {}
        if STATE in self._observations:
            given[STATE] = np.array(env.agent.position, dtype=np.float32)
        if KEYPOINTS in self._observations:
            given[KEYPOINTS] = env.get_keypoints(env._block_shapes).flatten().astype(np.float32)
        if IMAGE in self._observations:
            given[IMAGE] = self._resized(*self._observations[IMAGE][1:])
        return given

    def render(self) -> npt.NDArray[Any]:
        import cv2

        height, width = self._video_size
        picture = self._resized(height, width)
        target = self._env._last_action
        if target is not None:
            size = min(width, height)
            place = (int(target[0] / 512 * height), int(target[1] / 512 * width))
            cv2.drawMarker(picture, place, (255, 0, 0), cv2.MARKER_CROSS, int(8 / 96 * size), int(1 / 96 * size))
        return picture

    def close(self) -> None:
        self._env.close()

    def _push(self, x: float, y: float) -> None:
        """One control step: the finger is drawn to (x, y) by a spring and a damper, in ten steps of the physics."""
        env, agent = self._env, self._env.agent
        stiffness, damping, dt = env.k_p, env.k_v, env.dt
        for _ in range(int(1 / (dt * env.control_hz))):
            at, velocity = agent.position, agent.velocity
            agent.velocity = (
                velocity.x + (stiffness * (x - at.x) + damping * (0 - velocity.x)) * dt,
                velocity.y + (stiffness * (y - at.y) + damping * (0 - velocity.y)) * dt,
            )
            env.space.step(dt)

    def _covered(self) -> float:
        """Which share of the goal the block covers."""
        import shapely

        place = self._env.block.local_to_world
        pieces = shapely.multipolygons(
            shapely.polygons([[place(corner) for corner in piece] for piece in self._corners])
        )
        return float(shapely.intersection(self._goal, pieces).area / self._goal.area)

    def _resized(self, height: int, width: int) -> npt.NDArray[Any]:
        """The view from above; drawn once for all that look at the same moment."""
        import cv2
        import numpy as np

        if self._picture is None:
            screen = self._env._draw()
            pixels = np.frombuffer(screen.get_buffer(), dtype=np.uint8).reshape(*screen.get_size()[::-1], -1)
            self._picture = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB)
        resized: npt.NDArray[Any] = cv2.resize(self._picture, (width, height))
        return resized.copy() if resized is self._picture else resized
