"""`etude doctor` as a person and as a script see it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from etude.cli import doctor, main
from etude.doctor import Finding, Status

FINE = Finding("python", Status.OK, "3.12.1")
HINT = Finding("wandb key", Status.OK, "absent", fix="wandb login")
WORRY = Finding("ffmpeg", Status.WARNING, "no ffmpeg", fix="sudo apt install ffmpeg")
PROBLEM = Finding("libraries", Status.PROBLEM, "no torch", fix="make setup")


@pytest.mark.parametrize(
    ("findings", "code", "verdict"),
    [
        ([FINE], 0, "Ready to train."),
        ([FINE, WORRY], 0, "Ready to train. Worth a look: ffmpeg."),
        ([WORRY, PROBLEM], 1, "Not ready to train: libraries."),
    ],
)
def test_verdict_and_exit_code(monkeypatch, capsys, findings: list[Finding], code: int, verdict: str) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(doctor, "examine", lambda: iter(findings))
    assert main(["doctor"]) == code
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith(verdict)
    assert all(item.fix in printed for item in findings if item.fix)


def test_json_is_one_object(monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(doctor, "examine", lambda: iter([HINT, PROBLEM]))
    assert main(["doctor", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [item["status"] for item in findings] == ["ok", "problem"]
    assert findings[0]["fix"] == "wandb login"


def test_unknown_flag(capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(["doctor", "--jsn"]) == 2
    assert "--json" in capsys.readouterr().err


def test_doctor_itself_needs_the_standard_library_only() -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'numpy', 'av', 'mujoco', 'yaml', 'rich']))\n"
        "import etude.cli.doctor\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
