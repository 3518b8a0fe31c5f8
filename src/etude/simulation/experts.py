"""Demonstrations by the benchmarks' own scripted experts."""

from __future__ import annotations

import itertools
import multiprocessing
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etude.errors import SimulationError
from etude.extras import require
from etude.simulation import catalog
from etude.simulation.base import EnvironmentSpec, Observation
from etude.simulation.metaworld import MetaWorld
from etude.simulation.seeds import demonstration_seed

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Demonstration", "check_expert", "demonstrate"]

FRAMES_AFTER_SUCCESS = 10
MOST_FAILURES = 20
"""Failed attempts in a row after which the expert is taken to be unable to do the task."""


@dataclass
class Demonstration:
    """One successful episode of `steps` control steps.

    Attributes:
        seed: of its initial state.
        observations: name to array `(steps, …)`, images uint8 `(steps, height, width, 3)`.
        actions: float32 `(steps, action)`.
        rewards: float32 `(steps,)`, each brought by the step's action.
        successes: bool `(steps,)`, likewise.
    """

    seed: int
    observations: dict[str, npt.NDArray[Any]]
    actions: npt.NDArray[Any]
    rewards: npt.NDArray[Any]
    successes: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.actions)

    def frames(self) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """The episode as frames of a LeRobot dataset."""
        for step in range(len(self)):
            yield {
                **{name: values[step] for name, values in self.observations.items()},
                "action": self.actions[step],
                "next.reward": self.rewards[step : step + 1],
                "next.success": self.successes[step : step + 1],
                "next.done": self.successes[step : step + 1],
            }


def check_expert(spec: EnvironmentSpec) -> EnvironmentSpec:
    """The resolved spec, when its environment has a scripted expert.

    Raises:
        SimulationError: it has none.
    """
    resolved = catalog.resolve(spec)
    if resolved.type != "metaworld":
        raise SimulationError(
            f"{resolved.type} has no scripted expert, so there is nobody to record",
            hint="record --env.type=metaworld, or train on LeRobot's human demonstrations (lerobot/pusht, "
            "lerobot/aloha_sim_insertion_human)",
        )
    return resolved


def demonstrate(spec: EnvironmentSpec, episodes: int, seed: int = 0, processes: int = 1) -> Iterator[Demonstration]:
    """Yield `episodes` successful demonstrations; the same ones whatever `processes` is.

    Attempts that fail are left out. Each has its own randomised initial state, from `demonstration_seed`.

    Raises:
        SimulationError: no expert for this environment, or it keeps failing.
    """
    resolved = check_expert(spec)
    kept, failures = 0, 0
    for attempt in _attempts(resolved, seed, processes):
        if attempt is None:
            failures += 1
            if failures >= MOST_FAILURES:
                raise SimulationError(f"the expert failed {failures} times in a row at {resolved.task}")
            continue
        failures = 0
        kept += 1
        yield attempt
        if kept == episodes:
            return


def _attempts(spec: EnvironmentSpec, seed: int, processes: int) -> Iterator[Demonstration | None]:
    """Attempts 0, 1, 2, … in order; with several processes some are under way ahead of their turn."""
    seeds = (demonstration_seed(seed, attempt) for attempt in itertools.count())
    pool: AbstractContextManager[Any] = nullcontext()
    if processes > 1:
        pool = multiprocessing.get_context("spawn").Pool(processes)
    with pool as workers:
        if workers is None:
            yield from (attempt_once(spec, episode_seed) for episode_seed in seeds)
        under_way: deque[Any] = deque()
        for episode_seed in seeds:
            under_way.append(workers.apply_async(attempt_once, (spec, episode_seed)))
            if len(under_way) > processes:
                yield under_way.popleft().get()


_actors: dict[str, tuple[MetaWorld, Any]] = {}


def attempt_once(spec: EnvironmentSpec, seed: int) -> Demonstration | None:
    """One attempt from the initial state of `seed`; None when it fails."""
    import numpy as np

    environment, expert = _actor(spec)
    observation = environment.reset(seed)
    seen: list[Observation] = []
    actions: list[npt.NDArray[Any]] = []
    rewards: list[float] = []
    successes: list[bool] = []
    for _ in range(environment.info.max_steps):
        action = np.clip(expert.get_action(environment.full_state), -1, 1).astype(np.float32)
        step = environment.step(action)
        seen.append(observation)
        actions.append(action)
        rewards.append(step.reward)
        successes.append(step.success or any(successes))
        observation = step.observation
        if sum(successes) > FRAMES_AFTER_SUCCESS:
            break
    if not any(successes):
        return None
    return Demonstration(
        seed=seed,
        observations={name: np.stack([frame[name] for frame in seen]) for name in seen[0]},
        actions=np.stack(actions),
        rewards=np.array(rewards, dtype=np.float32),
        successes=np.array(successes),
    )


def _actor(spec: EnvironmentSpec) -> tuple[MetaWorld, Any]:
    """This process's environment and expert, made once."""
    key = repr(spec)
    if key not in _actors:
        environment = catalog.create(spec)
        assert isinstance(environment, MetaWorld)
        experts = require("metaworld.policies", extra="sim").ENV_POLICY_MAP
        # The experts ask for more than the environment allows, by design; actions are clipped.
        warnings.filterwarnings("ignore", message=r"Constant\(s\) may be too high")
        _actors[key] = (environment, experts[environment.info.task]())
    return _actors[key]
