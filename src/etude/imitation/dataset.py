"""The demonstrations a run is about: found, converted where needed, and checked before anything is spent."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.data.checks import assert_sound, check_dataset
from etude.data.sources import ensure_v30, fingerprint, locate
from etude.errors import UsageError

__all__ = ["TrainingData", "find_training_data"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """A dataset that passed its checks.

    Attributes:
        meta: LeRobot's `LeRobotDatasetMetadata`.
        notes: warnings of the checks, a sentence each.
    """

    repo_id: str
    root: Path
    fingerprint: str
    meta: Any
    notes: list[str]


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
        raise UsageError(
            "--dataset.streaming=true is not supported yet", hint="download the dataset: leave the flag out"
        )
    location = ensure_v30(locate(config.dataset.repo_id, config.dataset.root, config.dataset.revision))
    notes = []
    if location.origin == "converted":
        notes.append(f"converted from v2.1: the copy at {location.root} is used")
    if level != "off":
        report = check_dataset(location.root, level=level, episodes=episodes)
        assert_sound(report)
        warnings = [finding for finding in report.findings if finding.severity == "warning"]
        if warnings:
            count = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings, the first"
            notes.append(f"data: {count}: {warnings[0].message} (all: etude data check {location.root})")

    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

    meta = LeRobotDatasetMetadata(location.repo_id, root=location.root)
    return TrainingData(location.repo_id, location.root, fingerprint(location.root), meta, notes)
