"""Raw frames written without array libraries: for short videos, importing those takes longer than decoding.

`frame_writer` writes the same bytes, and does more frames a second once it is loaded.
"""

from __future__ import annotations

from typing import Any

from etude.data.frames.blocks import RawBlocks
from etude.data.frames.colours import to_rgb

__all__ = ["PlaneWriter"]


class PlaneWriter:
    """Writes a decoder's frames as `(channels, height, width)`, each at its place.

    Args:
        first: the number of the first frame that comes.
    """

    def __init__(self, descriptor: int, first: int, shape: tuple[int, int, int]) -> None:
        from av.video.reformatter import VideoReformatter

        self._blocks = RawBlocks(descriptor, first, shape[0] * shape[1] * shape[2])
        self._shape = shape
        self._rgb, self._planes = VideoReformatter(), VideoReformatter()
        self._waiting: list[Any] = []

    def add(self, frame: Any) -> None:
        """The next frame."""
        _, height, width = self._shape
        if (frame.height, frame.width) != (height, width):
            raise ValueError(f"a frame has {frame.width}x{frame.height} pixels; the first one had {width}x{height}")
        # Taking packed RGB apart is exact; going to planes at once would interpolate colours in another way.
        green, blue, red = self._planes.reformat(to_rgb(frame, self._rgb), format="gbrp").planes
        self._waiting += [_tight(plane, height, width) for plane in (red, green, blue)]
        if len(self._waiting) == 3 * self._blocks.frames_each:
            self._flush()

    def finish(self) -> dict[str, Any]:
        """What the shard's JSON file must know: blocks as [first frame, frames, checksum]."""
        self._flush()
        return self._blocks.finish()

    def _flush(self) -> None:
        if self._waiting:
            self._blocks.write(len(self._waiting) // 3, self._waiting)
            self._waiting = []


def _tight(plane: Any, height: int, width: int) -> memoryview | bytes:
    """A plane's pixels without what pads its rows."""
    view = memoryview(plane)
    row = plane.line_size
    if row == width:
        return view[: height * width]
    return b"".join(view[place * row : place * row + width] for place in range(height))
