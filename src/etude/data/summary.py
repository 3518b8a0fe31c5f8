"""What a dataset holds, in a few numbers."""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass
from typing import Any

from etude.data.sources import DatasetLayout, DatasetLocation, Feature, fingerprint, read_layout

__all__ = ["CameraSummary", "DatasetSummary", "summarise"]


@dataclass(frozen=True)
class CameraSummary:
    """One camera.

    Attributes:
        codec: of the first video file, or `image` where pictures are stored one by one.
        files: how many video files, 0 for single pictures.
        bytes: of those files.
    """

    name: str
    height: int
    width: int
    depth: bool
    codec: str
    files: int
    bytes: int


@dataclass(frozen=True)
class DatasetSummary:
    """A dataset at a glance. Durations are in seconds, sizes in bytes.

    Attributes:
        features: name to `dtype`, `shape` and, where there are any, `names`.
        episode_lengths: `min`, `median`, `mean`, `max`, in frames.
        bytes: `meta`, `data`, `videos`, `total`.
        missing_files: files that the episodes need and that are not there.
    """

    repo_id: str
    root: str
    origin: str
    version: str
    robot_type: str | None
    episodes: int
    frames: int
    fps: float
    duration_s: float
    tasks: list[str]
    features: dict[str, dict[str, Any]]
    cameras: list[CameraSummary]
    episode_lengths: dict[str, float]
    lengths: list[int]
    bytes: dict[str, int]
    fingerprint: str
    missing_files: list[str]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def summarise(location: DatasetLocation) -> DatasetSummary:
    """Read the metadata of a dataset and the header of one video a camera.

    Raises:
        DatasetError: its metadata cannot be read.
    """
    layout = read_layout(location.root)
    lengths = [record.length for record in layout.episodes]
    frames = sum(lengths)
    return DatasetSummary(
        repo_id=location.repo_id,
        root=str(location.root),
        origin=location.origin,
        version=layout.info.version,
        robot_type=layout.info.robot_type,
        episodes=len(lengths),
        frames=frames,
        fps=layout.info.fps,
        duration_s=frames / layout.info.fps,
        tasks=[text for _, text in layout.tasks],
        features={name: _described(feature) for name, feature in layout.info.features.items()},
        cameras=_cameras(layout),
        episode_lengths=_spread(lengths),
        lengths=lengths,
        bytes=_sizes(layout),
        fingerprint=fingerprint(location.root),
        missing_files=[file for file, _ in layout.missing_files()],
    )


def _described(feature: Feature) -> dict[str, Any]:
    described: dict[str, Any] = {"dtype": feature.dtype, "shape": list(feature.shape)}
    return {**described, "names": list(feature.names)} if feature.names else described


def _spread(lengths: list[int]) -> dict[str, float]:
    if not lengths:
        return {}
    return {
        "min": min(lengths),
        "median": statistics.median(lengths),
        "mean": round(statistics.fmean(lengths), 1),
        "max": max(lengths),
    }


def _cameras(layout: DatasetLayout) -> list[CameraSummary]:
    files_of = layout.video_files()
    cameras = []
    for feature in (*layout.info.video_features, *layout.info.image_features):
        height, width = feature.height_width or (0, 0)
        files = [layout.root / file for file in files_of.get(feature.name, {}) if (layout.root / file).is_file()]
        size = sum(file.stat().st_size for file in files)
        codec = _codec(feature, layout)
        cameras.append(CameraSummary(feature.name, height, width, feature.is_depth, codec, len(files), size))
    return cameras


def _codec(feature: Feature, layout: DatasetLayout) -> str:
    """What the metadata says, else what the first video that is there says."""
    if feature.dtype == "image":
        return "image"
    declared = feature.details.get("video.codec")
    if isinstance(declared, str):
        return declared
    from etude.data.checks.video_files import read_container

    for file in layout.video_files()[feature.name]:
        try:
            return read_container(layout.root / file).codec
        except (OSError, ValueError):
            continue
    return "unknown"


def _sizes(layout: DatasetLayout) -> dict[str, int]:
    sizes = {
        part: sum(file.stat().st_size for file in (layout.root / part).rglob("*") if file.is_file())
        for part in ("meta", "data", "videos")
    }
    return {**sizes, "total": sum(sizes.values())}
