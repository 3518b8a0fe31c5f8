"""`etude quickstart` on the command line, with stand-ins for the commands it calls."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from etude.cli import main, quickstart
from etude.errors import SimulationError
from etude.quickstart import Places
from tests.quickstart.stages import Commands


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    stand_in = Commands(Places(Path("outputs/quickstart")))
    monkeypatch.setattr(quickstart, "_call", stand_in)
    return stand_in


def test_says_what_came_out_and_what_to_try_next(commands: Commands, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(["quickstart"]) == 0
    printed = capsys.readouterr().out
    assert "Success rate 98% (49 of 50 unseen starts)" in printed
    assert "95 % interval 90% to 100%" in printed or "95 % interval 89% to 100%" in printed
    assert "outputs/quickstart/train/report.html" in printed
    following = printed.split("Three commands to try next:")[1].splitlines()
    lines = [line.strip() for line in following if line.strip() and not line.strip().startswith("#")]
    assert len(lines) == 3
    assert all(Path(shlex.split(line)[0]).name == "etude" for line in lines)


def test_every_stage_is_shown_as_the_command_it_runs(commands: Commands, capsys) -> None:  # type: ignore[no-untyped-def]
    main(["quickstart"])
    printed = capsys.readouterr().out
    assert len(commands.lines) == 5
    assert all(f"etude {line}" in printed for line in commands.lines)


def test_a_stage_that_fails_ends_it_and_tells_how_to_continue(commands: Commands, capsys) -> None:  # type: ignore[no-untyped-def]
    commands.stop_at, commands.code = "train", 9
    assert main(["quickstart", "--task=push-v3"]) == 9
    error = capsys.readouterr().err
    assert "stopped in the stage `train`" in error
    assert "quickstart --task=push-v3 --output=outputs/quickstart" in error
    commands.stop_at = None
    assert main(["quickstart", "--task=push-v3", "--output=outputs/quickstart"]) == 0
    assert "record, check done already" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--episodes=0", "--steps=0", "--demonstrations=1", "--seed=-1"])
def test_impossible_numbers_are_refused_before_anything_is_made(commands: Commands, flag: str) -> None:
    assert main(["quickstart", flag]) == 2
    assert not Path("outputs").exists()


def test_without_graphics_libraries_there_are_no_videos(commands: Commands, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    def refuse() -> str:
        raise SimulationError("this machine cannot draw pictures", hint="apt-get install libegl1")

    monkeypatch.setenv("MUJOCO_GL", "egl")  # so that it is put back afterwards
    monkeypatch.setattr("etude.simulation.rendering.choose_backend", refuse)
    assert main(["quickstart"]) == 0
    assert any("--videos=0" in line for line in commands.lines)
    assert "cannot draw pictures" in capsys.readouterr().out
