"""The demonstrations a run is about: found, converted where needed, and checked before anything is spent."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.data.checks import assert_sound, check_dataset
from etude.data.sources import (
    StreamLocation,
    ensure_v30,
    fingerprint,
    is_same_dataset,
    locate,
    locate_stream,
    metadata_fingerprint,
)

__all__ = ["TrainingData", "find_training_data"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """A dataset that passed its checks.

    Attributes:
        meta: LeRobot's `LeRobotDatasetMetadata`.
        fingerprint: the identity of its content; of a stream, that of its metadata, after `meta:`.
        notes: warnings of the checks, a sentence each.
        stream: where it is streamed from; None when it is read as one that is here.
    """

    repo_id: str
    root: Path
    fingerprint: str
    meta: Any
    notes: list[str]
    stream: StreamLocation | None = None

    def is_same(self, recorded: str) -> bool:
        """Whether a fingerprint is this dataset's. One of the whole content tells nothing about the hub's."""
        if recorded == self.fingerprint:
            return True
        where = self.root if self.stream is None else self.stream.folder
        if where is None:
            return not recorded.startswith("meta:")
        return is_same_dataset(where, recorded)


def find_training_data(config: Any, level: str, episodes: list[int] | None = None) -> TrainingData:
    """Locate `config.dataset` and check it.

    Args:
        config: LeRobot's `TrainPipelineConfig`.
        level: fast | full | off, as `--data_check`.
        episodes: check these only; None means all.

    Raises:
        DatasetError: it is absent or broken; the message names the first finding.
    """
    if config.dataset.streaming:
        return _find_stream(config.dataset, level, episodes)
    location = ensure_v30(locate(config.dataset.repo_id, config.dataset.root, config.dataset.revision))
    notes = []
    if location.origin == "converted":
        notes.append(f"converted from v2.1: the copy at {location.root} is used")
    notes += _checked(location.root, level, episodes)

    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

    meta = LeRobotDatasetMetadata(location.repo_id, root=location.root)
    return TrainingData(location.repo_id, location.root, fingerprint(location.root), meta, notes)


def _find_stream(dataset: Any, level: str, episodes: list[int] | None) -> TrainingData:
    """A folder is checked like any other; of a dataset on the hub only the metadata is fetched."""
    location = locate_stream(dataset.repo_id, dataset.root, dataset.revision, dataset.repo_type)
    if location.folder is not None:
        notes = _checked(location.folder, level, episodes)
    else:
        notes = [] if level == "off" else [f"{location} is not checked beforehand: only its metadata is here"]
    meta = location.open_metadata()
    root = Path(meta.root)
    return TrainingData(location.repo_id, root, metadata_fingerprint(root), meta, notes, location)


def _checked(root: Path, level: str, episodes: list[int] | None) -> list[str]:
    """A sentence about the warnings, if there are any.

    Raises:
        DatasetError: there is an error.
    """
    if level == "off":
        return []
    report = check_dataset(root, level=level, episodes=episodes)
    assert_sound(report)
    warnings = [finding for finding in report.findings if finding.severity == "warning"]
    if not warnings:
        return []
    count = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings, the first"
    return [f"data: {count}: {warnings[0].message} (all: etude data check {root})"]
