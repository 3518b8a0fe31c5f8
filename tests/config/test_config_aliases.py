"""Every row of the alias table, and that the table is documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etude import config
from etude.config.aliases import ALIASES, POLICY_SPELLINGS
from etude.config.nested import get
from etude.errors import UsageError

DATA = "--dataset.repo_id=user/data"

# The arguments, and the settings that they must lead to.
ROWS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "-d": (["-d", "user/other"], {"dataset.repo_id": "user/other"}),
    "dataset": (["--dataset=user/other"], {"dataset.repo_id": "user/other"}),
    "dataset_repo_id": (["--dataset-repo-id", "user/other"], {"dataset.repo_id": "user/other"}),
    "dataset_root": (["--dataset-root", "/data/x"], {"dataset.root": "/data/x"}),
    "-p": (["-p", "diffusion"], {"policy.type": "diffusion"}),
    "policy": (["--policy=diffusion"], {"policy.type": "diffusion"}),
    "env": (["--env=pusht"], {"env.type": "pusht"}),
    "policy_type": (["--policy-type", "diffusion"], {"policy.type": "diffusion"}),
    "policy.type": (["--policy.type=pi0fast"], {"policy.type": "pi0_fast"}),
    "policy_repo_id": (
        ["--policy-repo-id", "user/act"],
        {"policy.path": "user/act", "policy.type": None, "checkpoint_mode": "from-trained"},
    ),
    "policy_path": (["--policy-path=user/act"], {"policy.path": "user/act"}),
    "-j": (["-j", "trial"], {"job_name": "trial", "output_dir": "outputs/train/trial"}),
    "training_steps": (["--training-steps", "50000"], {"steps": 50000}),
    "learning_rate": (["--learning-rate", "1e-5"], {"policy.optimizer_lr": 1e-5}),
    "use_vae": (["--use-vae"], {"policy.use_vae": True}),
    "chunk_size": (["--chunk-size=50"], {"policy.chunk_size": 50}),
    "device": (["--device=cpu"], {"policy.device": "cpu"}),
    "wandb_enable": (["--wandb_enable=true"], {"wandb.enable": True}),
    "wandb_project": (["--wandb-project=arms"], {"wandb.project": "arms"}),
    "wandb_entity": (["--wandb_entity=lab"], {"wandb.entity": "lab"}),
    "wandb.tags": (['--wandb.tags=["act", "manipulation"]'], {"wandb_tags": ["act", "manipulation"]}),
    "mlflow_enable": (["--mlflow-enable"], {"mlflow.enable": True}),
    "mlflow_experiment": (["--mlflow-experiment=arms"], {"mlflow.experiment": "arms"}),
    "mlflow.experiment_name": (["--mlflow.experiment_name=arms"], {"mlflow.experiment": "arms"}),
    "dataset.exclude_episodes": (["--dataset.exclude_episodes=1,3:5"], {"exclude_episodes": [1, 3, 4]}),
    "eval_freq": (["--eval_freq=2000", "--env.type=pusht"], {"env_eval_freq": 2000, "eval_steps": 5000}),
    "mixed_precision": (["--mixed_precision=true"], {"precision": "bf16"}),
    "lr_scheduler": (["--lr_scheduler=true"], {"lr_schedule": "cosine"}),
    "pin_memory": (["--pin_memory=true"], {"pin_memory": None}),
    "dataset.download_videos": (["--dataset.download_videos=true"], {"dataset.download_videos": None}),
    "policy.num_action_chunks": (
        ["-p", "diffusion", "--policy.num_action_chunks=8"],
        {"policy.n_action_steps": 8, "policy.num_action_chunks": None},
    ),
    "policy.num_epochs": (["--policy.num_epochs=1000"], {"num_epochs": 1000, "steps": None}),
    "epochs": (["--epochs=3"], {"num_epochs": 3, "steps": None}),
    "policy.backbone": (["--policy.backbone=resnet34"], {"policy.vision_backbone": "resnet34"}),
    "policy.visual_features": (
        ["--policy.visual_features=512", "-p", "diffusion"],
        {"policy.spatial_softmax_num_keypoints": 256},
    ),
    "policy.action_dim": (["--policy.action_dim=7"], {"action_dim": 7, "policy.action_dim": None}),
    "policy.learning_rate": (["--policy.learning_rate=0.001"], {"policy.optimizer_lr": 0.001}),
    "policy.discover_packages_path": (["--policy.discover_packages_path=mine"], {"plugins": ["mine"]}),
    "env.discover_packages_path": (["--env.discover_packages_path=mine"], {"plugins": ["mine"]}),
    "-r": (["-r", "arm-model"], {"mlflow.tags.model_name": "arm-model"}),
    "register": (["--register", "arm-model"], {"mlflow.tags.model_name": "arm-model"}),
    "register_model": (["--register-model=arm-model"], {"mlflow.tags.model_name": "arm-model"}),
    "job.target": (["--job.target=local"], {"job.target": "local"}),
}
REFUSED = {
    "image": ["--image", "pytorch/pytorch:2.4.1"],
    "compute": ["--compute=gpu"],
    "-w": ["-w", "workflow.yaml"],
    "workflow": ["--workflow=workflow.yaml"],
    "dataset_bucket": ["--dataset-bucket", "bucket"],
    "dataset_name": ["--dataset-name", "name"],
    "mode": ["--mode=train"],
    "task": ["--task", "Isaac-Cartpole-v0"],
    "num_envs": ["--num-envs", "512"],
    "headless": ["--headless"],
    "max_iterations": ["--max-iterations", "1000"],
}


def test_every_row_of_the_table_is_here() -> None:
    assert {alias.spelling for alias in ALIASES} == ROWS.keys() | REFUSED.keys() | {"config_path", "frames.cache"}
    assert len({alias.spelling for alias in ALIASES}) == len(ALIASES)


@pytest.mark.parametrize("spelling", ROWS)
def test_an_alias_leads_to_its_settings(spelling: str) -> None:
    arguments, expected = ROWS[spelling]
    resolved = config.resolve([DATA, *arguments])
    assert {key: get(resolved.values, key) for key in expected} == expected


def test_the_config_file_has_lerobots_name_too(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"steps": 3}')
    for flag in ("--config", "--config_path", "--config-path"):
        assert config.resolve([DATA, flag, str(tmp_path / "c.json")]).values["steps"] == 3


@pytest.mark.parametrize("spelling", REFUSED)
def test_what_belongs_elsewhere_is_explained(spelling: str) -> None:
    with pytest.raises(UsageError, match=r"belongs to") as caught:
        config.resolve([DATA, *REFUSED[spelling]])
    assert caught.value.hint


@pytest.mark.parametrize("value", ["auto", "memory", "off"])
def test_what_has_another_name_now_is_explained(value: str) -> None:
    with pytest.raises(UsageError, match=r"frames.cache: frames.store has taken its place") as caught:
        config.resolve([DATA, f"--frames.cache={value}"])
    assert "--frames.store=video" in (caught.value.hint or "")


@pytest.mark.parametrize("spelling", POLICY_SPELLINGS)
def test_other_spellings_of_policies(spelling: str) -> None:
    assert config.resolve([DATA, "-p", spelling]).values["policy"]["type"] == POLICY_SPELLINGS[spelling]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--lr_scheduler=linear"], {"lr_schedule": "linear"}),
        (["--lr_scheduler=false"], {"lr_schedule": "constant", "lr_warmup_steps": 0}),
        (["--mixed_precision=false"], {"precision": "no"}),
        (["--mixed_precision=fp16"], {"precision": "fp16"}),
        (["--eval_freq=300"], {"env_eval_freq": 300, "eval_steps": 300}),
        (["-p", "fastwam", "--policy.action_dim=7"], {"policy.action_dim": 7, "action_dim": None}),
        (["--training.batch_size=3", "--output.save_freq=4"], {"batch_size": 3, "save_freq": 4}),
        (["--training.device=cpu"], {"policy.device": "cpu"}),
        (
            ["--batch-size", "3", "--save-freq", "4", "--output-dir", "x"],
            {"batch_size": 3, "output_dir": "x"},
        ),
        (["--mlflow.tags.my-team=arms"], {"mlflow.tags.my-team": "arms"}),
    ],
)
def test_values_of_aliases(arguments: list[str], expected: dict[str, Any]) -> None:
    values = config.resolve([DATA, *arguments]).values
    assert {key: get(values, key) for key in expected} == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "act", "--policy.num_action_chunks=8"],
        ["-p", "act", "--policy.visual_features=512"],
        ["-p", "diffusion", "--policy.visual_features=7"],
        ["--dataset.download_videos=false"],
        ["--job.target=a10g-small"],
    ],
)
def test_without_an_equal_it_is_refused_with_a_way_out(arguments: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        config.resolve([DATA, *arguments])
    assert caught.value.hint


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mixed_precision"],
        ["--lr_scheduler"],
        ["--pin_memory=true"],
        ["--eval_freq=10"],
        ["-r", "model"],
        ["-p", "diffusion", "--policy.num_action_chunks=8"],
    ],
)
def test_a_translation_is_told(arguments: list[str]) -> None:
    assert config.resolve([DATA, *arguments]).notes


def test_the_order_of_flags_does_not_matter() -> None:
    first = config.resolve([DATA, "--policy.num_action_chunks=8", "-p", "diffusion"])
    second = config.resolve(["-p", "diffusion", DATA, "--policy.num_action_chunks=8"])
    assert first.values == second.values


def test_the_table_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "train.md").read_text(encoding="utf-8")
    for alias in ALIASES:
        written = f"`{_typed(alias.spelling)}`"
        row = written if alias.means.startswith("refused") else f"| {written} | {alias.means} |"
        assert row in page


def _typed(spelling: str) -> str:
    return spelling if spelling.startswith("-") else f"--{spelling}"
