"""What came out: read from the run folder, where the stages left it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from etude.errors import RunFolderError
from etude.quickstart.plan import Places
from etude.runs.results import Interval, RolloutResult, load_result

__all__ = ["Outcome", "read_outcome"]


@dataclass(frozen=True)
class Outcome:
    """How the policy did.

    Attributes:
        success_rate: share of episodes, 0 to 1, with its 95 % interval.
        videos: of some of the rollouts.
    """

    episodes: int
    successes: int
    success_rate: Interval
    evaluation: Path
    videos: list[Path]


def read_outcome(places: Places) -> Outcome:
    """The newest rollout of the quickstart's policy.

    Raises:
        RunFolderError: there is none.
    """
    files = sorted((places.run / "evaluations").glob("*/result.json"), key=lambda file: file.stat().st_mtime)
    for file in reversed(files):
        result = load_result(file)
        if isinstance(result, RolloutResult):
            videos = [file.parent / name for name in result.videos]
            successes = sum(episode.success for episode in result.episodes)
            return Outcome(len(result.episodes), successes, result.success_rate, file.parent, videos)
    raise RunFolderError(f"{places.run} has no rollouts", hint=f"etude evaluate --policy.path={places.run}")
