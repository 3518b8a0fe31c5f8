"""The command lines of the training guides, as `etude train` takes them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from etude import config
from etude.config.nested import get

ACT = "--dataset.repo_id=me/your_dataset --policy.type=act"

COMMANDS: list[tuple[str, dict[str, Any]]] = [
    (
        "--dataset.repo_id=me/your_dataset --policy.type=act --output_dir=outputs/train/act_your_dataset "
        "--job_name=act_your_dataset --policy.device=cuda --wandb.enable=true --policy.repo_id=me/act_policy",
        {
            "policy.type": "act",
            "policy.device": "cuda",
            "policy.repo_id": "me/act_policy",
            "wandb.enable": True,
            "output_dir": "outputs/train/act_your_dataset",
            "job_name": "act_your_dataset",
        },
    ),
    (
        f"{ACT} --policy.dim_model=512 --policy.n_heads=8 --policy.n_encoder_layers=4 "
        "--policy.n_decoder_layers=1 --policy.chunk_size=100 --policy.n_action_steps=100 "
        "--policy.temporal_ensemble_coeff=None --policy.use_vae=True --policy.latent_dim=32 "
        "--policy.kl_weight=10.0 --policy.optimizer_lr=1e-5 --policy.dropout=0.1 "
        "--batch_size=32 --steps=20000",
        {
            "policy.chunk_size": 100,
            "policy.temporal_ensemble_coeff": None,
            "policy.use_vae": True,
            "policy.kl_weight": 10.0,
            "policy.optimizer_lr": 1e-5,
            "policy.dropout": 0.1,
            "batch_size": 32,
            "steps": 20000,
        },
    ),
    (
        "--dataset me/data --output-dir out --job-name trial --steps 20000 --batch-size 32 "
        "--learning-rate 1e-5 --use-vae --chunk-size 100",
        {"dataset.repo_id": "me/data", "policy.use_vae": True, "policy.optimizer_lr": 1e-5},
    ),
    (
        "--dataset.repo_id=me/your_dataset --policy.type=diffusion --policy.num_inference_steps=10 "
        "--policy.horizon=16 --policy.num_action_chunks=8 --policy.num_epochs=1000 "
        "--policy.backbone=resnet18 --policy.visual_features=512 --policy.action_dim=7",
        {
            "policy.num_inference_steps": 10,
            "policy.horizon": 16,
            "policy.n_action_steps": 8,
            "num_epochs": 1000,
            "policy.vision_backbone": "resnet18",
            "policy.spatial_softmax_num_keypoints": 256,
            "action_dim": 7,
        },
    ),
    ("--dataset.repo_id=me/d --policy.type=tdmpc --job_name=t", {"policy.type": "tdmpc"}),
    ("--dataset.repo_id=me/d --policy.type=smolvla --job_name=t", {"policy.type": "smolvla"}),
    (
        f"{ACT} --output_dir=outputs/train/act_multi_gpu --batch_size=128 --steps=20000",
        {"batch_size": 128, "output_dir": "outputs/train/act_multi_gpu"},
    ),
    (
        f"{ACT} --batch_size=16 --gradient_accumulation_steps=2 --mixed_precision=true",
        {"gradient_accumulation_steps": 2, "precision": "bf16"},
    ),
    (
        f"{ACT} --num_workers=8 --pin_memory=true --persistent_workers=true",
        {"num_workers": 8, "persistent_workers": True},
    ),
    (
        f"{ACT} --policy.optimizer_lr=5e-6 --steps=50000 --lr_scheduler=true",
        {"policy.optimizer_lr": 5e-6, "lr_schedule": "cosine"},
    ),
    (f"{ACT} --dataset.video_backend=pyav", {"dataset.video_backend": "pyav"}),
    (
        "--dataset-repo-id lerobot/aloha_sim_insertion_human --policy-type act",
        {"dataset.repo_id": "lerobot/aloha_sim_insertion_human", "policy.type": "act"},
    ),
    ("-d lerobot/aloha_sim_insertion_human", {"policy.type": "act", "job_name": "lerobot-act-training"}),
    (
        "-d user/custom-dataset -p diffusion --mlflow-enable -r my-diffusion-model",
        {"policy.type": "diffusion", "mlflow.enable": True, "mlflow.tags.model_name": "my-diffusion-model"},
    ),
    (
        "-d user/dataset --policy-repo-id user/pretrained-act --training-steps 50000",
        {"policy.path": "user/pretrained-act", "steps": 50000, "checkpoint_mode": "from-trained"},
    ),
    ("-d me/d --policy_type pi0fast --checkpoint-mode from-scratch", {"policy.type": "pi0_fast"}),
    (
        "--dataset_repo_id=me/d --wandb_enable=true --save_freq=5000",
        {"wandb.enable": True, "save_freq": 5000},
    ),
]


@pytest.mark.parametrize(("command", "expected"), COMMANDS)
def test_a_documented_command_resolves(command: str, expected: dict[str, Any]) -> None:
    values = config.resolve(shlex.split(command)).values
    assert {key: get(values, key) for key in expected} == expected


def test_every_command_of_the_page_resolves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "train.md").read_text(encoding="utf-8")
    file = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    commands = [
        *re.findall(r"^etude train .*$", page, re.MULTILINE),
        *re.findall(r"`(etude train [^`]*)`", page),
    ]
    assert file
    assert len(commands) > 6
    monkeypatch.chdir(tmp_path)
    Path("train.yaml").write_text(file.group(1), encoding="utf-8")
    model = Path("outputs/train/NAME/checkpoints/000005/pretrained_model")
    model.mkdir(parents=True)
    (model.parent.parent / "last").symlink_to("000005")
    (model / "train_config.json").write_text('{"dataset": {"repo_id": "a/b"}, "policy": {"type": "act"}}')
    for command in commands:
        config.resolve(shlex.split(command)[2:])
