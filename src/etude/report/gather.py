"""Everything that a page says about a run, read from its folder. What cannot be read becomes a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from etude.runs.checkpoints import Checkpoint
from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.runs.metrics import MetricRecord, read_metrics, series
from etude.runs.results import ComparisonResult, ReplayResult, RolloutResult, load_result

__all__ = ["Evaluation", "RunView", "StoredCheckpoint", "gather"]

Curves = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class Evaluation:
    """One result and the folder that its pictures and videos are relative to."""

    name: str
    folder: Path
    result: RolloutResult | ReplayResult | ComparisonResult


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint on the disk.

    Attributes:
        marks: "last", "best" or both.
        size: bytes, all files together.
        written_at: time of the folder's last change.
    """

    step: int
    marks: list[str]
    size: int
    written_at: datetime


@dataclass
class RunView:
    """A run folder, read.

    Attributes:
        curves: metric name to `(step, value)` in the order written.
        started_at, ended_at: times of the first and last logged point, seconds since the epoch.
        problems: what could not be read, a sentence each.
    """

    folder: RunFolder
    manifest: RunManifest
    curves: Curves = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None
    checkpoints: list[StoredCheckpoint] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.manifest.name or self.folder.root.name)

    @property
    def steps_done(self) -> int:
        logged = max((points[-1][0] for points in self.curves.values() if points), default=0)
        return max(int(self.manifest.steps.get("done") or 0), logged)

    def of_kind(self, kind: str) -> list[Evaluation]:
        """The evaluations of a kind, newest first."""
        return [item for item in self.evaluations if item.result.kind == kind]


def gather(root: Path) -> RunView:
    """Read the run folder `root` (or the one that a checkpoint lies in).

    Raises:
        RunFolderError: it is not a run folder.
    """
    folder = RunFolder.open(root)
    view = RunView(folder, _without_passwords(folder.manifest()))
    records = list(_records(folder.metrics_path, view.problems))
    view.curves = series(records)
    if records:
        view.started_at, view.ended_at = records[0].time, records[-1].time
    view.checkpoints = _checkpoints(folder)
    view.evaluations = _evaluations(folder.evaluations, view.problems)
    return view


def _records(path: Path, problems: list[str]) -> Iterator[MetricRecord]:
    try:
        yield from read_metrics(path)
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        problems.append(f"{path.name} is damaged; its points after the damage are not shown.")
        return
    if path.exists() and not _ends_with_newline(path):
        problems.append(f"The last line of {path.name} was cut short; that point is not shown.")


def _ends_with_newline(path: Path) -> bool:
    if path.stat().st_size == 0:
        return True
    with open(path, "rb") as file:
        file.seek(-1, 2)
        return file.read() == b"\n"


def _checkpoints(folder: RunFolder) -> list[StoredCheckpoint]:
    store = folder.checkpoints
    named = {name: item.path.name for name in ("last", "best") if (item := store.named(name))}
    return [
        StoredCheckpoint(
            step=checkpoint.step,
            marks=[name for name, target in named.items() if target == checkpoint.path.name],
            size=_size(checkpoint),
            written_at=datetime.fromtimestamp(checkpoint.path.stat().st_mtime, UTC),
        )
        for checkpoint in store.all()
    ]


def _size(checkpoint: Checkpoint) -> int:
    return sum(file.stat().st_size for file in checkpoint.path.rglob("*") if file.is_file())


def _evaluations(folder: Path, problems: list[str]) -> list[Evaluation]:
    found = []
    for file in sorted(folder.glob("**/result.json")):
        name = str(file.parent.relative_to(folder))
        if any(part.startswith(".") for part in file.parent.relative_to(folder).parts):
            continue  # an evaluation that is still being written
        try:
            found.append(Evaluation(name, file.parent, load_result(file)))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            problems.append(f"The evaluation {name} could not be read: {error}.")
    return sorted(found, key=lambda item: str(item.result.created_at), reverse=True)


_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def _without_passwords(manifest: RunManifest) -> RunManifest:
    """A tracking address may carry `user:password@`; a page that is passed around must not."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return _CREDENTIALS.sub("", value)
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list):
            return [clean(item) for item in value]
        return value

    for name in ("command", "config", "dataset", "lineage", "tracking", "summary"):
        setattr(manifest, name, clean(getattr(manifest, name)))
    return manifest
