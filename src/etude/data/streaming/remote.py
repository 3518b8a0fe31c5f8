"""A file that is elsewhere, kept in blocks: what a decoder jumps about in is fetched once."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from etude.data.streaming.order import LANES

__all__ = ["RemoteFile"]

BLOCK_BYTES = 2**20
BLOCKS = 3 * LANES
"""Each lane moves through a megabyte or two of a video, back and forth, and all lanes may be in the same one. With the
one block that fsspec reads ahead by itself nearly every frame is fetched anew: of two datasets, 12 to 15 times the
bytes. (Its own `blockcache` asks for bytes behind the end of a file.)"""


class RemoteFile:
    """What a video decoder wants of a file, for any address that fsspec opens.

    Args:
        address: such as `hf://datasets/USER/NAME@v3.0/videos/...`.

    Raises:
        OSError: there is no such file, or it cannot be reached; so do reads.
    """

    def __init__(self, address: str) -> None:
        import fsspec

        files, path = fsspec.core.url_to_fs(address)
        self._file: Any = files.open(path, cache_type="none", block_size=BLOCK_BYTES)
        self.size = int(self._file.size)
        self._place = 0
        self._block = lru_cache(BLOCKS)(self._fetch)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer at the end of the file."""
        end = self.size if size < 0 else min(self._place + size, self.size)
        parts = []
        while self._place < end:
            number, skipped = divmod(self._place, BLOCK_BYTES)
            part = self._block(number)[skipped : skipped + end - self._place]
            if not part:
                raise OSError(f"{self._file.path} ended after {self._place} of {self.size} bytes")
            parts.append(part)
            self._place += len(part)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; returns it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def _fetch(self, number: int) -> bytes:
        start = number * BLOCK_BYTES
        self._file.seek(start)
        block: bytes = self._file.read(min(BLOCK_BYTES, self.size - start))
        return block
