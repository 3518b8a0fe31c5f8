"""From a folder to a policy that acts, and what is said when that fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from etude.errors import CheckpointError, DeviceError, UsageError
from etude.policies import check_policy_name, choose_device, known_policies, load_policy
from tests.policies.conftest import save_act


def act(loaded: object) -> torch.Tensor:
    batch = {"observation.state": torch.ones(2, 4), "observation.environment_state": torch.ones(2, 39)}
    loaded.policy.reset()  # type: ignore[attr-defined]
    with torch.no_grad():
        action: torch.Tensor = loaded.postprocessor(  # type: ignore[attr-defined]
            loaded.policy.select_action(loaded.preprocessor(batch))  # type: ignore[attr-defined]
        )
    return action


def test_a_run_a_checkpoint_and_its_files_are_the_same_policy(saved: Path) -> None:
    checkpoint = saved / "checkpoints" / "000020"
    loaded = [load_policy(path, device="cpu") for path in (saved, checkpoint, checkpoint / "pretrained_model")]
    assert [item.step for item in loaded] == [20, 20, 20]
    actions = [act(item) for item in loaded]
    assert actions[0].shape == (2, 4)
    assert all(torch.equal(actions[0], action) for action in actions)
    assert not loaded[0].policy.training
    assert loaded[0].describe()["type"] == "act"


def test_it_predicts_what_lerobot_itself_predicts(saved: Path) -> None:
    from lerobot.policies.act.modeling_act import ACTPolicy

    loaded = load_policy(saved, device="cpu")
    theirs = ACTPolicy.from_pretrained(saved / "checkpoints" / "last" / "pretrained_model")
    batch = {"observation.state": torch.ones(2, 4), "observation.environment_state": torch.ones(2, 39)}
    with torch.no_grad():
        assert torch.allclose(theirs.select_action(batch), act(loaded), atol=1e-6)


@pytest.mark.parametrize(("name", "step"), [("last", 20), ("best", 10), ("10", 10)])
def test_a_checkpoint_by_name(saved: Path, name: str, step: int) -> None:
    assert load_policy(saved, device="cpu", checkpoint=name).step == step


def test_the_train_config_comes_along(saved: Path) -> None:
    file = saved / "checkpoints" / "000020" / "pretrained_model" / "train_config.json"
    file.write_text(json.dumps({"dataset": {"root": "somewhere"}}))
    loaded = load_policy(saved, device="cpu")
    assert loaded.train_config == {"dataset": {"root": "somewhere"}}


def test_loading_prints_nothing(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load_policy(saved, device="cpu")
    assert capsys.readouterr().out == ""


def test_settings_can_be_changed(saved: Path) -> None:
    assert load_policy(saved, device="cpu", overrides={"n_action_steps": 4}).config.n_action_steps == 4
    ensembled = {"temporal_ensemble_coeff": 0.01, "n_action_steps": 1}
    assert load_policy(saved, device="cpu", overrides=ensembled).config.temporal_ensemble_coeff == 0.01
    with pytest.raises(UsageError, match="no setting 'n_action_step'") as error:
        load_policy(saved, device="cpu", overrides={"n_action_step": 4})
    assert "n_action_steps" in (error.value.hint or "")


def test_a_setting_that_is_not_possible_is_one_sentence(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="chunk size"):
        load_policy(saved, device="cpu", overrides={"n_action_steps": 9})


def test_an_absent_checkpoint_names_those_that_are_there(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint '15'; it has 10, 20"):
        load_policy(saved, device="cpu", checkpoint="15")


def test_a_run_without_a_checkpoint_yet(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="at all yet"):
        load_policy(tmp_path, device="cpu")


@pytest.mark.parametrize("path", ["nowhere/to/be/found", "./nothing", "nothing"])
def test_a_path_that_leads_nowhere(path: str) -> None:
    with pytest.raises(CheckpointError, match="there is no policy at"):
        load_policy(path, device="cpu")


def test_a_hub_id_that_cannot_be_reached() -> None:
    with pytest.raises(CheckpointError, match=r"no folder some/policy.*hub"):
        load_policy("some/policy", device="cpu")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no policy"):
        load_policy(tmp_path, device="cpu")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "policy_preprocessor.json"])
def test_a_missing_file_is_named(saved: Path, file: str) -> None:
    folder = saved / "checkpoints" / "000020" / "pretrained_model"
    (folder / file).unlink()
    with pytest.raises(CheckpointError) as error:
        load_policy(saved, device="cpu")
    assert file in error.value.message


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "policy_preprocessor.json"])
def test_a_truncated_file_is_corrupt(saved: Path, file: str) -> None:
    path = saved / "checkpoints" / "000020" / "pretrained_model" / file
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError) as error:
        load_policy(saved, device="cpu")
    assert "checkpoints/000020" in error.value.message


def test_weights_of_another_shape(saved: Path, tmp_path: Path) -> None:
    save_act(tmp_path / "other", dim_model=32)
    target = saved / "checkpoints" / "000020" / "pretrained_model"
    shutil.copy(tmp_path / "other" / "model.safetensors", target)
    with pytest.raises(CheckpointError, match="do not fit its config"):
        load_policy(saved, device="cpu")


def test_weights_that_lack_a_part(saved: Path, tmp_path: Path) -> None:
    save_act(tmp_path / "shallow", n_encoder_layers=1)
    target = saved / "checkpoints" / "000020" / "pretrained_model"
    save_act(target, n_encoder_layers=2)
    shutil.copy(tmp_path / "shallow" / "model.safetensors", target)
    with pytest.raises(CheckpointError, match="do not fit its config"):
        load_policy(saved, device="cpu")


def test_weights_that_hold_more_than_is_read(saved: Path, tmp_path: Path) -> None:
    save_act(tmp_path / "deep", n_encoder_layers=2)
    shutil.copy(tmp_path / "deep" / "model.safetensors", saved / "checkpoints" / "000020" / "pretrained_model")
    assert load_policy(saved, device="cpu").step == 20


def test_a_policy_type_that_is_not_installed(saved: Path) -> None:
    file = saved / "checkpoints" / "000020" / "pretrained_model" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "type": "difusion"}))
    with pytest.raises(UsageError, match="unknown policy type 'difusion'") as error:
        load_policy(saved, device="cpu")
    assert "diffusion" in (error.value.hint or "")


def test_known_policies_are_lerobots() -> None:
    assert {"act", "diffusion", "vqbet", "tdmpc", "smolvla", "pi0_fast"} <= set(known_policies())
    assert check_policy_name("act") == "act"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_here(saved: Path) -> None:
    assert choose_device("auto") in ("cpu", "mps")
    for name in ("cuda", "cuda:1"):
        with pytest.raises(DeviceError, match="no CUDA device"):
            load_policy(saved, device=name)


def test_a_device_that_does_not_exist() -> None:
    with pytest.raises(DeviceError, match="unknown device 'gpu'"):
        choose_device("gpu")
