"""`run.json`: what ran, on what, and where it is tracked."""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from etude.errors import RunFolderError
from etude.runs.atomic import write_json

__all__ = ["RunManifest", "git_state", "package_versions"]

SCHEMA = 1
DECIDING = ("etude", "lerobot", "torch", "torchvision", "torchcodec", "accelerate", "numpy")


@dataclass
class RunManifest:
    """Everything needed to say what a run was and to repeat it.

    Attributes:
        kind: "imitation" or "rl".
        name: the job name.
        command: the command line, as typed (secrets are references, so it holds none).
        config: the resolved config; feeding it back to `etude train --config` repeats the run.
        dataset: `repo_id`, `root`, `fingerprint`, `episodes`, `frames`, `fps`, `train_episodes`, `val_episodes`.
        lineage: `policy` (what it was fine-tuned from), `resumed_at` (steps).
        tracking: `mlflow` {`uri`, `experiment_id`, `run_id`}, `wandb` {`project`, `entity`, `run_id`}.
        status: running | finished | stopped | failed.
        steps: `planned` and `done`.
    """

    kind: str
    name: str
    command: list[str]
    config: dict[str, Any]
    schema: int = SCHEMA
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    status: str = "running"
    steps: dict[str, int] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    tracking: dict[str, Any] = field(default_factory=dict)
    git: dict[str, Any] = field(default_factory=lambda: git_state(Path.cwd()))
    packages: dict[str, str] = field(default_factory=lambda: package_versions(DECIDING))
    machine: dict[str, Any] = field(default_factory=lambda: {**_machine()})
    summary: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write to `path`, complete or not at all."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: Path) -> RunManifest:
        """Read a manifest; fields that a later version added are left out.

        Raises:
            RunFolderError: the file is absent or is not a manifest.
        """
        try:
            payload = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunFolderError(
                f"{path.parent} is not a run folder: it has no {path.name}",
                hint="a run folder is what `etude train` writes, for example outputs/train/NAME",
            ) from error
        except json.JSONDecodeError as error:
            raise RunFolderError(f"{path} is not readable: {error}") from error
        known = {item.name for item in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in payload.items() if name in known})


def git_state(folder: Path) -> dict[str, Any]:
    """The commit checked out in `folder` and whether files differ from it; empty outside a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of the installed packages that decide a result."""
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _machine() -> dict[str, Any]:
    import os

    return {"system": platform.platform(), "cpus": os.cpu_count(), "executable": Path(sys.executable).name}
