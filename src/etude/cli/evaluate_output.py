"""What `etude evaluate` shows: progress, rates with intervals, where things lie, what to do next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from etude.cli.pasteable import command_line, seen_from_here
from etude.runs.folder import RunFolder
from etude.runs.results import ComparisonResult, Interval, RolloutResult

__all__ = ["RolloutProgress", "comparison_summary", "rollout_summary"]


def rollout_summary(result: RolloutResult, folder: Path, run: RunFolder | None) -> str:
    """A rollout's result for people."""
    episodes = result.episodes
    successes = sum(episode.success for episode in episodes)
    lengths = sorted(episode.length for episode in episodes if episode.success)
    reward = result.mean_reward
    lines = [
        f"success rate {_percent(result.success_rate)}, {successes} of {len(episodes)} episodes "
        f"({_environment(result)}, seeds {episodes[0].seed} to {episodes[-1].seed})",
        f"mean reward {reward.value:.4g} (95 % interval {reward.low:.4g} to {reward.high:.4g})",
    ]
    if lengths:
        lines.append(f"a success takes {lengths[len(lengths) // 2]} steps (median)")
    timing = result.timing
    lines += [
        f"took {timing['wall_s']:.1f} s: {timing['env_steps_per_s']:.0f} steps/s, "
        f"{timing['policy_ms']:.{0 if timing['policy_ms'] >= 10 else 1}f} ms an inference",
        f"result: {folder / 'result.json'}",
    ]
    if result.videos:
        lines.append(
            f"videos: {folder / result.videos[0]}" + (f" and {len(result.videos) - 1} more" * (len(result.videos) > 1))
        )
    return "\n".join([*lines, *_next(result, run)])


def comparison_summary(result: ComparisonResult, folder: Path) -> str:
    """A comparison's result for people."""
    first, second = (f"{policy['path']}" for policy in result.policies)
    table, difference = result.table, result.difference
    verdict = (
        "the difference is more than chance" if result.p_value < 0.05 else "chance alone may explain the difference"
    )
    return "\n".join(
        [
            f"first:  {_percent(result.first)}  {first}",
            f"second: {_percent(result.second)}  {second}",
            f"difference {100 * difference.value:+.1f} points "
            f"(95 % interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f}, paired, Newcombe)",
            f"of {len(result.seeds)} episodes: both {table['both']}, only first {table['only_first']}, "
            f"only second {table['only_second']}, neither {table['neither']}",
            f"McNemar's exact test: p = {result.p_value:.3g}; {verdict}",
            f"result: {folder / 'result.json'}",
        ]
    )


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} % (95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f})"


def _environment(result: RolloutResult) -> str:
    return " ".join(str(result.environment[key]) for key in ("type", "task") if result.environment.get(key))


def _next(result: RolloutResult, run: RunFolder | None) -> list[str]:
    path = seen_from_here(run.root) if run is not None else result.policy["path"]
    environment = [f"--env.type={result.environment['type']}", f"--env.task={result.environment['task']}"]
    commands = [["evaluate", f"--policy.path={path}", "--compare", "OTHER_RUN", *environment]]
    if run is not None:
        commands.insert(0, ["report", path])
    return ["next:", *(f"  {command_line(command)}" for command in commands)]


class RolloutProgress:
    """Episodes done: a bar on a terminal, a line each tenth elsewhere, nothing with --json."""

    def __init__(self, total: int, label: str, *, quiet: bool) -> None:
        self._total, self._label, self._quiet = total, label, quiet
        self._tenth = 0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> RolloutProgress:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total)
        return self

    def update(self, done: int, total: int, successes: int) -> None:
        """Show how far it is."""
        said = f"{self._label}: {done}/{total} episodes, {successes} succeeded"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=said)
        elif not self._quiet and done * 10 // total > self._tenth:
            self._tenth = done * 10 // total
            print(said, file=sys.stderr)

    def __exit__(self, *reason: object) -> None:
        if self._bar is not None:
            self._bar.stop()
