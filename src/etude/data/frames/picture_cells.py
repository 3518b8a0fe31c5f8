"""Pictures in the cells of a parquet table: `{"bytes", "path"}` or bytes, PNG as a rule, of any pixel format."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BrokenPictureError", "decode_cell", "decode_cells", "scan_table"]

ROWS_AT_ONCE = 64


class BrokenPictureError(Exception):
    """A picture that cannot be decoded, or differs from the others; the message says which row."""


def scan_table(path: str, root: str, column: str) -> dict[str, Any]:
    """Read which rows a table holds, and what its first picture looks like.

    Returns:
        `frames`; `episodes`, a list of [episode, first row, rows]; `height`, `width`, `channels`, `dtype`.
    """
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        episode = file.read(columns=["episode_index"]).column(0).to_numpy()
        batch = next(file.iter_batches(1, columns=[column]))
    except StopIteration:
        raise BrokenPictureError("it has no rows") from None
    except Exception as error:
        raise BrokenPictureError(f"it cannot be read: {str(error).splitlines()[0]}") from error
    changes = np.flatnonzero(np.diff(episode)) + 1
    starts, ends = [0, *changes.tolist()], [*changes.tolist(), len(episode)]
    picture = decode_cell(batch.column(0)[0].as_py(), root, 0)
    return {
        "frames": len(episode),
        "episodes": [[int(episode[start]), start, end - start] for start, end in zip(starts, ends, strict=True)],
        "height": picture.shape[0],
        "width": picture.shape[1],
        "channels": 1 if picture.ndim == 2 else picture.shape[2],
        "dtype": str(picture.dtype),
        "codec": "image",
        "pixel_format": str(picture.dtype),
    }


def decode_cells(
    path: str, root: str, column: str, first: int, count: int, take: Callable[[npt.NDArray[Any]], None]
) -> None:
    """Decode the pictures of `count` rows from row `first` on, and hand each to `take`."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    position, groups = 0, []
    start = None
    for number in range(file.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        if position + rows > first and position < first + count:
            start = position if start is None else start
            groups.append(number)
        position += rows
    row = start or 0
    for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=groups, columns=[column]):
        cells = batch.column(0)
        for place in range(max(0, first - row), min(len(cells), first + count - row)):
            take(decode_cell(cells[place].as_py(), root, row + place))
        row += len(cells)


def decode_cell(cell: Any, root: str, row: int) -> npt.NDArray[Any]:
    """The picture of one cell: `(height, width[, channels])`.

    Raises:
        BrokenPictureError: it is empty or damaged.
    """
    from PIL import Image

    data = cell.get("bytes") if isinstance(cell, dict) else cell
    name = cell.get("path") if isinstance(cell, dict) else None
    if data is None and name is None:
        raise BrokenPictureError(f"row {row} holds no picture")
    try:
        source: Any = io.BytesIO(data) if data is not None else Path(root) / str(name)
        with Image.open(source) as picture:
            return np.array(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise BrokenPictureError(f"row {row}: its picture cannot be decoded: {str(error).splitlines()[0]}") from error
