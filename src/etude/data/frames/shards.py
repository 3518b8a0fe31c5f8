"""A shard: the frames of one file of the dataset, and the JSON file beside it that says what they are.

NAME.frames   the frames, one after the other
NAME.json     written last: a shard without it does not exist
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from etude.data.frames.blocks import checksum
from etude.data.frames.codecs import Encoding
from etude.runs.atomic import write_text

__all__ = ["FORMAT", "Shard", "ShardFault"]

FORMAT = 1
"""Version of what lies on the disk. A store of another version is not read, but built anew."""


class ShardFault(Exception):  # noqa: N818  found by looking, not raised to a user
    """Why a shard cannot be used, in one sentence."""


@dataclass(frozen=True)
class Shard:
    """What a shard's JSON file says.

    Attributes:
        name: of its files, without the endings.
        source, source_bytes: the dataset's file, relative to the dataset, and its size.
        frames, bytes: how many frames, and the size of `NAME.frames`.
        shape, dtype: of a frame, `(channels, height, width)`.
        encoding: how a frame is written, see `codecs`.
        codec, pixel_format: of the video; "image" for pictures in a table.
        blocks: [first frame, frames, XXH3 of their bytes], covering the file.
        time_base, pts: when each frame is shown (a video): `pts * time_base[0] / time_base[1]` seconds.
        episodes: [episode, first frame, frames] in the file (a table).
        sizes: bytes of each frame, unless all have the same.
        error: of a form that is not exact: mean and max difference in steps of 255, over how many frames.
        boot: in which boot of a machine it was written, while it is not known to be on the disk, see `settling`.
    """

    name: str
    source: str
    source_bytes: int
    frames: int
    bytes: int
    shape: tuple[int, int, int]
    dtype: str
    encoding: Encoding
    codec: str
    pixel_format: str
    blocks: list[list[Any]]
    time_base: list[int] | None = None
    pts: list[int] = field(default_factory=list, repr=False)
    episodes: list[list[int]] = field(default_factory=list, repr=False)
    sizes: list[int] = field(default_factory=list, repr=False)
    error: dict[str, float] | None = None
    boot: str = ""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one decoded frame."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each frame begins in the file, and where the last one ends: `(frames + 1,)`."""
        if not self.sizes:
            return np.arange(self.frames + 1, dtype=np.int64) * self.frame_bytes
        return np.concatenate(([0], np.cumsum(self.sizes, dtype=np.int64)))

    def times_s(self) -> npt.NDArray[np.float64]:
        """When each frame is shown, in seconds from the start of the video."""
        assert self.time_base is not None
        return np.asarray(self.pts, np.float64) * self.time_base[0] / self.time_base[1]

    def save(self, folder: Path) -> None:
        """Write the JSON file: from now on the shard exists."""
        body = {"format": FORMAT} | {key: value for key, value in asdict(self).items() if value not in (None, [], "")}
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in body.items())
        write_text(folder / f"{self.name}.json", f"{{\n{lines}\n}}\n", sync=not self.boot)

    @classmethod
    def load(cls, folder: Path, name: str) -> Shard:
        """Read the JSON file, and look whether the frames are there.

        Raises:
            FileNotFoundError: there is no such shard.
            ShardFault: it is damaged, or of another version.
        """
        text = (folder / f"{name}.json").read_text(encoding="utf-8")
        try:
            body = json.loads(text)
            version = body.pop("format")
            if version != FORMAT:
                raise ShardFault(f"{folder / name}.json has version {version}; this is version {FORMAT}")
            shard = cls(**{**body, "shape": tuple(body["shape"]), "boot": body.get("boot", "").strip()})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ShardFault(f"{folder / name}.json is damaged: {error}") from error
        try:
            size = os.stat(folder / f"{name}.frames").st_size
        except FileNotFoundError:
            raise ShardFault(f"{folder / name}.frames is missing") from None
        if size != shard.bytes or shard.bytes != int(shard.offsets()[-1]):
            raise ShardFault(f"{folder / name}.frames has {size} bytes; {shard.bytes} were written")
        return shard

    def damaged_blocks(self, folder: Path) -> Iterator[tuple[int, int]]:
        """Read all frames; the blocks [first frame, frames] whose checksum is not the one that was written."""
        offsets = self.offsets()
        expected = 0
        with open(folder / f"{self.name}.frames", "rb") as file:
            for first, count, digest in self.blocks:
                if first != expected:
                    yield expected, max(1, first - expected)
                expected = first + count
                data = file.read(int(offsets[first + count] - offsets[first]))
                if checksum(data) != digest:
                    yield first, count
        if expected != self.frames:
            yield expected, self.frames - expected
