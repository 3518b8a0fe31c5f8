"""Real recordings are sound, and what is said of them is true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from etude.data.checks import Severity, assert_sound, check_dataset
from etude.errors import DatasetError, UsageError


@pytest.mark.parametrize("level", ["fast", "full"])
def test_human_demonstrations_have_no_finding(shared_data: Path, level: str) -> None:
    report = check_dataset(shared_data / "pusht-human", level)
    assert report.findings == []
    assert report.counts == {"episodes": 206, "frames": 25650, "cameras": 1, "files": 2}
    assert_sound(report)


@pytest.mark.parametrize("name", ["cr5-real-v30", "cr5-real-v21"])
def test_the_arm_starts_three_episodes_with_a_stale_state(shared_data: Path, name: str) -> None:
    """The first state of episodes 2, 3 and 4 is another pose than the second, with the arm at rest."""
    report = check_dataset(shared_data / name, "full")
    assert report.is_sound
    warnings = report.of(Severity.WARNING)
    assert [(finding.code, finding.episode) for finding in warnings] == [
        ("state-jump", 2),
        ("state-jump", 3),
        ("state-jump", 4),
    ]
    assert all("frame 0 to 1" in finding.message for finding in warnings)


def test_some_episodes_only(shared_data: Path) -> None:
    report = check_dataset(shared_data / "cr5-real-v30", "full", episodes=[0, 3])
    assert report.counts["episodes"] == 2
    assert [finding.episode for finding in report.of(Severity.WARNING)] == [3]


@pytest.mark.parametrize("name", ["pusht-human", "cr5-real-v30"])
@pytest.mark.parametrize("episode", [0, 1, 4])
def test_one_episode_of_a_shared_video_is_sound(shared_data: Path, name: str, episode: int) -> None:
    """Whatever else is in the file that it lies in."""
    assert check_dataset(shared_data / name, episodes=[episode]).is_sound


def test_an_unknown_episode_or_level_is_refused(shared_data: Path) -> None:
    with pytest.raises(DatasetError, match="no episode 9"):
        check_dataset(shared_data / "cr5-real-v30", episodes=[9])
    with pytest.raises(UsageError, match="'deep'"):
        check_dataset(shared_data / "cr5-real-v30", "deep")


def test_progress_reaches_its_end(shared_data: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}
    check_dataset(
        shared_data / "cr5-real-v30",
        "full",
        progress=lambda what, done, total: seen.update({what: (done, total)}),
    )
    assert seen == {"metadata": (1, 1), "rows": (1, 1), "videos": (1, 1), "frames": (530, 530)}


def test_checking_needs_no_torch(shared_data: Path) -> None:
    code = (
        "import sys; from etude.data.checks import check_dataset; "
        f"check_dataset({str(shared_data / 'cr5-real-v30')!r}, 'fast'); "
        "assert not {'torch', 'lerobot', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
