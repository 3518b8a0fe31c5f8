"""Rolling a policy out in simulation: how often does it succeed?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from etude.errors import SimulationError
from etude.evaluation.isolation import evaluation_mode, own_randomness, seed_everything
from etude.evaluation.statistics import mean_interval, success_interval
from etude.evaluation.videos import every_nth, write_video
from etude.runs.results import EpisodeResult, RolloutResult
from etude.simulation import Environments, EnvironmentSpec, Observation, evaluation_seeds, make_environments

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Acting", "Progress", "evaluate_policy", "observations_read_by"]

MOST_AT_ONCE = 50
MOST_AT_ONCE_WITH_IMAGES = 10

type Progress = Callable[[int, int, int], None]
"""Called with the numbers of episodes done, episodes wanted, and successes so far."""


class Acting(Protocol):
    """What is rolled out: a `policies.LoadedPolicy`, or a trainer's policy with its processors."""

    @property
    def policy(self) -> Any: ...
    @property
    def preprocessor(self) -> Callable[[dict[str, Any]], dict[str, Any]]: ...
    @property
    def postprocessor(self) -> Callable[[Any], Any]: ...
    @property
    def config(self) -> Any: ...

    def describe(self) -> dict[str, Any]: ...


def evaluate_policy(
    loaded: Acting,
    spec: EnvironmentSpec,
    *,
    episodes: int = 50,
    seed: int = 1000,
    batch_size: int = 0,
    processes: int = 0,
    videos: int = 0,
    folder: Path | None = None,
    progress: Progress | None = None,
    rename_map: Mapping[str, str] | None = None,
    environments: Environments | None = None,
    command: Sequence[str] = (),
) -> RolloutResult:
    """Roll a policy out and count its successes.

    Episode i starts from the initial state of seed + i, whatever the batch size and the number of processes.
    With the same batch size the whole result repeats. Random states and the policy's mode are left as found,
    so that it can be called within a training run.

    Args:
        spec: the environment; `observations` None means those that the policy reads.
        batch_size: episodes side by side, one inference for all of them; 0 chooses.
        processes: simulation processes; 0 or 1 simulates in this one.
        videos: how many of the first episodes to film, into `folder`.
        progress: see `Progress`.
        rename_map: the environment's observation names to the policy's.
        environments: ready-made ones (of the same spec), which stay open; else made and closed here.

    Raises:
        SimulationError: the environment is unknown or does not fit the policy.
    """
    seeds = evaluation_seeds(seed, episodes)
    if spec.observations is None:
        spec = replace(spec, observations=observations_read_by(loaded.config, rename_map or {}))
    made = environments or _make(spec, episodes, batch_size, processes)
    session = _Session(loaded, made, videos, folder, progress, episodes)
    started = time.perf_counter()
    try:
        _check_action(loaded.config, made)
        with own_randomness(), evaluation_mode(loaded.policy):
            for first in range(0, episodes, made.count):
                session.run_batch(first, seeds[first : first + made.count])
    finally:
        if environments is None:
            made.close()
        loaded.policy.reset()
    return _result(session, time.perf_counter() - started, command)


def observations_read_by(config: Any, rename_map: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """What the policy reads, in the environment's names: name to shape, images `(3, height, width)`."""
    original = {renamed: name for name, renamed in rename_map.items()}
    return {
        original.get(name, name): tuple(feature.shape)
        for name, feature in config.input_features.items()
        # Some policies reserve inputs for cameras that need not exist.
        if name.startswith("observation.") and ".empty_camera_" not in name
    }


def _make(spec: EnvironmentSpec, episodes: int, batch_size: int, processes: int) -> Environments:
    images = any(len(shape) == 3 for shape in (spec.observations or {}).values())
    chosen = batch_size or (MOST_AT_ONCE_WITH_IMAGES if images else MOST_AT_ONCE)
    return make_environments(spec, min(chosen, episodes), processes)


def _check_action(config: Any, environments: Environments) -> None:
    expected, info = config.output_features["action"].shape[0], environments.info
    if expected != info.action_size:
        raise SimulationError(
            f"the policy's actions have {expected} dimensions, "
            f"those of {info.type} {info.task} have {info.action_size}",
            hint="was the policy trained on demonstrations of this environment?",
        )


@dataclass
class _Film:
    path: Path
    pictures: list[npt.NDArray[Any]] = field(default_factory=list)


@dataclass
class _Session:
    """The episodes of one evaluation, batch after batch."""

    loaded: Acting
    environments: Environments
    videos: int
    folder: Path | None
    progress: Progress | None
    wanted: int
    episodes: list[EpisodeResult] = field(default_factory=list)
    steps: int = 0
    inference_s: list[float] = field(default_factory=list)
    _ended: int = 0
    _successes: int = 0

    def run_batch(self, first: int, seeds: Sequence[int]) -> None:
        """Run one episode in each slot until all have ended."""
        info = self.environments.info
        seed_everything(seeds[0])
        self.loaded.policy.reset()
        batch = [EpisodeResult(first + slot, seed, False, 0.0, 0) for slot, seed in enumerate(seeds)]
        films = self._films(first, len(seeds))
        observations = self.environments.reset(dict(enumerate(seeds)))
        running = list(range(len(seeds)))
        for step in range(info.max_steps):
            self._film(films, running, step)
            actions = self._act(observations, step)
            outcomes = self.environments.step({slot: actions[slot] for slot in running})
            for slot, outcome in outcomes.items():
                episode = batch[slot]
                episode.length, episode.total_reward = step + 1, episode.total_reward + outcome.reward
                episode.success = episode.success or outcome.success
                observations[slot] = outcome.observation
                if outcome.ended or step + 1 == info.max_steps:
                    self._end(episode, films.get(slot), slot)
                    running.remove(slot)
            self.steps += len(outcomes)
            if not running:
                break
        self.episodes.extend(batch)

    def _act(self, observations: Mapping[int, Observation], step: int) -> npt.NDArray[Any]:
        """Actions `(batch, action)` for all slots; those of ended episodes are computed and not used.

        Policies keep a queue of actions for the whole batch, so the batch must not shrink.
        """
        import numpy as np
        import torch

        config = self.loaded.config
        started = time.perf_counter()
        device = torch.device(str(config.device))
        with torch.no_grad(), torch.autocast(device.type, enabled=bool(getattr(config, "use_amp", False))):
            batch = _to_batch(observations, self.environments.info.description)
            action = self.loaded.policy.select_action(self.loaded.preprocessor(batch))
            actions: npt.NDArray[Any] = self.loaded.postprocessor(action).to("cpu", torch.float32).numpy()
        if step % (getattr(config, "n_action_steps", 1) or 1) == 0:  # else it only took from its queue
            self.inference_s.append(time.perf_counter() - started)
        if not np.isfinite(actions).all():
            raise SimulationError(
                f"the policy gave an action that is NaN or infinite at step {step}",
                hint="its weights or its normalisation statistics are broken; try an earlier --checkpoint",
            )
        return actions

    def _films(self, first: int, count: int) -> dict[int, _Film]:
        if self.folder is None:
            return {}
        numbers = range(first, min(first + count, self.videos))
        return {number - first: _Film(self.folder / f"episode-{number:03d}.mp4") for number in numbers}

    def _film(self, films: Mapping[int, _Film], running: Sequence[int], step: int) -> None:
        slots = [slot for slot in films if slot in running]
        if slots and step % every_nth(self.environments.info.fps) == 0:
            for slot, picture in self.environments.render(slots).items():
                films[slot].pictures.append(picture)

    def _end(self, episode: EpisodeResult, film: _Film | None, slot: int) -> None:
        if film is not None:
            film.pictures.append(self.environments.render([slot])[slot])
            fps = self.environments.info.fps
            write_video(film.path, film.pictures, fps / every_nth(fps))
            film.pictures.clear()
            episode.video = film.path.name
        self._ended += 1
        self._successes += episode.success
        if self.progress is not None:
            self.progress(self._ended, self.wanted, self._successes)


def _to_batch(observations: Mapping[int, Observation], task: str) -> dict[str, Any]:
    """Observations of all slots as LeRobot's batch: images float32 `(batch, 3, height, width)` in [0, 1]."""
    import numpy as np
    import torch

    batch: dict[str, Any] = {"task": [task] * len(observations)}
    for name in observations[0]:
        values = torch.from_numpy(np.stack([observations[slot][name] for slot in sorted(observations)]))
        if values.dtype == torch.uint8:
            values = values.permute(0, 3, 1, 2).contiguous().to(torch.float32) / 255
        batch[name] = values
    return batch


def _result(session: _Session, wall_s: float, command: Sequence[str]) -> RolloutResult:
    episodes = session.episodes
    return RolloutResult(
        policy=session.loaded.describe(),
        environment={**session.environments.spec.describe(), "fps": session.environments.info.fps},
        episodes=episodes,
        success_rate=success_interval(sum(episode.success for episode in episodes), len(episodes)),
        mean_reward=mean_interval([episode.total_reward for episode in episodes]),
        timing={
            "wall_s": round(wall_s, 3),
            "env_steps_per_s": round(session.steps / wall_s, 1),
            "policy_ms": round(1000 * statistics.median(session.inference_s), 3),
        },
        videos=[episode.video for episode in episodes if episode.video],
        command=list(command),
    )
