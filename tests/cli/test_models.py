"""`etude models` as it is typed. What the registries do is in tests/registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import etude.cli.models
from etude.cli import main
from etude.runs.folder import RunFolder
from tests.registry.databases import place_database
from tests.registry.handmade import make_run, save_rollouts

RUN = "outputs/train/drawer-act"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run in the current folder, beside an empty MLflow database; LeRobot as if it were not installed."""
    monkeypatch.chdir(tmp_path)
    place_database(tmp_path)
    monkeypatch.setattr(etude.cli.models, "_loader", lambda: None)
    run = make_run(tmp_path / RUN)
    save_rollouts(run, 100, 0.8)
    return run


def printed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["models", *words]) == code
    told = capsys.readouterr()
    return told.err if code else told.out


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(printed(capsys, *words, "--json"))


def test_register_list_show_download(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no models yet" in printed(capsys, "list")
    told = printed(capsys, "register", "drawer", RUN, "--tag", "robot=left")
    assert "registered: models:/drawer/1 (step 100 (best)" in told
    assert "success rate 0.800 [0.600, 1.000] in 10 episodes of metaworld drawer-open-v3" in told
    assert "models:/drawer/1 holds this checkpoint already" in printed(capsys, "register", "drawer", RUN)
    assert "models:/drawer/2" in printed(capsys, "register", "drawer", RUN, "--force-new-version")
    assert "models:/drawer/3 (step 200 (last)" in printed(capsys, "register", "drawer", RUN, "--step", "last")

    assert printed(capsys, "list").splitlines()[1].split()[:3] == ["drawer", "3", "3"]
    assert [line.split()[0] for line in printed(capsys, "list", "drawer").splitlines()] == ["VERSION", "3", "2", "1"]
    shown = printed(capsys, "show", "models:/drawer/1")
    for said in ("lab/drawer", "version v3.0", "0123456789abcdef", "etude 0.1.0", "robot=left", "0.800 [0.600, 1.000]"):
        assert said in shown
    assert "hashes verified" in printed(capsys, "download", "drawer:1", "models/drawer")
    assert Path("models/drawer/model.safetensors").is_file()
    assert "8 of them were here" in printed(capsys, "download", "drawer:1", "models/drawer")


def test_the_same_for_a_program(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    made = as_json(capsys, "register", "drawer", RUN)
    assert (made["reference"], made["was_there"], made["loaded"]) == ("models:/drawer/1", False, False)
    assert as_json(capsys, "show", "drawer")["lineage"] == made["lineage"]
    assert made["lineage"]["evaluation"]["success_rate"]["value"] == 0.8
    assert [item["version"] for item in as_json(capsys, "list", "drawer")] == ["1"]
    assert list(as_json(capsys, "list")) == ["drawer"]
    assert as_json(capsys, "download", "drawer", "got")["verified"] is True


def test_without_lerobot_a_sentence_says_so(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "register", "drawer", RUN]) == 0
    assert "LeRobot is not installed here" in capsys.readouterr().err


def test_the_newest_run_where_none_is_named(run: RunFolder, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    newer = make_run(tmp_path / "outputs/train/newer", steps=(1,), best=None)
    manifest = newer.manifest()
    manifest.created_at = "2999-01-01T00:00:00+00:00"
    manifest.save(newer.manifest_path)
    assert main(["models", "register", "drawer"]) == 0
    told = capsys.readouterr()
    assert "outputs/train/newer" in told.err
    assert "step 1 (last)" in told.out


def test_another_database(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("mlflow.db", "other.db")
    printed(capsys, "register", "drawer", RUN, "--mlflow.tracking_uri=sqlite:///other.db")
    assert "no models yet" in printed(capsys, "list")
    assert "drawer" in printed(capsys, "list", "--mlflow.tracking_uri=sqlite:///other.db")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["register", "a/b", RUN], 2, "for example a-b"),
        (["register", "drawer", "nowhere"], 15, "there is no folder nowhere"),
        (["register", "drawer", RUN, "--step", "7"], 15, "--step 200"),
        (["register", "drawer", RUN, "--tag", "robot"], 2, "is not KEY=VALUE"),
        (["register", "drawer", RUN, "--evaluation", "none.json"], 15, "no evaluation result"),
        (["register", "drawer", RUN, "--regisry", "mlflow"], 2, "--registry"),
        (["register", "drawer", RUN, "--registry", "mlflw"], 2, "nearest: mlflow"),
        (["show", "drawr"], 15, "there is no model 'drawr'"),
        (["show", "a:b:c"], 2, "is no reference to a model"),
        (["download", "drawer/1", RUN], 15, "there is no model 'drawer'"),
        (["regster"], 2, "did you mean: etude models register"),
    ],
)
def test_bad_input(run: RunFolder, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str) -> None:
    told = printed(capsys, *words, code=code)
    assert said in told
    assert "Traceback" not in told


def test_an_azure_workspace_that_nobody_named(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(run.root))
    told = printed(capsys, "show", "azureml:drawer:1", code=2)
    assert "--workspace-name" in told


def test_a_checkpoint_of_lerobot_is_loaded_before_it_is_registered(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("lerobot")
    from tests.policies.conftest import save_act

    monkeypatch.chdir(tmp_path)
    place_database(tmp_path)
    save_act(tmp_path / "policy")
    assert as_json(capsys, "register", "act", "policy")["loaded"] is True
    assert "hashes verified" in printed(capsys, "download", "act", "got")

    config = json.loads(Path("policy/config.json").read_text())
    Path("policy/config.json").write_text(json.dumps({**config, "dim_model": 32}))  # whole files that do not fit
    told = printed(capsys, "register", "act", "policy", code=15)
    assert "does not load" in told
    assert len(as_json(capsys, "list", "act")) == 1
