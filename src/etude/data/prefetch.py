"""Batches made one thread ahead of the step that uses them, in the known order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

__all__ = ["Prefetcher"]


class Prefetcher[T]:
    """Runs `make(0), make(1), …` in a background thread and hands the results out in order.

    Use it as a context manager, so that the thread ends with the block. An error raised by `make` is raised again
    where its result would have been handed out.
    """

    def __init__(self, make: Callable[[int], T], first: int, stop: int, *, ahead: int = 3) -> None:
        self._make = make
        self._range = range(first, stop)
        self._queue: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="etude-batches", daemon=True)

    def __enter__(self) -> Prefetcher[T]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        for _ in self._range:
            value, error = self._queue.get()
            if error is not None:
                raise error
            yield value  # type: ignore[misc]

    def _work(self) -> None:
        for index in self._range:
            try:
                item: tuple[T | None, BaseException | None] = (self._make(index), None)
            except BaseException as error:  # noqa: BLE001  handed to the consumer, which raises it
                item = (None, error)
            if not self._put(item) or item[1] is not None:
                return

    def _put(self, item: tuple[T | None, BaseException | None]) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
