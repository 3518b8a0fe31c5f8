"""`etude submit` and `etude jobs`, on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etude.cli import main
from etude.platforms.handles import Handle
from etude.platforms.ledger import Ledger
from etude.platforms.local.platform import Local


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of its own for jobs, none of which outlives its test."""
    monkeypatch.setenv("ETUDE_STATE", str(tmp_path / "state"))
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME", "AZUREML_COMPUTE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "azure"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "state"
    platform = Local(tmp_path / "state" / "local")
    for folder in (tmp_path / "state" / "local").glob("[!.]*"):
        platform.cancel(Handle("local", folder.name))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A folder that is no dataset: a job with it fails early, which takes seconds instead of a training."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def printed(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(list(argv)) == code, capsys.readouterr().err
    return capsys.readouterr().out


def test_help_names_platforms_commands_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "submit", "--help")
    assert "local, azureml" in text
    assert "train, evaluate" in text
    for platform in ("local", "azureml"):
        with pytest.raises(SystemExit):
            main(["submit", platform, "--help"])
        assert "examples:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["submit", "azurml", "train"], "did you mean: etude submit azureml"),
        (["submit", "local"], "no command to submit"),
        (["submit", "local", "trian"], "did you mean train?"),
        (["submit", "local", "--timout", "3h", "train", "-d", "a/b"], "--timeout"),
        (["submit", "local", "--timeout", "soon", "train", "-d", "a/b"], "such as 90m"),
        (["submit", "local", "--env", "COLOUR", "train", "-d", "a/b"], "--env must be NAME=VALUE"),
        (["submit", "local", "train", "--dataset.root=azureml:pusht:1"], "not on this machine"),
        (["submit", "local", "train", "-d", "a/b", "--image", "python"], "leave it out here"),
        (["jobs", "status", "nothing"], "no job 'nothing' was sent"),
        (["jobs", "lgos"], "did you mean: etude jobs logs"),
        (["jobs", "status", "local://nothing-1"], "there is no local job"),
    ],
)
def test_mistakes(argv: list[str], message: str, capsys: pytest.CaptureFixture[str], state: Path) -> None:
    assert main(argv) != 0
    assert message in capsys.readouterr().err
    assert not list(state.glob("jobs/*"))
    assert not list(state.glob("local/*"))


def test_a_dry_run_sends_nothing(dataset: Path, capsys: pytest.CaptureFixture[str], state: Path) -> None:
    text = printed(capsys, "submit", "local", "--dry-run", "train", f"--dataset.root={dataset}")
    assert json.loads(text)["inputs"] == {"dataset": str(dataset)}
    assert not (state / "jobs").exists()
    assert not (state / "local").exists()


def test_the_life_of_a_job(dataset: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sent = json.loads(
        printed(capsys, "submit", "local", "--json", "train", f"--dataset.root={dataset}", "--job-name=mine")
    )
    assert sent["job"] == f"local://{sent['name']}"
    os.chdir("/")  # from any folder
    assert printed(capsys, "jobs", "list").splitlines()[1].startswith(sent["name"])
    assert main(["jobs", "logs", "last", "--follow"]) == 14  # the folder is no dataset, and the job says so
    out = capsys.readouterr()
    assert "error:" in out.out
    assert "data" in out.out
    status = json.loads(printed(capsys, "jobs", "status", "mine", "--json"))
    assert (status["state"], status["exit_code"]) == ("failed", 4)
    assert "exit code   4" in printed(capsys, "jobs", "status", sent["job"])
    assert "nothing to cancel" in printed(capsys, "jobs", "cancel", "last")
    assert main(["jobs", "download", "last"]) != 0
    assert "holds nothing" in capsys.readouterr().err
    (row,) = json.loads(printed(capsys, "jobs", "list", "--json"))
    assert row["command"][:3] == ["etude", "submit", "local"]


def test_a_submit_that_is_killed_loses_and_doubles_nothing(dataset: Path, state: Path, tmp_path: Path) -> None:
    """Killed at any moment: what was written down is either a job, or on no platform; a second look agrees."""
    argv = [sys.executable, "-m", "etude.cli", "submit", "local", "train", f"--dataset.root={dataset}"]
    for delay in (0.25, 0.35, 0.45, 0.6):
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    known = {entry.name for entry in Ledger(state / "jobs").entries()}
    there = {path.name for path in (state / "local").glob("[!.]*")} if (state / "local").exists() else set()
    assert there <= known
    rows = _listed(tmp_path)
    assert {row["name"] for row in rows} == known
    for row in rows:
        assert ("state" in row) == (row["name"] in there), row


def _listed(folder: Path) -> list[dict[str, Any]]:
    argv = [sys.executable, "-m", "etude.cli", "jobs", "list", "--json"]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True, cwd=folder).stdout)  # type: ignore[no-any-return]


def test_leaving_a_log_says_how_to_come_back(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sent = json.loads(printed(capsys, "submit", "local", "--json", "train", f"--dataset.root={dataset}"))
    argv = [sys.executable, "-m", "etude.cli", "jobs", "logs", sent["name"], "--follow"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    code = process.wait(30)
    assert sent["name"] in first
    if code == 130:  # it may have ended before the signal came
        assert f"etude jobs logs {sent['name']} --follow" in rest


def test_options_among_the_flags_of_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """As the documents print it: platform options behind the command."""
    for name, value in (("AZURE_SUBSCRIPTION_ID", "s"), ("AZURE_RESOURCE_GROUP", "g"), ("AZUREML_WORKSPACE_NAME", "w")):
        monkeypatch.setenv(name, value)
    text = printed(
        capsys, "submit", "azureml", "--dry-run", "train", "--dataset-repo-id", "lerobot/pusht", "--policy-type", "act",
        "--image", "registry/image:1", "--compute=k8s", "--set", "limits.timeout=60", "--instance_type", "gpu",
    )  # fmt: skip
    assert "image: registry/image:1" in text
    assert "compute: k8s" in text
    assert "timeout: 60" in text
    assert "instance_type: gpu" in text


@pytest.mark.parametrize("platform", ["local", "azureml"])
def test_a_dry_run_loads_nothing_heavy(platform: str, tmp_path: Path) -> None:
    """Submitting works from the base install: no torch, no LeRobot, and for a dry run no SDK either."""
    program = (
        "import sys; from etude.cli import main\n"
        f"code = main(['submit', '{platform}', '--dry-run', 'train', '-d', 'lerobot/pusht'])\n"
        "heavy = {'torch', 'lerobot', 'numpy', 'pandas', 'azure', 'mlflow', 'wandb'}\n"
        "loaded = heavy & {name.split('.')[0] for name in sys.modules}\n"
        "sys.exit(code or ', '.join(sorted(loaded)) or 0)"
    )
    workspace = {"AZURE_SUBSCRIPTION_ID": "s", "AZURE_RESOURCE_GROUP": "g", "AZUREML_WORKSPACE_NAME": "w"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **workspace, "AZUREML_COMPUTE": "c"},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
