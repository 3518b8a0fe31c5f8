"""Videos that any browser plays: H.264 in MP4."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.extras import require

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["every_nth", "write_video"]

MOST_FPS = 20
"""Pictures a second of a video; a simulation of 80 steps a second is drawn at every fourth step."""

HOLD_S = 0.7
"""How long the last picture stands, seconds."""


def every_nth(fps: float) -> int:
    """At which steps to draw: every step of a slow simulation, fewer of a fast one."""
    return max(1, round(fps / MOST_FPS))


def write_video(path: Path, pictures: Sequence[npt.NDArray[Any]], fps: float) -> None:
    """Write uint8 pictures `(height, width, 3)`, all of one size.

    Raises:
        ValueError: no pictures.
    """
    if not pictures:
        raise ValueError("a video needs at least one picture")
    av = require("av", extra="imitation")
    height, width = (size - size % 2 for size in pictures[0].shape[:2])  # the pixel format needs even sizes
    av.logging.set_libav_level(av.logging.ERROR)  # the encoder would report each video on standard error
    held = [*pictures, *[pictures[-1]] * round(HOLD_S * fps)]
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast", "threads": "1"}
        for picture in held:
            cropped = picture[:height, :width]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_contiguous(cropped), format="rgb24")))
        container.mux(stream.encode())


def _contiguous(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    import numpy as np

    return np.ascontiguousarray(picture)
