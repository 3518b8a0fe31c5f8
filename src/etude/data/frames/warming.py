"""Bringing a store's files into the page cache, in the background."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

__all__ = ["PageWarmer"]

PIECE_BYTES = 2**22
AHEAD_BYTES = 2**25


class PageWarmer:
    """Reads parts of files once, in order, so that later reads find them in memory.

    Args:
        parts: descriptor, begin and end of each.
        memory_bytes: nothing is read when the parts are more than this: they would drive each other out.
    """

    def __init__(self, parts: Sequence[tuple[int, int, int]], memory_bytes: int) -> None:
        self._parts = parts
        self._stopped = threading.Event()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        if 0 < sum(end - begin for _, begin, end in parts) <= memory_bytes:
            self._thread = threading.Thread(target=self._work, name="etude-warm", daemon=True)
            self._thread.start()

    @property
    def is_warm(self) -> bool:
        """Whether everything was read."""
        return self._done.is_set()

    def wait(self) -> None:
        """Wait until everything was read, if it is being read."""
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Stop, and wait for the thread: it uses the descriptors."""
        self._stopped.set()
        self.wait()

    def _work(self) -> None:
        piece = bytearray(PIECE_BYTES)
        try:
            for descriptor, begin, end in self._parts:
                for offset in range(begin, end, PIECE_BYTES):
                    if self._stopped.is_set():
                        return
                    os.posix_fadvise(descriptor, offset + PIECE_BYTES, AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
                    os.preadv(descriptor, [memoryview(piece)[: min(PIECE_BYTES, end - offset)]], offset)
        except OSError:
            return  # whoever needs the frame meets the same, and says so
        self._done.set()
