"""Rollouts, replays and comparisons as the templates need them: embedded media, words beside numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.report.embed import Embedder, Media
from etude.report.gather import Evaluation
from etude.report.numbers import count, percent, significant
from etude.runs.results import ComparisonResult, Interval, ReplayResult, RolloutResult

__all__ = ["ComparisonView", "ReplayView", "RolloutView", "comparison_view", "replay_view", "rollout_view"]

MOST_VIDEOS = 12


@dataclass
class RolloutView:
    """Rollouts; `videos` are `(caption, media)`."""

    name: str
    title: str
    result: RolloutResult
    successes: int
    videos: list[tuple[str, Media]] = field(default_factory=list)


@dataclass
class ReplayView:
    """A replay; `plots` are `(title, description, media)`, `sentences` say what the latency means."""

    name: str
    title: str
    result: ReplayResult
    worst: float
    plots: list[tuple[str, str, Media]]
    latency_sentence: str


@dataclass
class ComparisonView:
    """A comparison and what it means, in a sentence."""

    name: str
    labels: tuple[str, str]
    environment: str
    result: ComparisonResult
    sentence: str


def rollout_view(item: Evaluation, embedder: Embedder) -> RolloutView:
    """Rollouts with their videos."""
    result = item.result
    assert isinstance(result, RolloutResult)
    by_video = {episode.video: episode for episode in result.episodes if episode.video}
    names = list(dict.fromkeys([*result.videos, *by_video]))
    view = RolloutView(
        name=item.name,
        title=_environment(result.environment),
        result=result,
        successes=sum(episode.success for episode in result.episodes),
    )
    for name in names[:MOST_VIDEOS]:
        episode = by_video.get(name)
        outcome = "" if episode is None else ("success" if episode.success else "failure")
        caption = Path(name).stem if episode is None else f"seed {episode.seed}: {outcome}, {episode.length} steps"
        view.videos.append((caption, embedder.embed(item.folder, name)))
    return view


def replay_view(item: Evaluation, embedder: Embedder) -> ReplayView:
    """A replay with its plots."""
    result = item.result
    assert isinstance(result, ReplayResult)
    latency, period = result.latency_ms, result.latency_ms.get("control_period")
    sentence = ""
    if "within_budget" in latency and period:
        share = latency["within_budget"]
        frames = "All frames" if share == 1 else f"{percent(share, 1)} of frames"
        sentence = f"{frames} were answered within the control period of {significant(period, 3)} ms."
        if "plan_p95" in latency:
            verdict = "fits" if latency["plan_p95"] <= period else "does not fit"
            sentence += (
                f" Most come from the queue of planned actions; a new plan takes "
                f"{significant(latency['plan_mean'], 3)} ms on average "
                f"({significant(latency['plan_p95'], 3)} ms at the 95th percentile), "
                f"which {verdict} into one period."
            )
    return ReplayView(
        name=item.name,
        title=str(result.dataset.get("repo_id") or result.dataset.get("root") or item.name),
        result=result,
        worst=max((joint.mae for joint in result.joints), default=0.0),
        plots=[(*_plot_words(name), embedder.embed(item.folder, name)) for name in _in_order(result.plots)],
        latency_sentence=sentence,
    )


def comparison_view(item: Evaluation) -> ComparisonView:
    """A comparison and its reading."""
    result = item.result
    assert isinstance(result, ComparisonResult)
    first, second = (_policy_label(policy, index) for index, policy in enumerate(result.policies[:2]))
    if first == second:
        first, second = f"{first} (first)", f"{second} (second)"
    return ComparisonView(
        name=item.name,
        labels=(first, second),
        environment=_environment(result.environment),
        result=result,
        sentence=_reading(result.difference, result.p_value, first, second, len(result.seeds)),
    )


def _reading(difference: Interval, p_value: float, first: str, second: str, seeds: int) -> str:
    sign = 1 if difference.value >= 0 else -1
    better, other = (second, first) if sign > 0 else (first, second)
    low, high = sorted((sign * difference.low * 100, sign * difference.high * 100))
    interval = f"{percent(difference.confidence)} interval {low:+.0f} to {high:+.0f} points"
    evidence = f"on the same {count(seeds)} seeds ({interval}, p = {significant(p_value, 2)})"
    if difference.value == 0:
        return f"Both succeed equally often {evidence}."
    points = abs(difference.value) * 100
    sentence = f"{better} succeeds {points:.0f} points more often than {other} {evidence}."
    if p_value >= 1 - difference.confidence:
        sentence += " A difference of this size can well be chance."
    return sentence


def _environment(environment: dict[str, Any]) -> str:
    parts = [str(environment[key]) for key in ("type", "task") if environment.get(key)]
    return " / ".join(dict.fromkeys(parts)) or "simulation"


def _policy_label(policy: dict[str, Any], index: int) -> str:
    path = Path(str(policy.get("path") or ""))
    names = [part for part in path.parts if part not in ("checkpoints", "pretrained_model", "last", "best")]
    names = [name for name in names if not name.isdigit()]
    label = names[-1] if names else f"policy {index + 1}"
    step = policy.get("checkpoint_step")
    return f"{label} at step {count(step)}" if isinstance(step, int) else label


_PLOTS = {
    "actions": ("Actions", "Recorded, predicted and executed action of each joint over time"),
    "errors": ("Error by joint and time", "Heat map of the absolute error, joint by time"),
    "cumulative": (
        "Cumulative position",
        "Running sum of recorded and predicted actions: where small errors add up",
    ),
    "latency": ("Latency", "Histogram of the time from observation to action against the control period"),
}


def _plot_words(name: str) -> tuple[str, str]:
    stem = Path(name).stem
    episode, _, kind = stem.rpartition("_")
    title, about = _PLOTS.get(kind or stem, (stem.replace("_", " ").capitalize(), f"Plot {stem}"))
    number = episode.rpartition("_")[2]
    return (
        (f"{title}, episode {int(number)}", f"{about}, episode {int(number)}") if number.isdigit() else (title, about)
    )


def _in_order(plots: list[str]) -> list[str]:
    def rank(name: str) -> tuple[str, int]:
        stem = Path(name).stem
        episode, _, kind = stem.rpartition("_")
        return (episode, list(_PLOTS).index(kind) if kind in _PLOTS else len(_PLOTS))

    return sorted(plots, key=rank)
