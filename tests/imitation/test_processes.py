"""Two processes make the same run as one with the same global batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def curve(root: Path, name: str) -> list[float]:
    records = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [record["metrics"][name] for record in records if name in record["metrics"]]


def launch(argv: list[str], processes: int) -> None:
    command = [sys.executable, "-m", "etude.cli", "train", *argv]
    if processes > 1:
        command[1:3] = [
            "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", "-m", "etude.cli",
        ]  # fmt: skip
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.timeout(600)
def test_two_processes_have_the_curve_of_one(flags: list[str], tmp_path: Path) -> None:
    """With noise off; 240 frames in global batches of 16 leave a short batch at the end of an epoch."""
    still = [
        *flags,
        "--policy.use_vae=false",
        "--policy.dropout=0",
        "--log_freq=1",
        "--eval_steps=10",
        "--steps=24",
    ]
    launch([*still, "--save_freq=12", "--batch_size=16", f"--output_dir={tmp_path / 'one'}"], 1)
    two = tmp_path / "two"
    launch([*still, "--save_freq=12", "--batch_size=8", f"--output_dir={two}"], 2)
    for name in ("train/loss", "val/loss"):
        expected, found = curve(tmp_path / "one", name), curve(two, name)
        assert found == pytest.approx(expected, rel=2e-4), name
    states = json.loads((two / "checkpoints" / "last" / "training_state" / "randomness.json").read_text())
    assert len(states) == 2
    assert states[0]["torch"] != states[1]["torch"]
    launch(["--resume", str(two), "--steps=26"], 2)
    assert len(curve(two, "train/loss")) == 26
