"""Names refused from LeRobot's source are those that its classes lack."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from etude import config
from etude.config import names
from etude.errors import UsageError

DATA = "--dataset.repo_id=user/data"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--batch-siz=3"], "--batch_size"),
        (["--policy.chunksize=3"], "--policy.chunk_size"),
        (["--dataset.repoid=a"], "--dataset.repo_id"),
        (["--n_action_steps=3"], "--policy.n_action_steps"),
        (["--ema.decya=3"], "--ema.decay"),
        (["-p", "difusion"], "diffusion"),
    ],
)
def test_unknown_names_are_refused_without_importing_lerobot(arguments: list[str], told: str) -> None:
    pytest.importorskip("yaml")
    if names._package() is None:
        pytest.skip("LeRobot is not installed")
    with pytest.raises(UsageError) as caught:
        config.resolve([DATA, *arguments])
    assert told in str(caught.value.hint)


def test_an_unknown_key_of_a_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text("policy: {type: act, horizon: 5}\ndataset: {repo_id: a/b}")
    with pytest.raises(UsageError, match=r"unknown key policy\.horizon in file .*train\.yaml: act has no such"):
        config.resolve([f"--config={file}"])


def test_without_lerobot_nothing_is_refused_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_fields", lambda *_: None)
    assert config.resolve([DATA, "--whatever=3"]).values["whatever"] == 3


def test_plugins_may_bring_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    package = SimpleNamespace(metadata={"Name": "lerobot-policy-mine"})
    monkeypatch.setattr(names.metadata, "distributions", lambda: [package])
    assert config.resolve([DATA, "-p", "mine"]).values["policy"]["type"] == "mine"
    assert config.resolve([DATA, "-p", "other", "--plugins=mine"]).values["policy"]["type"] == "other"


def test_the_source_says_what_the_classes_say() -> None:
    pytest.importorskip("lerobot")
    import lerobot.policies  # noqa: F401  registers the policies
    from lerobot.configs.default import DatasetConfig, EvalConfig, WandBConfig
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.configs.train import TrainPipelineConfig

    def fields(cls: type) -> set[str]:
        return {field.name for field in dataclasses.fields(cls)}

    assert set(names._fields(*names._TRAIN) or ()) == fields(TrainPipelineConfig)
    for name, cls in (("dataset", DatasetConfig), ("eval", EvalConfig), ("wandb", WandBConfig)):
        assert set(names._fields(*names._SECTIONS[name]) or ()) == fields(cls)
    registered = names._registered()
    own = {
        kind: cls for kind, cls in PreTrainedConfig.get_known_choices().items() if cls.__module__.startswith("lerobot.")
    }
    assert registered.keys() == own.keys()
    for kind, cls in own.items():
        assert names._fields(*registered[kind]) is None or set(names._fields(*registered[kind]) or ()) == fields(cls)
