"""Continuing a run: which folder is meant, what it was run with, and what may be changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from etude.config.files import MANIFEST, TRAIN_CONFIG, up_to_date
from etude.config.scalars import show
from etude.errors import RunFolderError, UsageError

__all__ = ["CHANGEABLE", "locate_run", "may_change", "recorded_settings", "refuse_changes"]

# Settings (and sections) that a resumed run may change. Every other one would make it another run.
CHANGEABLE = (
    "steps",
    "num_epochs",
    "save_freq",
    "save_checkpoint",
    "log_freq",
    "eval_steps",
    "env_eval_freq",
    "eval",
    "num_workers",
    "prefetch_factor",
    "persistent_workers",
    "dataloader_multiprocessing_context",
    "frames",
    "dataset.root",
    "policy.device",
    "policy.push_to_hub",
    "policy.repo_id",
    "policy.private",
    "policy.tags",
    "save_checkpoint_to_hub",
    "wandb",
    "wandb_tags",
    "mlflow",
    "checkpoint",
    "early_stopping",
    "data_check",
    "profile",
    "tracking_interval_s",
    "system_metrics_interval_s",
)
# Of those sections, what decides what is learned.
FIXED = ("frames.width", "frames.height")


def may_change(key: str) -> bool:
    """Whether a resumed run may change the setting."""
    return key not in FIXED and any(key == name or key.startswith(f"{name}.") for name in CHANGEABLE)


def refuse_changes(changes: list[tuple[str, Any, Any]]) -> None:
    """Refuse settings that differ from the run's; each is `(key, recorded, given)`.

    Raises:
        UsageError: there is at least one.
    """
    if not changes:
        return
    told = "; ".join(f"{key} was {show(old)}, not {show(new)}" for key, old, new in changes[:5])
    raise UsageError(
        f"a resumed run keeps its settings: {told}",
        hint="leave them out to continue the run, or start a new one from its weights: "
        "`etude train --policy-repo-id RUN ...`",
    )


def locate_run(path: Path) -> tuple[Path, int | None]:
    """The run folder that `path` is, or lies in, and the checkpoint step that it names.

    Args:
        path: a run folder, its `run.json`, one of its checkpoints, or a file in one.

    Raises:
        RunFolderError: there is no such folder, or it is not a run's.
    """
    if not path.exists():
        raise RunFolderError(f"there is no run folder {path}", hint="runs lie under outputs/train")
    for start in (path, path.absolute()):
        for folder in (start, *start.parents):
            inside = start.relative_to(folder).parts
            if inside[:1] not in ((), (MANIFEST,), ("checkpoints",)):
                continue
            if (folder / MANIFEST).is_file() or (folder / "checkpoints").is_dir():
                return folder, _step(folder, inside)
    raise RunFolderError(
        f"{path} is not a run folder: it has neither {MANIFEST} nor checkpoints/",
        hint="a run folder is what `etude train` writes, for example outputs/train/NAME",
    )


def recorded_settings(run: Path, step: int | None) -> dict[str, Any]:
    """What the run was started with: from its `run.json`, or from LeRobot's file in a checkpoint.

    Raises:
        RunFolderError: neither is there, or it is not readable.
    """
    checkpoint = "last" if step is None else f"{step:06d}"
    for file, key in (
        (run / MANIFEST, "config"),
        (run / "checkpoints" / checkpoint / "pretrained_model" / TRAIN_CONFIG, None),
    ):
        if not file.is_file():
            continue
        try:
            payload = json.loads(file.read_text(encoding="utf-8"))
            settings = payload[key] if key else payload
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise RunFolderError(f"{file} is not readable: {error}") from error
        if isinstance(settings, dict) and settings:
            return up_to_date(settings)
    raise RunFolderError(
        f"{run} cannot be resumed: it has neither {MANIFEST} nor checkpoints/{checkpoint}",
        hint="it stopped before anything was saved; start it again",
    )


def _step(run: Path, inside: tuple[str, ...]) -> int | None:
    if inside[:1] != ("checkpoints",) or len(inside) < 2 or inside[1] == "last":
        return None
    name = (run / "checkpoints" / inside[1]).resolve().name
    return int(name) if name.isdigit() else None
