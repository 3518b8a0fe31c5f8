"""Printed commands work where they are pasted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from etude.cli import COMMANDS, main
from etude.cli.pasteable import COMMAND, command_line, pasteable, seen_from_here


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment with an `etude` in it, in a folder with a space; the shell knows no other."""
    own = tmp_path / "my robot" / ".venv" / "bin" / "etude"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\necho etude-was-called\n", encoding="utf-8")
    own.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(own.parents[1]))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return own


def run_in_shell(line: str) -> str:
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("folder", ["my robot", "my robot/.venv", ".", "elsewhere"])
def test_the_printed_command_runs_from_any_folder(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / folder)
    assert run_in_shell(command_line(["report", "outputs/a run"])) == "etude-was-called"
    assert run_in_shell(pasteable("etude report RUN")) == "etude-was-called"


def test_the_bare_name_is_used_where_the_shell_finds_it(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{environment.parent}:/usr/bin:/bin")
    assert command_line(["report", "a run"]) == "etude report 'a run'"


def test_another_etude_on_the_path_is_not_taken_for_this_one(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "etude").write_text("#!/bin/sh\necho another\n", encoding="utf-8")
    (other / "etude").chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}:/usr/bin:/bin")
    assert run_in_shell(command_line(["doctor"])) == "etude-was-called"


@pytest.mark.parametrize(
    "text", ["etude trains policies", "see .venv/bin/etude train", "no etude here", "my-etude train", "a étude report"]
)
def test_other_words_stay(environment: Path, text: str) -> None:
    assert pasteable(text) == text


def test_the_programs_beside_it_are_found_too(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (environment.parent / "mlflow").write_bytes(environment.read_bytes())
    monkeypatch.chdir(environment.parents[2])
    assert pasteable("mlflow ui --port 1") == ".venv/bin/mlflow ui --port 1"
    assert pasteable("wandb login") == "wandb login", "it is not installed there"


def test_every_command_is_recognised() -> None:
    assert all(COMMAND.search(f"`etude {name}`") for name in COMMANDS)


def test_the_hint_of_an_error_can_be_pasted(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(environment.parents[2])
    assert main(["data", "chek"]) == 2
    assert "did you mean: .venv/bin/etude data check" in capsys.readouterr().err


def test_paths_below_this_folder_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert seen_from_here(tmp_path / "here" / "outputs" / "run") == "outputs/run"
    assert seen_from_here("outputs/run") == "outputs/run"
    assert seen_from_here(tmp_path / "there") == str(tmp_path / "there")
