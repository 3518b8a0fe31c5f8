"""A run that was refused takes back what was made for it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude.errors import RunFolderError
from etude.runs.folder import RunFolder


def fill(run: RunFolder) -> None:
    run.manifest_path.write_text("{}")
    (run.root / "tracking").mkdir()
    (run.root / "tracking" / "start.json").write_text("{}")


def test_folders_made_for_the_run_go_with_it(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "outputs" / "train" / "run")
    fill(run)
    run.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    run = RunFolder.create(tmp_path / "run")
    fill(run)
    run.discard()
    assert list(tmp_path.rglob("*")) == [tmp_path / "run"]


def test_the_run_beside_it_stays(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "outputs" / "one")
    other = RunFolder.create(tmp_path / "outputs" / "two")
    fill(other)
    run.discard()
    assert not run.root.exists()
    assert other.manifest_path.exists()


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kept").touch()
    (run.root / "link").symlink_to(tmp_path / "data")
    run.discard()
    assert (tmp_path / "data" / "kept").exists()


def test_only_a_folder_that_was_created_here_is_discarded(tmp_path: Path) -> None:
    fill(RunFolder.create(tmp_path / "run"))
    before = sorted(tmp_path.rglob("*"))
    RunFolder(tmp_path / "run").discard()
    with pytest.raises(RunFolderError):
        RunFolder.create(tmp_path / "run")
    RunFolder.open(tmp_path / "run").discard()
    assert sorted(tmp_path.rglob("*")) == before
