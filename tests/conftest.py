"""What every test shares: no network, one thread, and the demonstrations beside the project."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ["PATH"] = f"{sys.prefix}/bin{os.pathsep}{os.environ.get('PATH', '')}"  # commands are printed as `etude ...`
# Runs keep decoded frames in a cache: not in the user's. Commands started by a test inherit the place.
os.environ["ETUDE_CACHE"] = tempfile.mkdtemp(prefix="etude-test-cache-")
atexit.register(shutil.rmtree, os.environ["ETUDE_CACHE"], ignore_errors=True)
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


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command sets logging up for its process; here it shares the process with the tests after it."""
    root, ours = logging.getLogger(), logging.getLogger("etude")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    for handler in [handler for handler in handlers if handler not in root.handlers]:
        root.addHandler(handler)
    root.setLevel(level)
    ours.setLevel(our_level)
