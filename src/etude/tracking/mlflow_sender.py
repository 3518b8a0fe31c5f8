"""MLflow. The only file that imports its SDK.

A point is sent once. Before anything is sent to a run that exists, and after every request whose fate is
unknown, the server is asked what it has; the stamp `etude.run_id` finds a run whose creation was interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etude.config.mlflow_address import artifact_location
from etude.errors import TrackingError
from etude.runs.metrics import MetricRecord
from etude.tracking.points import Point, points_of
from etude.tracking.sender import Sender
from etude.tracking.spool import Delivery

__all__ = ["MlflowSender"]

STAMP = "etude.run_id"
METRICS_PER_BATCH = 1000
PARAMS_PER_BATCH = 100
PARAM_LENGTH = 6000
PARAM_LENGTH_AZURE = 500
STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST")


class MlflowSender(Sender):
    largest_batch = 200

    def load(self) -> None:
        import mlflow  # noqa: F401

    def open(self) -> bool:
        from mlflow import MlflowClient

        self._settings: dict[str, Any] = self.start["mlflow"]
        # The address reaches this process through its environment: it may hold a password, which no file may.
        self._uri = os.environ["MLFLOW_TRACKING_URI"]
        self._client = MlflowClient(tracking_uri=self._uri)
        run = self._find() or self._create()
        self._run_id: str = run.info.run_id
        self._settings["run_id"] = self._run_id
        self.tell({**self._settings, "experiment_id": run.info.experiment_id})
        self._learn(run)
        self._describe(run)
        return False

    def send(self, records: Sequence[MetricRecord], *, last: bool) -> int:
        points = [point for point in points_of(records) if not self._has(point)]
        for start in range(0, len(points), METRICS_PER_BATCH):
            batch = points[start : start + METRICS_PER_BATCH]
            self._log(batch)
            for point in batch:
                self._latest[point.key] = max(point.step, self._latest.get(point.key, point.step))
                if point.key in self._history:
                    self._history[point.key].add(point.step)
        return len(points)

    def deliver(self, delivery: Delivery, path: Path) -> None:
        if delivery.metrics:
            self._log([Point(key, delivery.step, delivery.time, value) for key, value in delivery.metrics.items()])
        if path.is_dir():
            self._client.log_artifacts(self._run_id, str(path), delivery.name)
        elif path.is_file():
            folder = str(Path(delivery.name).parent) if Path(delivery.name).suffix else delivery.name
            self._client.log_artifact(self._run_id, str(path), None if folder == "." else folder)

    def close(self, status: str) -> None:
        if not self._settings.get("injected"):  # a platform that started the run also ends it
            self._client.set_terminated(self._run_id, STATUS[status])

    # finding the run

    def _find(self) -> Any:
        """The run recorded before, or the one that carries the stamp; None when there is neither."""
        from mlflow.exceptions import MlflowException

        recorded = self._settings.get("run_id")
        if recorded:
            try:
                run = self._client.get_run(recorded)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                self.warn(f"MLflow no longer has run {recorded}; the points go to a new one")
            else:
                if run.info.lifecycle_stage != "deleted":
                    self._reopen(run)
                    return run
                self.warn(f"the MLflow run {recorded} was deleted; the points go to a new one")
            self._settings["injected"] = False
        self._experiment_id = self._experiment()
        found = self._stamped()
        if found:
            self._reopen(found[0])
        return found[0] if found else None

    def _stamped(self) -> list[Any]:
        """The runs with our stamp, oldest first."""
        condition = f"tags.`{STAMP}` = '{self.start['run_id']}'"
        runs = self._client.search_runs([self._experiment_id], filter_string=condition)
        return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))

    def _create(self) -> Any:
        created = self._client.create_run(self._experiment_id, tags=self._tags(), run_name=self.start["name"])
        # A request that timed out earlier may have been carried out since; then keep the older run.
        oldest, *others = self._stamped() or [created]
        for other in others:
            self._client.delete_run(other.info.run_id)
        return oldest

    def _tags(self) -> dict[str, str]:
        return {**self.start["tags"], **self._settings.get("tags", {}), STAMP: self.start["run_id"]}

    def _reopen(self, run: Any) -> None:
        if self.start.get("training") and run.info.status != "RUNNING":
            self._client.update_run(run.info.run_id, status="RUNNING")

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self._settings["experiment"]
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(self._client.create_experiment(name, artifact_location=artifact_location(self._uri, name)))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = self._client.get_experiment_by_name(name)  # another run was faster
        if experiment is None or experiment.lifecycle_stage == "deleted":
            raise TrackingError(f"the MLflow experiment {name!r} was deleted; restore it, or use --mlflow.experiment")
        return str(experiment.experiment_id)

    # what the server has

    def _learn(self, run: Any) -> None:
        """The latest step of each metric. The whole history of one is asked for only when it could matter."""
        self._history: dict[str, set[int]] = {}
        self._latest: dict[str, int] = {metric.key: metric.step for metric in run.data.to_proto().metrics}
        # Step 0 may also mean that this server does not tell the latest step.
        self._doubtful = {key for key, step in self._latest.items() if step == 0}

    def _has(self, point: Point) -> bool:
        latest = self._latest.get(point.key)
        if latest is None or (latest < point.step and point.key not in self._doubtful):
            return False
        if point.key not in self._history:
            history = self._client.get_metric_history(self._run_id, point.key)
            self._history[point.key] = {metric.step for metric in history}
        return point.step in self._history[point.key]

    # sending

    def _log(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        metrics = [Metric(point.key, point.value, round(point.time * 1000), point.step) for point in points]
        try:
            self._client.log_batch(self._run_id, metrics=metrics)
        except MlflowException as error:
            if error.error_code not in REFUSED:
                raise
            if len(points) == 1:
                self.warn(f"MLflow refuses {points[0].key} at step {points[0].step}: {first_line(error)}")
                return
            middle = len(points) // 2  # one bad value must not hold back the others
            self._log(points[:middle])
            self._log(points[middle:])

    def _describe(self, run: Any) -> None:
        """Log the parameters and tags that the run lacks. A parameter cannot be changed once logged."""
        from mlflow.entities import Param, RunTag
        from mlflow.exceptions import MlflowException

        longest = PARAM_LENGTH_AZURE if self._uri.startswith("azureml") else PARAM_LENGTH
        lacking = [
            Param(key, value[:longest])
            for key, value in self.start["params"].items()
            if key not in run.data.params and value
        ]
        tags = [RunTag(key, value) for key, value in self._tags().items() if key not in run.data.tags]
        if tags:
            self._client.log_batch(self._run_id, tags=tags)
        for start in range(0, len(lacking), PARAMS_PER_BATCH):
            try:
                self._client.log_batch(self._run_id, params=lacking[start : start + PARAMS_PER_BATCH])
            except MlflowException as error:
                if error.error_code not in REFUSED:
                    raise
                self.warn(f"MLflow refuses some parameters (all are in run.json): {first_line(error)}")


def first_line(error: BaseException) -> str:
    """An exception in one short line."""
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:200]
