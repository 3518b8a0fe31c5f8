"""The replay itself: which episodes, both passes over each, the errors, the pictures, the result."""

from __future__ import annotations

import csv
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.evaluation.replay.fit import check_fit, wanted_observations
from etude.evaluation.replay.plots import plot_actions, plot_cumulative, plot_errors, plot_latency
from etude.evaluation.replay.predictions import execute, history_length, predict_fresh, warm_up
from etude.evaluation.replay.recordings import RecordedEpisode, Recording, joint_names
from etude.evaluation.replay.scores import joint_errors, latency_figures, mean_errors
from etude.runs.atomic import atomic_directory
from etude.runs.results import ReplayResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ReplaySettings", "replay"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReplaySettings:
    """How to replay.

    Attributes:
        batch_size: frames predicted at once; changes speed only.
        every: predict at every n-th frame (1: all), for policies that take seconds a plan.
        plotted_episodes: how many episodes get pictures.
        seed: seeds the noise of policies that sample (diffusion, flow matching).
        command: the command line, kept in the result.
    """

    batch_size: int = 32
    every: int = 1
    plotted_episodes: int = 10
    seed: int = 0
    command: list[str] = field(default_factory=list)


@dataclass
class _Episode:
    """Actions of one episode: `true`, `executed` `(frames, action)`, `fresh` `(predictions, action)`."""

    recorded: RecordedEpisode
    true: NDArray[Any]
    fresh: NDArray[Any]
    executed: NDArray[Any]
    latency_ms: list[float]
    planned: list[bool]


def replay(
    loaded: Any,
    recording: Recording,
    episodes: Sequence[int],
    folder: Path,
    settings: ReplaySettings | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ReplayResult:
    """Show recorded episodes to a policy and compare its actions with the recorded ones.

    Errors are those of a fresh prediction at every frame; each episode's row also holds `*_executed`, the
    errors of the actions that a robot would have received from the queue (see `predictions`).

    Args:
        loaded: a `policies.LoadedPolicy`.
        folder: where `result.json`, `plots/` and `actions/` (one CSV an episode) appear when all is done.
        on_progress: called with frames done and frames to do (each frame is shown twice).

    Raises:
        CheckpointError: the dataset's cameras, states or actions are not the checkpoint's.
        DatasetError: an episode or frame cannot be read.
    """
    settings = settings or ReplaySettings()
    check_fit(loaded.config, loaded.preprocessor, recording.features, recording.name)
    recorded = recording.episodes(episodes)
    progress = _Progress(sum(_work(item, settings) for item in recorded), on_progress)
    names = joint_names(recording.features["action"])
    with atomic_directory(folder) as temporary:
        lived = []
        for number, item in enumerate(recorded):
            episode = _live(loaded, recording, item, settings, progress)
            lived.append(episode)
            _write_actions(
                temporary / "actions" / f"episode_{item.index:06d}.csv",
                names,
                episode,
                settings,
                recording.fps,
            )
            if number < settings.plotted_episodes:
                _draw(temporary / "plots", names, episode, settings, recording.fps)
        result = _summarise(loaded, recording, names, lived, settings)
        plot_latency(
            temporary / "plots" / "latency.svg",
            list(itertools.chain.from_iterable(episode.latency_ms for episode in lived)),
            list(itertools.chain.from_iterable(episode.planned for episode in lived)),
            result.latency_ms["control_period"],
        )
        result.plots = sorted(str(file.relative_to(temporary)) for file in (temporary / "plots").iterdir())
        result.save(temporary)
    return result


def _work(episode: RecordedEpisode, settings: ReplaySettings) -> int:
    return len(episode.rows) + len(range(0, len(episode.rows), settings.every))


def _live(
    loaded: Any,
    recording: Recording,
    recorded: RecordedEpisode,
    settings: ReplaySettings,
    progress: _Progress,
) -> _Episode:
    import numpy
    import torch

    keys = wanted_observations(loaded.config, loaded.preprocessor, recording.features)
    true: list[NDArray[Any]] = []

    def frames() -> Any:
        for frame in recording.frames(recorded, keys):
            true.append(frame["action"].float().numpy())
            yield frame

    with torch.random.fork_rng():
        torch.manual_seed(settings.seed + recorded.index)
        start = list(itertools.islice(recording.frames(recorded, keys), history_length(loaded.config)))
        warm_up(loaded, start)
        executed = execute(loaded, frames(), progress.step)
        torch.manual_seed(settings.seed + recorded.index)
        fresh = predict_fresh(
            loaded,
            recording.frames(recorded, keys),
            batch_size=settings.batch_size,
            every=settings.every,
            on_frame=progress.step,
        )
    return _Episode(recorded, numpy.stack(true), fresh, executed.actions, executed.latency_ms, executed.planned)


def _summarise(
    loaded: Any, recording: Recording, names: list[str], lived: list[_Episode], settings: ReplaySettings
) -> ReplayResult:
    import numpy

    true = numpy.concatenate([episode.true[:: settings.every] for episode in lived])
    joints = joint_errors(names, numpy.concatenate([episode.fresh for episode in lived]), true)
    mse, mae = mean_errors(joints)
    latency = [value for episode in lived for value in episode.latency_ms]
    planned = [value for episode in lived for value in episode.planned]
    return ReplayResult(
        policy={**loaded.describe(), "device": loaded.device},
        dataset={
            "repo_id": recording.meta.repo_id,
            "root": str(recording.meta.root),
            "episodes": [episode.recorded.index for episode in lived],
            "frames": sum(len(episode.true) for episode in lived),
            "fps": recording.fps,
            "every": settings.every,
            "seed": settings.seed,
        },
        joints=joints,
        mse=mse,
        mae=mae,
        episodes=[_episode_row(names, episode, settings) for episode in lived],
        latency_ms=latency_figures(latency, planned, recording.fps),
        command=settings.command,
    )


def _episode_row(names: list[str], episode: _Episode, settings: ReplaySettings) -> dict[str, Any]:
    mse, mae = mean_errors(joint_errors(names, episode.fresh, episode.true[:: settings.every]))
    mse_executed, mae_executed = mean_errors(joint_errors(names, episode.executed, episode.true))
    return {
        "index": episode.recorded.index,
        "frames": len(episode.true),
        "mse": mse,
        "mae": mae,
        "mse_executed": mse_executed,
        "mae_executed": mae_executed,
    }


def _draw(folder: Path, names: list[str], episode: _Episode, settings: ReplaySettings, fps: float) -> None:
    import numpy

    every = numpy.arange(len(episode.true)) / fps
    predicted, true = every[:: settings.every], episode.true[:: settings.every]
    stem = f"episode_{episode.recorded.index:06d}"
    plot_actions(
        folder / f"{stem}_actions.svg",
        names,
        (every, predicted),
        episode.true,
        episode.fresh,
        episode.executed,
    )
    plot_errors(folder / f"{stem}_errors.svg", names, predicted, abs(episode.fresh - true))
    plot_cumulative(folder / f"{stem}_cumulative.svg", names, predicted, true, episode.fresh)


def _write_actions(file: Path, names: list[str], episode: _Episode, settings: ReplaySettings, fps: float) -> None:
    """One row a frame: seconds, then recorded, predicted and executed action of every joint."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        kinds = ("recorded", "predicted", "executed")
        writer.writerow(["time_s", *(f"{kind}/{name}" for kind in kinds for name in names)])
        for position, (true, executed) in enumerate(zip(episode.true, episode.executed, strict=True)):
            fresh = (
                episode.fresh[position // settings.every].tolist()
                if position % settings.every == 0
                else [""] * len(names)
            )
            writer.writerow([round(position / fps, 6), *true.tolist(), *fresh, *executed.tolist()])


class _Progress:
    def __init__(self, total: int, report: Callable[[int, int], None]) -> None:
        self._done, self._total, self._report = 0, total, report

    def step(self) -> None:
        self._done += 1
        self._report(self._done, self._total)
