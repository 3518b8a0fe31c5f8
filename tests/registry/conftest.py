"""A registry and a run for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude.registry.mlflow_registry import MlflowRegistry
from etude.runs.folder import RunFolder
from tests.registry.databases import place_database
from tests.registry.handmade import make_run


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The address of an empty MLflow database of one's own."""
    return place_database(tmp_path / "store")


@pytest.fixture
def registry(database: str) -> MlflowRegistry:
    return MlflowRegistry(database)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with the checkpoints 100 (best) and 200."""
    return make_run(tmp_path / "outputs" / "train" / "drawer-act")
