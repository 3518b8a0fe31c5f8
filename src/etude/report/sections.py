"""What the page says about one run, in the order it says it: plain values for the templates."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from etude.report.curves import finite, lowest
from etude.report.gather import Evaluation, RunView
from etude.report.numbers import compact_ranges, count, duration, percent, significant
from etude.runs.results import RolloutResult

__all__ = ["Figure", "RunSection", "best_rollout", "describe"]

Facts = list[tuple[str, str]]

_STATUS = {
    "running": ("running", "Still running when this page was written, or ended without a word."),
    "finished": ("finished", ""),
    "stopped": ("stopped early", "Stopped on request; it can be continued."),
    "failed": ("failed", "This run ended with an error."),
}


@dataclass(frozen=True)
class Figure:
    """A key figure: a number, what it is, and what to know about it.

    Attributes:
        interval: low, value and high in percent, drawn as a line under the number.
    """

    label: str
    value: str
    note: str = ""
    interval: tuple[float, float, float] | None = None


@dataclass
class RunSection:
    """A run as the templates need it."""

    number: int
    view: RunView
    subtitle: str
    status: str
    status_key: str
    notices: list[str]
    figures: list[Figure]
    facts: Facts
    dataset: Facts
    versions: Facts
    checkpoints: list[dict[str, Any]]
    commands: list[tuple[str, str]]
    config: str
    evaluate_command: str
    replay_command: str

    @property
    def name(self) -> str:
        return self.view.name


def describe(view: RunView, number: int) -> RunSection:
    """Everything that the page says about a run, apart from its curves and its evaluations."""
    manifest = view.manifest
    status, notice = _STATUS.get(manifest.status, (str(manifest.status), ""))
    if manifest.status == "running" and view.ended_at:
        last = datetime.fromtimestamp(view.ended_at, UTC).isoformat()
        notice += f" Its last point was logged on {_moment(last)}."
    failure = manifest.summary.get("error") or manifest.summary.get("reason")
    notices = [text for text in (notice, str(failure) if failure else "", *view.problems) if text]
    path = _shown_path(view.folder.root)
    return RunSection(
        number=number,
        view=view,
        subtitle=_subtitle(view),
        status=status,
        status_key=manifest.status if manifest.status in _STATUS else "running",
        notices=notices,
        figures=_figures(view),
        facts=_facts(view),
        dataset=_dataset(view),
        versions=[(name, version) for name, version in manifest.packages.items()],
        checkpoints=_checkpoints(view),
        commands=_commands(view, path),
        config=json.dumps(manifest.config, indent=2, default=str, ensure_ascii=False),
        evaluate_command=_evaluate_command(view, path),
        replay_command=f"etude evaluate --policy.path={path} --dataset.root={_dataset_root(view)}",
    )


def best_rollout(view: RunView) -> Evaluation | None:
    """The rollouts that speak for the run: the newest with the most episodes."""
    rollouts = view.of_kind("rollout")
    return max(rollouts, key=lambda item: len(_rollout(item).episodes), default=None)


def policy_type(view: RunView) -> str:
    """The policy's type, for example `act`."""
    found = view.manifest.policy.get("type") or (view.manifest.config.get("policy") or {}).get("type")
    return str(found or view.manifest.kind)


def dataset_name(view: RunView) -> str:
    """The dataset's id, else its folder's name."""
    dataset = view.manifest.dataset
    return str(dataset.get("repo_id") or Path(str(dataset.get("root") or "unknown")).name)


def wall_time(view: RunView) -> float | None:
    """Seconds: what the trainer measured, else from the first to the last logged point."""
    measured = view.manifest.summary.get("wall_s")
    if isinstance(measured, (int, float)):
        return float(measured)
    if view.started_at is None or view.ended_at is None:
        return None
    return view.ended_at - view.started_at


def _rollout(item: Evaluation) -> RolloutResult:
    assert isinstance(item.result, RolloutResult)
    return item.result


def _subtitle(view: RunView) -> str:
    steps = f"{count(view.steps_done)} steps" if view.steps_done else "no step logged yet"
    time = wall_time(view)
    return f"{policy_type(view)} on {dataset_name(view)}, {steps}" + (f" in {duration(time)}" if time else "")


def _figures(view: RunView) -> list[Figure]:
    figures = []
    if best := best_rollout(view):
        rate, result = best.result.success_rate, _rollout(best)  # type: ignore[union-attr]
        figures.append(
            Figure(
                "Success rate",
                percent(rate.value),
                f"{percent(rate.confidence)} interval {rate.low * 100:.0f}–{rate.high * 100:.0f} %, "
                f"{sum(e.success for e in result.episodes)} of {len(result.episodes)} rollouts",
                (rate.low * 100, rate.value * 100, rate.high * 100),
            )
        )
    if low := lowest(view.curves.get("val/loss", [])):
        figures.append(Figure("Best validation loss", significant(low[1]), f"at step {count(low[0])}"))
    if training := finite(view.curves.get("train/loss", [])):
        figures.append(Figure("Training loss", significant(training[-1][1]), f"from {significant(training[0][1])}"))
    planned = view.manifest.steps.get("planned")
    of = f"of {count(planned)} planned" if planned and planned != view.steps_done else "all that were planned"
    figures.append(Figure("Steps", count(view.steps_done), of if planned else ""))
    if time := wall_time(view):
        speed = finite(view.curves.get("train/samples_per_s", []))
        middle = sorted(value for _, value in speed)[len(speed) // 2] if speed else None
        note = f"median {significant(middle, 3)} samples/s" if middle is not None else ""
        figures.append(Figure("Time", duration(time), note))
    return figures


def _facts(view: RunView) -> Facts:
    manifest, git = view.manifest, view.manifest.git
    commit = str(git.get("commit") or "")
    config_policy = manifest.config.get("policy") or {}
    lineage = manifest.lineage.get("policy") or manifest.policy.get("path")
    resumed = manifest.lineage.get("resumed_at")
    facts = [
        (
            "Kind",
            {"imitation": "imitation learning", "rl": "reinforcement learning"}.get(manifest.kind, manifest.kind),
        ),
        ("Policy", policy_type(view)),
        ("Parameters", count(manifest.policy["parameters"]) if manifest.policy.get("parameters") else ""),
        ("Inputs", _shapes(manifest.policy.get("inputs"))),
        ("Outputs", _shapes(manifest.policy.get("outputs"))),
        ("Fine-tuned from", str(lineage or "")),
        ("Batch size", str(manifest.config.get("batch_size") or "")),
        ("Seed", str(manifest.config.get("seed") if manifest.config.get("seed") is not None else "")),
        ("Device", str(manifest.machine.get("device") or config_policy.get("device") or "")),
        ("Machine", _machine(manifest.machine)),
        ("Started", _moment(manifest.created_at)),
        ("Resumed at", compact_steps(resumed) if resumed else ""),
        (
            "Commit",
            f"{commit[:12]}{' with uncommitted changes' if git.get('dirty') else ''}" if commit else "",
        ),
        ("Folder", _shown_path(view.folder.root)),
        *_tracking(manifest.tracking),
    ]
    return [(label, value) for label, value in facts if value]


def compact_steps(steps: Any) -> str:
    """`step 4,000, step 8,000`."""
    values = steps if isinstance(steps, list) else [steps]
    return ", ".join(f"step {count(value)}" if isinstance(value, (int, float)) else str(value) for value in values)


def _shapes(features: Any) -> str:
    if not isinstance(features, dict):
        return ""
    return ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in features.items())


def _machine(machine: dict[str, Any]) -> str:
    cpus = machine.get("cpus")
    parts = [str(machine.get("gpu") or ""), f"{cpus} CPUs" if cpus else "", str(machine.get("system") or "")]
    return ", ".join(part for part in parts if part)


def _moment(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%-d %B %Y, %H:%M UTC")
    except ValueError:
        return text


def _tracking(tracking: dict[str, Any]) -> Facts:
    facts = []
    if mlflow := tracking.get("mlflow") or {}:
        facts.append(("MLflow", f"run {mlflow.get('run_id', '?')} at {mlflow.get('uri', '?')}"))
    if wandb := tracking.get("wandb") or {}:
        place = "/".join(str(wandb[key]) for key in ("entity", "project", "run_id") if wandb.get(key))
        facts.append(("Weights & Biases", place))
    return facts


def _dataset(view: RunView) -> Facts:
    dataset = view.manifest.dataset
    if not dataset:
        return []
    frames, fps = dataset.get("frames"), dataset.get("fps")
    episodes = dataset.get("episodes")
    total = len(episodes) if isinstance(episodes, list) else episodes
    known = {"repo_id", "root", "fingerprint", "episodes", "frames", "fps", "train_episodes", "val_episodes"}
    others = [(_words(key), _short(value)) for key, value in dataset.items() if key not in known and value is not None]
    facts = [
        ("Name", str(dataset.get("repo_id") or "")),
        ("Folder", str(dataset.get("root") or "")),
        ("Episodes", count(total) if isinstance(total, int) else ""),
        ("Frames", count(frames) if frames else ""),
        ("Rate", f"{significant(float(fps))} frames/s" if fps else ""),
        ("Recorded time", duration(frames / fps) if frames and fps else ""),
        ("Trained on", _episodes(dataset.get("train_episodes"))),
        ("Held out", _episodes(dataset.get("val_episodes"))),
        *others,
        ("Fingerprint", str(dataset.get("fingerprint") or "")),
    ]
    return [(label, value) for label, value in facts if value]


def _episodes(numbers: Any) -> str:
    if not isinstance(numbers, list):
        return ""
    if not numbers:
        return "none"
    return f"{len(numbers)} episode{'s' * (len(numbers) != 1)}: {compact_ranges(map(int, numbers))}"


def _words(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _short(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _checkpoints(view: RunView) -> list[dict[str, Any]]:
    losses = dict(view.curves.get("val/loss", []))
    rates = dict(view.curves.get("eval/success_rate", []))
    return [
        {"item": item, "val_loss": losses.get(item.step), "success_rate": rates.get(item.step)}
        for item in reversed(view.checkpoints)
    ]


def _commands(view: RunView, path: str) -> list[tuple[str, str]]:
    manifest, commands = view.manifest, []
    if commit := manifest.git.get("commit"):
        about = "The code"
        if manifest.git.get("dirty"):
            about += " (the run also had changes that were never committed)"
        commands.append((about, f"git checkout {commit}"))
    if manifest.command:
        commands.append(("The run, as it was typed", shlex.join(map(str, manifest.command))))
    commands.append(("The same settings, resolved, from this folder", f"etude train --config={path}/run.json"))
    if manifest.status != "finished":
        commands.append(("Continue it where it stopped", f"etude train --resume {path}"))
    for item in view.evaluations:
        if item.result.command:
            commands.append((f"Evaluation {item.name}", shlex.join(map(str, item.result.command))))
    if uri := (manifest.tracking.get("mlflow") or {}).get("uri"):
        commands.append(("Its curves in MLflow", f"mlflow ui --backend-store-uri {shlex.quote(str(uri))}"))
    return commands


def _evaluate_command(view: RunView, path: str) -> str:
    environment = view.manifest.config.get("env") or {}
    flags = [f"--env.{key}={shlex.quote(str(environment[key]))}" for key in ("type", "task") if environment.get(key)]
    return " ".join([f"etude evaluate --policy.path={path}", *(flags or ["--env.type=ENVIRONMENT"]), "--episodes=50"])


def _dataset_root(view: RunView) -> str:
    return shlex.quote(str(view.manifest.dataset.get("root") or "DIR"))


def _shown_path(path: Path) -> str:
    """Relative to the working folder where it lies below it: shorter, and true on another machine."""
    try:
        return shlex.quote(str(path.resolve().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(path))
