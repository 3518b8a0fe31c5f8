"""A dataset on the hub, which is never downloaded: only its metadata, and what the batches need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.streaming.fake_hub import FakeHub

# In a process of its own: the hub's address is read once, when its library is imported.
COMPARE = """
import sys
import numpy as np
import torch
from pathlib import Path
from etude.data.demonstrations import PictureSettings
from etude.data.sources import StreamLocation, locate_stream
from etude.data.split import EpisodeSplit
from etude.data.streaming import StreamedDemonstrations, remote

def batches(location):
    meta = location.open_metadata()
    streamed = StreamedDemonstrations(meta, EpisodeSplit(list(range(meta.total_episodes)), []), location)
    streamed.open_pictures(meta.camera_keys, PictureSettings())
    source = streamed.source({"action": [0, 1, 2], **dict.fromkeys(meta.camera_keys, [-1, 0])})
    order = streamed.order(seed=0, share_size=6)
    return [source.batch(order.rows_of(step)) for step in range(14)]

remote.BLOCK_BYTES = 4096
both = batches(locate_stream("user/set")), batches(StreamLocation("user/set", Path(sys.argv[1])))
for ours, expected in zip(*both, strict=True):
    assert ours.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(ours[key], value) if isinstance(value, torch.Tensor) else ours[key] == value, key
print("equal")
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    removed = ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_LEROBOT_HOME", "HF_HUB_CACHE")
    kept = {name: value for name, value in os.environ.items() if name not in removed}
    return {**kept, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}


def call(arguments: list[str], environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=cwd, timeout=200
    )


def downloaded(root: Path) -> set[str]:
    """The parts of a dataset that lie in the hub's caches."""
    return {path.name for path in root.rglob("*") if path.name in ("meta", "data", "videos") and path.is_dir()}


@pytest.mark.timeout(400)
def test_batches_are_those_of_the_folder(many_files: Path, environment: dict[str, str], tmp_path: Path) -> None:
    with FakeHub("user/set", many_files) as hub:
        done = call(["-c", COMPARE, str(many_files)], {**environment, "HF_ENDPOINT": hub.url}, tmp_path)
    assert done.stdout.strip() == "equal", done.stderr[-3000:]
    assert downloaded(tmp_path / "hf") == {"meta"}
    videos = {name: count for name, count in hub.fetched.items() if name.startswith("videos/")}
    assert videos
    for name, count in videos.items():
        assert count <= (many_files / name).stat().st_size, name  # a whole epoch, and no byte twice


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_run(many_files: Path, environment: dict[str, str], tmp_path: Path) -> None:
    argv = [
        "-m", "etude.cli", "train", "--dataset.repo_id=user/set", "--dataset.streaming=true", "--steps=2",
        "--policy.type=act", "--policy.device=cpu", "--policy.pretrained_backbone_weights=null",
        "--policy.chunk_size=4", "--policy.n_action_steps=4",
        "--policy.dim_model=32", "--policy.n_heads=2", "--policy.dim_feedforward=32",
        "--batch_size=2", "--mlflow.enable=false", "--system_metrics_interval_s=0", "--output_dir=run",
        "--dataset.eval_split=0.2", "--eval_steps=2", "--max_eval_samples=4",
    ]  # fmt: skip
    with FakeHub("user/set", many_files) as hub:
        there = {**environment, "HF_ENDPOINT": hub.url}
        done = call(argv, there, tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "hf://datasets/user/set@v3.0 is not checked beforehand" in done.stderr + done.stdout
        assert downloaded(tmp_path / "hf") == {"meta"}
        resumed = call(["-m", "etude.cli", "train", "--resume", "run", "--steps=3"], there, tmp_path)
        assert resumed.returncode == 0, resumed.stderr[-3000:]
