"""The run folder: made once, found again, never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etude.errors import RunFolderError, StorageError
from etude.runs.folder import RunFolder
from etude.runs.manifest import RunManifest


def test_an_existing_folder_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(RunFolderError, match="exists already") as caught:
        RunFolder.create(tmp_path)
    assert "--resume" in (caught.value.hint or "")
    assert os.listdir(tmp_path) == ["precious"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path).root == tmp_path


def test_where_nothing_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        RunFolder.create(tmp_path / "file" / "run")


def test_a_checkpoint_leads_to_its_run(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    RunManifest("imitation", "name", [], {}).save(run.manifest_path)
    inside = run.root / "checkpoints" / "000005" / "pretrained_model"
    inside.mkdir(parents=True)
    assert RunFolder.open(inside).root.resolve() == run.root.resolve()


def test_what_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no run folder"):
        RunFolder.open(tmp_path / "absent")
    with pytest.raises(RunFolderError, match=r"no run\.json"):
        RunFolder.open(tmp_path)


def test_the_manifest_survives_a_round_trip(tmp_path: Path) -> None:
    manifest = RunManifest("imitation", "näme", ["etude", "train"], {"policy": {"type": "act"}})
    manifest.save(tmp_path / "run.json")
    assert RunManifest.load(tmp_path / "run.json") == manifest


def test_evaluations_do_not_overwrite_each_other(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    names = []
    for _ in range(3):
        folder = run.new_evaluation("pusht")
        folder.mkdir(parents=True)
        names.append(folder.name)
    assert names == ["pusht", "pusht-2", "pusht-3"]
