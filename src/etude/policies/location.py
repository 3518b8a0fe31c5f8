"""Where a policy's files are: in a run folder, a checkpoint, a `pretrained_model` folder, or on the hub."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.errors import CheckpointError
from etude.runs.checkpoints import Checkpoint, CheckpointStore

__all__ = ["PolicyLocation", "find_policy"]

CONFIG, WEIGHTS, ADAPTER = "config.json", "model.safetensors", "adapter_model.safetensors"
PREPROCESSOR, POSTPROCESSOR = "policy_preprocessor.json", "policy_postprocessor.json"
TRAIN_CONFIG = "train_config.json"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class PolicyLocation:
    """A folder, or a hub id where `folder` is None.

    Attributes:
        name: what LeRobot's `from_pretrained` takes.
        step: finished optimizer updates, where known.
    """

    name: str
    folder: Path | None
    step: int | None

    def read_json(self, file: str) -> dict[str, Any] | None:
        """A JSON file beside the weights; None where it is absent, or on the hub.

        Raises:
            CheckpointError: it is there and cannot be read.
        """
        if self.folder is None or not (self.folder / file).is_file():
            return None
        try:
            payload: dict[str, Any] = json.loads((self.folder / file).read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{self.folder / file} is not readable: {error}") from error
        return payload


def find_policy(path: str | Path, checkpoint: str = "last") -> PolicyLocation:
    """Find the policy that `path` means.

    Args:
        path: run folder, checkpoint folder, `pretrained_model` folder, or hub id.
        checkpoint: for a run folder: `last`, `best` or a step number.

    Raises:
        CheckpointError: there is no policy, or the checkpoint is corrupt.
    """
    folder = Path(path)
    if not folder.exists():
        return _on_the_hub(str(path))
    if (folder / "checkpoints").is_dir():
        return _of_run(folder, checkpoint)
    if (folder / "pretrained_model").is_dir():
        return _of_checkpoint(Checkpoint(folder.resolve()))
    if not (folder / CONFIG).is_file():
        raise CheckpointError(
            f"{folder} holds no policy: no checkpoints/, no pretrained_model/ and no {CONFIG}",
            hint="--policy.path takes a run folder such as outputs/train/NAME, a checkpoint, or a hub id",
        )
    inside = folder.resolve()
    if inside.name == "pretrained_model" and inside.parent.name.isdigit():
        return _of_checkpoint(Checkpoint(inside.parent))
    return _of_files(inside, step=None)


def _of_run(folder: Path, name: str) -> PolicyLocation:
    store = CheckpointStore(folder / "checkpoints")
    found = store.named(name)
    if found is None:
        have = ", ".join(str(item.step) for item in store.all())
        raise CheckpointError(
            f"run {folder} has no checkpoint {name!r}" + (f"; it has {have}" if have else " at all yet"),
            hint="--checkpoint takes last, best or a step number" if have else None,
        )
    try:
        return _of_checkpoint(found)
    except CheckpointError as error:
        others = [str(item.step) for item in store.all() if item.step != found.step]
        hint = f"try another one: --checkpoint {others[-1]}" if others else error.hint
        raise CheckpointError(error.message, hint=hint) from error


def _of_checkpoint(checkpoint: Checkpoint) -> PolicyLocation:
    checkpoint.verify()
    step = checkpoint.step if checkpoint.path.name.isdigit() else None
    return _of_files(checkpoint.pretrained_model, step)


def _of_files(folder: Path, step: int | None) -> PolicyLocation:
    for needed in (CONFIG, PREPROCESSOR, POSTPROCESSOR):
        if not (folder / needed).is_file():
            hint = None
            if needed != CONFIG:
                hint = (
                    "a policy saved by an old LeRobot is brought up to date by "
                    f"`python -m lerobot.processor.migrate_policy_normalization --pretrained-path {folder}`"
                )
            raise CheckpointError(f"{folder} is not a complete policy: {needed} is missing", hint=hint)
    if not any((folder / weights).is_file() for weights in (WEIGHTS, ADAPTER)):
        raise CheckpointError(f"{folder} is not a complete policy: {WEIGHTS} is missing")
    return PolicyLocation(str(folder), folder, step)


def _on_the_hub(name: str) -> PolicyLocation:
    if not _HUB_ID.fullmatch(name) or name.startswith((".", "/")):
        raise CheckpointError(
            f"there is no policy at {name}",
            hint="--policy.path takes a run folder such as outputs/train/NAME, a checkpoint, or a hub id",
        )
    return PolicyLocation(name, None, None)
