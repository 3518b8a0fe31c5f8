"""Where a run's points go: the metrics file always, MLflow and Weights & Biases from processes of their own.

The files of the run folder are the queue. `log` writes one line to `metrics.jsonl` and returns; a courier
reads that file and sends. Each remote tracker has a courier process of its own, so that an SDK's imports,
locks and hangs are not the trainer's.
"""

from etude.tracking.base import NullTracker, Tracker
from etude.tracking.evaluations import log_evaluation
from etude.tracking.opening import open_tracking
from etude.tracking.settings import TrackingSettings, WandbSettings, ui_command
from etude.tracking.syncing import SyncReport, sync

__all__ = [
    "NullTracker",
    "SyncReport",
    "Tracker",
    "TrackingSettings",
    "WandbSettings",
    "log_evaluation",
    "open_tracking",
    "sync",
    "ui_command",
]
