"""Pictures stored in the data tables (PNG, JPEG, TIFF): decodable, of the declared size, and moving."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from etude.data.checks.blocks import DataFile
from etude.data.checks.findings import Finding, error
from etude.data.checks.motion import Motion, judge_stills
from etude.data.checks.video_frames import differs
from etude.data.sources.info import Feature, UnreadableError
from etude.data.sources.layout import DatasetLayout, EpisodeRecord
from etude.data.sources.tables import open_parquet
from etude.extras import require

__all__ = ["check_images"]

RERECORD = "record the episode again, or leave it out with --dataset.exclude_episodes"


def check_images(
    layout: DatasetLayout, file: DataFile, feature: Feature, motion: Motion, advance: Callable[[], None]
) -> Iterator[Finding]:
    """Decode every picture of one camera in one data table, episode by episode."""
    spans = sorted(
        (record.first_row - file.first_row, record.end_row - file.first_row, record) for record in file.episodes
    )
    try:
        cells = _cells(layout, file, feature)
        row = 0
        for start, end, record in spans:
            while row < start:
                next(cells, None)
                row += 1
            rows = [next(cells, None) for _ in range(end - start)]
            row = end
            yield from _episode(layout, feature, record, rows, motion, advance)
    except UnreadableError:
        return  # told with the rows


def _cells(layout: DatasetLayout, file: DataFile, feature: Feature) -> Iterator[Any]:
    arrow = require("pyarrow", "imitation")
    opened = open_parquet(layout.root / file.path)
    if feature.name not in opened.schema_arrow.names:
        return
    try:
        for batch in opened.iter_batches(batch_size=64, columns=[feature.name]):
            yield from batch.column(0).to_pylist()
    except (arrow.ArrowException, OSError) as problem:
        raise UnreadableError("data-unreadable", str(problem)) from problem


def _episode(
    layout: DatasetLayout,
    feature: Feature,
    record: EpisodeRecord,
    cells: list[Any],
    motion: Motion,
    advance: Callable[[], None],
) -> Iterator[Finding]:
    numpy = require("numpy", "imitation")
    broken, sizes = [], set()
    same = numpy.zeros(max(len(cells) - 1, 0), dtype=bool)
    before = None
    for frame, cell in enumerate(cells):
        advance()
        picture = _decoded(layout, cell)
        if picture is None:
            broken.append(frame)
        else:
            sizes.add(picture.shape[:2])
            if frame and before is not None:
                same[frame - 1] = not differs(before, picture)
        before = picture
    if broken:
        yield error(
            "image-undecodable",
            f"episode {record.index}: {len(broken)} pictures of {feature.name} cannot be decoded "
            f"(first: frame {broken[0]})",
            episode=record.index,
            fix=RERECORD,
        )
    wrong = sizes - {feature.height_width}
    if wrong:
        height, width = sorted(wrong)[0]
        yield error(
            "image-size",
            f"episode {record.index}: pictures of {feature.name} have {height} x {width} pixels, declared "
            "are "
            f"{feature.height_width}",
            episode=record.index,
            fix="correct the feature's shape in meta/info.json, or record the episode again",
        )
    if not broken and len(sizes) == 1:
        yield from judge_stills(feature.name, record, same, motion, layout.info.fps)


def _decoded(layout: DatasetLayout, cell: Any) -> Any:
    """The picture as an array, None where it cannot be decoded. A cell holds the bytes or a file's name."""
    image = require("PIL.Image", "imitation")
    numpy = require("numpy", "imitation")
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    source: Any = io.BytesIO(data) if data else None
    if source is None and isinstance(cell, dict) and cell.get("path"):
        source = layout.root / cell["path"]
    if source is None:
        return None
    try:
        with image.open(source) as opened:
            return numpy.asarray(opened)
    except (OSError, SyntaxError, ValueError):  # what Pillow raises for broken pictures
        return None
