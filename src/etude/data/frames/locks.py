"""Locks between processes: one builds a store at a time, and nobody removes one that is being read."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

__all__ = ["FileLock"]

logger = logging.getLogger(__name__)

UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL}


class FileLock:
    """An advisory lock on a small file; the kernel frees it when the process ends, however it ends.

    Args:
        path: the lock's file; made when it is absent.
        shared: many may hold it together, none of them with an exclusive holder.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path = path
        self._kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if nobody stands in the way."""
        return self._acquire(fcntl.LOCK_NB)

    def acquire(self, on_wait: Callable[[], None] | None = None) -> None:
        """Take the lock, waiting for it; `on_wait` is called once if that is needed."""
        if self.try_acquire():
            return
        if on_wait is not None:
            on_wait()
        self._acquire(0)

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> FileLock:
        if self._descriptor is None:
            self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _acquire(self, flags: int) -> bool:
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except FileNotFoundError:  # its folder was removed just now
                continue
            try:
                fcntl.flock(descriptor, self._kind | flags)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    os.close(descriptor)
                    raise
                logger.warning("%s: this file system has no locks; build a store from one process only", self.path)
            except BaseException:
                os.close(descriptor)
                raise
            if self._is_current(descriptor):
                self._descriptor = descriptor
                return True
            os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        # Whoever removed the store while we waited removed this file too: then the lock is on nothing.
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        ours = os.fstat(descriptor)
        return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)
