"""Settings decoded to LeRobot's configuration and ours: what is accepted, refused and decided."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lerobot")

from etude import config
from etude.config.options import TrainOptions
from etude.errors import CheckpointError, DeviceError, EtudeError, UsageError
from etude.imitation.settings import TrainSettings, decode

DATA = "--dataset.repo_id=user/data"


def settings(*arguments: str) -> TrainSettings:
    return decode(config.resolve([DATA, "--output_dir=out", *arguments]))


def test_no_option_of_ours_has_a_name_of_lerobots() -> None:
    from lerobot.configs.train import TrainPipelineConfig

    theirs = {field.name for field in dataclasses.fields(TrainPipelineConfig)}
    assert not theirs & {field.name for field in dataclasses.fields(TrainOptions)}


def test_the_presets_are_those_of_lerobots_validate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["lerobot-train"])
    for kind in ("act", "diffusion", "vqbet", "tdmpc", "smolvla", "pi0_fast"):
        ours = settings("-p", kind).lerobot
        theirs = dataclasses.replace(ours, optimizer=None, scheduler=None, output_dir=tmp_path / "new")
        theirs.validate()
        assert (ours.optimizer, ours.scheduler) == (theirs.optimizer, theirs.scheduler)


def test_every_policy_of_lerobot_decodes_or_says_what_it_lacks() -> None:
    from etude.policies.catalog import known_policies

    for kind in known_policies():
        try:
            decoded = settings("-p", kind).lerobot.policy.type
        except CheckpointError as error:
            decoded = kind if "from the Hugging Face hub" in error.message else error.message
        assert decoded == kind


def test_overrides_of_the_preset() -> None:
    changed = settings("-p", "diffusion", "--grad_clip_norm=0", "--lr_schedule=linear", "--steps=200").lerobot
    assert changed.optimizer.grad_clip_norm == 0.0
    assert (changed.scheduler.type, changed.scheduler.name, changed.scheduler.num_warmup_steps) == (
        "diffuser",
        "linear",
        10,
    )
    assert settings("--lr_scheduler=false").lerobot.scheduler.num_warmup_steps == 0


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_schedule_builds_and_warms_up(schedule: str) -> None:
    import torch

    lerobot = settings(f"--lr_schedule={schedule}", "--steps=100", "--lr_warmup_steps=10").lerobot
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lerobot.scheduler.build(optimizer, lerobot.steps)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[0] == 0.0
    assert rates[10] == pytest.approx(1.0)
    assert (rates[-1] == pytest.approx(1.0)) == (schedule == "constant")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--policy.type=difusion"], "diffusion"),
        (["--policy.chunksize=4"], "--policy.chunk_size"),
        (["--batch-siz=4"], "--batch_size"),
        (["--n_action_steps=4"], "--policy.n_action_steps"),
        (["--dataset.repoid=x"], "--dataset.repo_id"),
        (["--wandb.projct=x"], "--wandb.project"),
        (["--mlflow.trackinguri=x"], "--mlflow.tracking_uri"),
        (["--env.type=pushtt"], "pusht"),
        (["--batch-size=abc"], "whole number"),
        (["--batch-size=0"], "at least 1"),
        (["--policy.optimizer_lr=nan"], "at least 0"),
        (["--precision=bf15"], "bf16"),
        (["--checkpoint-mode=from-trianed"], "from-trained"),
        (["--checkpoint-mode=from-trained"], "--policy.path"),
        (["--policy.n_action_steps=200"], "chunk"),
        (["--policy.temporal_ensemble_coeff=0.01"], "n_action_steps must be 1"),
        (["--policy.push_to_hub=true"], "--policy.repo_id"),
        (["--eval_steps=5", "--dataset.eval_split=0"], "held-out"),
        (["--dataset.eval_split=1"], "eval_split"),
        (["--optimizer.type=sgd"], "--policy.optimizer_lr"),
        (["--use_policy_training_preset=false"], "optimizer.type"),
        (['--rename_map={"a.b": "c"}'], "--policy.path"),
        (["--reward_model.type=classifier"], "reward"),
        (["--plugins=no_such_package"], "no_such_package"),
        (["--policy=5"], "--policy.type=act"),
        (["--learning-rate=1", "-p", "gaussian_actor"], "no such setting"),
        (["--dataloader_multiprocessing_context=fokr"], "fork"),
    ],
)
def test_bad_input_is_one_clear_message(arguments: list[str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings(*arguments)
    assert told in f"{caught.value.message} {caught.value.hint}"
    assert "\n" not in caught.value.message


def test_an_unknown_key_of_a_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text("policy: {type: act, horizon: 5}\ndataset: {repo_id: a/b}")
    with pytest.raises(UsageError, match=r"unknown key policy\.horizon in file .*train\.yaml: act has no such"):
        decode(config.resolve([f"--config={file}"]))


def test_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no CUDA"):
        settings("--policy.device=cuda")
    assert settings("--policy.device=cpu").lerobot.policy.device == "cpu"
    automatic = settings()
    assert "policy.device" in automatic.automatic
    with pytest.raises(DeviceError, match="fp16"):
        settings("--precision=fp16", "--device=cpu")


def test_epochs_become_steps_when_the_data_is_known() -> None:
    waiting = settings(
        "--policy.num_epochs=3", "--batch_size=10", "--gradient_accumulation_steps=2", "--lr_schedule=cosine"
    )
    assert waiting.unfinished
    done = waiting.finish(num_frames=2001, num_processes=2)
    assert done.lerobot.steps == 151  # 3 * 2001 frames in batches of 10 * 2 * 2
    assert (done.lerobot.eval_steps, done.lerobot.log_freq) == (15, 3)
    assert done.lerobot.scheduler.num_warmup_steps == 7
    assert waiting.lerobot.steps != 151, "finishing leaves the first settings alone"
    assert settings("--steps=5").finish(100).lerobot.steps == 5


def test_the_width_of_actions_is_checked() -> None:
    wanted = settings("--policy.action_dim=7")
    assert wanted.finish(10, action_dim=7).lerobot == wanted.lerobot
    with pytest.raises(UsageError, match="action_dim=7, but the actions of this dataset have 14"):
        wanted.finish(10, action_dim=14)


def test_another_backbone_gets_its_own_weights() -> None:
    changed = settings("--policy.backbone=resnet34")
    assert changed.lerobot.policy.pretrained_backbone_weights == "ResNet34_Weights.IMAGENET1K_V1"
    assert changed.notes
    kept = settings("--policy.backbone=resnet34", "--policy.pretrained_backbone_weights=null")
    assert kept.lerobot.policy.pretrained_backbone_weights is None


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A `pretrained_model` folder as LeRobot writes it; the weights are not read here."""
    lerobot = settings("--policy.chunk_size=10", "--policy.n_action_steps=5", "--policy.repo_id=user/first").lerobot
    folder = tmp_path / "first"
    folder.mkdir()
    lerobot.policy.save_pretrained(folder)
    lerobot.save_pretrained(folder)
    for name in ("model.safetensors", "policy_preprocessor.json", "policy_postprocessor.json"):
        (folder / name).write_text("{}")
    return folder


def test_a_trained_policy_brings_its_settings(trained: Path) -> None:
    tuned = settings("--policy-repo-id", str(trained), "--policy.n_action_steps=3")
    policy = tuned.lerobot.policy
    assert (policy.type, policy.chunk_size, policy.n_action_steps) == ("act", 10, 3)
    assert str(policy.pretrained_path) == str(trained)
    assert (policy.repo_id, policy.push_to_hub) == (None, False), "the first policy must not be overwritten"
    assert tuned.options.checkpoint_mode == "from-trained"
    fresh = settings(f"--policy.path={trained}", "--checkpoint-mode=from-scratch")
    assert (fresh.lerobot.policy.chunk_size, fresh.lerobot.policy.pretrained_path) == (10, None)


def test_a_policy_path_and_its_type(trained: Path) -> None:
    assert settings(f"--policy.path={trained}", "-p", "act").lerobot.policy.chunk_size == 10
    with pytest.raises(UsageError, match="is of type act"):
        settings(f"--policy.path={trained}", "-p", "diffusion")
    with pytest.raises(UsageError, match="act has no such setting"):
        settings(f"--policy.path={trained}", "--policy.horizon=8")


@pytest.mark.parametrize("path", ["/nowhere", "no/where/at/all", "user/never-published"])
def test_a_policy_that_is_not_there(path: str) -> None:
    with pytest.raises(CheckpointError):
        settings(f"--policy.path={path}")


def test_settings_survive_lerobots_file_and_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lerobot.configs.train import TrainPipelineConfig

    for index, arguments in enumerate(
        (["--grad_clip_norm=1", "--lr_schedule=cosine"], ["-p", "diffusion"], ["-p", "pi0_fast"])
    ):
        ours = settings("--env.type=pusht", "--num_epochs=2", *arguments).finish(1000).lerobot
        checkpoint = tmp_path / f"{index}/checkpoints/000005/pretrained_model"
        checkpoint.mkdir(parents=True)
        ours.save_pretrained(checkpoint)
        file = checkpoint / "train_config.json"
        theirs = TrainPipelineConfig.from_pretrained(file, cli_args=["--resume=true"])
        assert _plain(dataclasses.replace(theirs, resume=False)) == _plain(ours)
        monkeypatch.setattr("sys.argv", ["lerobot-train", f"--config_path={file}", "--resume=true"])
        theirs.validate()
        assert (theirs.optimizer, theirs.scheduler) == (ours.optimizer, ours.scheduler)


def test_lerobots_own_file_repeats_its_run(trained: Path) -> None:
    again = decode(config.resolve([f"--config={trained / 'train_config.json'}", "--batch_size=3"]))
    assert (again.lerobot.policy.chunk_size, again.lerobot.batch_size) == (10, 3)
    assert not any("is not used" in note for note in again.notes)
    changed = decode(config.resolve([f"--config={trained}", "--policy.optimizer_lr=0.5"]))
    assert changed.lerobot.optimizer.lr == 0.5
    assert any("optimizer is not used" in note for note in changed.notes)


def test_every_error_is_of_ours() -> None:
    for arguments in (
        ["--policy.input_features=5"],
        ["--policy.normalization_mapping=[]"],
        ["--env.fps=x"],
        ["--seed=a"],
    ):
        with pytest.raises(EtudeError):
            settings(*arguments)


def _plain(lerobot: Any) -> Any:
    import json

    import draccus

    return json.loads(json.dumps(draccus.encode(lerobot), default=str))
