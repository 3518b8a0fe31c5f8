"""Checkpoints on the disk: written complete or not at all, verified, pruned, found again.

This file knows folders, names and hashes. What lies inside a checkpoint is the trainer's business.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from etude.errors import CheckpointError, StorageError
from etude.runs.atomic import (
    TEMPORARY_PREFIX,
    atomic_directory,
    remove_leftovers,
    replace_symlink,
    write_json,
)

__all__ = ["Checkpoint", "CheckpointStore"]

logger = logging.getLogger(__name__)

SEAL = "checkpoint.json"
LAST, BEST = "last", "best"
DIGITS = 6  # LeRobot's names: 005000


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder, `checkpoints/005000`."""

    path: Path

    @property
    def step(self) -> int:
        return int(self.path.name)

    @property
    def pretrained_model(self) -> Path:
        """The policy: `config.json`, `model.safetensors`, the processors, `train_config.json`."""
        return self.path / "pretrained_model"

    @property
    def training_state(self) -> Path:
        """What a resume needs besides: optimizer, schedule, random states, position in the data."""
        return self.path / "training_state"

    def verify(self) -> None:
        """Compare every file with the sizes and hashes recorded when it was written.

        A checkpoint of LeRobot's own trainer has no seal; then only the files' presence is checked.

        Raises:
            CheckpointError: a file is absent or differs.
        """
        seal = self.path / SEAL
        if not seal.is_file():
            if not (self.pretrained_model / "config.json").is_file():
                raise CheckpointError(f"{self.path} is not a checkpoint: no pretrained_model/config.json")
            return
        try:
            recorded = json.loads(seal.read_text(encoding="utf-8"))["files"]
        except (ValueError, KeyError) as error:
            raise CheckpointError(f"checkpoint {self.path} is corrupt: {SEAL} is not readable") from error
        for name, expected in recorded.items():
            file = self.path / name
            if not file.is_file():
                raise CheckpointError(f"checkpoint {self.path} is corrupt: {name} is missing")
            if file.stat().st_size != expected["bytes"] or _digest(file) != expected["sha256"]:
                raise CheckpointError(f"checkpoint {self.path} is corrupt: {name} is not what was written")


class CheckpointStore:
    """The `checkpoints/` folder of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Checkpoint]:
        """Complete checkpoints, oldest first."""
        if not self.folder.is_dir():
            return []
        numbered = [path for path in self.folder.iterdir() if path.name.isdigit() and path.is_dir()]
        return sorted(map(Checkpoint, numbered), key=lambda checkpoint: checkpoint.step)

    def named(self, name: str) -> Checkpoint | None:
        """The checkpoint that `last` or `best` points to, or the one of a step number."""
        if name.isdigit():
            return next((item for item in self.all() if item.step == int(name)), None)
        link = self.folder / name
        return Checkpoint(link.resolve()) if link.exists() else None

    def write(self, step: int, fill: Callable[[Path], None]) -> Checkpoint:
        """Write the checkpoint of `step`: `fill` puts the files in; it is then sealed, verified and named `last`.

        Raises:
            StorageError: no space or no permission; every earlier checkpoint is intact.
        """
        target = self.folder / f"{step:0{DIGITS}d}"
        try:
            with atomic_directory(target) as temporary:
                fill(temporary)
                _seal(temporary, step)
                Checkpoint(temporary).verify()
            replace_symlink(self.folder / LAST, target.name)
        except Exception as error:
            reason = storage_reason(error)
            if reason is None:
                raise
            raise StorageError(
                f"checkpoint {step} could not be written to {self.folder}: {reason}",
                hint=f"the previous checkpoint is intact; free some space, then "
                f"`etude train --resume {self.folder.parent}`",
            ) from error
        return Checkpoint(target)

    def mark_best(self, checkpoint: Checkpoint) -> None:
        """Point `best` at this checkpoint."""
        replace_symlink(self.folder / BEST, checkpoint.path.name)

    def prune(self, keep_last: int | None, is_regular: Callable[[int], bool] = lambda step: True) -> list[int]:
        """Remove checkpoints that are no longer wanted; never `last` or `best`.

        Args:
            keep_last: how many of the newest to keep; None keeps all.
            is_regular: whether a step is one at which a checkpoint is due anyway. Others were written because they
                were the best of their time, or at a stop; they go once they are neither `best` nor `last`.

        Returns:
            The removed steps.
        """
        remove_leftovers(self.folder)
        kept = {item.path.name for name in (LAST, BEST) if (item := self.named(name))}
        everything = self.all()
        newest = everything if keep_last is None else everything[max(0, len(everything) - keep_last) :]
        wanted = {item.path.name for item in newest if is_regular(item.step)} | kept
        removed = []
        for checkpoint in everything:
            if checkpoint.path.name not in wanted:
                self._remove(checkpoint)
                removed.append(checkpoint.step)
        return removed

    def set_aside_after(self, step: int) -> list[int]:
        """Rename the checkpoints later than `step`, which a run continued from there will write anew.

        They become `abandoned-001000`: no tool takes them for the newest, and nothing is lost. `last` points to
        `step`; a `best` among them is no longer named.

        Returns:
            Their steps.
        """
        later = [item for item in self.all() if item.step > step]
        best = self.named(BEST)
        if best is not None and best.step > step:
            (self.folder / BEST).unlink()
        for item in later:
            aside = item.path.with_name(f"abandoned-{item.path.name}")
            if aside.exists():
                shutil.rmtree(aside)
            item.path.rename(aside)
        kept = self.named(str(step))
        if later and kept is not None:
            replace_symlink(self.folder / LAST, kept.path.name)
        return [item.step for item in later]

    def latest_intact(self) -> tuple[Checkpoint, list[str]]:
        """The newest checkpoint that verifies, and a sentence for each newer one that did not.

        Raises:
            CheckpointError: there is none.
        """
        problems = []
        for checkpoint in reversed(self.all()):
            try:
                checkpoint.verify()
            except CheckpointError as error:
                problems.append(error.message)
                continue
            return checkpoint, problems
        detail = f" ({'; '.join(problems)})" if problems else ""
        raise CheckpointError(
            f"{self.folder} holds no complete checkpoint{detail}",
            hint="start again with a new --output_dir",
        )

    def _remove(self, checkpoint: Checkpoint) -> None:
        # Renamed first: a half-removed folder must not look like a checkpoint.
        doomed = checkpoint.path.with_name(f"{TEMPORARY_PREFIX}{checkpoint.path.name}-pruned")
        checkpoint.path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def storage_reason(error: BaseException) -> str | None:
    """Why the disk refused, or None where the error is of another kind.

    Libraries that write in native code (safetensors) wrap the operating system's error in their own, as text.
    """
    if isinstance(error, OSError) and error.errno in _REASONS:
        return _REASONS[error.errno]
    text = str(error)
    for number, reason in _REASONS.items():
        if f"os error {number}" in text or f"[Errno {number}]" in text:
            return reason
    return None


_REASONS = {
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.EFBIG: "the file is larger than allowed",
}


def _seal(folder: Path, step: int) -> None:
    files = {
        str(file.relative_to(folder)): {"bytes": file.stat().st_size, "sha256": _digest(file)}
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    write_json(folder / SEAL, {"step": step, "files": files})


def _digest(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
