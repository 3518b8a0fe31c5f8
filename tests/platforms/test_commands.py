"""What a command line becomes where it runs as a job."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from etude.errors import EtudeError, UsageError
from etude.platforms.commands import translate
from etude.platforms.needs import missing_secrets
from etude.platforms.node.placeholders import filled, names_in


def test_a_training_on_the_hub(tmp_path: Path) -> None:
    made = translate(["train", "-d", "lerobot/pusht", "--policy-type", "diffusion", "--save-freq=100", "-j", "mine"])
    assert made.command.command == (
        "train", "-d", "lerobot/pusht", "--policy-type=diffusion", "--save-freq=100", "--job_name=mine",
        "--output_dir={output:checkpoint}",
    )  # fmt: skip
    assert made.command.resume == ("train", "--resume={output:checkpoint}")
    assert (made.title, made.inputs, made.config) == ("mine", (), None)


def test_the_documents_default_name() -> None:
    assert translate(["train", "--dataset-repo-id", "lerobot/pusht"]).title == "lerobot-act-training"


def test_a_folder_becomes_an_input(tmp_path: Path) -> None:
    made = translate(["train", f"--dataset.root={tmp_path}", "--steps", "10"])
    assert [(item.name, item.reference) for item in made.inputs] == [("dataset", str(tmp_path))]
    assert "--dataset.root={input:dataset}" in made.command.command
    assert f"--dataset.repo_id=local/{tmp_path.name}" in made.command.command
    assert str(tmp_path) not in " ".join(made.command.command)
    assert made.command.resume == ("train", "--resume={output:checkpoint}", "--dataset.root={input:dataset}")


def test_an_asset_becomes_an_input() -> None:
    made = translate(["train", "--dataset.root=azureml:pusht@latest", "--policy-repo-id", "azureml:act:3"])
    assert {item.name: item.reference for item in made.inputs} == {
        "dataset": "azureml:pusht@latest",
        "policy": "azureml:act:3",
    }
    assert "--policy-repo-id={input:policy}" in made.command.command
    assert "--dataset.repo_id=local/pusht" in made.command.command
    assert made.title == "act-finetuned"
    assert [item.kind for item in made.inputs] == ["data", "model"]


def test_a_config_file_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.yaml").write_text("policy: {type: act}\ntraining: {steps: 7, learning_rate: 1e-5}\n")
    monkeypatch.chdir(tmp_path)
    made = translate(["train", "--config=train.yaml", "--dataset-repo-id=a/b", "--steps=9"])
    assert made.command.command[:2] == ("train", "--config={bundle}/config.yaml")
    assert "--steps=9" in made.command.command
    assert yaml.safe_load(made.config or "")["training"]["steps"] == 7


def test_an_evaluation(tmp_path: Path) -> None:
    made = translate(["evaluate", f"--policy.path={tmp_path}", "--env.type=pusht", "--episodes", "5", "--json"])
    assert made.command.command == (
        "evaluate", "--env.type=pusht", "--episodes=5", "--policy.path={input:policy}",
        "--output_dir={output:evaluation}",
    )  # fmt: skip
    assert made.command.outputs == ("evaluation",)
    assert made.title == f"evaluate-{tmp_path.name}"
    on_hub = translate(["evaluate", "-p", "user/policy", "--env.type=pusht"])
    assert on_hub.command.command[:3] == ("evaluate", "-p", "user/policy")
    assert on_hub.inputs == ()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no command"),
        (["trian"], "trian"),
        (["doctor"], "cannot be submitted"),
        (["submit", "local", "train"], "cannot be submitted"),
        (["train", "--help"], "--help"),
        (["train"], "no dataset"),
        (["train", "--dataset-repo-id=a/b", "--policy.tpye=act"], "tpye"),
        (["train", "--dataset-repo-id=a/b", "stray"], "stray"),
        (["evaluate", "--env.type=pusht"], "--policy.path"),
    ],
)
def test_what_is_refused_here_already(argv: list[str], message: str) -> None:
    with pytest.raises(EtudeError, match=message):
        translate(argv)


def test_a_run_of_this_machine_is_not_resumed_elsewhere(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "run.json").write_text('{"config": {"steps": 3, "dataset": {"repo_id": "a/b"}}}')
    with pytest.raises(UsageError, match="run of this machine"):
        translate(["train", "--resume", str(run)])


def test_placeholders() -> None:
    command = ("train", "--a={input:data}", "--b={output:out}/x", "{bundle}/c", "{other}", "{input}")
    assert names_in(command, "input") == ["data"]
    assert names_in(command, "output") == ["out"]
    places = ({"data": Path("/d")}, {"out": Path("/o")})
    assert filled(command, Path("/b"), *places) == ["train", "--a=/d", "--b=/o/x", "/b/c", "{other}", "{input}"]
    with pytest.raises(EtudeError, match="not defined"):
        filled(("{output:nope}",), Path("/b"), *places)


@pytest.mark.parametrize(
    ("flags", "needed"),
    [
        (["--policy.type=act"], set()),
        (["--policy.type=pi0fast"], {"HF_TOKEN"}),
        (["--policy.type=pi0_fast", "--policy.text_tokenizer_name=DIR"], set()),
        (["--wandb-enable", "true"], {"WANDB_API_KEY"}),
        (["--wandb.enable=true", "--wandb.mode=offline"], set()),
        (["--policy.type=pi0", "--wandb-enable=true"], {"HF_TOKEN", "WANDB_API_KEY"}),
    ],
)
def test_secrets_that_will_be_asked_for(flags: list[str], needed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = translate(["train", "-d", "a/b", *flags])
    assert set(made.needs) == needed
    problems = missing_secrets(made.needs, {}, platform="azureml")
    assert len(problems) == len(needed)
    assert all("etude secrets set" in problem.fix and "keyvault://" in problem.fix for problem in problems)
    given = dict.fromkeys(needed, "keyvault://v/n")
    assert missing_secrets(made.needs, given, platform="azureml") == []
    for variable in needed:
        monkeypatch.setenv(variable, "x")
    assert missing_secrets(made.needs, {}, platform="local") == []
