"""What every test shares: no network, one thread, and the demonstrations beside the project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ["PATH"] = f"{sys.prefix}/bin{os.pathsep}{os.environ.get('PATH', '')}"  # commands are printed as `etude ...`
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real demonstrations (`ETUDE_TEST_DATA`, or `../shared/data` beside the clone)."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ETUDE_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no demonstrations at {folder}; set ETUDE_TEST_DATA")
    return folder
