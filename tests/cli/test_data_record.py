"""`etude data record`: from a task's name to a dataset that LeRobot reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etude.cli import main

RECORD = ("data", "record", "--env.task=reach-v3", "--episodes=2")


def test_states_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "demos"
    assert main([*RECORD, f"--root={root}", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["episodes"] == 2
    assert len(set(printed["seeds"])) == 2
    assert min(printed["seeds"]) >= 2**31
    info = json.loads((root / "meta" / "info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["fps"] == 80
    assert info["features"]["observation.environment_state"]["shape"] == [39]
    assert not any(feature["dtype"] == "video" for feature in info["features"].values())
    origin = json.loads((root / "meta" / "etude.json").read_text())
    assert origin["environment"]["task"] == "reach-v3"


def test_with_a_camera(tmp_path: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    root = tmp_path / "demos"
    camera = ("--camera=corner2", "--width=32", "--no-shadows", "--processes=1")
    assert main(["data", "record", "--env.task=reach-v3", "--episodes=1", *camera, f"--root={root}"]) == 0
    dataset = LeRobotDataset("local/demos", root=root)
    first = dataset[0]
    assert first["observation.image"].shape == (3, 32, 32)
    assert first["observation.image"].std() > 0.05
    assert first["task"] == "Reach a goal position"
    assert dataset[len(dataset) - 1]["next.success"]


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        (("--env.type=pusht",), 10, "no scripted expert"),
        (("--env.task=rech-v3",), 10, "reach-v3"),
        (("--camera=corner9",), 2, "corner"),
        (("--camera=corner", "--no-camera"), 2, "exclude"),
        (("--camera=corner", "--width=33"), 2, "even"),
        (("--episodes=0",), 2, "at least 1"),
    ],
)
def test_refusals_leave_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: tuple[str, ...], code: int, said: str
) -> None:
    assert main(["data", "record", f"--root={tmp_path / 'demos'}", *extra]) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
