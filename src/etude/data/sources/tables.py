"""Parquet files as numpy arrays, with errors that name the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.data.sources.info import RECOPY, UnreadableError
from etude.extras import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["ColumnShapeError", "column_array", "open_parquet", "read_columns"]


class ColumnShapeError(ValueError):
    """A column does not hold `size` numbers in each row.

    Attributes:
        row: the first such row, within the file.
    """

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row


def open_parquet(path: Path, code: str = "data-unreadable", missing_code: str = "data-missing") -> Any:
    """Open a parquet file (its footer is read, not its rows).

    Raises:
        UnreadableError: it is absent, truncated or not parquet.
    """
    pq = require("pyarrow.parquet", "imitation")
    arrow = require("pyarrow", "imitation")
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise UnreadableError(missing_code, f"{path} is missing", hint=RECOPY) from error
    except (arrow.ArrowException, OSError, ValueError) as error:  # ValueError: names that are not text
        raise _unreadable(code, path, error) from error


def read_columns(path: Path, columns: Sequence[str], code: str = "data-unreadable") -> Any:
    """Read some columns of a parquet file as an Arrow table, in the order of the file.

    Raises:
        UnreadableError: the file cannot be read to its end.
    """
    arrow = require("pyarrow", "imitation")
    file = open_parquet(path, code)
    present = set(file.schema_arrow.names)
    try:
        return file.read(columns=[name for name in columns if name in present])
    except (arrow.ArrowException, OSError, ValueError) as error:  # ValueError: names that are not text
        raise _unreadable(code, path, error) from error


def column_array(column: Any, size: int) -> npt.NDArray[np.generic]:
    """An Arrow column of numbers or (nested) lists of them as an array of shape `(rows, size)`.

    A missing value becomes NaN.

    Raises:
        ColumnShapeError: a row holds another count of numbers.
    """
    numpy = require("numpy", "imitation")
    array = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if hasattr(array, "storage"):  # the extension types of 2-D and deeper features
        array = array.storage
    rows = len(array)
    per_row = numpy.ones(rows, dtype=numpy.int64)
    while _is_list(array.type):
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        per_row = _sum_groups(lengths, per_row)
        array = array.flatten()
    wrong = numpy.flatnonzero(per_row != size)
    if wrong.size:
        row = int(wrong[0])
        raise ColumnShapeError(f"holds {per_row[row]} numbers, {size} are declared", row)
    values: npt.NDArray[np.generic] = array.to_numpy(zero_copy_only=False).reshape(rows, size)
    return values


def _sum_groups(lengths: Any, groups: Any) -> Any:
    """Lengths of the inner lists, summed over the row that each belongs to."""
    numpy = require("numpy", "imitation")
    owner = numpy.repeat(numpy.arange(len(groups)), groups)
    return numpy.bincount(owner, weights=lengths, minlength=len(groups)).astype(numpy.int64)


def _is_list(kind: Any) -> bool:
    types = require("pyarrow.types", "imitation")
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _unreadable(code: str, path: Path, error: BaseException) -> UnreadableError:
    reason = str(error).splitlines()[0].rstrip(".")
    return UnreadableError(code, f"{path} is not readable as parquet: {reason}", hint=RECOPY)
