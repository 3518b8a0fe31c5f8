"""`etude report` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etude.cli import main
from tests.report.synthetic import make_run


def test_the_page_lies_in_the_run_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", steps=50, evaluated=False)
    assert main(["report", str(run.root)]) == 0
    assert run.report_path.is_file()
    assert f"written: {run.report_path}" in capsys.readouterr().out


def test_a_checkpoint_leads_to_its_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", steps=100, evaluated=False)
    assert main(["report", str(run.root / "checkpoints" / "last")]) == 0
    assert run.report_path.is_file()


def test_several_runs_are_described_beside_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [make_run(tmp_path / name, steps=50, evaluated=False) for name in ("a", "b")]
    assert main(["report", *(str(run.root) for run in runs), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["path"] == str(tmp_path / "report.html")
    assert answer["bytes"] == (tmp_path / "report.html").stat().st_size


def test_mistakes_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "nothing")]) == 6
    assert main(["report"]) == 2
    assert main(["report", str(tmp_path), "--media-mb=lots"]) == 2
    assert main(["report", str(tmp_path), "--outptu=x"]) == 2
    errors = capsys.readouterr().err
    assert "there is no run folder" in errors
    assert "did you mean --output" in errors
    assert "Traceback" not in errors
