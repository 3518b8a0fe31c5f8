"""Where everything of a run lies. LeRobot's own layout, so that its tools read it too."""

from __future__ import annotations

import shutil
from pathlib import Path

from etude.errors import RunFolderError, StorageError
from etude.runs.checkpoints import CheckpointStore
from etude.runs.manifest import RunManifest

__all__ = ["RunFolder"]


class RunFolder:
    """A run folder: `run.json`, `metrics.jsonl`, `checkpoints/`, `evaluations/`, `report.html`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._is_new = False
        self._made: list[Path] = []

    @classmethod
    def create(cls, root: Path) -> RunFolder:
        """Make a new, empty run folder.

        Raises:
            RunFolderError: the folder exists and holds something.
            StorageError: it may not be written.
        """
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise RunFolderError(
                f"the output folder {root} exists already",
                hint=f"continue it with `etude train --resume {root}`, or choose another --output_dir",
            )
        run = cls(root)
        run._is_new = True
        run._made = [folder for folder in (root, *root.parents) if not folder.exists()]
        try:
            root.mkdir(parents=True, exist_ok=True)
            (root / ".tmp-writable").touch()
            (root / ".tmp-writable").unlink()
        except OSError as error:
            run.discard()
            raise StorageError(
                f"cannot write to {root}: {error.strerror}", hint="choose another folder with --output_dir"
            ) from error
        return run

    def discard(self) -> None:
        """Remove what is in this run folder, and the folders that `create` made for it; only where `create` made it.

        For a run that was refused before it began: the same command must work once the cause is removed.
        """
        if not self._is_new or not self.root.is_dir():
            return
        for item in self.root.iterdir():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # another run lies beside this one
                return

    @classmethod
    def open(cls, root: Path) -> RunFolder:
        """Open a run folder that exists; a checkpoint inside one leads to its run.

        Raises:
            RunFolderError: there is none.
        """
        if not root.exists():
            raise RunFolderError(f"there is no run folder {root}", hint="runs lie under outputs/train")
        for candidate in (root, *root.resolve().parents):
            if (candidate / "run.json").is_file():
                return cls(candidate)
        raise RunFolderError(
            f"{root} is not a run folder: it has no run.json",
            hint="a run folder is what `etude train` writes, for example outputs/train/NAME",
        )

    @property
    def manifest_path(self) -> Path:
        return self.root / "run.json"

    @property
    def metrics_path(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def evaluations(self) -> Path:
        return self.root / "evaluations"

    @property
    def report_path(self) -> Path:
        return self.root / "report.html"

    @property
    def checkpoints(self) -> CheckpointStore:
        return CheckpointStore(self.root / "checkpoints")

    def manifest(self) -> RunManifest:
        """Read `run.json`."""
        return RunManifest.load(self.manifest_path)

    def new_evaluation(self, name: str) -> Path:
        """A folder name for an evaluation that does not exist yet: `NAME`, `NAME-2`, …"""
        candidate, number = self.evaluations / name, 2
        while candidate.exists():
            candidate = self.evaluations / f"{name}-{number}"
            number += 1
        return candidate
