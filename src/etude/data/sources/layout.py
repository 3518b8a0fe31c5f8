"""Which episodes a dataset holds, and in which files their rows and frames lie; versions 2.1 and 3.0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.data.sources.info import RECOPY, V21, V30, DatasetInfo, UnreadableError, read_info, well_formed
from etude.data.sources.tables import open_parquet, read_columns

__all__ = ["DatasetLayout", "EpisodeRecord", "VideoSpan", "read_layout"]


@dataclass(frozen=True)
class VideoSpan:
    """An episode's part of a video file, in seconds; `file` is relative to the dataset."""

    file: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class EpisodeRecord:
    """What the metadata says of one episode. Its rows are `first_row` up to, not including, `end_row`.

    Attributes:
        data_file: relative to the dataset.
        videos: camera name to where its frames are.
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    first_row: int
    end_row: int
    data_file: str
    videos: dict[str, VideoSpan]


@dataclass(frozen=True)
class DatasetLayout:
    """A dataset's metadata.

    Attributes:
        episodes: in the order of the metadata tables.
        tasks: `(task_index, text)` in the order of the task table.
        data_files: every data table that a reader will load, in its order, relative to the dataset.
    """

    root: Path
    info: DatasetInfo
    episodes: list[EpisodeRecord]
    tasks: list[tuple[int, str]]
    data_files: list[str]

    def video_files(self) -> dict[str, dict[str, list[EpisodeRecord]]]:
        """Camera to its video files to the episodes in each, in order of time."""
        cameras: dict[str, dict[str, list[EpisodeRecord]]] = {feature.name: {} for feature in self.info.video_features}
        for episode in self.episodes:
            for camera, span in episode.videos.items():
                cameras[camera].setdefault(span.file, []).append(episode)
        for camera, files in cameras.items():
            for group in files.values():
                group.sort(key=lambda episode, camera=camera: episode.videos[camera].start_s)  # type: ignore[misc]
        return cameras

    def required_files(self) -> list[tuple[str, int]]:
        """Every file that the episodes need, with the first episode that needs it."""
        needed: dict[str, int] = {}
        for episode in self.episodes:
            for file in (episode.data_file, *(span.file for span in episode.videos.values())):
                needed.setdefault(file, episode.index)
        return sorted(needed.items())

    def missing_files(self) -> list[tuple[str, int]]:
        """Those of `required_files` that are not there."""
        return [(file, episode) for file, episode in self.required_files() if not (self.root / file).is_file()]


def read_layout(root: Path) -> DatasetLayout:
    """Read a dataset's metadata; of the data tables only the names.

    Raises:
        UnreadableError: a metadata file is absent or broken; the message names it.
    """
    info = read_info(root)
    if info.version == V21:
        episodes, tasks = _legacy_episodes(root, info), _legacy_tasks(root)
    elif info.version == V30:
        episodes, tasks = _episodes(root, info), _tasks(root, info)
    else:
        raise UnreadableError("version-unsupported", f"{root} has format {info.version}", hint=f"{V30} is needed")
    data_files = [str(path.relative_to(root)) for path in sorted((root / "data").glob("*/*.parquet"))]
    return DatasetLayout(root, info, episodes, tasks, data_files)


def _episodes(root: Path, info: DatasetInfo) -> list[EpisodeRecord]:
    files = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    if not files and info.total_episodes:
        raise UnreadableError(
            "episodes-missing",
            f"{root / 'meta' / 'episodes'} holds no episode table",
            hint=f"{RECOPY}; a recording that was not finished (`finalize`) has none",
        )
    cameras = [feature.name for feature in info.video_features]
    columns = [
        *_EPISODE_COLUMNS,
        *(f"videos/{camera}/{field}" for camera in cameras for field in _SPAN_FIELDS),
    ]
    episodes = []
    for file in files:
        with well_formed(file, "episodes-unreadable"):
            rows = _metadata_rows(file, columns, "episodes-unreadable")
            episodes += [_record(row, info, cameras) for row in rows]
    return episodes


_EPISODE_COLUMNS = (
    "episode_index",
    "length",
    "tasks",
    "data/chunk_index",
    "data/file_index",
    "dataset_from_index",
    "dataset_to_index",
)
_SPAN_FIELDS = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")


def _metadata_rows(file: Path, columns: Sequence[str], code: str) -> list[dict[str, Any]]:
    present = set(open_parquet(file, code).schema_arrow.names)
    absent = [name for name in columns if name not in present and name not in ("tasks", "length")]
    if absent:
        raise UnreadableError(code, f"{file} lacks the columns {', '.join(absent)}", hint=RECOPY)
    rows: list[dict[str, Any]] = read_columns(file, columns, code).to_pylist()
    for row in rows:
        empty = [name for name, value in row.items() if value is None and name != "tasks"]
        if empty:
            raise UnreadableError(
                code,
                f"{file}: no value for {', '.join(empty)} in episode {row['episode_index']}",
                hint=RECOPY,
                episode=row["episode_index"],
            )
    return rows


def _record(row: dict[str, Any], info: DatasetInfo, cameras: Sequence[str]) -> EpisodeRecord:
    first, end = int(row["dataset_from_index"]), int(row["dataset_to_index"])
    videos = {}
    for camera in cameras:
        chunk, file, start, stop = (row[f"videos/{camera}/{field}"] for field in _SPAN_FIELDS)
        path = _format(info.video_path or "", video_key=camera, chunk_index=int(chunk), file_index=int(file))
        videos[camera] = VideoSpan(path, float(start), float(stop))
    data_file = _format(
        info.data_path, chunk_index=int(row["data/chunk_index"]), file_index=int(row["data/file_index"])
    )
    return EpisodeRecord(
        index=int(row["episode_index"]),
        length=int(row.get("length", end - first)),
        tasks=_texts(row.get("tasks")),
        first_row=first,
        end_row=end,
        data_file=data_file,
        videos=videos,
    )


def _texts(tasks: Any) -> tuple[str, ...]:
    return (tasks,) if isinstance(tasks, str) else tuple(str(task) for task in tasks or ())


def _tasks(root: Path, info: DatasetInfo) -> list[tuple[int, str]]:
    file = root / "meta" / "tasks.parquet"
    if not file.exists() and info.total_tasks == 0:
        return []
    present = set(open_parquet(file, "tasks-unreadable", "tasks-missing").schema_arrow.names)
    text = next((name for name in ("task", "__index_level_0__") if name in present), None)
    if "task_index" not in present or text is None:
        raise UnreadableError("tasks-unreadable", f"{file} needs the columns task and task_index", hint=RECOPY)
    with well_formed(file, "tasks-unreadable"):
        rows = read_columns(file, ["task_index", text], "tasks-unreadable").to_pylist()
        return [(int(row["task_index"]), str(row[text] or "")) for row in rows]


def _legacy_episodes(root: Path, info: DatasetInfo) -> list[EpisodeRecord]:
    """Version 2.1: one data file and one video a camera for each episode, one line of JSON each."""
    path = root / "meta" / "episodes.jsonl"
    lines = read_lines(path, "episodes-unreadable", ("episode_index", "length"))
    records: list[EpisodeRecord] = []
    with well_formed(path, "episodes-unreadable"):
        for line in sorted(lines, key=lambda line: int(line["episode_index"])):
            records.append(_legacy_record(line, records[-1].end_row if records else 0, info))
    return records


def _legacy_record(line: dict[str, Any], first_row: int, info: DatasetInfo) -> EpisodeRecord:
    index, length = int(line["episode_index"]), int(line["length"])
    place = {"episode_chunk": index // info.chunks_size, "episode_index": index}
    videos = {}
    for feature in info.video_features:
        path = _format(info.video_path or "", video_key=feature.name, **place)
        videos[feature.name] = VideoSpan(path, 0.0, length / info.fps)
    return EpisodeRecord(
        index=index,
        length=length,
        tasks=_texts(line.get("tasks")),
        first_row=first_row,
        end_row=first_row + length,
        data_file=_format(info.data_path, **place),
        videos=videos,
    )


def _legacy_tasks(root: Path) -> list[tuple[int, str]]:
    path = root / "meta" / "tasks.jsonl"
    lines = read_lines(path, "tasks-unreadable", ("task_index", "task"))
    with well_formed(path, "tasks-unreadable"):
        return sorted((int(line["task_index"]), str(line["task"] or "")) for line in lines)


def read_lines(path: Path, code: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnreadableError(code, f"{path} is missing", hint=RECOPY) from error
    except UnicodeDecodeError as error:
        raise UnreadableError(code, f"{path} is not text", hint=RECOPY) from error
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            absent = [key for key in keys if key not in value]
        except (ValueError, TypeError) as error:
            raise UnreadableError(code, f"{path}, line {number}, is not JSON", hint=RECOPY) from error
        if absent:
            raise UnreadableError(code, f"{path}, line {number}, lacks {', '.join(absent)}", hint=RECOPY)
        lines.append(value)
    return lines


def _format(template: str, **values: Any) -> str:
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError) as error:
        raise UnreadableError(
            "info-invalid",
            f"the path template {template!r} in meta/info.json cannot be filled with {', '.join(values)}",
            hint="correct data_path and video_path in meta/info.json",
        ) from error
