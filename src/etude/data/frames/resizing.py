"""Frames brought to another size as they are read, just as the store does when it is built."""

from __future__ import annotations

import numpy as np
import torch

from etude.data.frames.codecs import fit
from etude.data.frames.forms import Form
from etude.data.pictures import PictureReader
from etude.data.table import Rows

__all__ = ["Resized", "resized"]


class Resized:
    """A reader whose frames come in the form's size."""

    def __init__(self, reader: PictureReader, form: Form) -> None:
        self._reader = reader
        self._form = form

    def read(self, rows: Rows) -> torch.Tensor:
        """Frames `(len(rows), channels, height, width)`."""
        return resized(self._reader.read(rows), self._form)


def resized(frames: torch.Tensor, form: Form) -> torch.Tensor:
    """Frames `(count, channels, height, width)` in the form's size; the same ones where it has none."""
    if form.width is None or form.height is None or frames.shape[2:] == (form.height, form.width):
        return frames
    array = frames.permute(0, 2, 3, 1).numpy()
    pictures = [fit(np.ascontiguousarray(picture), form) for picture in array]
    stacked = np.stack([picture[:, :, None] if picture.ndim == 2 else picture for picture in pictures])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()
