"""A dataset broken in one way gives the finding for it, with the episode; an unbroken part gives none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etude.data.checks import CheckReport, Severity, assert_sound, check_dataset
from etude.errors import DatasetError
from tests.data.checks.editing import EPISODES, ROWS, Copy

STARTS = [0, 107, 274, 350, 433, 530]
VIDEO = "videos/observation.images.top/chunk-000/file-000.mp4"

Break = Callable[[Copy], Any]


def errors(report: CheckReport) -> set[tuple[str, int | None]]:
    return {(finding.code, finding.episode) for finding in report.of(Severity.ERROR)}


def at(row: Any, value: Any) -> Callable[[np.ndarray], None]:
    def edit(values: np.ndarray) -> None:
        values[row] = value

    return edit


def add(row: Any, value: Any) -> Callable[[np.ndarray], None]:
    def edit(values: np.ndarray) -> None:
        values[row] += value

    return edit


def truncate(copy: Copy, file: str) -> None:
    path = copy.root / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove_row(copy: Copy, row: int) -> None:
    copy.table(lambda table: pa.concat_tables([table.slice(0, row), table.slice(row + 1)]))


def spans(column: str, episode: int, by: float) -> Break:
    return lambda copy: copy.column(f"videos/observation.images.top/{column}", add(episode, by), EPISODES)


def drop_pandas_index(copy: Copy) -> None:
    copy.table(lambda table: table.replace_schema_metadata(None), "meta/tasks.parquet")


def cell(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda info: info.update({name: value})


def feature(name: str, **changes: Any) -> Break:
    return lambda copy: copy.json("meta/info.json", lambda info: info["features"][name].update(changes))


BREAKS: dict[str, tuple[Break, str, int | None]] = {
    # metadata
    "info is cut off": (lambda c: truncate(c, "meta/info.json"), "info-unreadable", None),
    "info without fps": (
        lambda c: c.json("meta/info.json", lambda i: i.pop("fps") and None),
        "info-invalid",
        None,
    ),
    "fps of zero": (lambda c: c.json("meta/info.json", cell("fps", 0)), "info-invalid", None),
    "features of a wrong type": (
        lambda c: c.json("meta/info.json", cell("features", [])),
        "info-invalid",
        None,
    ),
    "a path template of another format": (
        lambda c: c.json("meta/info.json", cell("data_path", "data/{nothing}.parquet")),
        "info-invalid",
        None,
    ),
    "a newer format": (
        lambda c: c.json("meta/info.json", cell("codebase_version", "v4.0")),
        "version-unsupported",
        None,
    ),
    "episode table is cut off": (lambda c: truncate(c, EPISODES), "episodes-unreadable", None),
    "no episode table": (lambda c: (c.root / EPISODES).unlink(), "episodes-missing", None),
    "no task table": (lambda c: (c.root / "meta/tasks.parquet").unlink(), "tasks-missing", None),
    "task table is cut off": (lambda c: truncate(c, "meta/tasks.parquet"), "tasks-unreadable", None),
    # counts
    "too many episodes promised": (
        lambda c: c.json("meta/info.json", cell("total_episodes", 6)),
        "episode-count",
        None,
    ),
    "too many frames promised": (
        lambda c: c.json("meta/info.json", cell("total_frames", 531)),
        "frame-count",
        None,
    ),
    "a length that is not the range": (
        lambda c: c.column("length", add(2, 1), EPISODES),
        "episode-length",
        2,
    ),
    "ranges that overlap": (lambda c: c.column("dataset_from_index", add(3, -2), EPISODES), "row-range", 3),
    "episodes out of order": (
        lambda c: c.table(lambda t: t.take([0, 2, 1, 3, 4]), EPISODES),
        "episode-order",
        2,
    ),
    "a data table that is not listed": (
        lambda c: shutil.copy(c.root / ROWS, c.root / "data/chunk-000/file-001.parquet"),
        "data-stray",
        None,
    ),
    "a missing data table": (lambda c: (c.root / ROWS).unlink(), "data-missing", 0),
    "a data table that is cut off": (lambda c: truncate(c, ROWS), "data-unreadable", 0),
    "the last rows are missing": (lambda c: c.table(lambda t: t.slice(0, 500)), "rows-missing", 4),
    # tasks
    "a task index that is not listed": (
        lambda c: c.column("task_index", at(slice(280, 290), 7)),
        "task-unknown",
        2,
    ),
    "a task text that is not listed": (
        lambda c: c.table(
            lambda t: t.set_column(
                t.schema.get_field_index("tasks"), "tasks", pa.array([["grasp_cube"]] * 3 + [["dance"]] * 2)
            ),
            EPISODES,
        ),
        "task-missing",
        3,
    ),
    "task texts outside the index": (drop_pandas_index, "task-index", None),
    # schema
    "a column is missing": (lambda c: c.table(lambda t: t.drop_columns(["action"])), "column-missing", 0),
    "a column is not declared": (
        lambda c: c.table(lambda t: t.append_column("notes", t["index"])),
        "column-undeclared",
        0,
    ),
    "a column of another type": (
        lambda c: c.table(
            lambda t: t.set_column(
                t.schema.get_field_index("timestamp"), "timestamp", pa.array([str(row) for row in range(530)])
            )
        ),
        "dtype-mismatch",
        0,
    ),
    "a declared shape that is not stored": (feature("action", shape=[6]), "shape-mismatch", 0),
    # rows
    "a row is missing": (lambda c: remove_row(c, 300), "index-not-contiguous", 2),
    "a row number is wrong": (lambda c: c.column("index", at(120, 5)), "index-not-contiguous", 1),
    "a frame number is wrong": (
        lambda c: c.column("frame_index", at(120, 5)),
        "frame-index-not-contiguous",
        1,
    ),
    "a row of another episode": (
        lambda c: c.column("episode_index", at(120, 4)),
        "episode-index-mismatch",
        1,
    ),
    "a timestamp is late": (lambda c: c.column("timestamp", add(360, 0.004)), "timestamps-irregular", 3),
    "a timestamp is NaN": (lambda c: c.column("timestamp", at(360, np.nan)), "timestamps-irregular", 3),
    "another frame rate": (lambda c: c.json("meta/info.json", cell("fps", 20)), "timestamps-irregular", 4),
    # values
    "NaN in the state": (lambda c: c.column("observation.state", at((433, 2), np.nan)), "not-finite", 4),
    "infinite action": (lambda c: c.column("action", at((110, 0), np.inf)), "not-finite", 1),
    "an action that never changes": (
        lambda c: c.column("action", at(slice(None), 0.5)),
        "action-constant",
        None,
    ),
    # statistics
    "no statistics": (lambda c: (c.root / "meta/stats.json").unlink(), "stats-missing", None),
    "statistics are cut off": (lambda c: truncate(c, "meta/stats.json"), "stats-unreadable", None),
    "statistics without std": (
        lambda c: c.json("meta/stats.json", lambda s: s["action"].pop("std") and None),
        "stats-missing",
        None,
    ),
    "statistics with NaN": (
        lambda c: c.json("meta/stats.json", lambda s: s["action"].update(std=[float("nan")] * 7)),
        "stats-not-finite",
        None,
    ),
    "statistics of another robot": (
        lambda c: c.json("meta/stats.json", lambda s: s["action"].update(mean=[0.0] * 6)),
        "stats-shape",
        None,
    ),
    "statistics of other data": (
        lambda c: c.json("meta/stats.json", lambda s: s["observation.state"].update(mean=[3.0] * 6)),
        "stats-disagree",
        None,
    ),
    # video, by headers
    "a missing video": (lambda c: (c.root / VIDEO).unlink(), "video-missing", 0),
    "a video that is cut off": (lambda c: truncate(c, VIDEO), "video-truncated", 4),
    "an empty video": (lambda c: (c.root / VIDEO).write_bytes(b""), "video-unreadable", 0),
    "a span that is too short": (spans("to_timestamp", 2, -0.3), "video-span", 2),
    "a span that starts too early": (spans("from_timestamp", 3, -1.0), "video-overlap", 3),
    "a span past the end": (
        lambda c: (spans("from_timestamp", 4, 2.0)(c), spans("to_timestamp", 4, 2.0)(c)),
        "video-frames",
        4,
    ),
    "a span between frames": (
        lambda c: (spans("from_timestamp", 4, 0.03)(c), spans("to_timestamp", 4, 0.03)(c)),
        "video-timestamps",
        4,
    ),
    "another picture size": (feature("observation.images.top", shape=[240, 320, 3]), "video-size", 0),
    "a shape that is no picture's": (feature("observation.images.top", shape=[7]), "camera-shape", None),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_defect_is_found_and_its_episode_named(arm: Copy, name: str) -> None:
    breaking, code, episode = BREAKS[name]
    breaking(arm)
    report = check_dataset(arm.root)
    assert (code, episode) in errors(report), report.findings
    with pytest.raises(DatasetError, match=r"is broken: .*\[") as refusal:
        assert_sound(report)
    assert "etude data check" in (refusal.value.hint or "")
    assert all(finding.fix for finding in report.of(Severity.ERROR)), "an error without a fix"


@pytest.mark.parametrize("row", [3, 200, 349, 350, 529])
def test_one_late_timestamp_accuses_its_episode_only(arm: Copy, row: int) -> None:
    arm.column("timestamp", add(row, 0.02))
    episode = int(np.searchsorted(STARTS, row, side="right") - 1)
    assert errors(check_dataset(arm.root)) == {("timestamps-irregular", episode)}


def test_a_missing_file_is_named_by_its_path(arm: Copy) -> None:
    (arm.root / VIDEO).unlink()
    with pytest.raises(DatasetError) as refusal:
        assert_sound(check_dataset(arm.root))
    assert str(arm.root / VIDEO) in refusal.value.message
    assert "OfflineMode" not in refusal.value.message


def test_a_wrong_statistic_of_one_episode(arm: Copy) -> None:
    name = "stats/observation.state/mean"
    arm.column(name, add(3, 1.0), EPISODES)
    warnings = check_dataset(arm.root).of(Severity.WARNING)
    assert ("episode-stats-disagree", 3) in {(finding.code, finding.episode) for finding in warnings}


def test_lengths_and_constants_are_warnings(pusht: Copy) -> None:
    pusht.column("observation.state", at((slice(None), 1), 7.0))
    report = check_dataset(pusht.root)
    assert "dimension-constant" in {finding.code for finding in report.of(Severity.WARNING)}
    assert "stats-disagree" in {finding.code for finding in report.of(Severity.ERROR)}


@pytest.mark.parametrize(("row", "episode"), [(5000, 36), (161 + 60, 1)])
def test_a_spike_in_the_action_is_a_jump(pusht: Copy, row: int, episode: int) -> None:
    rows = pq.read_table(pusht.root / ROWS)
    owner = rows["episode_index"][row].as_py()
    pusht.column("action", add((row, 0), 5000.0))
    found = {(finding.code, finding.episode) for finding in check_dataset(pusht.root).findings}
    assert ("action-jump", owner) in found


@pytest.mark.parametrize(("frame", "severity"), [(40, Severity.INFO), (1, Severity.WARNING)])
def test_a_jump_in_every_episode_is_told_once(pusht: Copy, frame: int, severity: Severity) -> None:
    """In the middle it is how the demonstrator moves; at the start a stale reading."""
    starts = pq.read_table(pusht.root / EPISODES)["dataset_from_index"].to_numpy()
    rows = starts + frame if frame > 1 else starts
    pusht.column("action", add((rows, 0), 5000.0))
    report = check_dataset(pusht.root)
    told = [finding for finding in report.findings if finding.code == "action-jump"]
    assert [(finding.episode, finding.severity) for finding in told] == [(None, severity)]
    assert "of 206 episodes" in told[0].message


def test_short_episodes_are_named(pictures: Copy) -> None:
    def cut(table: pa.Table) -> pa.Table:
        return table.slice(0, 62)

    pictures.table(cut)
    pictures.column("length", at(2, 2), EPISODES)
    pictures.column("dataset_to_index", at(2, 62), EPISODES)
    pictures.json("meta/info.json", cell("total_frames", 62))
    found = {(finding.code, finding.episode) for finding in check_dataset(pictures.root).findings}
    assert ("episode-short", 2) in found


OLD_BREAKS: dict[str, tuple[Break, str, int]] = {
    "a missing video": (
        lambda c: (c.root / "videos/chunk-000/observation.images.top/episode_000003.mp4").unlink(),
        "video-missing",
        3,
    ),
    "a missing table": (
        lambda c: (c.root / "data/chunk-000/episode_000002.parquet").unlink(),
        "data-missing",
        2,
    ),
    "the video of another episode": (
        lambda c: shutil.copy(
            c.root / "videos/chunk-000/observation.images.top/episode_000001.mp4",
            c.root / "videos/chunk-000/observation.images.top/episode_000000.mp4",
        ),
        "video-frames",
        0,
    ),
    "irregular timestamps": (
        lambda c: c.column("timestamp", add(slice(5, None), 0.01), "data/chunk-000/episode_000004.parquet"),
        "timestamps-irregular",
        4,
    ),
}


@pytest.mark.parametrize("name", OLD_BREAKS)
def test_format_2_1_is_checked_as_well(old_arm: Copy, name: str) -> None:
    breaking, code, episode = OLD_BREAKS[name]
    breaking(old_arm)
    assert (code, episode) in errors(check_dataset(old_arm.root))


def test_a_video_cut_in_half_keeps_the_episodes_of_its_first_half(arm: Copy) -> None:
    truncate(arm, VIDEO)
    broken = {episode for code, episode in errors(check_dataset(arm.root)) if code == "video-truncated"}
    assert broken
    assert 0 not in broken
    assert broken == set(range(min(broken), 5))


def test_a_table_that_is_shared_is_told_for_any_of_its_episodes(arm: Copy) -> None:
    truncate(arm, ROWS)
    assert ("data-unreadable", 3) in errors(check_dataset(arm.root, episodes=[3]))


@pytest.mark.parametrize(
    ("breaking", "sound_without"),
    [
        (lambda c: (c.root / "data/chunk-000/episode_000002.parquet").unlink(), True),
        (lambda c: truncate(c, "data/chunk-000/episode_000002.parquet"), False),
        (lambda c: (c.root / "videos/chunk-000/observation.images.top/episode_000002.mp4").unlink(), True),
        (lambda c: c.column("action", at((4, 0), np.nan), "data/chunk-000/episode_000002.parquet"), True),
    ],
)
def test_a_broken_episode_may_be_left_out(old_arm: Copy, breaking: Break, sound_without: bool) -> None:
    """But a table that cannot be read stops the loading of all."""
    breaking(old_arm)
    assert not check_dataset(old_arm.root).is_sound
    assert not check_dataset(old_arm.root, episodes=[1, 2]).is_sound
    assert check_dataset(old_arm.root, episodes=[0, 1, 3, 4]).is_sound == sound_without
