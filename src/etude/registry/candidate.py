"""What somebody wants to register: the files of one checkpoint, found in a run folder or beside it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from etude.errors import CheckpointError, RegistryError, RunFolderError
from etude.registry.lineage import FOLDER, FileSeal
from etude.runs.atomic import TEMPORARY_PREFIX
from etude.runs.checkpoints import SEAL, Checkpoint
from etude.runs.folder import RunFolder

__all__ = ["Candidate", "find_candidate"]

MODEL = "pretrained_model"


@dataclass(frozen=True)
class Candidate:
    """A policy's folder, and where it came from as far as that is here.

    Attributes:
        folder: with `config.json`, `model.safetensors` and the processors.
        checkpoint: which holds the folder; None for a folder of its own.
        named: how the checkpoint was chosen, "best" or "last"; None for a step.
        run: the run folder with a `run.json`; None for LeRobot's own runs.
    """

    folder: Path
    checkpoint: Checkpoint | None = None
    named: str | None = None
    run: RunFolder | None = None

    @property
    def step(self) -> int | None:
        """Finished optimizer updates, where known."""
        return self.checkpoint.step if self.checkpoint and self.checkpoint.path.name.isdigit() else None

    def verify(self) -> None:
        """Compare the checkpoint with its seal.

        Raises:
            RegistryError: a file is absent or differs.
        """
        if self.checkpoint is None:
            return
        try:
            self.checkpoint.verify()
        except CheckpointError as error:
            raise RegistryError(error.message, hint="register another one: --step N") from error

    def seals(self) -> dict[str, FileSeal]:
        """Every file of the policy: from the checkpoint's seal, or computed. Call `verify` first."""
        sealed = self._sealed()
        if sealed:
            return sealed
        return {
            path.relative_to(self.folder).as_posix(): seal_of(path)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not _is_ours(path.relative_to(self.folder))
        }

    def seal_digest(self) -> str | None:
        """SHA-256 of the checkpoint's seal; None where it has none."""
        file = self.checkpoint.path / SEAL if self.checkpoint else None
        return seal_of(file).sha256 if file is not None and file.is_file() else None

    def _sealed(self) -> dict[str, FileSeal]:
        file = self.checkpoint.path / SEAL if self.checkpoint else None
        if file is None or not file.is_file():
            return {}
        recorded = json.loads(file.read_text(encoding="utf-8"))["files"]
        return {
            name.removeprefix(f"{MODEL}/"): FileSeal(seal["bytes"], seal["sha256"])
            for name, seal in recorded.items()
            if name.startswith(f"{MODEL}/")
        }


def find_candidate(path: Path, step: str | None = None) -> Candidate:
    """Find the policy that `path` means.

    Args:
        path: a run folder, a checkpoint, a `pretrained_model` folder, or one that `etude models download` wrote.
        step: for a run folder: `best`, `last` or a number; by default `best` where there is one, else `last`.

    Raises:
        RegistryError: there is none.
    """
    if not path.is_dir():
        raise RegistryError(
            f"there is no folder {path}", hint="name a run folder, for example outputs/train/NAME, or a checkpoint"
        )
    if (path / "checkpoints").is_dir() or ((path / "run.json").is_file() and not (path / MODEL).is_dir()):
        return _of_run(RunFolder(path), step)
    if step is not None:
        raise RegistryError(
            f"--step {step} chooses among the checkpoints of a run, and {path} is no run folder",
            hint="leave --step out, or name the run folder",
        )
    if (path / MODEL).is_dir():
        return _of_checkpoint(Checkpoint(path.resolve()))
    inside = path.resolve()
    if inside.name == MODEL and (inside.parent.name.isdigit() or (inside.parent / SEAL).is_file()):
        return _of_checkpoint(Checkpoint(inside.parent))
    if not (path / "config.json").is_file():
        raise RegistryError(
            f"{path} holds no policy: no checkpoints/, no {MODEL}/ and no config.json",
            hint="name a run folder, for example outputs/train/NAME, or a checkpoint",
        )
    return Candidate(inside)


def _of_run(run: RunFolder, step: str | None) -> Candidate:
    store = run.checkpoints
    wanted = [step] if step is not None else ["best", "last"]
    found = next(((name, item) for name in wanted if (item := store.named(name)) is not None), None)
    if found is None:
        have = [str(item.step) for item in store.all()]
        which = f"no checkpoint {step}" if step is not None else "no checkpoint yet"
        raise RegistryError(
            f"run {run.root} has {which}" + (f"; it has {', '.join(have)}" if have and step is not None else ""),
            hint=f"--step takes best, last or a number: --step {have[-1]}" if have else "train it first: etude train",
        )
    name, checkpoint = found
    return _of_checkpoint(checkpoint, name if not name.isdigit() else None, run)


def _of_checkpoint(checkpoint: Checkpoint, named: str | None = None, run: RunFolder | None = None) -> Candidate:
    if run is None:
        try:
            run = RunFolder.open(checkpoint.path)
        except RunFolderError:
            run = None
    elif not run.manifest_path.is_file():
        run = None
    return Candidate(checkpoint.pretrained_model, checkpoint, named, run)


def seal_of(file: Path) -> FileSeal:
    """Size and SHA-256 of a file."""
    with open(file, "rb") as opened:
        return FileSeal(file.stat().st_size, hashlib.file_digest(opened, "sha256").hexdigest())


def _is_ours(path: Path) -> bool:
    """Files that are not the checkpoint's: our lineage, and leftovers of writes."""
    return path.parts[0] == FOLDER or any(part.startswith(TEMPORARY_PREFIX) for part in path.parts)
