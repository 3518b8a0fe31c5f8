"""Memory for batches of pictures that is used again once nothing looks at it any more."""

from __future__ import annotations

import math
import weakref
from collections import defaultdict
from typing import Any

import numpy as np
import torch

__all__ = ["BufferPool"]

LEAST_BYTES = 2**20
"""A smaller buffer is left to the allocator, which is as fast."""
MOST_FREE = 8
"""Free buffers of one size that are kept."""


class BufferPool:
    """Hands out uninitialised tensors.

    A fresh block of this size comes from the kernel, which zeroes it page by page: that takes longer than to copy the
    pictures in. A buffer comes back here when the last tensor over it, views too, is gone.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[Any]] = defaultdict(list)

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """A contiguous tensor in host memory."""
        size = math.prod(shape) * dtype.itemsize
        if size < LEAST_BYTES:
            return torch.empty(shape, dtype=dtype)
        free = self._free[size]
        try:
            buffer = free.pop()
        except IndexError:
            buffer = np.empty(size, dtype=np.uint8)
        lease = buffer[:]  # the tensor's storage holds this object, and this object the buffer
        weakref.finalize(lease, _give_back, free, buffer).atexit = False
        return torch.from_numpy(lease).view(dtype).reshape(shape)


def _give_back(free: list[Any], buffer: Any) -> None:
    if len(free) < MOST_FREE:
        free.append(buffer)
