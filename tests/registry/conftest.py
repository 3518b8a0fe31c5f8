"""MLflow databases, made once and copied: a new one takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from etude.registry.mlflow_registry import MlflowRegistry
from etude.runs.folder import RunFolder
from tests.registry.handmade import make_run


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow's with nothing in it; only to be copied."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_registered_models(max_results=1)
    return file


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> str:
    """The address of an empty database of one's own."""
    (tmp_path / "store").mkdir()
    shutil.copy(empty_database, tmp_path / "store" / "mlflow.db")
    return f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}"


@pytest.fixture
def registry(database: str) -> MlflowRegistry:
    return MlflowRegistry(database)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with the checkpoints 100 (best) and 200."""
    return make_run(tmp_path / "outputs" / "train" / "drawer-act")
