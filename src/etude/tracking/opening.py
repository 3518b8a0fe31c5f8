"""Opening the tracking of a run: what is decided and written down before anything is sent."""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import logging
import os
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest
from etude.secrets.redaction import redact, redact_tree, split_credentials
from etude.tracking.base import Tracker
from etude.tracking.points import flatten
from etude.tracking.run_tracking import RunTracking
from etude.tracking.settings import TrackingSettings
from etude.tracking.spool import Spool

__all__ = ["open_tracking"]

logger = logging.getLogger(__name__)


def open_tracking(
    run: RunFolder,
    settings: TrackingSettings,
    manifest: RunManifest,
    params: Mapping[str, Any],
    *,
    on_identity: Callable[[dict[str, Any]], None] | None = None,
) -> Tracker:
    """Start tracking `run`; in the main process only. Returns at once: servers are asked in the background.

    A run that was tracked before goes on where it was, in the same MLflow and W&B run.

    Args:
        params: the resolved config, nested or with dotted keys.
        on_identity: called with what belongs under `tracking` in `run.json` (and is in `manifest.tracking` by
            then): once before this returns, and from another thread when more is known. The default saves
            `manifest`.

    Raises:
        TrackingError: the settings cannot work; see `TrackingSettings.check`.
    """
    settings.check()
    identity = _identity(settings, manifest)

    def keep(known: dict[str, Any]) -> None:
        manifest.tracking = known
        if on_identity is None:
            manifest.save(run.manifest_path)
        else:
            on_identity(known)

    keep(identity)  # before anything is sent: a kill from here on leaves no second run
    Spool(run.root).write_start(
        {
            "run_id": identity["run_id"],
            "name": manifest.name,
            "interval_s": settings.interval_s,
            "params": _params(manifest, params),
            "tags": _tags(manifest),
            **{tracker: identity[tracker] for tracker in ("mlflow", "wandb") if tracker in identity},
        }
    )
    return RunTracking(run.root, settings, identity, keep)


def _identity(settings: TrackingSettings, manifest: RunManifest) -> dict[str, Any]:
    """What `run.json` keeps: a stamp of our own, and for each tracker where the run is."""
    recorded = manifest.tracking
    identity: dict[str, Any] = {"run_id": recorded.get("run_id") or uuid.uuid4().hex}
    if settings.mlflow.enable:
        if importlib.util.find_spec("mlflow") is None:
            logger.warning("MLflow is not installed, so only metrics.jsonl is written (pip install 'etude[tracking]')")
        else:
            identity["mlflow"] = _mlflow_identity(settings, recorded.get("mlflow", {}))
    if settings.wandb.active:
        wandb = settings.wandb
        before = recorded.get("wandb", {})
        identity["wandb"] = {
            "project": wandb.project,
            "entity": wandb.entity,
            "run_id": wandb.run_id or before.get("run_id") or uuid.uuid4().hex[:8],
            "mode": wandb.resolved_mode,
            "notes": redact(wandb.notes) if wandb.notes else None,
            "tags": [tag[:64] for tag in wandb.tags],
            "disable_artifact": wandb.disable_artifact,
        }
    return identity


def _mlflow_identity(settings: TrackingSettings, recorded: dict[str, Any]) -> dict[str, Any]:
    uri = redact(split_credentials(settings.mlflow_uri)[0])
    identity: dict[str, Any] = {
        "uri": uri,
        "experiment": settings.mlflow_experiment,
        "tags": redact_tree(settings.mlflow.tags),
    }
    if recorded.get("uri") == uri and recorded.get("run_id"):
        return {**recorded, "tags": identity["tags"]}
    injected = os.environ.get("MLFLOW_RUN_ID")
    if injected and settings.mlflow.tracking_uri in (None, os.environ.get("MLFLOW_TRACKING_URI")):
        return {**identity, "run_id": injected, "injected": True}
    return identity


def _params(manifest: RunManifest, params: Mapping[str, Any]) -> dict[str, str]:
    facts = {
        "data": {name: manifest.dataset.get(name) for name in ("repo_id", "fingerprint", "frames", "fps")},
        "git": manifest.git,
        "packages": manifest.packages,
    }
    return flatten({**redact_tree(facts), **redact_tree(params)})


def _tags(manifest: RunManifest) -> dict[str, str]:
    tags = {
        "etude.kind": manifest.kind,
        "etude.dataset": manifest.dataset.get("repo_id"),
        "etude.dataset_fingerprint": manifest.dataset.get("fingerprint"),
        "etude.policy": manifest.policy.get("type"),
        "mlflow.source.name": "etude",
        "mlflow.source.git.commit": manifest.git.get("commit"),
    }
    with contextlib.suppress(KeyError, OSError):  # a container's user may have no name
        tags["mlflow.user"] = getpass.getuser()
    return {name: redact(str(value)) for name, value in tags.items() if value}
