"""What is set when nobody sets it, where it differs from LeRobot's own default.

| setting | value | LeRobot's |
|---|---|---|
| `policy.type` | act | none |
| `policy.push_to_hub` | false | true |
| `dataset.repo_id` | local/FOLDER, with `dataset.root` | none |
| `dataset.eval_split` | 0.1: every tenth episode is held out | 0.0 |
| `save_freq` | 5000 | 20000 |
| `eval_steps` | as often as checkpoints, at least ten times a run; 0 without held-out episodes | 0 |
| `log_freq` | 200, at least fifty times a run | 200 |
| `max_eval_samples` | 64 to 1024, evenly spread: ten validations cost a few percent of the run | 0: all |
| `job_name` | lerobot-POLICY-training | POLICY |
| `output_dir` | outputs/train/JOB_NAME, with -2, -3 ... when it exists | by date and time |
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from etude.config.nested import get, put
from etude.config.request import DEFAULT

__all__ = ["BY_STEPS", "apply_defaults", "by_steps", "free_folder"]

OUTPUTS = Path("outputs/train")
STEPS = 100_000  # LeRobot's
EVAL_SPLIT = 0.1
SAVE_FREQ = 5000
LOG_FREQ = 200


def apply_defaults(values: dict[str, Any], sources: dict[str, str]) -> None:
    """Add the settings of a new run that are not given; each gets the source `default`."""

    def default(key: str, value: Any) -> None:
        if get(values, key, _ABSENT) is _ABSENT:
            put(values, tuple(key.split(".")), value)
            sources[key] = DEFAULT

    if not any(get(values, f"policy.{name}") for name in ("type", "path")):
        put(values, ("policy", "type"), "act")
        sources["policy.type"] = DEFAULT
    default("policy.push_to_hub", False)
    if get(values, "dataset.root") and not get(values, "dataset.repo_id"):
        put(values, ("dataset", "repo_id"), f"local/{Path(get(values, 'dataset.root')).resolve().name}")
        sources["dataset.repo_id"] = DEFAULT
    default("dataset.eval_split", 0.0 if get(values, "dataset.streaming") is True else EVAL_SPLIT)
    default("save_freq", SAVE_FREQ)
    for key in BY_STEPS:
        if values.get(key) in (None, "auto"):
            values.pop(key, None)
            sources.pop(key, None)
    if values.get("num_epochs") is None:
        default("steps", STEPS)
        _by_steps(values, sources)
    if not values.get("job_name"):
        values["job_name"] = _job_name(values)
        sources["job_name"] = DEFAULT
    if not values.get("output_dir"):
        values["output_dir"] = str(free_folder(OUTPUTS / str(values["job_name"])))
        sources["output_dir"] = DEFAULT


_ABSENT = object()


def free_folder(folder: Path) -> Path:
    """`folder`, or with -2, -3 ... behind its name the first that does not exist."""
    candidate, number = folder, 2
    while candidate.exists():
        candidate = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return candidate


def _eval_steps(steps: int, values: dict[str, Any]) -> int:
    if not get(values, "dataset.eval_split"):
        return 0
    saves = values.get("save_freq")
    return max(1, min(saves if isinstance(saves, int) and saves > 0 else SAVE_FREQ, steps // 10))


def _log_freq(steps: int, values: dict[str, Any]) -> int:
    return max(1, min(LOG_FREQ, steps // 50))


def _max_eval_samples(steps: int, values: dict[str, Any]) -> int:
    batch = values.get("batch_size")
    samples = steps * (batch if isinstance(batch, int) and not isinstance(batch, bool) else 8)
    return max(64, min(1024, samples // 64))


# Settings that follow from the number of steps while nobody sets them.
BY_STEPS: dict[str, Callable[[int, dict[str, Any]], int]] = {
    "eval_steps": _eval_steps,
    "log_freq": _log_freq,
    "max_eval_samples": _max_eval_samples,
}


def by_steps(key: str, steps: int, values: dict[str, Any]) -> int:
    """The default of one of `BY_STEPS` for a run of `steps` optimizer updates."""
    return BY_STEPS[key](steps, values)


def _by_steps(values: dict[str, Any], sources: dict[str, str]) -> None:
    steps = values["steps"]
    for key in BY_STEPS:
        if key not in values:
            # A `steps` of the wrong type is refused where all types are checked.
            usable = isinstance(steps, int | float) and not isinstance(steps, bool) and steps == steps
            values[key] = by_steps(key, int(min(steps, 10**12)) if usable else STEPS, values)
            sources[key] = DEFAULT


def _job_name(values: dict[str, Any]) -> str:
    kind = get(values, "policy.type")
    if kind:
        return f"lerobot-{kind}-training"
    # The last name in the path that says something: not checkpoints/last/pretrained_model.
    parts = [part for part in str(get(values, "policy.path")).split("/") if part.strip(".")]
    telling = [
        part for part in parts if part not in ("checkpoints", "last", "best", "pretrained_model") and not part.isdigit()
    ]
    return f"{telling[-1] if telling else 'policy'}-finetuned"
