"""Sending later what a server has missed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from etude.config.options import MlflowOptions
from etude.errors import TrackingError
from etude.runs.folder import RunFolder
from etude.tracking.courier import Courier
from etude.tracking.environment import courier_environment
from etude.tracking.settings import TrackingSettings, WandbSettings
from etude.tracking.spool import Spool

__all__ = ["SyncReport", "sync"]

FINAL = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class SyncReport:
    """What `sync` did for one tracker.

    Attributes:
        state: done | failed | busy (the run is being tracked by another process, which sends it).
        points_sent, uploads_sent: what the server lacked and has now.
        points_left, uploads_left: what it still lacks.
    """

    tracker: str
    state: str
    points_sent: int
    uploads_sent: int
    points_left: int
    uploads_left: int
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sync(
    run: RunFolder | Path,
    *,
    settings: TrackingSettings | None = None,
    timeout_s: float = 120.0,
    on_note: Callable[[str], None] = lambda line: None,
) -> list[SyncReport]:
    """Send what the run's trackers lack. Doing it twice sends nothing twice.

    Args:
        run: a run folder.
        settings: where the credentials of an address come from; by default the environment.
        timeout_s: most time for one tracker, seconds.

    Raises:
        RunFolderError: it is not a run folder.
        TrackingError: the run was never tracked, or W&B is not logged in.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder.open(run)
    manifest = folder.manifest()
    spool = Spool(folder.root)
    start = spool.read_start()
    trackers = [name for name in ("mlflow", "wandb") if start and name in start]
    if start is None or not trackers:
        raise TrackingError(
            f"{folder.root} has no tracking server: its points are in {folder.metrics_path.name} only",
            hint="MLflow is on by default; --mlflow.enable=false or a missing library turns it off",
        )
    settings = settings or TrackingSettings(mlflow=MlflowOptions())
    for name in trackers:
        start[name] = {**start[name], **manifest.tracking.get(name, {})}
    if "wandb" in start:
        WandbSettings(enable=True, mode=start["wandb"]["mode"]).check()
    with contextlib.suppress(OSError):  # another process may be tracking this run; its file is as good
        spool.write_start(start)
    status = manifest.status if manifest.status in FINAL else None

    def learned(tracker: str, found: dict[str, Any]) -> None:
        current = folder.manifest()
        if current.tracking.get(tracker) != found:
            current.tracking = {**current.tracking, tracker: found}
            current.save(folder.manifest_path)

    return [_sync_one(name, folder, start[name], settings, status, timeout_s, learned, on_note) for name in trackers]


def _sync_one(
    tracker: str,
    folder: RunFolder,
    identity: dict[str, Any],
    settings: TrackingSettings,
    status: str | None,
    timeout_s: float,
    learned: Callable[[str, dict[str, Any]], None],
    on_note: Callable[[str], None],
) -> SyncReport:
    courier = Courier(
        tracker,
        folder.root,
        mode="sync",
        environment=courier_environment(tracker, settings, identity.get("uri")),
        on_identity=learned,
        on_note=on_note,
    )
    courier.start()
    courier.close(status)
    if not courier.wait(timeout_s):
        courier.kill()
    points_left, uploads_left = courier.remaining()
    state = courier.state if courier.state in ("done", "busy") else "failed"
    late = f"no answer within {timeout_s:g} s"
    return SyncReport(
        tracker,
        state,
        courier.points_sent,
        courier.uploads_sent,
        points_left,
        uploads_left,
        None if state != "failed" else courier.reason or late,
    )
