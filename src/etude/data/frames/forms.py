"""The forms in which a store holds frames."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, get_args

from etude.errors import UsageError

__all__ = ["Form", "FormName"]

FormName = Literal["raw", "zstd", "jpeg"]


@dataclass(frozen=True)
class Form:
    """How frames are stored.

    Attributes:
        name: raw (as they are), zstd (compressed, nothing lost), jpeg (smallest, 4:2:0, not exact).
        quality: of jpeg, 1 to 100.
        width, height: the size frames are stored at, in pixels; None keeps the video's.

    Raises:
        UsageError: a value that is not allowed.
    """

    name: FormName = "raw"
    quality: int = 95
    width: int | None = None
    height: int | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(FormName):
            raise UsageError(f"{self.name!r} is no form of a frame store: {', '.join(get_args(FormName))}")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"a JPEG quality lies between 1 and 100; {self.quality} was given")
        if (self.width is None) != (self.height is None):
            raise UsageError(
                "frames are resized to a width and a height; only one was given",
                hint="give both --frames.width and --frames.height",
            )
        if self.width is not None and self.height is not None and min(self.width, self.height) < 1:
            raise UsageError(f"frames cannot be resized to {self.width}x{self.height} pixels")

    @property
    def folder_name(self) -> str:
        """The form in a folder's name: `raw`, `zstd`, `jpeg-q95`, with `-WIDTHxHEIGHT` when resized."""
        name = f"jpeg-q{self.quality}" if self.name == "jpeg" else self.name
        return name if self.width is None else f"{name}-{self.width}x{self.height}"

    @classmethod
    def parse(cls, folder_name: str) -> Form:
        """The form that a folder's name tells."""
        match = re.fullmatch(r"(raw|zstd|jpeg)(?:-q(\d+))?(?:-(\d+)x(\d+))?", folder_name)
        if match is None:
            raise UsageError(f"{folder_name!r} is not the name of a frame store's form")
        name, quality, width, height = match.groups()
        size = (int(width), int(height)) if width else (None, None)
        return cls(name, int(quality or 95), *size)  # type: ignore[arg-type]

    @property
    def is_exact(self) -> bool:
        """Whether frames come back bit by bit as they were decoded (and resized)."""
        return self.name != "jpeg"

    def for_depth(self) -> Form:
        """The form for a depth camera: JPEG would destroy its codes."""
        return self if self.is_exact else replace(self, name="zstd", quality=95)
