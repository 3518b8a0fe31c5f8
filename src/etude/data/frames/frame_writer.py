"""A worker's end of a shard file: frames go straight from the decoder to their place in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from etude.data.frames.blocks import BLOCK_BYTES, RawBlocks, checksum, write_at
from etude.data.frames.codecs import Array, Codec, Jpeg, Raw, Zstd, planar

__all__ = ["FrameWriter", "PackedWriter", "RawWriter", "open_writer"]

MEASURED_EVERY = 16
"""Of a form that is not exact, every so many frames are compared with what they were."""


class RawWriter:
    """Writes frames of one length, each at its place.

    Args:
        first: the number of the first frame that comes.
    """

    def __init__(self, descriptor: int, first: int, codec: Raw) -> None:
        self._blocks = RawBlocks(descriptor, first, int(np.prod(codec.shape)) * codec.dtype.itemsize)
        self._buffer = np.empty((self._blocks.frames_each, *codec.shape), codec.dtype)
        self._waiting = 0

    def add(self, picture: Array) -> None:
        """The next frame."""
        planar(picture, self._buffer[self._waiting])
        self._waiting += 1
        if self._waiting == len(self._buffer):
            self._flush()

    def finish(self) -> dict[str, Any]:
        """What the shard's JSON file must know: blocks as [first frame, frames, checksum]."""
        self._flush()
        return self._blocks.finish()

    def _flush(self) -> None:
        if self._waiting:
            self._blocks.write(self._waiting, [self._buffer[: self._waiting].reshape(-1).view(np.uint8)])
            self._waiting = 0


class PackedWriter:
    """Writes compressed frames one after the other into a file of their own."""

    def __init__(self, descriptor: int, first: int, codec: Zstd | Jpeg) -> None:
        self._descriptor, self._first, self._codec = descriptor, first, codec
        self._planes = np.empty(codec.shape, codec.dtype)
        self._parts: list[Any] = []
        self._bytes = self._written = 0
        self._sizes: list[int] = []
        self._blocks: list[list[Any]] = []
        self._differences: list[tuple[float, int]] = []

    def add(self, picture: Array) -> None:
        """The next frame; for a native Zstd codec its planes."""
        if isinstance(self._codec, Jpeg):
            data = self._codec.encode(picture)
            if (self._first + len(self._sizes)) % MEASURED_EVERY == 0:
                self._measure(picture, data)
        elif self._codec.native is not None:
            data = self._codec.encode(picture)
        else:
            planar(picture, self._planes)
            data = self._codec.encode(self._planes)
        data = memoryview(data).cast("B")
        self._parts.append(data)
        self._sizes.append(len(data))
        self._bytes += len(data)
        if self._bytes >= BLOCK_BYTES:
            self._flush()

    def finish(self) -> dict[str, Any]:
        """Sizes of the frames, blocks as [first frame, frames, checksum], and how far the frames are from exact."""
        self._flush()
        found = {"frames": len(self._sizes), "blocks": self._blocks, "sizes": self._sizes}
        if self._differences:
            means, peaks = zip(*self._differences, strict=True)
            found["error"] = {"mean": float(np.mean(means)), "max": max(peaks), "frames": len(means)}
        return found

    def _measure(self, picture: Array, data: Any) -> None:
        exact = self._planes
        planar(picture, exact)
        stored = np.empty_like(exact)
        self._codec.decode(data, stored)
        difference = np.abs(stored.astype(np.int16) - exact)
        self._differences.append((float(difference.mean()), int(difference.max())))

    def _flush(self) -> None:
        if not self._parts:
            return
        block = b"".join(self._parts)
        count = len(self._parts)
        self._written += write_at(self._descriptor, block, self._written)
        self._blocks.append([self._first + len(self._sizes) - count, count, checksum(block)])
        self._parts, self._bytes = [], 0


type FrameWriter = RawWriter | PackedWriter


def open_writer(descriptor: int, first: int, codec: Codec) -> FrameWriter:
    """The writer for a codec."""
    if isinstance(codec, Raw):
        return RawWriter(descriptor, first, codec)
    return PackedWriter(descriptor, first, codec)
