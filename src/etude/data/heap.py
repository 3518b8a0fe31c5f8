"""The C library's heap, told to keep what is freed: the next training step, or frame, asks for the same again."""

from __future__ import annotations

import ctypes
import logging

__all__ = ["keep_freed_memory"]

logger = logging.getLogger(__name__)

# Names and numbers of mallopt(3).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Reuse memory that was freed, instead of giving it back to the kernel and faulting it in anew.

    By default glibc returns large blocks at once. A training step on a CPU then waits for some hundred thousand pages
    to be zeroed, and splitting a decoded frame takes a third as long as decoding it. Nothing is computed differently.

    Returns:
        Whether the C library took it; other libraries than glibc do not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    settings = {M_MMAP_THRESHOLD: 1 << 30, M_TRIM_THRESHOLD: (1 << 31) - 1, M_TOP_PAD: 64 << 20}
    taken = all(mallopt(option, value) == 1 for option, value in settings.items())
    logger.debug("freed memory is kept: %s", taken)
    return taken
