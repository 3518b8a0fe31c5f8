"""Raw frames written without array libraries: for short videos, importing those takes longer than decoding.

`frame_writer` writes the same bytes, and does more frames a second once it is loaded.
"""

from __future__ import annotations

from typing import Any

from etude.data.frames.blocks import BLOCK_BYTES, checksum, start_writing_back, write_together
from etude.data.frames.colours import to_rgb

__all__ = ["PlaneWriter"]

MOST_AT_ONCE = 340
"""Frames in one call of the kernel: three planes each, 1,024 pieces at most."""


class PlaneWriter:
    """Writes a decoder's frames as `(channels, height, width)`, each at its place.

    Args:
        first: the number of the first frame that comes.
    """

    def __init__(self, descriptor: int, first: int, shape: tuple[int, int, int]) -> None:
        from av.video.reformatter import VideoReformatter

        self._descriptor, self._first, self._start = descriptor, first, first
        self._shape = shape
        self._stride = shape[0] * shape[1] * shape[2]
        self._full = max(1, BLOCK_BYTES // self._stride)
        self._rgb, self._planes = VideoReformatter(), VideoReformatter()
        self._waiting: list[Any] = []
        self.blocks: list[list[Any]] = []

    def add(self, frame: Any) -> None:
        """The next frame."""
        _, height, width = self._shape
        if (frame.height, frame.width) != (height, width):
            raise ValueError(f"a frame has {frame.width}x{frame.height} pixels; the first one had {width}x{height}")
        # Taking packed RGB apart is exact; going to planes at once would interpolate colours in another way.
        green, blue, red = self._planes.reformat(to_rgb(frame, self._rgb), format="gbrp").planes
        self._waiting += [_tight(plane, height, width) for plane in (red, green, blue)]
        if len(self._waiting) == 3 * self._full:
            self._flush()

    def finish(self) -> dict[str, Any]:
        """What the shard's JSON file must know: blocks as [first frame, frames, checksum]."""
        self._flush()
        start_writing_back(self._descriptor, self._start * self._stride, (self._first - self._start) * self._stride)
        return {"frames": self._first - self._start, "blocks": self.blocks}

    def _flush(self) -> None:
        if not self._waiting:
            return
        count, offset = len(self._waiting) // 3, self._first * self._stride
        for begin in range(0, len(self._waiting), 3 * MOST_AT_ONCE):
            offset += write_together(self._descriptor, self._waiting[begin : begin + 3 * MOST_AT_ONCE], offset)
        self.blocks.append([self._first, count, checksum(*self._waiting)])
        self._first += count
        self._waiting = []


def _tight(plane: Any, height: int, width: int) -> memoryview | bytes:
    """A plane's pixels without what pads its rows."""
    view = memoryview(plane)
    row = plane.line_size
    if row == width:
        return view[: height * width]
    return b"".join(view[place * row : place * row + width] for place in range(height))
