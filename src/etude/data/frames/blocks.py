"""Blocks of frames on their way to a shard's file. Nothing heavy is imported here: a worker starts with it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from typing import Any

import xxhash

__all__ = ["BLOCK_BYTES", "checksum", "start_writing_back", "write_at", "write_together"]

BLOCK_BYTES = 2**20
"""Frames are written, and their checksums taken, in blocks of about this size: they are still in the cache."""


def checksum(*data: Any) -> str:
    """The checksum of a block of frames (XXH3, 64 bits), which may lie in several pieces."""
    sum_of = xxhash.xxh3_64()
    for piece in data:
        sum_of.update(piece)
    return sum_of.hexdigest()


def write_at(descriptor: int, data: Any, offset: int) -> int:
    """Write all of `data`; returns its length."""
    view = memoryview(data).cast("B")
    done = 0
    while done < len(view):
        done += os.pwrite(descriptor, view[done:], offset + done)
    return done


def write_together(descriptor: int, pieces: Sequence[Any], offset: int) -> int:
    """Write all of these pieces one behind the other; returns their length."""
    length = sum(len(piece) for piece in pieces)
    done = os.pwritev(descriptor, pieces, offset)
    if done < length:
        done += write_at(descriptor, b"".join(pieces)[done:], offset + done)
    return done


def start_writing_back(descriptor: int, offset: int, length: int) -> None:
    """Let the disk begin while the next frames are decoded, so that the sync at the end has little left to do."""
    try:
        call = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (AttributeError, OSError):  # only Linux has it, and only its speed is at stake
        return
    call(ctypes.c_int(descriptor), ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(2))
