"""`etude train` as a process: signals, exit codes, what it prints, and what it never writes down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from etude.cli import main
from tests.imitation.conftest import ACT, make_dataset

SECRETS = {
    "HF_TOKEN": "hf_sentinelsentinelsentinel",
    "WANDB_API_KEY": "0123456789sentinel0123456789sentinel0123",
    "MLFLOW_TRACKING_PASSWORD": "pass-sentinel-word",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "robot")


def start(data: Path, run: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "etude.cli", "train", f"--dataset.root={data}", *ACT, f"--output_dir={run}"]
    return subprocess.Popen(
        [*command, "--steps=1000000", "--log_freq=5", "--eval_steps=1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **SECRETS},
    )


def wait_for_training(process: subprocess.Popen[str], run: Path) -> None:
    limit = time.monotonic() + 200
    while not (run / "metrics.jsonl").exists() or (run / "metrics.jsonl").stat().st_size < 1000:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit
        time.sleep(0.1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["TERM", "INT"])
def test_a_signal_ends_it_with_a_checkpoint(data: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    run = tmp_path / "run"
    process = start(data, run)
    wait_for_training(process, run)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert f"train --resume {run}" in printed
    assert "Traceback" not in printed
    manifest = json.loads((run / "run.json").read_text())
    assert manifest["status"] == "stopped"
    assert int((run / "checkpoints" / "last").resolve().name) == manifest["steps"]["done"] > 0
    for file in run.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [name for name, value in SECRETS.items() if value.encode() in content], file
    assert not [name for name, value in SECRETS.items() if value in printed]


def test_print_config_can_be_fed_back(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["train", f"--dataset.root={data}", *ACT, f"--output_dir={tmp_path / 'run'}", "--print-config"]
    assert main(argv) == 0
    first = capsys.readouterr().out
    (tmp_path / "config.yaml").write_text(first)
    assert main(["train", "--config", str(tmp_path / "config.yaml"), "--print-config"]) == 0
    assert capsys.readouterr().out == first
    assert not (tmp_path / "run").exists()


def test_json_tells_a_script_what_came_of_it(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["train", f"--dataset.root={data}", *ACT, "--steps=4", f"--output_dir={run}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["step"], told["run"]) == ("finished", 4, str(run))
    assert Path(told["checkpoint"]).is_dir()
    assert Path(told["best"]).exists()
