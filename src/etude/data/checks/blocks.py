"""A dataset's rows as numpy arrays, a stretch of whole files at a time, so that any size fits in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from etude.data.checks.findings import Finding, error
from etude.data.sources.info import BOOKKEEPING, Feature, UnreadableError
from etude.data.sources.layout import DatasetLayout, EpisodeRecord
from etude.data.sources.tables import ColumnShapeError, column_array, open_parquet, read_columns
from etude.extras import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["DataFile", "RowBlock", "data_files", "read_blocks"]

ROWS_PER_BLOCK = 200_000


@dataclass(frozen=True)
class DataFile:
    """A data table and where its rows stand among all rows, in the order in which LeRobot loads them.

    Attributes:
        rows: as its footer says; where it cannot be read, as the episode table says.
        episodes: those in it that are checked.
        listed: whether the episode table knows it.
        problem: why it cannot be read.
    """

    path: str
    first_row: int
    rows: int
    episodes: list[EpisodeRecord]
    listed: bool
    schema: Any
    problem: UnreadableError | None = None


@dataclass
class RowBlock:
    """Consecutive rows.

    Attributes:
        first_row: position of the first one among all rows.
        columns: numeric features, each `(rows, size)`.
        spans: the episodes in it with their first and end row, counted from the block's first row.
    """

    first_row: int
    columns: dict[str, npt.NDArray[Any]]
    spans: list[tuple[EpisodeRecord, int, int]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return max((len(column) for column in self.columns.values()), default=0)

    def owners(self) -> npt.NDArray[np.int64]:
        """The episode that each row belongs to by the episode table; -1 where none claims it."""
        numpy = require("numpy", "imitation")
        owner = numpy.full(self.rows, -1, dtype=numpy.int64)
        for record, start, end in self.spans:
            owner[start:end] = record.index
        return owner  # type: ignore[no-any-return]


def data_files(layout: DatasetLayout) -> list[DataFile]:
    """Every data table, from its footer; one that is missing stands in its place with its problem."""
    members: dict[str, list[EpisodeRecord]] = {name: [] for name in layout.data_files}
    for record in layout.episodes:
        members.setdefault(record.data_file, []).append(record)
    files = []
    first_row = 0
    for name in sorted(members):
        records = members[name]
        rows, schema, problem = sum(record.end_row - record.first_row for record in records), None, None
        try:
            opened = open_parquet(layout.root / name)
            rows, schema = opened.metadata.num_rows, opened.schema_arrow
        except UnreadableError as unreadable:
            problem = unreadable
        files.append(DataFile(name, first_row, rows, records, bool(records), schema, problem))
        first_row += rows
    return files


def read_blocks(
    layout: DatasetLayout, files: list[DataFile], findings: list[Finding], advance: Callable[[int], None]
) -> Iterator[RowBlock]:
    """The numeric columns of these files, block by block; what cannot be read is added to `findings`.

    Args:
        advance: called with the number of files done.
    """
    features = {
        feature.name: feature
        for feature in layout.info.features.values()
        if feature.is_numeric and not feature.is_camera
    }
    group: list[RowBlock] = []
    for number, file in enumerate(files, start=1):
        if file.problem is None:
            block = _read_file(layout, file, features, findings)
            if group and (_end(group[-1]) != block.first_row or sum(part.rows for part in group) > ROWS_PER_BLOCK):
                yield _joined(group)
                group = []
            if block.columns:
                group.append(block)
        advance(number)
    if group:
        yield _joined(group)


def _read_file(
    layout: DatasetLayout, file: DataFile, features: dict[str, Feature], findings: list[Finding]
) -> RowBlock:
    block = RowBlock(file.first_row, {})
    for record in file.episodes:
        start = min(max(record.first_row - file.first_row, 0), file.rows)
        end = min(max(record.end_row - file.first_row, 0), file.rows)
        block.spans.append((record, start, end))
    try:
        table = read_columns(layout.root / file.path, list(features))
    except UnreadableError as problem:
        findings.append(error(problem.code, problem.message, episode=first_episode(file), fix=problem.hint or ""))
        return block
    for name in table.column_names:
        try:
            values = column_array(table[name], features[name].size)
            if values.dtype.kind in "biuf":  # text where numbers are declared is told with the schema
                block.columns[name] = values
        except ColumnShapeError as mismatch:
            owner = next((record for record, start, end in block.spans if start <= mismatch.row < end), None)
            findings.append(
                error(
                    "shape-mismatch",
                    f"{file.path}: {name} {mismatch} (row {mismatch.row})",
                    episode=owner.index if owner else None,
                    fix="correct the feature's shape in meta/info.json, or record the episode again",
                )
            )
    return block


def first_episode(file: DataFile) -> int | None:
    return min((record.index for record in file.episodes), default=None)


def _end(block: RowBlock) -> int:
    return block.first_row + block.rows


def _joined(group: list[RowBlock]) -> RowBlock:
    """Several files' rows as one block, with the columns that all of them have."""
    if len(group) == 1:
        return group[0]
    numpy = require("numpy", "imitation")
    names = [name for name in group[0].columns if all(name in part.columns for part in group)]
    whole = RowBlock(
        group[0].first_row,
        {name: numpy.concatenate([part.columns[name] for part in group]) for name in names},
    )
    for part in group:
        shift = part.first_row - whole.first_row
        whole.spans += [(record, start + shift, end + shift) for record, start, end in part.spans]
    return whole


def signal_columns(layout: DatasetLayout, block: RowBlock) -> list[tuple[Feature, npt.NDArray[np.float64]]]:
    """What the robot saw and did in these rows: feature and values `(rows, size)`, as float64."""
    return [
        (feature, block.columns[feature.name].astype("float64"))
        for feature in layout.info.signals
        if feature.name in block.columns and feature.name not in BOOKKEEPING
    ]
