"""Empty MLflow databases: made once in a test process and copied, because making one takes seconds."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

__all__ = ["place_database"]


def place_database(folder: Path) -> str:
    """Put an empty `mlflow.db` into `folder`; returns its address."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_empty_database(), folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}"


@functools.cache
def _empty_database() -> Path:
    from mlflow import MlflowClient

    folder = Path(tempfile.mkdtemp(prefix="etude-test-mlflow-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}").search_registered_models(max_results=1)
    return folder / "mlflow.db"
