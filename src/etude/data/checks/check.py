"""All checks of a dataset, in order: cheap ones first, and none on top of what is broken already."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from etude.data.checks.blocks import DataFile, data_files, read_blocks
from etude.data.checks.counts import check_counts
from etude.data.checks.findings import CheckReport, Finding, error, in_order
from etude.data.checks.images import check_images
from etude.data.checks.motion import Motion
from etude.data.checks.rows import RowAgreement, check_timestamps
from etude.data.checks.schema import check_schema
from etude.data.checks.statistics import Statistics, check_statistics_file
from etude.data.checks.values import ConstantDimensions, check_finite, check_jumps
from etude.data.checks.video_files import check_video_file, check_video_spans
from etude.data.checks.video_frames import check_video_frames
from etude.data.sources.info import UnreadableError
from etude.data.sources.layout import DatasetLayout, read_layout
from etude.errors import DatasetError, UsageError

__all__ = ["Progress", "check_dataset"]

LEVELS = ("fast", "full")

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""


def check_dataset(
    root: Path | str,
    level: str = "fast",
    episodes: Collection[int] | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Check a dataset folder of format v2.1 or v3.0.

    Args:
        level: `fast` reads metadata, rows and the headers of the videos; `full` decodes every picture too.
        episodes: only these; None means all. Findings about the dataset as a whole stay.

    Raises:
        UsageError: the level is unknown.
        DatasetError: the folder holds no dataset, or an episode that was asked for does not exist.
    """
    if level not in LEVELS:
        raise UsageError(f"unknown level {level!r}", hint=f"levels: {', '.join(LEVELS)}")
    root = Path(root)
    if not (root / "meta").is_dir():
        raise DatasetError(
            f"{root} is not a LeRobot dataset: meta/info.json is missing",
            hint="a dataset folder holds meta/info.json, data/ and, with cameras, videos/",
        )
    report = CheckReport(str(root), level, version="unknown")
    try:
        layout = read_layout(root)
    except UnreadableError as problem:
        report.findings = [error(problem.code, problem.message, episode=problem.episode, fix=problem.hint or "")]
        return report
    report.version = layout.info.version
    chosen = _chosen(layout, episodes)
    findings = list(_all_checks(layout, level, chosen, progress or _silent))
    if chosen is not None:
        findings = [finding for finding in findings if finding.episode is None or finding.episode in chosen]
    report.findings = in_order(dict.fromkeys(findings))
    report.counts = _counts(layout, chosen)
    return report


def _silent(_what: str, _done: int, _total: int) -> None:
    pass


def _chosen(layout: DatasetLayout, episodes: Collection[int] | None) -> frozenset[int] | None:
    if episodes is None:
        return None
    known = {record.index for record in layout.episodes}
    unknown = sorted(set(episodes) - known)
    if unknown:
        raise DatasetError(
            f"the dataset {layout.root} has no episode {unknown[0]}",
            hint=f"it has {len(known)} episodes, {min(known, default=0)} to {max(known, default=0)}",
        )
    return frozenset(episodes)


def _counts(layout: DatasetLayout, chosen: frozenset[int] | None) -> dict[str, int]:
    kept = [record for record in layout.episodes if chosen is None or record.index in chosen]
    return {
        "episodes": len(kept),
        "frames": sum(record.length for record in kept),
        "cameras": len(layout.info.video_features) + len(layout.info.image_features),
        "files": len({record.data_file for record in kept})
        + len({span.file for record in kept for span in record.videos.values()}),
    }


def _all_checks(
    layout: DatasetLayout, level: str, chosen: frozenset[int] | None, progress: Progress
) -> Iterator[Finding]:
    progress("metadata", 0, 1)
    files = data_files(layout)
    if chosen is not None:
        # Every table stays in the list: a broken one breaks loading, whichever episodes are wanted.
        files = [_narrowed(file, chosen) for file in files]
    yield from check_schema(layout, files)
    yield from check_counts(layout, files)
    yield from check_statistics_file(layout)
    progress("metadata", 1, 1)
    in_file = {file: len(group) for found in layout.video_files().values() for file, group in found.items()}
    if chosen is not None:
        kept = [record for record in layout.episodes if record.index in chosen]
        layout = dataclasses.replace(layout, episodes=kept)
        files = [file for file in files if file.episodes]
    motion = Motion(layout)
    yield from _rows(layout, files, chosen is None, motion, progress)
    yield from _videos(layout, in_file, level, motion, progress)
    if level == "full":
        yield from _images(layout, files, motion, progress)


def _narrowed(file: DataFile, chosen: frozenset[int]) -> DataFile:
    return dataclasses.replace(file, episodes=[record for record in file.episodes if record.index in chosen])


def _rows(
    layout: DatasetLayout, files: list[DataFile], whole: bool, motion: Motion, progress: Progress
) -> Iterator[Finding]:
    agreement, constant, statistics = (
        RowAgreement(layout, whole),
        ConstantDimensions(layout),
        Statistics(layout),
    )
    unreadable: list[Finding] = []
    for block in read_blocks(layout, files, unreadable, lambda done: progress("rows", done, len(files))):
        yield from check_timestamps(layout, block)
        yield from check_finite(layout, block)
        yield from check_jumps(layout, block)
        for part in (agreement, constant, statistics, motion):
            part.see(block)
    yield from unreadable
    yield from agreement.findings()
    if whole:
        yield from constant.findings()
    yield from statistics.findings(whole)


def _videos(
    layout: DatasetLayout, in_file: Mapping[str, int], level: str, motion: Motion, progress: Progress
) -> Iterator[Finding]:
    """`in_file` counts the episodes in each video file, whether they are among the chosen ones or not."""
    yield from check_video_spans(layout)
    features = layout.info.features
    files = [(camera, file, group) for camera, files in layout.video_files().items() for file, group in files.items()]
    intact = []
    for number, (camera, file, group) in enumerate(files, start=1):
        found = list(check_video_file(layout, features[camera], file, group, is_alone=in_file[file] == 1))
        yield from found
        if not any(finding.code in ("video-missing", "video-unreadable", "video-fps") for finding in found):
            intact.append((camera, file, group))
        progress("videos", number, len(files))
    if level == "full":
        total = sum(record.length for _, _, group in intact for record in group)
        advance = _stepper("frames", total, progress)
        for camera, file, group in intact:
            yield from check_video_frames(layout, features[camera], file, group, motion, advance)


def _images(layout: DatasetLayout, files: list[DataFile], motion: Motion, progress: Progress) -> Iterator[Finding]:
    cameras = layout.info.image_features
    readable = [file for file in files if file.problem is None]
    advance = _stepper("pictures", len(cameras) * sum(file.rows for file in readable), progress)
    for feature in cameras:
        for file in readable:
            yield from check_images(layout, file, feature, motion, advance)


def _stepper(what: str, total: int, progress: Progress) -> Callable[[], None]:
    """A function to call once per piece, which reports about every hundredth part."""
    done = 0
    stride = max(1, total // 100)

    def step() -> None:
        nonlocal done
        done += 1
        if done % stride == 0 or done == total:
            progress(what, min(done, total), total)

    return step
