"""The environment of a courier's process: patience and credentials, set nowhere else."""

from __future__ import annotations

import os

from etude.secrets.redaction import redact, split_credentials
from etude.tracking.settings import TrackingSettings

__all__ = ["courier_environment"]


def courier_environment(tracker: str, settings: TrackingSettings, recorded_uri: str | None = None) -> dict[str, str]:
    """Variables for a courier's process alone. What the user has set stays.

    Args:
        recorded_uri: the MLflow address in `run.json`, credentials masked; None takes the settings'.
    """
    if tracker == "wandb":
        return _unless_set({"WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_ERROR_REPORTING": "false"})
    uri = settings.mlflow_uri
    address, user, password = split_credentials(uri)
    if recorded_uri and redact(address) != recorded_uri:
        address, user, password = recorded_uri, None, None
    credentials = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    # The courier itself waits and tries again, so that a request must fail soon and be seen to fail.
    patience = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    given = {name: value for name, value in credentials.items() if value}
    return {**_unless_set(patience), **given, "MLFLOW_TRACKING_URI": address}


def _unless_set(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in os.environ}
