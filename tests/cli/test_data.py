"""`etude data info`, `check` and `convert`, as a person and as a script would call them."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from etude.cli import main

VIDEO = "videos/observation.images.top/chunk-000/file-000.mp4"


@pytest.fixture
def arm(shared_data: Path, tmp_path: Path) -> Path:
    shutil.copytree(shared_data / "cr5-real-v30", tmp_path / "arm", copy_function=shutil.copyfile)
    for path in [tmp_path / "arm", *(tmp_path / "arm").rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path / "arm"


def test_info(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", str(shared_data / "pusht-human")]) == 0
    text = capsys.readouterr().out
    for part in (
        "206",
        "25650",
        "96 x 96",
        "av1",
        "2d pointer",
        "Push the T-shaped",
        "observation.full_state",
    ):
        assert part in text


def test_info_for_a_script(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", str(shared_data / "cr5-real-v21"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["lengths"] == [107, 167, 76, 83, 97]
    assert summary["episode_lengths"] == {"min": 76, "median": 97, "mean": 106.0, "max": 167}
    assert (summary["version"], summary["frames"], summary["duration_s"]) == ("v2.1", 530, 53.0)
    assert len(summary["fingerprint"]) == 64
    assert summary["cameras"][0]["codec"] == "av1"
    assert summary["features"]["action"]["names"][-1] == "gripper"


def test_info_of_a_dataset_without_its_video(arm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (arm / VIDEO).unlink()
    assert main(["data", "info", str(arm)]) == 0
    assert f"missing      {VIDEO}" in capsys.readouterr().out


def test_check_a_sound_dataset(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(shared_data / "cr5-real-v30")
    assert main(["data", "check", folder]) == 0
    assert "sound (0 errors, 3 warnings, 1 info)" in capsys.readouterr().out
    assert main(["data", "check", folder, "--strict"]) == 4
    assert main(["data", "check", folder, "--strict", "--episodes", "0-1"]) == 0


def test_check_a_broken_dataset(arm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (arm / VIDEO).unlink()
    assert main(["data", "check", "--dataset.root", str(arm), "--json"]) == 4
    report = json.loads(capsys.readouterr().out)
    assert not report["sound"]
    assert report["tally"]["error"] == 1
    assert report["findings"][0]["code"] == "video-missing"
    assert report["findings"][0]["episode"] == 0
    assert VIDEO in report["findings"][0]["message"]
    assert main(["data", "check", str(arm)]) == 4
    assert "fix: copy or download it again" in capsys.readouterr().out


def test_convert(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new"
    assert main(["data", "convert", str(shared_data / "cr5-real-v21"), "--output", str(target)]) == 0
    assert f"etude data check {target}" in capsys.readouterr().out
    assert main(["data", "check", str(target)]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["chek", "DIR"], 2, "did you mean: etude data check"),
        (["check"], 4, "no dataset was named"),
        (["check", "/nowhere"], 4, "there is no folder /nowhere"),
        (["check", "user/nothing"], 4, "offline"),
        (["check", "DIR", "--level", "fll"], 2, "nearest: full"),
        (["check", "DIR", "--levle=full"], 2, "did you mean --level"),
        (["check", "DIR", "--episodes", "a-b"], 2, "0-4,9"),
        (["check", "DIR", "--episodes", "7"], 4, "has no episode 7"),
        (["info", "DIR", "--jsn"], 2, "did you mean --json"),
        (["convert", "DIR"], 4, "not v2.1"),
    ],
)
def test_mistakes_get_one_message(
    shared_data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    folder = str(shared_data / "cr5-real-v30")
    assert main(["data", *(folder if part == "DIR" else part for part in arguments)]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert said in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("command", [[], ["info"], ["check"], ["convert"]])
def test_help_has_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        assert main(["data", *command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "etude data" in text
