"""Blocks of frames on their way to a shard's file. Nothing heavy is imported here: a worker starts with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import xxhash

__all__ = ["BLOCK_BYTES", "RawBlocks", "checksum", "write_at", "write_together"]

BLOCK_BYTES = 2**20
"""Frames are written, and their checksums taken, in blocks of about this size: they are still in the cache."""

MOST_PIECES = 1020
"""In one call of the kernel, which takes 1,024."""


def checksum(*data: Any) -> str:
    """The checksum of a block of frames (XXH3, 64 bits), which may lie in several pieces."""
    sum_of = xxhash.xxh3_64()
    for piece in data:
        sum_of.update(piece)
    return sum_of.hexdigest()


class RawBlocks:
    """Frames of one length that go to their places in a file, block after block.

    Args:
        first: the number of the first frame that comes.
        stride: bytes of a frame.
    """

    def __init__(self, descriptor: int, first: int, stride: int) -> None:
        self._descriptor, self._stride = descriptor, stride
        self._start = self._next = first
        self.frames_each = max(1, BLOCK_BYTES // stride)
        self._blocks: list[list[Any]] = []

    def write(self, count: int, pieces: Sequence[Any]) -> None:
        """The next `count` frames, in pieces that lie one behind the other."""
        offset = self._next * self._stride
        for begin in range(0, len(pieces), MOST_PIECES):
            offset += write_together(self._descriptor, pieces[begin : begin + MOST_PIECES], offset)
        self._blocks.append([self._next, count, checksum(*pieces)])
        self._next += count

    def finish(self) -> dict[str, Any]:
        """What the shard's JSON file must know: blocks as [first frame, frames, checksum]."""
        return {"frames": self._next - self._start, "blocks": self._blocks}


def write_at(descriptor: int, data: Any, offset: int) -> int:
    """Write all of `data`; returns its length."""
    view = memoryview(data).cast("B")
    done = 0
    while done < len(view):
        done += os.pwrite(descriptor, view[done:], offset + done)
    return done


def write_together(descriptor: int, pieces: Sequence[Any], offset: int) -> int:
    """Write all of these pieces one behind the other; returns their length."""
    length = sum(memoryview(piece).nbytes for piece in pieces)
    done = os.pwritev(descriptor, pieces, offset)
    if done < length:
        done += write_at(descriptor, b"".join(pieces)[done:], offset + done)
    return done
