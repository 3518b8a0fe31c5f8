"""The MLflow run that Azure ML opens for every job, on a tracking server that a test brings."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from tests.emulators.azureml.state import Job

__all__ = ["MLflowRuns"]


class MLflowRuns:
    """Opens and closes runs on the MLflow server at `address`, over its REST interface."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._runs: dict[str, str] = {}

    def open(self, job: Job) -> dict[str, str]:
        """The variables that join a process to the job's run. A job that runs again keeps its run."""
        experiment = str(job.properties.get("experimentName") or "Default")
        if job.name not in self._runs:
            asked = {"experiment_id": self._experiment(experiment), "run_name": job.name}
            created = self._call("runs/create", {**asked, "start_time": int(time.time() * 1000)})
            self._runs[job.name] = created["run"]["info"]["run_id"]
        return {
            "MLFLOW_TRACKING_URI": self.address,
            "MLFLOW_RUN_ID": self._runs[job.name],
            "MLFLOW_EXPERIMENT_NAME": experiment,
        }

    def run_id(self, job: str) -> str | None:
        return self._runs.get(job)

    def close(self, job: Job, status: str) -> None:
        if job.name in self._runs:
            named = {"Completed": "FINISHED", "Canceled": "KILLED"}.get(status, "FAILED")
            ended = int(time.time() * 1000)
            self._call("runs/update", {"run_id": self._runs[job.name], "status": named, "end_time": ended})

    def _experiment(self, name: str) -> str:
        try:
            return str(self._call("experiments/create", {"name": name})["experiment_id"])
        except urllib.error.HTTPError:  # it exists
            found = self._call(f"experiments/get-by-name?experiment_name={urllib.parse.quote(name)}", None)
            return str(found["experiment"]["experiment_id"])

    def _call(self, path: str, content: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.address}/api/2.0/mlflow/{path}")
        if content is not None:
            request.data = json.dumps(content).encode()
            request.add_header("Content-Type", "application/json")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            answered: dict[str, Any] = json.load(response)
        return answered
