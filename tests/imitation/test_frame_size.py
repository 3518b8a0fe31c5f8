"""A policy for pictures smaller than the dataset's acts right when it is shown full-size ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etude.cli import main
from etude.errors import CheckpointError, UsageError
from tests.data.frames.datasets import from_the_dataset, make_videos, table_of
from tests.imitation.conftest import ACT, run, weights

CAMERA = "observation.images.top"
SMALL = ("--frames.width=32", "--frames.height=24")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_videos(tmp_path_factory.mktemp("data") / "filmed", cameras={"top": (48, 64)}, lengths=[12, 10, 11])


@pytest.fixture(scope="module")
def filmed(dataset: Any) -> list[str]:
    return [
        f"--dataset.root={dataset.root}", *ACT, "--policy.pretrained_backbone_weights=null", "--batch_size=4",
        "--dataset.eval_split=0.34", "--max_eval_samples=4", "--steps=4", "--log_freq=1", "--eval_steps=2",
        "--save_freq=2", "--compile=off",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def small_run(filmed: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("runs") / "small"
    _, shown = run([*filmed, *SMALL, "--frames.store=raw", f"--output_dir={folder}"])
    return folder, shown


def test_every_form_gives_the_same_run(filmed: list[str], small_run: tuple[Path, Any], tmp_path: Path) -> None:
    folder, stored = small_run
    for form in ("video", "off", "zstd"):
        _, shown = run([*filmed, *SMALL, f"--frames.store={form}", f"--output_dir={tmp_path / form}"])
        assert shown.curve("train/loss") == stored.curve("train/loss")
        assert shown.curve("val/loss") == stored.curve("val/loss")
        assert weights(tmp_path / form) == weights(folder)
    assert any("raw store resized to 32x24" in note for note in stored.notes)


def test_the_policy_is_made_for_that_size_and_the_checkpoint_resizes(small_run: tuple[Path, Any]) -> None:
    saved = small_run[0] / "checkpoints" / "last" / "pretrained_model"
    config = json.loads((saved / "config.json").read_text())
    assert config["input_features"][CAMERA]["shape"] == [3, 24, 32]
    first = json.loads((saved / "policy_preprocessor.json").read_text())["steps"][0]
    assert first["registry_name"] == "image_crop_resize_processor"
    assert first["config"]["resize_size"] == [24, 32]


def test_full_size_pictures_lead_to_the_same_actions(small_run: tuple[Path, Any], dataset: Any) -> None:
    """Loaded by LeRobot alone, as `lerobot-eval` does."""
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors
    from PIL import Image

    saved = small_run[0] / "checkpoints" / "last" / "pretrained_model"
    policy = ACTPolicy.from_pretrained(saved)
    before, after = make_pre_post_processors(policy.config, pretrained_path=str(saved))
    full = from_the_dataset(dataset, CAMERA, table_of(dataset), [5])
    picture = Image.fromarray(full[0].permute(1, 2, 0).numpy()).resize((32, 24), Image.Resampling.BILINEAR)
    small = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]

    def act(frames: torch.Tensor) -> torch.Tensor:
        policy.reset()
        state = torch.zeros(1, 2)
        return after(policy.select_action(before({CAMERA: frames.float() / 255, "observation.state": state})))

    assert before({CAMERA: full.float() / 255, "observation.state": torch.zeros(1, 2)})[CAMERA].shape == (1, 3, 24, 32)
    torch.testing.assert_close(act(full), act(small), atol=0.02, rtol=0)


def test_replay_and_rollouts_show_it_full_size_pictures(
    small_run: tuple[Path, Any], dataset: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from etude.evaluation.rollouts import observations_read_by
    from etude.policies import load_policy

    loaded = load_policy(str(small_run[0]), "cpu")
    assert observations_read_by(loaded, {})[CAMERA] == (3, 48, 64)
    words = ["evaluate", "--policy.path", str(small_run[0]), "--dataset.root", str(dataset.root)]
    assert main([*words, "--output_dir", str(tmp_path / "replay"), "--device", "cpu"]) == 0


def test_a_resumed_run_keeps_the_size(filmed: list[str], tmp_path: Path) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    run([*filmed, *SMALL, f"--output_dir={whole}"])
    run([*filmed, *SMALL, "--steps=2", f"--output_dir={half}"])
    with pytest.raises(UsageError, match=r"frames\.width was 32, not 16"):
        run(["--resume", str(half), "--frames.width=16"])
    run(["--resume", str(half), "--steps=4"])
    assert weights(half) == weights(whole)


def test_fine_tuning_needs_the_same_size(filmed: list[str], small_run: tuple[Path, Any], tmp_path: Path) -> None:
    again = [*filmed, f"--policy.path={small_run[0]}", f"--output_dir={tmp_path / 'again'}"]
    again.remove("--policy.type=act")
    with pytest.raises(CheckpointError, match="resized to 32x24") as refused:
        run(again)
    assert "--frames.width=32 --frames.height=24" in (refused.value.hint or "")
    run([*again, *SMALL])
    steps = json.loads((tmp_path / "again/checkpoints/last/pretrained_model/policy_preprocessor.json").read_text())
    names = [step["registry_name"] for step in steps["steps"]]
    assert names.count("image_crop_resize_processor") == 1


def test_sizes_that_cannot_be_are_refused(filmed: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"frames\.width is given without frames\.height"):
        run([*filmed, "--frames.width=32", f"--output_dir={tmp_path / 'run'}"])
    with pytest.raises(UsageError, match=r"frames\.height must be from 1 to 16384"):
        run([*filmed, "--frames.width=32", "--frames.height=0", f"--output_dir={tmp_path / 'run'}"])
    assert not (tmp_path / "run").exists()


def test_what_lerobots_step_cannot_resize_is_refused(dataset: Any) -> None:
    from types import SimpleNamespace

    from lerobot.processor import PolicyProcessorPipeline

    from etude.imitation.frame_size import resizing_processors

    def resize(key: str, depth: bool, **more: Any) -> None:
        picture = SimpleNamespace(shape=(3, 24, 32))
        policy = SimpleNamespace(config=SimpleNamespace(image_features={key: picture}))
        features = {key: {"dtype": "video", "shape": (48, 64, 3), "names": ["height", "width", "channels"]}, **more}
        meta = SimpleNamespace(camera_keys=[key], depth_keys=[key] if depth else [], features=features)
        resizing_processors((PolicyProcessorPipeline([]), None), policy, meta, (24, 32), {})

    resize(CAMERA, False)
    with pytest.raises(UsageError, match="is depth"):
        resize(CAMERA, True)
    with pytest.raises(UsageError, match=r"no camera named observation\.eye"):
        resize("observation.eye", False)
    with pytest.raises(UsageError, match=r"would resize observation\.image_code, too"):
        resize(CAMERA, False, **{"observation.image_code": {"dtype": "float32", "shape": (4,), "names": None}})
