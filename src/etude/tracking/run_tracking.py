"""The tracker that a run writes to: the metrics file first, couriers behind it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etude.runs.metrics import MetricRecord, MetricsFile
from etude.secrets.redaction import redact
from etude.tracking.base import Status, Tracker
from etude.tracking.courier import Courier
from etude.tracking.environment import courier_environment
from etude.tracking.settings import TrackingSettings
from etude.tracking.spool import Spool, repair_tail
from etude.tracking.system import SystemSampler

__all__ = ["RunTracking"]

logger = logging.getLogger(__name__)

TITLES = {"mlflow": "MLflow", "wandb": "Weights & Biases"}


class RunTracking(Tracker):
    """Writes every record to `metrics.jsonl`; processes of their own read that file and send.

    Args:
        root: the run folder, with `tracking/start.json` written.
        identity: what is known of where the run is tracked.
        keep: makes a changed identity durable.
    """

    def __init__(
        self,
        root: Path,
        settings: TrackingSettings,
        identity: dict[str, Any],
        keep: Callable[[dict[str, Any]], None],
    ) -> None:
        self._root = root
        self._settings = settings
        self._identity = identity
        self._keep = keep
        self._closed = False
        self._write_failed = False
        self._step = self._sampled_step = -1
        self._lock = threading.Lock()  # the trainer and the sampler both log
        self._identity_lock = threading.Lock()
        repair_tail(root / "metrics.jsonl")
        self._file = MetricsFile(root / "metrics.jsonl")
        self._couriers = [self._courier(name) for name in ("mlflow", "wandb") if name in identity]
        for courier in self._couriers:
            courier.start()
        self._sampler = SystemSampler(settings.system_metrics_interval_s, root, self._log_system)
        self._sampler.start()

    def log(self, record: MetricRecord) -> None:
        """Write one record; it is with the operating system when this returns."""
        try:
            with self._lock:
                self._step = max(self._step, record.step)
                self._file.append(record)
        except (OSError, ValueError) as error:  # a full disk; a record after `close`
            if not self._write_failed:
                self._write_failed = True
                logger.warning("cannot write to %s: %s", self._file.path, error)

    def at_step(self, step: int) -> None:
        self._step = step

    def artifact(self, path: Path, name: str) -> None:
        if not self._couriers:
            return
        try:
            Spool(self._root).deliver(path, name)
        except OSError as error:
            logger.warning("cannot queue %s for upload: %s", path, error)

    def note(self, line: str) -> None:
        logger.info("%s", redact(line))

    @property
    def identity(self) -> dict[str, Any]:
        with self._identity_lock:
            return dict(self._identity)

    def close(self, status: Status = "finished") -> None:
        if self._closed:
            return
        self._closed = True
        self._sampler.stop()
        try:
            with self._lock:
                self._file.close()
        except OSError as error:
            logger.warning("cannot write to %s: %s", self._file.path, error)
        for courier in self._couriers:
            courier.close(status)
        for courier in self._couriers:
            # Whoever stopped the run wants it to end; one that finished may take the time it needs.
            if not courier.wait(self._settings.close_timeout_s, patient=status == "finished"):
                self._leave_behind(courier)

    def _leave_behind(self, courier: Courier) -> None:
        """End a courier that is not done, and say how to send the rest."""
        courier.kill()
        points, uploads = courier.remaining()
        rest = f"{points} points" + (f" and {uploads} uploads" if uploads else "")
        reason = f" ({courier.reason})" if courier.reason else ""
        logger.warning(
            "%s has not taken everything%s: up to %s to go. They are kept; send them with: etude track %s",
            TITLES[courier.tracker], reason, rest, self._root,
        )  # fmt: skip

    def _log_system(self, metrics: dict[str, float]) -> None:
        """One system record a step at most: a tracker tells points apart by their step."""
        step = self._step
        if step > self._sampled_step and metrics:
            self._sampled_step = step
            self.log(MetricRecord(step=step, time=time.time(), metrics=metrics))

    def _courier(self, tracker: str) -> Courier:
        local = self._identity[tracker].get("uri", "").startswith(("sqlite", "file"))
        return Courier(
            tracker,
            self._root,
            environment=courier_environment(tracker, self._settings),
            local=local or self._identity[tracker].get("mode") == "offline",
            on_identity=self._learned,
        )

    def _learned(self, tracker: str, found: dict[str, Any]) -> None:
        with self._identity_lock:
            self._identity = {**self._identity, tracker: found}
            known = self._identity
        self._keep(known)
