"""What `--print-config` prints is read back to equal settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("lerobot")

from hypothesis import given, settings
from hypothesis import strategies as st

from etude import config
from etude.config.files import dump_yaml
from etude.imitation.settings import decode, encode

FLAGS = {
    "policy.type": ["act", "diffusion", "vqbet", "tdmpc", "smolvla", "pi0_fast", "molmoact2", "xvla"],
    "policy.device": ["cpu", "auto"],
    "policy.optimizer_lr": ["1e-5", "0.001"],
    "batch_size": ["1", "64"],
    "steps": ["1", "1e5"],
    "seed": ["null", "3"],
    "dataset.episodes": ["0:4", "[1]", "null"],
    "dataset.revision": ["1e5", "main", "007"],
    "dataset.image_transforms.enable": ["true"],
    "exclude_episodes": ["1,2"],
    "job_name": ["a", "007", "on", "1e5", "null"],
    "env.type": ["pusht", "metaworld", "aloha"],
    "eval.batch_size": ["2", "0"],
    "precision": ["no", "bf16"],
    "lr_schedule": ["cosine", "constant"],
    "grad_clip_norm": ["0", "1.5"],
    "wandb.notes": ["yes", "a: b", "#", "", "é", "1.5"],
    "wandb.tags": ["a,b", '["1", "x y"]'],
    "mlflow.tags.team": ["arms", "7"],
    "early_stopping.patience": ["3"],
    "ema.enable": ["true"],
    "checkpoint.best_by": ["val_loss"],
    "eval_steps": ["7", "auto"],
}
COMMANDS = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in FLAGS.items()})


@settings(max_examples=30, deadline=None)
@given(flags=COMMANDS, epochs=st.booleans(), as_json=st.booleans())
def test_printed_settings_read_back(
    tmp_path_factory: pytest.TempPathFactory, flags: dict[str, str], epochs: bool, as_json: bool
) -> None:
    if epochs:
        flags = {**flags, "num_epochs": "2.5"}
        flags.pop("steps", None)
    folder = tmp_path_factory.mktemp("run")
    arguments = [f"--{key}={value}" for key, value in flags.items()]
    first = decode(config.resolve(["-d", "user/data", f"--output_dir={folder}/out", *arguments]))
    file = folder / ("c.json" if as_json else "c.yaml")
    printed = encode(first)
    file.write_text(json.dumps(printed) if as_json else dump_yaml(printed))
    second = decode(config.resolve([f"--config={file}"]))
    assert second == first
    assert encode(second) == printed
    assert second.finish(1000) == first.finish(1000)


def test_a_run_repeats_from_its_manifest(tmp_path: Path) -> None:
    first = decode(config.resolve(["-d", "user/data", f"--output_dir={tmp_path}/run", "--precision=no"]))
    (tmp_path / "run").mkdir()
    manifest = {"kind": "imitation", "name": "run", "config": encode(first)}
    (tmp_path / "run/run.json").write_text(json.dumps(manifest))
    resumed = decode(config.resolve(["--resume", f"{tmp_path}/run"]))
    assert resumed == first
