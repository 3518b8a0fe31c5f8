"""Where MLflow is when nobody says, and where it keeps files: one answer for tracking and for the model registry."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["artifact_location", "mlflow_uri", "sqlite_file"]

DATABASE = "mlflow.db"


def mlflow_uri(given: str | None = None) -> str:
    """The MLflow address: the one given, else MLFLOW_TRACKING_URI, else `mlflow.db` in the current folder.

    A relative SQLite file is pinned to the current folder, so that every process means the same file.
    """
    address = given or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DATABASE}"
    match = re.match(r"^sqlite:///(?!/)(.+)$", address)
    return f"sqlite:///{Path(match[1]).absolute()}" if match else address


def sqlite_file(uri: str) -> Path | None:
    """The file of a local database; None for every other address."""
    match = re.match(r"^sqlite:////(.*)$", uri)
    return Path("/" + match[1]) if match else None


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where an experiment's files go: beside a local database; None where a server decides for itself."""
    database = sqlite_file(uri)
    if database is None:
        return None
    return (database.parent / "mlruns" / re.sub(r"[^\w.-]", "_", experiment)).as_uri()
