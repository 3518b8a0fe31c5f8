"""The C library's heap, told to keep what a training step frees: the next step asks for the same again."""

from __future__ import annotations

import ctypes
import ctypes.util
import logging

__all__ = ["keep_freed_memory"]

logger = logging.getLogger(__name__)

# Names and numbers of mallopt(3).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Reuse the memory of a step's activations in the next step, instead of giving it back and faulting it in anew.

    By default glibc returns every block above 32 MiB to the kernel at once, and on a CPU the kernel then zeroes some
    hundred thousand pages a step. Nothing is computed differently.

    Returns:
        Whether the C library took it; other libraries than glibc do not.
    """
    try:
        mallopt = ctypes.CDLL(ctypes.util.find_library("c")).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    settings = {M_MMAP_THRESHOLD: 1 << 30, M_TRIM_THRESHOLD: (1 << 31) - 1, M_TOP_PAD: 64 << 20}
    taken = all(mallopt(option, value) == 1 for option, value in settings.items())
    logger.debug("freed memory is kept: %s", taken)
    return taken
