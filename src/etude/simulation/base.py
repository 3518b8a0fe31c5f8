"""What every environment is: seeded episodes of observations under the names that LeRobot policies read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Environment", "EnvironmentInfo", "EnvironmentSpec", "Observation", "Outcome", "Step"]

type Observation = dict[str, npt.NDArray[Any]]
"""Policy input name to array: vectors float32 `(size,)`, images uint8 `(height, width, 3)`."""


@dataclass(frozen=True)
class EnvironmentSpec:
    """Which environment, and what to observe of it.

    Attributes:
        type: `pusht`, `aloha` or `metaworld`.
        task: the task's name; None means the type's default.
        observations: policy input name to shape, images as `(3, height, width)`; None means what LeRobot's
            own environments give. Only these are computed, so that nothing is rendered that nobody reads.
        max_steps: control steps after which an episode ends as a failure; None means the type's default.
        shadows: draw shadows in MuJoCo's camera observations, as LeRobot's environments do. Without them
            software rendering is about five times as fast; a policy needs what its demonstrations had.
        video_size: height and width of rendered videos, pixels.
    """

    type: str
    task: str | None = None
    observations: Mapping[str, tuple[int, ...]] | None = None
    max_steps: int | None = None
    shadows: bool = True
    video_size: tuple[int, int] = (480, 480)

    def describe(self) -> dict[str, Any]:
        """What a result file says about the environment."""
        observed = {name: list(shape) for name, shape in (self.observations or {}).items()}
        return {
            "type": self.type,
            "task": self.task,
            "max_steps": self.max_steps,
            "observations": observed,
            "shadows": self.shadows,
        }


@dataclass(frozen=True)
class EnvironmentInfo:
    """What an environment is, once it runs.

    Attributes:
        description: the task in words, for policies that read language.
        fps: control steps a simulated second.
        max_steps: control steps after which an episode ends.
        action_names: one name for each action dimension.
        state_names: names of the dimensions of each vector observation.
    """

    type: str
    task: str
    description: str
    fps: int
    max_steps: int
    action_names: tuple[str, ...]
    state_names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def action_size(self) -> int:
        return len(self.action_names)


@dataclass(frozen=True)
class Outcome:
    """What one control step brought, unseen.

    Attributes:
        ended: the task is done (in every environment here that means success).
    """

    reward: float
    success: bool
    ended: bool


@dataclass(frozen=True)
class Step:
    """What one control step brought, and what is seen after it; see `Outcome`."""

    observation: Observation
    reward: float
    success: bool
    ended: bool


class Environment(Protocol):
    """One simulated world. An episode depends on its seed and its actions, on nothing before it.

    Looking changes nothing: `observe` and `render` may be called at any step, or left out.
    """

    @property
    def info(self) -> EnvironmentInfo: ...

    def reset(self, seed: int) -> Observation:
        """Begin the episode of `seed`."""

    def step(self, action: npt.NDArray[Any]) -> Step:
        """Apply an action `(action,)` in the environment's own unit, and look."""

    def act(self, action: npt.NDArray[Any]) -> Outcome:
        """Apply an action without looking: pictures cost more than most physics."""

    def observe(self) -> Observation:
        """What is seen now. The arrays are the caller's."""

    def render(self) -> npt.NDArray[Any]:
        """A picture for people, uint8 `(height, width, 3)`."""

    def close(self) -> None:
        """Free windows and graphics memory."""
