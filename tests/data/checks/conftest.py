"""Datasets that a test may break: copies of real ones, and one with pictures in its tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.checks.editing import Copy, copied, picture_set


@pytest.fixture
def arm(shared_data: Path, tmp_path: Path) -> Copy:
    """A real arm: 5 episodes of 107, 167, 76, 83 and 97 frames at 10 Hz, one camera."""
    return copied(shared_data / "cr5-real-v30", tmp_path / "arm")


@pytest.fixture
def old_arm(shared_data: Path, tmp_path: Path) -> Copy:
    """The same in format v2.1."""
    return copied(shared_data / "cr5-real-v21", tmp_path / "old-arm")


@pytest.fixture
def pusht(shared_data: Path, tmp_path: Path) -> Copy:
    """206 human demonstrations of pushing a block, one small camera."""
    return copied(shared_data / "pusht-human", tmp_path / "pusht")


@pytest.fixture
def pictures(tmp_path: Path) -> Copy:
    """3 episodes of 30 frames with two cameras and no video."""
    return picture_set(tmp_path / "pictures")
