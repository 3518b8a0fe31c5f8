"""Folders in which the pages' examples are tried."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.workshop import copy_workshop, make_workshop, place_names


@pytest.fixture(scope="session")
def made_workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded and trained once for all pages; only to be copied."""
    folder, before = tmp_path_factory.mktemp("workshop"), Path.cwd()
    os.chdir(folder)
    try:
        make_workshop(folder)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def workshop(made_workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the dataset, the run and the config file that the pages name."""
    copy_workshop(made_workshop, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bare_workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same names with a run that holds its settings only: enough to read a command line."""
    place_names(tmp_path)
    (tmp_path / "resolved.yaml").write_text((tmp_path / "train.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    for folder in ("checkpoints/005000/pretrained_model", "checkpoints/last/pretrained_model"):
        (tmp_path / "outputs/train/NAME" / folder).mkdir(parents=True)
        (tmp_path / "outputs/train/NAME" / folder / "train_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "outputs/train/NAME/run.json").write_text('{"config": {"policy": {"type": "act"}}}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path
