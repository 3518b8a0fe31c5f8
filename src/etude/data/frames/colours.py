"""From a decoder's pixel format to RGB. Nothing heavy is imported here: a worker starts with it."""

from __future__ import annotations

from typing import Any

__all__ = ["NATIVE_FORMATS", "TAGGED_COLOURS", "to_rgb"]

NATIVE_FORMATS = frozenset({"yuv420p"})
"""Pixel formats that are stored as the decoder gives them: half the bytes of RGB, and the same RGB comes out."""

TAGGED_COLOURS = {1: "BT.709", 4: "FCC", 7: "SMPTE 240M", 9: "BT.2020"}
"""Colour spaces (`AVFrame.colorspace`) in which a video's RGB differs from the one that converters assume, BT.601."""


def to_rgb(frame: Any, reformatter: Any) -> Any:
    """A decoder's frame as RGB, bit by bit as torchcodec, LeRobot's default decoder, makes it.

    It follows the video's colour space, but takes the range of values from the pixel format alone.
    """
    if frame.colorspace not in TAGGED_COLOURS:
        return reformatter.reformat(frame, format="rgb24")
    full = 2 if frame.format.name.startswith("yuvj") else 1
    return reformatter.reformat(
        frame, format="rgb24", src_colorspace=frame.colorspace, dst_colorspace=5, src_color_range=full
    )
