"""The scripts by their documented names: each is a launcher, and takes the command lines as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.rules.source import ROOT

LAUNCHERS = sorted((ROOT / "scripts").glob("submit-*.sh"))
DOCUMENTED = {
    "submit-azureml-lerobot-training.sh": [
        ["--dataset-repo-id", "lerobot/aloha_sim_insertion_human", "--policy-type", "act"],
    ],
}


@pytest.mark.parametrize("script", LAUNCHERS, ids=lambda path: path.name)
def test_a_launcher_is_two_lines_that_can_be_run(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert lines[0] == "#!/usr/bin/env bash"
    assert re.match(r'exec .*/etude" submit \w+ \w+.* "\$@"$', lines[1])
    assert os.access(script, os.X_OK)
    assert script.name in DOCUMENTED


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, line) for name, lines in DOCUMENTED.items() for line in lines], ids=str
)
def test_the_documented_line_is_a_job(name: str, arguments: list[str], tmp_path: Path) -> None:
    """As printed, with `--dry-run` behind it; from another folder, as a link to the script finds its clone."""
    known = {"AZURE_SUBSCRIPTION_ID": "s", "AZURE_RESOURCE_GROUP": "g", "AZUREML_WORKSPACE_NAME": "w"}
    done = subprocess.run(
        [str(ROOT / "scripts" / name), *arguments, "--dry-run"],
        env={**os.environ, **known, "AZUREML_COMPUTE": "k8s", "ETUDE_STATE": str(tmp_path / "state")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    job = yaml.safe_load(done.stdout)
    assert (job["type"], job["compute"], job["display_name"]) == ("command", "k8s", "lerobot-act-training")
    assert job["environment"]["image"] == "pytorch/pytorch:2.4.1-cuda12.4-cudnn9-runtime"
    command = (Path(job["code"]) / "job.json").read_text(encoding="utf-8")
    assert "lerobot/aloha_sim_insertion_human" in command
