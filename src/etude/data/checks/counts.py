"""Do the totals, the episode table, the task table and the files agree with one another?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from etude.data.checks.blocks import DataFile, first_episode
from etude.data.checks.findings import Finding, error, info, numbered, warning
from etude.data.sources.info import V30
from etude.data.sources.layout import DatasetLayout, EpisodeRecord
from etude.data.sources.tables import open_parquet

__all__ = ["check_counts"]

RERECORD = "copy or download the dataset again"


def check_counts(layout: DatasetLayout, files: list[DataFile]) -> Iterator[Finding]:
    """Everything that can be counted without reading rows."""
    yield from _totals(layout, files)
    yield from _episode_table(layout)
    yield from _data_files(layout, files)
    yield from _task_table(layout)
    yield from _lengths(layout)


def _totals(layout: DatasetLayout, files: list[DataFile]) -> Iterator[Finding]:
    info_file, episodes = layout.info, layout.episodes
    rows = sum(file.rows for file in files)
    listed = sum(record.length for record in episodes)
    if not episodes:
        yield error("no-episodes", "the dataset holds no episode", fix="record some: etude data record --help")
    if info_file.total_episodes != len(episodes):
        yield error(
            "episode-count",
            f"meta/info.json says {info_file.total_episodes} episodes, the episode table lists {len(episodes)}",
            fix=RERECORD,
        )
    readable = all(file.problem is None for file in files)
    if info_file.total_frames != listed or (readable and rows != listed):
        yield error(
            "frame-count",
            f"meta/info.json says {info_file.total_frames} frames, the episodes' lengths add up to {listed}, "
            f"the data tables hold {rows} rows",
            fix=RERECORD,
        )
    if info_file.total_tasks != len(layout.tasks):
        yield warning(
            "task-count",
            f"meta/info.json says {info_file.total_tasks} tasks, the task table lists {len(layout.tasks)}",
            fix="correct total_tasks in meta/info.json",
        )


def _episode_table(layout: DatasetLayout) -> Iterator[Finding]:
    """LeRobot finds episode i in row i of the table, and its rows where the table says."""
    fix = "copy or download the dataset again; LeRobot reads row i of the table as episode i"
    for position, record in enumerate(layout.episodes):
        if record.index != position:
            yield error(
                "episode-order",
                f"row {position} of the episode table describes episode {record.index}",
                episode=record.index,
                fix=fix,
            )
            break
    repeated = [index for index, count in Counter(record.index for record in layout.episodes).items() if count > 1]
    if repeated:
        yield error(
            "episode-repeated",
            f"listed more than once: episode {numbered(repeated)}",
            episode=repeated[0],
            fix=fix,
        )
    for before, after in pairwise(layout.episodes):
        if after.first_row != before.end_row:
            manner = "overlap" if after.first_row < before.end_row else "leave rows out"
            yield error(
                "row-range",
                f"episode {after.index} starts at row {after.first_row}, episode {before.index} ends at row "
                f"{before.end_row}: they {manner}",
                episode=after.index,
                fix=RERECORD,
            )
    for record in layout.episodes:
        if record.length != record.end_row - record.first_row:
            yield error(
                "episode-length",
                f"episode {record.index} is {record.length} frames long, its row range "
                f"{record.first_row} to {record.end_row} holds {record.end_row - record.first_row}",
                episode=record.index,
                fix=RERECORD,
            )


def _data_files(layout: DatasetLayout, files: list[DataFile]) -> Iterator[Finding]:
    for file in files:
        if file.problem is not None:
            if file.problem.code == "data-missing" and not file.episodes:
                continue  # of episodes that are not asked for
            concerned = f" (episode {numbered(record.index for record in file.episodes)})" if file.episodes else ""
            yield error(
                file.problem.code,
                file.problem.message + concerned,
                episode=first_episode(file),
                fix=file.problem.hint or RERECORD,
            )
        elif not file.listed:
            yield error(
                "data-stray",
                f"{file.path} belongs to no episode, and LeRobot loads it all the same: rows shift",
                fix=f"move {layout.root / file.path} out of the dataset",
            )
        else:
            yield from _outside(file)


def _outside(file: DataFile) -> Iterator[Finding]:
    """Episodes whose rows are not, or not all, in their file."""
    end = file.first_row + file.rows
    lost = [record for record in file.episodes if record.first_row < file.first_row or record.end_row > end]
    if lost:
        yield error(
            "rows-missing",
            f"{file.path} holds rows {file.first_row} to {end}; not all rows of episode "
            f"{numbered(record.index for record in lost)} are among them",
            episode=lost[0].index,
            fix=RERECORD,
        )


def _task_table(layout: DatasetLayout) -> Iterator[Finding]:
    texts = [text for _, text in layout.tasks]
    blank = [number for number, text in layout.tasks if not text.strip()]
    if blank:
        yield warning(
            "task-empty",
            f"task {numbered(blank)} has no text; language-conditioned policies read it",
            fix="write what is to be done into meta/tasks",
        )
    shifted = next((number for row, (number, _) in enumerate(layout.tasks) if number != row), None)
    if shifted is not None and layout.info.version == V30:
        yield error(
            "task-order",
            f"the task table is not in the order of task_index (task {shifted} stands elsewhere), "
            "and LeRobot reads row i as task i",
            fix="sort meta/tasks.parquet by task_index",
        )
    yield from _task_column(layout)
    known = set(texts)
    for record in layout.episodes:
        absent = [text for text in record.tasks if text not in known]
        if absent:
            yield error(
                "task-missing",
                f"episode {record.index} names a task that the task table lacks: {absent[0]!r}",
                episode=record.index,
                fix="add it to meta/tasks",
            )
        elif not record.tasks:
            yield info(
                "task-unnamed",
                f"the episode table names no task for episode {record.index}",
                episode=record.index,
            )


def _task_column(layout: DatasetLayout) -> Iterator[Finding]:
    """LeRobot takes the text from the table's pandas index; as a plain column it is ignored."""
    path = layout.root / "meta" / "tasks.parquet"
    if layout.info.version != V30 or not layout.tasks or not path.is_file():
        return
    try:
        pandas = open_parquet(path, "tasks-unreadable").schema_arrow.pandas_metadata or {}
        index = list(pandas.get("index_columns", []))
    except (ValueError, TypeError, AttributeError):  # pandas' own notes in the file are damaged
        index = []
    if not any(name in ("task", "__index_level_0__") for name in index):
        yield error(
            "task-index",
            "meta/tasks.parquet has the task as a column, not as the table's index: policies would get a "
            "number "
            "instead of the text",
            fix='write it with pandas: table.set_index("task").to_parquet("meta/tasks.parquet")',
        )


def _lengths(layout: DatasetLayout) -> Iterator[Finding]:
    lengths = sorted(record.length for record in layout.episodes)
    median = lengths[len(lengths) // 2] if lengths else 0
    for record in layout.episodes:
        yield from _length(record, median, layout.info.fps)


def _length(record: EpisodeRecord, median: int, fps: float) -> Iterator[Finding]:
    fix = f"leave it out: --dataset.exclude_episodes='[{record.index}]'"
    if record.length < 1:
        yield error("episode-empty", f"episode {record.index} has no frame", episode=record.index, fix=fix)
    elif record.length == 1 or record.length < fps / 2 or record.length < median / 10:
        yield warning(
            "episode-short",
            f"episode {record.index} has {record.length} frames ({record.length / fps:.2g} s); the median is {median}",
            episode=record.index,
            fix=fix,
        )
