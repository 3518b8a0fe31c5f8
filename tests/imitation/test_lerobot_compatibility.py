"""Checkpoints go both ways between étude and LeRobot's own tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.imitation.conftest import run


def lerobot_train(*argv: str) -> str:
    """LeRobot's trainer, as its command runs it."""
    command = [sys.executable, "-c", "from lerobot.scripts.lerobot_train import main; main()", *argv]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=250)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def observation(root: Path) -> dict[str, Any]:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    frame = LeRobotDataset("small/robot", root=root)[7]
    return {key: value.unsqueeze(0) for key, value in frame.items() if key.startswith("observation.")}


@pytest.mark.parametrize("ema", ["false", "true"])
def test_from_pretrained_predicts_the_same(flags: list[str], small_robot: Path, tmp_path: Path, ema: str) -> None:
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors

    from etude.policies import load_policy

    root = tmp_path / "run"
    run([*flags, f"--ema.enable={ema}", "--steps=12", "--save_freq=6", f"--output_dir={root}"])
    folder = root / "checkpoints" / "last" / "pretrained_model"
    theirs = ACTPolicy.from_pretrained(folder)
    before, after = make_pre_post_processors(theirs.config, pretrained_path=str(folder))
    ours = load_policy(root, device="cpu")
    batch = observation(small_robot)
    expected = after(theirs.predict_action_chunk(before(dict(batch))))
    found = ours.postprocessor(ours.policy.predict_action_chunk(ours.preprocessor(dict(batch))))
    assert expected.shape == (1, 8, 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.timeout(600)
def test_lerobot_resumes_ours_and_we_resume_theirs(flags: list[str], tmp_path: Path) -> None:
    root = tmp_path / "run"
    run([*flags, "--dataset.eval_split=0", "--steps=10", "--save_freq=5", "--num_workers=0", f"--output_dir={root}"])
    config = root / "checkpoints" / "last" / "pretrained_model" / "train_config.json"
    lerobot_train(f"--config_path={config}", "--resume=true", "--steps=14", "--save_freq=4")
    assert (root / "checkpoints" / "last").resolve().name == "000014"
    training = json.loads((root / "checkpoints" / "000014" / "training_state" / "training_step.json").read_text())
    assert training["step"] == 14
    result, shown = run(["--resume", str(root), "--steps=18"])
    assert (shown.start, result.outcome.step) == (14, 18)


@pytest.mark.timeout(600)
def test_a_run_of_lerobots_own_is_continued_as_it_would_have_gone_on(flags: list[str], tmp_path: Path) -> None:
    """LeRobot's run of 12 steps, and its run of 8 continued by us, end in the same weights."""
    from safetensors.torch import load_file

    theirs = [flag for flag in flags if not flag.startswith(("--mlflow", "--system"))]
    common = [*theirs, "--dataset.repo_id=small/robot", "--policy.push_to_hub=false", "--num_workers=0", "--seed=3"]
    lerobot_train(*common, "--steps=12", "--save_freq=4", f"--output_dir={tmp_path / 'whole'}")
    cut = tmp_path / "cut"
    lerobot_train(*common, "--steps=8", "--save_freq=4", f"--output_dir={cut}")
    result, shown = run(["--resume", str(cut), "--steps=12", "--mlflow.enable=false", "--dataset.eval_split=0"])
    assert (shown.start, result.outcome.step) == (8, 12)
    expected, found = (
        load_file(root / "checkpoints" / "last" / "pretrained_model" / "model.safetensors")
        for root in (tmp_path / "whole", cut)
    )
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-6, msg=name)
