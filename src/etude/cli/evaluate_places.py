"""Where an evaluation goes: beside the run whose policy it judges, or where the user says."""

from __future__ import annotations

from pathlib import Path

from etude.errors import RunFolderError
from etude.runs.folder import RunFolder

__all__ = ["result_folder", "run_of"]


def run_of(path: str | Path) -> RunFolder | None:
    """The run folder that `path` is or lies in, if there is one; a hub id lies in none."""
    if not Path(path).exists():
        return None
    try:
        return RunFolder.open(Path(path))
    except RunFolderError:
        return None


def result_folder(
    given: Path | None, run: RunFolder | None, name: str, label: str = "", *, taken_ok: bool = False
) -> Path:
    """Where a result goes: --output_dir, else the run's `evaluations/`, else `outputs/eval/`.

    Args:
        given: --output_dir.
        name: of a new folder in the run's `evaluations/` or in `outputs/eval/`.
        label: a folder inside `given`, where one evaluation has several results.

    Raises:
        RunFolderError: --output_dir holds something already.
    """
    if given is not None:
        folder = given / label if label else given
        if not taken_ok and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunFolderError(f"the output folder {folder} exists already", hint="choose another --output_dir")
        return folder
    if run is not None:
        return run.new_evaluation(name)
    # A policy from elsewhere has no run folder; its results are numbered in one of their own.
    folder, number = Path("outputs/eval") / name, 2
    while folder.exists():
        folder, number = Path("outputs/eval") / f"{name}-{number}", number + 1
    return folder
