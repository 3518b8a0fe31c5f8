"""Policies other than ACT: each trains on pictures, is saved, and acts when it is loaded again."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from etude.cli import main
from etude.errors import CheckpointError, MissingExtraError, UsageError
from tests.imitation.conftest import run, weights
from tests.imitation.offline_models import write_smolvlm

SIDE = 64
QUICK = ("--policy.device=cpu", "--batch_size=2", "--mlflow.enable=false", "--system_metrics_interval_s=0")
SMALL = {
    "act": ("--policy.dim_model=32", "--policy.n_heads=2", "--policy.dim_feedforward=32", "--policy.chunk_size=4",
            "--policy.n_action_steps=4", "--policy.n_encoder_layers=1", "--policy.n_vae_encoder_layers=1"),
    "diffusion": ("--policy.down_dims=[16,32]", "--policy.horizon=8", "--policy.n_action_steps=4",
                  "--policy.n_groups=4", "--policy.num_inference_steps=2", "--policy.crop_shape=null"),
    "vqbet": ("--policy.n_vqvae_training_steps=2", "--policy.vqvae_n_embed=4", "--policy.vqvae_embedding_dim=16",
              "--policy.vqvae_enc_hidden_dim=16", "--policy.gpt_n_layer=1", "--policy.gpt_n_head=2",
              "--policy.gpt_input_dim=32", "--policy.gpt_output_dim=32", "--policy.gpt_hidden_dim=32",
              "--policy.n_obs_steps=2", "--policy.crop_shape=null"),
    "tdmpc": ("--policy.mlp_dim=32", "--policy.latent_dim=8", "--policy.q_ensemble_size=2", "--policy.horizon=3",
              "--policy.n_gaussian_samples=8", "--policy.n_pi_samples=2", "--policy.n_elites=4",
              "--policy.cem_iterations=1"),
}  # fmt: skip
HAS_BACKBONE = ("act", "diffusion", "vqbet")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short episodes with one square camera, a reward and a success."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    root = tmp_path_factory.mktemp("data") / "pictures"
    features = {
        "observation.image": {"dtype": "image", "shape": (SIDE, SIDE, 3), "names": ["height", "width", "channels"]},
        "observation.state": {"dtype": "float32", "shape": (4,), "names": None},
        "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
        "next.success": {"dtype": "bool", "shape": (1,), "names": None},
        "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
    }
    dataset = LeRobotDataset.create("small/pictures", fps=10, root=root, features=features, use_videos=False)
    random = np.random.default_rng(0)
    for _ in range(3):
        state = random.uniform(-1, 1, 4)
        for frame in range(16):
            action = np.tanh(-state[:2])
            dataset.add_frame(
                {
                    "observation.image": random.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8),
                    "observation.state": state.astype(np.float32),
                    "next.reward": np.array([frame / 16], dtype=np.float32),
                    "next.success": np.array([frame == 15]),
                    "action": action.astype(np.float32),
                    "task": "reach the goal",
                }
            )
            state = state + 0.2 * np.concatenate([action, random.normal(size=2)])
        dataset.save_episode()
    dataset.finalize()
    return root


def flags_of(kind: str, pictures: Path) -> list[str]:
    backbone = ["--policy.pretrained_backbone_weights=null"] if kind in HAS_BACKBONE else []
    return [f"--policy.type={kind}", f"--dataset.root={pictures}", *QUICK, *SMALL.get(kind, ()), *backbone]


def act_once(root: Path) -> torch.Tensor:
    """One action of the saved policy, `(batch, action)`."""
    from etude.policies import load_policy

    loaded = load_policy(root, "cpu")
    observation = {
        "observation.image": torch.rand(1, 3, SIDE, SIDE),
        "observation.state": torch.zeros(1, 4),
        "task": ["reach the goal"],
    }
    loaded.policy.reset()
    with torch.no_grad():
        action = loaded.policy.select_action(loaded.preprocessor(observation))
    done: torch.Tensor = loaded.postprocessor(action)
    return done


@pytest.mark.parametrize("kind", ["diffusion", "vqbet", "tdmpc"])
def test_it_trains_is_saved_and_acts(kind: str, pictures: Path, tmp_path: Path) -> None:
    root = tmp_path / "run"
    result, shown = run(
        [*flags_of(kind, pictures), "--steps=5", "--save_freq=5", "--log_freq=1", f"--output_dir={root}"]
    )
    assert result.outcome.step == 5
    assert all(np.isfinite(loss) for _, loss in shown.curve("train/loss"))
    assert shown.curve("val/loss")
    action = act_once(root)
    assert action.shape == (1, 2)
    assert torch.isfinite(action).all()


@pytest.mark.parametrize("kind", ["vqbet", "tdmpc"])
def test_a_resumed_run_is_the_same_run(kind: str, pictures: Path, tmp_path: Path) -> None:
    """Both keep more than weights: VQ-BeT a phase and codebooks, TD-MPC a target that follows."""
    common = [*flags_of(kind, pictures), "--save_freq=2", "--eval_steps=100"]
    run([*common, "--steps=4", f"--output_dir={tmp_path / 'whole'}"])

    class Stop(BaseException):
        pass

    def stop(step: int) -> None:
        if step == 3:
            raise Stop

    with pytest.raises(Stop):
        run([*common, "--steps=4", f"--output_dir={tmp_path / 'cut'}"], on_step=stop)
    run(["--resume", str(tmp_path / "cut")])
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_tdmpc_needs_rewards(small_robot: Path, tmp_path: Path) -> None:
    from etude.errors import DatasetError

    with pytest.raises(DatasetError, match=r"next\.reward"):
        run([f"--dataset.root={small_robot}", "--policy.type=tdmpc", *QUICK, f"--output_dir={tmp_path / 'run'}"])


def smolvla_flags(pictures: Path, model: Path) -> list[str]:
    return [
        *flags_of("smolvla", pictures), f"--policy.vlm_model_name={model}", "--policy.load_vlm_weights=false",
        "--policy.num_vlm_layers=2", "--policy.resize_imgs_with_padding=[32,32]", "--policy.max_state_dim=8",
        "--policy.max_action_dim=8", "--policy.chunk_size=4", "--policy.n_action_steps=4", "--policy.num_steps=2",
    ]  # fmt: skip


def test_smolvla_trains_from_a_local_folder_and_resumes(pictures: Path, tmp_path: Path) -> None:
    """A model of two layers with random weights: config, tokenizer and processor lie in a folder."""
    common = smolvla_flags(pictures, write_smolvlm(tmp_path / "smolvlm"))
    common += ["--save_freq=2", "--eval_steps=100", "--log_freq=1"]
    _, shown = run([*common, "--steps=4", f"--output_dir={tmp_path / 'whole'}"])
    assert len(shown.curve("train/loss")) == 4
    assert act_once(tmp_path / "whole").shape == (1, 2)

    class Stop(BaseException):
        pass

    def stop(step: int) -> None:
        if step == 3:
            raise Stop

    with pytest.raises(Stop):
        run([*common, "--steps=4", f"--output_dir={tmp_path / 'cut'}"], on_step=stop)
    run(["--resume", str(tmp_path / "cut")])
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


# What each needs from the hub where it is not given a local copy.
FROM_THE_HUB = {
    "smolvla": ("HuggingFaceTB/SmolVLM2-500M-Video-Instruct", "--policy.vlm_model_name=DIR"),
    "pi0_fast": ("google/paligemma-3b-pt-224 and lerobot/fast-action-tokenizer", "--policy.text_tokenizer_name=DIR"),
    "eo1": ("Qwen/Qwen2.5-VL-3B-Instruct", "--policy.vlm_base=DIR"),
    "groot": ("nvidia/GR00T-N1.7-3B", "--policy.base_model_path=DIR"),
    "multi_task_dit": ("openai/clip-vit-base-patch16", "--policy.vision_encoder_name=DIR"),
}


@pytest.mark.parametrize("kind", FROM_THE_HUB)
def test_a_missing_download_is_named_with_what_to_do(
    kind: str, pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    needed, flag = FROM_THE_HUB[kind]
    logging.getLogger().handlers.clear()
    code = main(["train", *flags_of(kind, pictures), f"--output_dir={tmp_path / 'run'}"])
    shown = capfd.readouterr()
    assert code == CheckpointError.exit_code
    assert shown.out == ""
    message, hint = shown.err.splitlines()  # LeRobot logs such errors too; only ours is shown
    assert message == f"error: policy {kind} needs {needed} from the Hugging Face hub: HF_HUB_OFFLINE is set"
    assert flag in hint
    assert not (tmp_path / "run").exists()


def test_the_gated_tokenizer_of_pi0_fast_is_explained(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        run([*flags_of("pi0_fast", pictures), f"--output_dir={tmp_path / 'run'}"])
    hint = str(caught.value.hint)
    assert "accept the licence at https://huggingface.co/google/paligemma-3b-pt-224" in hint
    assert "HF_TOKEN" in hint


def test_a_local_model_folder_that_is_not_there(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"policy\.vlm_model_name=.*: there is no such folder"):
        run([*smolvla_flags(pictures, tmp_path / "nowhere"), f"--output_dir={tmp_path / 'run'}"])


def test_every_registered_policy_trains_or_says_why_not(pictures: Path, tmp_path: Path) -> None:
    """Those that allocate gigabytes before they look for their files are left out."""
    from etude.errors import EtudeError
    from etude.policies import known_policies

    giants = {"pi0", "pi05", "lingbot_va"}
    for kind in sorted(set(known_policies()) - giants - set(SMALL) - set(FROM_THE_HUB)):
        root = tmp_path / kind
        with pytest.raises(EtudeError) as caught:
            run([*flags_of(kind, pictures), "--steps=1", f"--output_dir={root}"])
        assert isinstance(caught.value, CheckpointError | MissingExtraError | UsageError), kind
        assert caught.value.hint, kind
        assert not root.exists(), kind
