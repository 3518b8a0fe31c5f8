"""Rolling a policy out in simulation: how often does it succeed?"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.errors import SimulationError
from etude.evaluation.acting import Acting, Player
from etude.evaluation.isolation import evaluation_mode, own_randomness, seed_everything
from etude.evaluation.layout import choose_layout
from etude.evaluation.statistics import mean_interval, success_interval
from etude.policies.pictures import recorded_sizes
from etude.runs.results import EpisodeResult, RolloutResult
from etude.simulation import Environments, EnvironmentSpec, Stretch, evaluation_seeds, make_environments

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Acting", "Progress", "evaluate_policy", "observations_read_by"]

type Progress = Callable[[int, int, int], None]
"""Called with the numbers of episodes done, episodes wanted, and successes so far."""


def evaluate_policy(
    loaded: Acting,
    spec: EnvironmentSpec,
    *,
    episodes: int = 50,
    seed: int = 1000,
    batch_size: int = 0,
    processes: int = 1,
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
        processes: simulation processes; 1 simulates in this one, 0 chooses. A script that uses several has to
            keep its own work under `if __name__ == "__main__":`, as always with `multiprocessing`.
        videos: how many of the first episodes to film, into `folder`.
        progress: see `Progress`.
        rename_map: the environment's observation names to the policy's.
        environments: ready-made ones (of the same spec), which stay open; else made and closed here.

    Raises:
        SimulationError: the environment is unknown or does not fit the policy.
    """
    seeds = evaluation_seeds(seed, episodes)
    if spec.observations is None:
        spec = replace(spec, observations=observations_read_by(loaded, rename_map or {}))
    started = time.perf_counter()
    made = environments or _make(spec, episodes, batch_size, processes)
    player = Player(loaded, made.info.description)
    waiting = deque(EpisodeResult(index, each, False, 0.0, 0) for index, each in enumerate(seeds))
    session = _Session(player, made, waiting, _films(folder, min(videos, episodes)), progress)
    try:
        _check_action(loaded.config, made)
        with own_randomness(), evaluation_mode(loaded.policy):
            session.run()
        made.finish_films()
    finally:
        if environments is None:
            made.close()
        loaded.policy.reset()
    return _result(session, loaded, time.perf_counter() - started, command)


def observations_read_by(loaded: Any, rename_map: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """What the policy reads, in the environment's names: name to shape, images `(3, height, width)`.

    Images that the policy resizes are rendered in the size that they were recorded in.
    """
    original = {renamed: name for name, renamed in rename_map.items()}
    recorded = recorded_sizes(loaded.preprocessor)
    return {
        original.get(name, name): tuple(feature.shape) if name not in recorded else (feature.shape[0], *recorded[name])
        for name, feature in loaded.config.input_features.items()
        # Some policies reserve inputs for cameras that need not exist.
        if name.startswith("observation.") and ".empty_camera_" not in name
    }


def _make(spec: EnvironmentSpec, episodes: int, batch_size: int, processes: int) -> Environments:
    layout = choose_layout(spec, episodes, batch_size, processes)
    return make_environments(spec, layout.environments, layout.processes)


def _films(folder: Path | None, count: int) -> dict[int, Path]:
    """Episode to the file of its video."""
    return {} if folder is None else {number: folder / f"episode-{number:03d}.mp4" for number in range(count)}


def _check_action(config: Any, environments: Environments) -> None:
    expected, info = config.output_features["action"].shape[0], environments.info
    if expected != info.action_size:
        raise SimulationError(
            f"the policy's actions have {expected} dimensions, "
            f"those of {info.type} {info.task} have {info.action_size}",
            hint="was the policy trained on demonstrations of this environment?",
        )


@dataclass
class _Session:
    """The episodes of one evaluation: as many at once as there are slots, the next as soon as one may begin."""

    player: Player
    environments: Environments
    waiting: deque[EpisodeResult]
    films: Mapping[int, Path]
    progress: Progress | None
    running: dict[int, EpisodeResult] = field(default_factory=dict)
    ended: list[EpisodeResult] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def run(self) -> None:
        """Play until no episode waits or runs."""
        while self.waiting or self.running:
            fresh = self._begin()
            actions = self._act(fresh)
            most = self.environments.info.max_steps
            stretches = self.environments.advance(
                {
                    slot: actions[: most - episode.length, self.rows.index(slot)]
                    for slot, episode in self.running.items()
                }
            )
            for slot, stretch in stretches.items():
                self._count(slot, stretch)

    def _begin(self) -> list[int]:
        """Begin episodes where the policy allows it; the slots of those that begin while others go on."""
        together = not self.running
        if not together and not self.player.between_chunks:
            return []
        if together:
            self.rows = list(range(min(self.environments.count, len(self.waiting))))
            seed_everything(self.waiting[0].seed)
            self.player.restart()
        free = [slot for slot in self.rows if slot not in self.running]
        started = {slot: self.waiting.popleft() for slot in free[: len(self.waiting)]}
        films = {slot: self.films[episode.index] for slot, episode in started.items() if episode.index in self.films}
        if started:
            self.environments.begin({slot: episode.seed for slot, episode in started.items()}, films)
        self.running.update(started)
        if self.player.forgets:
            self.rows = sorted(self.running)
        return [] if together else list(started)

    def _act(self, fresh: Sequence[int]) -> npt.NDArray[Any]:
        """Actions `(steps, batch, action)` for all rows; those of ended episodes are computed and not used.

        Policies keep a queue of actions for the whole batch, so the batch must not shrink meanwhile.
        """
        import numpy as np

        # Indexed by a list, hence copied: the simulation will write into the table again.
        observations = {name: values[self.rows] for name, values in self.environments.table.arrays.items()}
        actions = self.player.act(observations, [self.rows.index(slot) for slot in fresh])
        if not np.isfinite(actions).all():
            step = min(episode.length for episode in self.running.values())
            raise SimulationError(
                f"the policy gave an action that is NaN or infinite at step {step}",
                hint="its weights or its normalisation statistics are broken; try an earlier --checkpoint",
            )
        return actions

    def _count(self, slot: int, stretch: Stretch) -> None:
        episode = self.running[slot]
        episode.length += len(stretch.rewards)
        for reward in stretch.rewards:  # one by one, so that no sum depends on how the steps were bundled
            episode.total_reward += reward
        episode.success = episode.success or stretch.success
        if not stretch.ended:
            return
        del self.running[slot]
        episode.video = self.films[episode.index].name if episode.index in self.films else None
        self.ended.append(episode)
        if self.progress is not None:
            successes = sum(each.success for each in self.ended)
            self.progress(len(self.ended), len(self.ended) + len(self.running) + len(self.waiting), successes)


def _result(session: _Session, loaded: Acting, wall_s: float, command: Sequence[str]) -> RolloutResult:
    episodes = sorted(session.ended, key=lambda episode: episode.index)
    environments = session.environments
    return RolloutResult(
        policy=loaded.describe(),
        environment={**environments.spec.describe(), "fps": environments.info.fps},
        episodes=episodes,
        success_rate=success_interval(sum(episode.success for episode in episodes), len(episodes)),
        mean_reward=mean_interval([episode.total_reward for episode in episodes]),
        timing={
            "wall_s": round(wall_s, 3),
            "env_steps_per_s": round(sum(episode.length for episode in episodes) / wall_s, 1),
            "policy_ms": round(session.player.inference_ms, 3),
            "environments": environments.count,
            "processes": environments.processes,
        },
        videos=[episode.video for episode in episodes if episode.video],
        command=list(command),
    )
