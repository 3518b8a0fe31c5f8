"""How much of a process's time went into importing modules."""

from __future__ import annotations

import builtins
import importlib
import threading
import time
from collections.abc import Callable
from typing import Any


class ImportClock:
    """Adds up the seconds that the main thread spends in imports, from `start` on.

    An import inside another counts once. What a worker process imports is not seen: to its parent that is waiting.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def start(self) -> None:
        """Count from here on."""
        builtins.__import__ = self._timed(builtins.__import__)
        importlib.import_module = self._timed(importlib.import_module)

    def _timed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._depth or threading.current_thread() is not threading.main_thread():
                return original(*args, **kwargs)
            self._depth, began = 1, time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self._depth = 0
                self.seconds += time.perf_counter() - began

        return timed
